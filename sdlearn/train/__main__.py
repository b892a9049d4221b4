"""`python -m sdlearn.train all`: make the small Stable Diffusion from nothing, or go on where it stopped.

Run it under `accelerate launch` for several processes or machines; on a CPU, one process of one thread a core
is the fastest: `accelerate launch --cpu --num_processes 2 --num_cpu_threads_per_process 1 -m sdlearn.train all`.
A run that was stopped continues from its
last checkpoint; `--from` continues from finished weights instead, and then the autoencoder trains its decoder
only, so that latents keep their meaning.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

PARTS = ("tokenizer", "vae", "clip", "unet", "judge")


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
    from accelerate import PartialState  # here, so that --help needs no torch

    from sdlearn.loading import write_checksums
    from sdlearn.train import clip, judge, tokenizer, unet, vae

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
        counts = {size: choice.pages or unet.PAGES[size] for size in sizes}
        stages = {size: changed(unet.RECIPE[size]) for size in sizes}
        unet.train(**paths, recipe=stages, start=choice.start, pages=counts)
    if "judge" in wanted:
        judge.train(**paths, recipe=changed(judge.RECIPE), **pages)
    if PartialState().is_main_process:
        write_checksums(choice.out)


if __name__ == "__main__":
    main(parse())
