"""`python -m sdlearn.train all`: make the small Stable Diffusion from nothing, or go on where it stopped.

On a GPU run it under `accelerate launch`. On a CPU one process of one thread for each core is the fastest, and
bfloat16 where the CPU has it (`accelerate launch` starts only one process on a CPU):
`ACCELERATE_MIXED_PRECISION=bf16 torchrun --standalone --nproc_per_node 2 -m sdlearn.train all`.
A run that was stopped continues from its last checkpoint; `--from` continues from finished weights instead, and then
the autoencoder trains its decoder only, so that latents keep their meaning.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

PARTS = ("tokenizer", "vae", "clip", "unet", "judge", "families")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sdlearn.train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=["all", *PARTS])
    parser.add_argument("--out", type=Path, default=Path("assets/tiny-sd"), help="where the finished weights go")
    parser.add_argument("--work", type=Path, default=Path("runs/tiny-sd"), help="checkpoints, logs, cached drawings")
    parser.add_argument("--from", dest="start", type=Path, help="a folder of finished weights to continue from")
    parser.add_argument("--steps", type=int, help="steps, in place of the recipe's")
    parser.add_argument("--batch", type=int, help="batch of one process, in place of the recipe's")
    parser.add_argument("--pages", type=int, help="drawn pictures to train on, in place of the recipe's")
    parser.add_argument("--sizes", type=int, nargs="+", choices=(128, 256, 512), help="sizes to train the U-Net at")
    return parser.parse_args()


def main(choice: argparse.Namespace) -> None:
    import torch  # here, so that --help needs none of it
    from accelerate import PartialState

    from sdlearn.loading import write_checksums
    from sdlearn.train import clip, families, judge, tokenizer, unet, vae

    state = PartialState(cpu=not torch.cuda.is_available())  # the first one decides how processes talk

    def changed(recipe):
        given = {name: value for name in ("steps", "batch") if (value := getattr(choice, name))}
        return replace(recipe, **given)

    wanted = PARTS if choice.part == "all" else (choice.part,)
    paths = {"out": choice.out, "work": choice.work}
    pages = {"pages": choice.pages} if choice.pages else {}
    if "tokenizer" in wanted and not choice.start:
        tokenizer.train(choice.out, **pages)
    if "vae" in wanted:
        vae.train(**paths, recipe=changed(vae.RECIPE), start=choice.start, **pages)
    if "clip" in wanted:
        clip.train(**paths, recipe=changed(clip.RECIPE), start=choice.start, **pages)
    if "unet" in wanted:
        sizes = choice.sizes or list(unet.RECIPE)
        counts = {size: choice.pages or count for size, count in unet.PAGES.items()}
        stages = {size: changed(unet.RECIPE[size]) for size in sizes}
        unet.train(**paths, recipe=stages, start=choice.start, pages=counts)
    if "judge" in wanted:
        judge.train(**paths, recipe=changed(judge.RECIPE), **pages)
    if "families" in wanted and state.is_main_process:
        families.train(choice.out, choice.steps, **pages)
    if state.is_main_process:
        write_checksums(choice.out)


if __name__ == "__main__":
    main(parse())
