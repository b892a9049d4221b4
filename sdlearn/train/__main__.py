"""`python -m sdlearn.train all`: make the small Stable Diffusion from scratch, or resume a run.

On one GPU, this command is all you need; for several GPUs, run it under `accelerate launch`. On a
CPU, the fastest way is one process per core, each with one thread, and bfloat16 if the CPU supports
it. `accelerate launch` starts only one process on a CPU, so use torchrun there (on two cores):

    ACCELERATE_MIXED_PRECISION=bf16 torchrun --standalone --nproc_per_node 2 -m sdlearn.train all

A run that was stopped continues from its last checkpoint. `--from` continues from finished weights
instead: `--out` starts as a copy of them, and the autoencoder then trains only its decoder, so that
latents keep their meaning.

The others train an adapter on the finished model in `--out`. `inversion` finds a word for a cat in
a shade that no word names, `lora` teaches the model a rocket, and `style` teaches it to draw in
pencil. `few-steps` lets it draw in a few calls, `control` lets it read masks, and `edges` edges.
`sd3` trains the sibling, a small Stable Diffusion 3, and saves it in `tiny-sd3` beside `--out`.
None of these is a part of `all`.
"""

from __future__ import annotations

import argparse
import os
import shutil
from dataclasses import replace
from pathlib import Path

from sdlearn._support.paths import TINY

PARTS = ("tokenizer", "vae", "clip", "unet", "judge", "families")
BESIDE = ("inversion", "lora", "style", "few-steps", "control", "edges", "sd3")
"""What is trained on a finished model, and saved beside it: adapters, and the sibling."""
BY_ONE = ("tokenizer", "families")
"""The parts that a single process trains."""


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sdlearn.train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("part", choices=["all", *PARTS, *BESIDE])
    parser.add_argument("--out", type=Path, default=TINY, help="where the finished weights go")
    parser.add_argument(
        "--work", type=Path, default=Path("runs/tiny-sd"), help="checkpoints, logs, cached drawings"
    )
    parser.add_argument(
        "--from", dest="start", type=Path, help="a folder of finished weights to continue from"
    )
    long = parser.add_mutually_exclusive_group()
    long.add_argument("--steps", type=int, help="number of steps, instead of the recipe's")
    long.add_argument(
        "--minutes",
        type=float,
        help=("minutes to train each stage for, instead of the recipe's steps"),
    )
    parser.add_argument("--batch", type=int, help="batch of one process, instead of the recipe's")
    parser.add_argument(
        "--rate",
        dest="learning_rate",
        type=float,
        help=("highest learning rate, instead of the recipe's"),
    )
    parser.add_argument(
        "--pages", type=int, help="number of drawn pictures to train on, instead of the recipe's"
    )
    parser.add_argument(
        "--sizes", type=int, nargs="+", choices=(128, 256, 512), help="sizes to train the U-Net at"
    )
    return parser.parse_args()


def main(choice: argparse.Namespace) -> None:
    import torch  # imported here, so that --help does not have to wait for it
    from accelerate import PartialState

    from sdlearn._support.fetching import write_checksums
    from sdlearn.train import (
        clip,
        control,
        families,
        few_steps,
        inversion,
        judge,
        lora,
        sd3,
        tokenizer,
        unet,
        vae,
    )
    from sdlearn.train.plans import plan_for

    # the first PartialState decides how the processes communicate
    state = PartialState(cpu=not torch.cuda.is_available())

    with state.main_process_first():
        if choice.start and not choice.out.exists():
            shutil.copytree(choice.start, choice.out)

    def changed(recipe):
        names = ("steps", "minutes", "batch", "learning_rate")
        given = {name: value for name in names if (value := getattr(choice, name))}
        return replace(recipe, **given)

    paths, start = {"out": choice.out, "work": choice.work}, {"start": choice.start}
    pages = {"pages": choice.pages} if choice.pages else {}
    plan = plan_for(state.device)
    os.environ.setdefault("ACCELERATE_MIXED_PRECISION", plan.precision)
    sizes = choice.sizes or ([max(plan.stages)] if choice.start else plan.stages)
    plan = replace(
        plan,
        stages={size: changed(plan.stages[size]) for size in sizes},
        pages={size: choice.pages or count for size, count in plan.pages.items()},
    )
    train = {
        "tokenizer": lambda: tokenizer.train(choice.out, **pages),
        "vae": lambda: vae.train(**paths, **start, **pages, recipe=changed(vae.RECIPE)),
        "clip": lambda: clip.train(**paths, **start, **pages, recipe=changed(clip.RECIPE)),
        "unet": lambda: unet.train(**paths, **start, plan=plan),
        "judge": lambda: judge.train(**paths, **pages, recipe=changed(judge.RECIPE)),
        "families": lambda: families.train(choice.out, choice.steps, **pages),
        "inversion": lambda: inversion.train(**paths, **pages, recipe=changed(inversion.RECIPE)),
        "lora": lambda: lora.train_thing(**paths, **pages, recipe=changed(lora.RECIPE)),
        "style": lambda: lora.train_style(**paths, **pages, recipe=changed(lora.STYLE)),
        "few-steps": lambda: few_steps.train(**paths, **pages, recipe=changed(few_steps.RECIPE)),
        "control": lambda: control.train(**paths, **pages, recipe=changed(control.RECIPE)),
        "edges": lambda: control.train_edges(**paths, **pages, recipe=changed(control.RECIPE)),
        "sd3": lambda: sd3.train(**paths, **pages, recipe=changed(sd3.RECIPE)),
    }
    wanted = PARTS if choice.part == "all" else (choice.part,)
    for part in wanted:
        state.wait_for_everyone()  # this part may read the files of the one before it
        if part == "tokenizer" and choice.start:
            continue  # the finished weights depend on the tokens they were trained with
        if part not in BY_ONE or state.is_main_process:
            train[part]()
    if state.is_main_process:
        write_checksums(choice.out)


if __name__ == "__main__":
    main(parse())
