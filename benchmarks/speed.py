"""`python benchmarks/speed.py`: how long the small model takes, in seconds and as ratios.

Times vary with the machine and with what else it does; ratios much less. No test depends on either.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys


def python_seconds(code: str, repeat: int = 3) -> float:
    """The median time that fresh interpreters report; `code` prints it."""
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(repeat)
    ]
    return statistics.median(float(run.stdout.split()[-1]) for run in runs)


CLOCK = "import time; start = time.perf_counter(); {work}; print(time.perf_counter() - start)"
LIBRARIES = (
    "from diffusers import AutoencoderKL, UNet2DConditionModel, PNDMScheduler; "
    "from transformers import CLIPModel, CLIPTextModel, CLIPTokenizer; import sdlearn.loading"
)


def main() -> None:
    load = f"{LIBRARIES}; import sdlearn; " + CLOCK.format(work="sdlearn.load()")
    rows = [
        ("import sdlearn", python_seconds(CLOCK.format(work="import sdlearn"))),
        ("load('tiny') after its libraries", python_seconds(load)),
    ]
    import torch
    from stopwatch import seconds

    import sdlearn
    from sdlearn.evaluate.samples import as_pipeline

    model = sdlearn.load(device="cpu")
    steps, guidance = model.default_steps, model.default_guidance
    pipeline = as_pipeline(model)
    ratios = []
    for size in (256, 512):
        ours = seconds(lambda size=size: sdlearn.text_to_image(model, "a red house", size=size))
        theirs = seconds(
            lambda size=size: pipeline("a red house", size, size, steps, guidance_scale=guidance)
        )
        rows += [
            (
                f"{size}², from prompt to picture, by the model's defaults: {steps} guided steps",
                ours,
            ),
            (f"{size}², the same by diffusers' pipeline", theirs),
        ]
        ratios.append(f"{size}²: ours / diffusers' = {ours / theirs:.3f}")
    print("| what | seconds |\n|---|---|")
    for name, value in rows:
        print(f"| {name} | {value:.2f} |")
    print()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1e9 if sys.platform == "darwin" else 1e6
    )
    print(
        *ratios,
        f"peak memory of this process: {peak:.2f} GB; {torch.get_num_threads()} threads",
        sep="; ",
    )


if __name__ == "__main__":
    main()
