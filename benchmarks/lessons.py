"""`python benchmarks/lessons.py`: the time and memory that each lesson takes.

Runs them by papermill, with `--model` as their parameter (a name or a folder that sdlearn.load
takes); `--out` keeps the executed notebooks. Live training is shortened to `--steps`.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import nbformat
import papermill

from sdlearn._support.paths import NOTEBOOKS

PEAK = """
import json, os, psutil, torch
memory = psutil.Process().memory_info()
peak = getattr(memory, "peak_wset", memory.rss)
if os.path.exists("/proc/self/status"):
    lines = open("/proc/self/status").readlines()
    peak = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
of_gpu = torch.cuda.max_memory_allocated() / 1e9 if torch.cuda.is_available() else None
print(json.dumps([peak / 1e9, of_gpu]))
"""


def run(lesson: Path, out: Path, model: str, steps: int) -> tuple[float, float, float | None]:
    """Seconds, and peak GB of the kernel and of the GPU."""
    offered = papermill.inspect_notebook(str(lesson))
    chosen = {"MODEL": model, **({"STEPS": steps} if "STEPS" in offered else {})}
    notebook = nbformat.read(lesson, 4)
    notebook.cells.append(nbformat.v4.new_code_cell(PEAK))
    with tempfile.TemporaryDirectory() as folder:
        asked = Path(folder, lesson.name)
        nbformat.write(notebook, asked)
        start = time.perf_counter()
        done = papermill.execute_notebook(
            str(asked),
            str(out / lesson.name),
            chosen,
            cwd=str(NOTEBOOKS),
            kernel_name="python3",
            progress_bar=False,
        )
    return (time.perf_counter() - start, *json.loads(done.cells[-1].outputs[0]["text"]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--out", type=Path, help="a folder for the executed lessons")
    choice = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SDLEARN_HOME"] = folder  # no learner's progress is touched
        out = choice.out or Path(folder)
        out.mkdir(parents=True, exist_ok=True)
        print("| lesson | seconds | GB of memory | GB on the GPU |\n|---|---|---|---|")
        total = 0.0
        for lesson in sorted(NOTEBOOKS.glob("*.ipynb")):
            seconds, memory, on_gpu = run(lesson, out, choice.model, choice.steps)
            total += seconds
            print(
                f"| {lesson.stem} | {seconds:.0f} | {memory:.1f} | {on_gpu or 0:.1f} |", flush=True
            )
    print(f"\nAll of them: {total / 60:.1f} minutes, with {choice.steps} steps of live training.")


if __name__ == "__main__":
    main()
