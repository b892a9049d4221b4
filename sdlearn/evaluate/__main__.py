"""`python -m sdlearn.evaluate`: measure the small model on scenes that it has never seen.

Prints a table and, with `--card`, writes it into the model card. The judge
(`sdlearn.evaluate.judge`) was trained on drawn pictures only. The first rows of the table give its
own accuracy, so that you know how far to trust it. Beside each share, in brackets, is its 95%
confidence interval.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import torch

from sdlearn._support.paths import ASSETS
from sdlearn.control import EDGES, load_control
from sdlearn.evaluate import taught
from sdlearn.evaluate.adapters import HEAD as FEW
from sdlearn.evaluate.adapters import SIZE, compare_few_steps, with_few_steps
from sdlearn.evaluate.judge import Judge, load_judge
from sdlearn.evaluate.placing import HEAD as PLACING
from sdlearn.evaluate.placing import compare_control, edges_of
from sdlearn.evaluate.sibling import HEAD as SIBLINGS
from sdlearn.evaluate.sibling import SIBLING, compare_sibling, load_sibling
from sdlearn.evaluate.solvers import HEAD, compare_solvers
from sdlearn.evaluate.table import HEAD as FIGURES
from sdlearn.evaluate.table import as_table, marks, measure, write_into_card
from sdlearn.loading import Components, load
from sdlearn.pipeline import text_to_image
from sdlearn.plots import strip

SAMPLES = (
    "a red house left of a blue tree in the snow",
    "a yellow star above a green boat at night",
    "a pink cat in a meadow",
    "an orange car and a white flower, in the desert",
    "a purple fish right of a red mushroom on the beach",
    "a blue balloon, a yellow house and a red tree at sunset",
    "on the beach, a big white boat",
    "a green kite above an orange cat in a meadow",
    "a picture of a yellow mushroom in the snow",
    "a white heart above a blue car at night",
    "a small red flower left of a big purple house in the desert",
    "a pink star at sunset",
)
"""The twelve prompts of the README; prompt k is drawn with seed k."""
TABLES = ("solvers", "sd3", "inversion", "lora", "style", "few-steps", "control", "edges")
"""The tables that an option asks for, instead of the model's figures."""


def draw_samples(model: Components, file: Path) -> None:
    """Draw the README's twelve pictures, one for each prompt, with the model's defaults."""
    pictures = [text_to_image(model, prompt, seed=seed) for seed, prompt in enumerate(SAMPLES)]
    strip(pictures, SAMPLES, columns=4).savefig(file, pil_kwargs={"quality": 88})


def _picture_file(name: str) -> Path:
    """The path of a picture to write; a mistake is reported now, not after minutes of work."""
    file = Path(name)
    if file.suffix.lower() not in (".jpg", ".png"):
        raise argparse.ArgumentTypeError(f"{name!r} should end in .jpg or .png")
    if not file.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {str(file.parent)!r}")
    return file


def _check_card(parser: argparse.ArgumentParser, card: Path, table: str) -> None:
    """A card has the place for its table; a mistake is reported now."""
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    for mark in marks(table):
        if mark not in text:
            parser.error(f"argument --card: {str(card)!r} is not a card with the line {mark!r}")


def _count(name: str) -> int:
    if not name.isdigit() or int(name) < 1:
        raise argparse.ArgumentTypeError(f"{name!r} should be a whole number of at least 1")
    return int(name)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sdlearn.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--model", default="tiny", help="a name or a folder that sdlearn.load takes"
    )
    parser.add_argument(
        "--bfloat16", action="store_true", help="the U-Net in bfloat16: faster on many CPUs"
    )
    parser.add_argument("--judge", type=Path, default=ASSETS / "judge")
    parser.add_argument(
        "--count", type=_count, default=100, help="prompts of each sort; the card has 300"
    )
    parser.add_argument(
        "--sheet", type=_picture_file, help="save contact sheets of the samples here"
    )
    parser.add_argument("--card", type=Path, help="write the table into this model card")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--solvers", action="store_true", help="only compare solvers, steps and guidance"
    )
    instead.add_argument(
        "--inversion", action="store_true", help="only measure the word for a mimo"
    )
    instead.add_argument(
        "--lora", action="store_true", help="only measure the LoRA that draws rockets"
    )
    instead.add_argument(
        "--style", action="store_true", help="only measure the LoRA that draws in pencil"
    )
    instead.add_argument(
        "--few-steps", action="store_true", help="only compare the LoRA that draws in few calls"
    )
    instead.add_argument(
        "--control", action="store_true", help="only measure the ControlNet that reads masks"
    )
    instead.add_argument(
        "--edges", action="store_true", help="only measure the ControlNet that reads edges"
    )
    instead.add_argument(
        "--sd3",
        type=Path,
        nargs="?",
        const=SIBLING,
        help="only compare the small Stable Diffusion 3, or the one in this folder",
    )
    instead.add_argument(
        "--samples", type=_picture_file, help="only draw the README's twelve samples into this file"
    )
    choice = parser.parse_args()
    chosen = [name for name in TABLES if vars(choice)[name.replace("-", "_")]]
    choice.table = chosen[0] if chosen else "figures"
    if choice.card:
        _check_card(parser, choice.card, choice.table)
    return choice


def main() -> None:
    choice = parse()
    model = load(choice.model)
    if choice.bfloat16:
        model.unet.forward = torch.autocast(model.device.type, torch.bfloat16)(model.unet.forward)
    if choice.samples:
        draw_samples(model, choice.samples)
        return
    judge = load_judge(choice.judge)
    precision = (
        "the U-Net in bfloat16" if choice.bfloat16 else str(model.dtype).removeprefix("torch.")
    )
    side = model.side if choice.table in ("figures", "solvers", "style") else SIZE
    about = f"Measured on {choice.count} unseen prompts of each sort, {side}², {precision}"
    if choice.table == "figures":
        rows = measure(model, judge, choice.count, choice.sheet)
        about += (
            f", {model.default_steps} steps and guidance {model.default_guidance:g} where nothing "
            "else is said"
        )
        table = as_table(FIGURES, rows)
    else:
        head, compare = comparison(model, choice)
        table = _table(head, compare(judge, choice.count))
    table = f"{table}\n\n{about}."
    print(table)
    if choice.card:
        write_into_card(choice.card, choice.table, table)


def comparison(
    model: Components, choice: argparse.Namespace
) -> tuple[tuple[str, ...], Callable[[Judge, int], Iterable[tuple[str, ...]]]]:
    """The head of the table that was asked for, and what yields its rows."""
    if choice.table == "few-steps":
        return FEW, partial(compare_few_steps, model, with_few_steps(model))
    if choice.table == "control":
        return PLACING, partial(compare_control, model, load_control(model))
    if choice.table == "edges":
        edges = load_control(model, EDGES)
        return PLACING, partial(compare_control, model, edges, shown_of=edges_of)
    if choice.table == "sd3":
        return SIBLINGS, partial(compare_sibling, model, load_sibling(choice.sd3))
    head, compare = {
        "solvers": (HEAD, compare_solvers),
        "inversion": (taught.MIMO_HEAD, taught.compare_mimo),
        "lora": (taught.ROCKET_HEAD, taught.compare_rocket),
        "style": (taught.PENCIL_HEAD, taught.compare_pencil),
    }[choice.table]
    return head, partial(compare, model)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table of rows that are printed as soon as they are measured."""
    measured = []
    for row in rows:
        print(*row, sep=" | ", flush=True)
        measured.append(row)
    return as_table(head, measured)


if __name__ == "__main__":
    main()
