"""`python -m sdlearn.evaluate`: how good the small model is, measured on scenes that it has never seen.

Prints a table and writes it into the model card. The judge (`sdlearn.judge`) was trained on drawn pictures
only; its own accuracy stands in the table's first lines, so that its word can be weighed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm.auto import tqdm

from sdlearn.compression import decode
from sdlearn.drawing import draw_array
from sdlearn.images import contact_sheet, psnr, to_pictures, to_pixels
from sdlearn.judge import Judge, Verdict, judge_picture, load_judge
from sdlearn.loading import Components, load
from sdlearn.map_scores import score_maps
from sdlearn.picturebook import Scene, compose
from sdlearn.pipeline import text_to_image, text_to_latents
from sdlearn.plots import strip
from sdlearn.train.data import TEST, scene_at

CARD_START, CARD_END = "<!-- figures: written by python -m sdlearn.evaluate -->", "<!-- end of figures -->"
CHOICES = 64

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

Row = tuple[str, str, str, str]
"""Figure, measured, must, aim."""


def unseen_scenes(count: int, held_out: bool) -> list[Scene]:
    return [scene_at(page, TEST, held_out) for page in range(1000, 1000 + count)]


def drawn(scenes: Iterable[Scene], size: int) -> torch.Tensor:
    return to_pixels(np.stack([draw_array(scene, size) for scene in scenes]))


# --- parts ----------------------------------------------------------------------------------------


@torch.no_grad()
def round_trip(model: Components, pixels: torch.Tensor) -> torch.Tensor:
    """Encode and decode, one picture at a time."""
    pieces = [model.vae.encode(p.to(model.device, model.dtype)).latent_dist.mean for p in pixels.split(1)]
    return torch.cat([decode(model.vae, z * model.vae.config.scaling_factor).float().cpu() for z in pieces])


@torch.no_grad()
def clip_accuracy(model: Components, rounds: int = 8) -> float:
    """How often a picture finds its caption among 64 that all differ in things, colours or place."""
    right = []
    for number in range(rounds):
        scenes, page = {}, 10_000 * (number + 1)
        while len(scenes) < CHOICES:
            scene = scene_at(page, TEST)
            scenes.setdefault((frozenset((t.kind, t.colour) for t in scene.things), scene.place), scene)
            page += 1
        chosen = list(scenes.values())
        pixels = drawn(chosen, model.clip.config.vision_config.image_size).to(model.device, model.dtype)
        tokens = model.tokenizer([s.caption for s in chosen], padding="max_length", return_tensors="pt").input_ids
        logits = model.clip(input_ids=tokens.to(model.device), pixel_values=pixels).logits_per_image
        right.append(logits.argmax(dim=1).cpu() == torch.arange(CHOICES))
    return torch.cat(right).float().mean().item()


def verdicts(judge: Judge, scenes: list[Scene], pixels: torch.Tensor) -> list[Verdict]:
    read = [reading for piece in pixels.split(16) for reading in judge.read(piece)]
    return [judge_picture(scene, *reading) for scene, reading in zip(scenes, read, strict=True)]


# --- generated pictures ---------------------------------------------------------------------------


def generate(model: Components, prompts: list[str], size: int, steps: int, guidance: float, seed: int) -> torch.Tensor:
    """One picture for each prompt: float32 [n, 3, size, size] on the CPU."""
    found = []
    for first in tqdm(range(0, len(prompts), 4), desc=f"drawing {len(prompts)} prompts"):
        options = {"size": size, "steps": steps, "guidance": guidance, "seed": seed + first}
        for step in text_to_latents(model, prompts[first : first + 4], **options):
            last = step
        found += [decode(model.vae, z).float().cpu() for z in last.latents.split(1)]
    return torch.cat(found)


def shares(found: list[Verdict]) -> dict[str, float]:
    """The share of right answers for every part of the prompts."""
    relations = [verdict.relation for verdict in found if verdict.relation is not None]
    return {
        "place": float(np.mean([verdict.place for verdict in found])),
        "kind": float(np.mean([right for verdict in found for right in verdict.kinds])),
        "colour": float(np.mean([right for verdict in found for right in verdict.colours])),
        "relation": float(np.mean(relations)) if relations else float("nan"),
        "whole": float(np.mean([verdict.whole for verdict in found])),
    }


def variety(scenes: list[Scene], first: torch.Tensor, second: torch.Tensor) -> float:
    """Mean distance of two samples of a prompt, as a part of that of two drawn scenes of it."""
    size = first.shape[-1]
    again = [[_redrawn(scene, seed) for scene in scenes] for seed in (1, 2)]
    by_hand = (drawn(again[0], size) - drawn(again[1], size)).abs().mean()
    return ((first - second).abs().mean() / by_hand).item()


def _redrawn(scene: Scene, seed: int) -> Scene:
    things = [(thing.colour, thing.kind) for thing in scene.things]
    return compose(
        things, scene.place, scene.relation, rng=np.random.default_rng((5, seed, int(scene.things[0].x * 1e9)))
    )


# --- the table ------------------------------------------------------------------------------------


def measure(
    model: Components, judge: Judge, count: int, size: int, steps: int, guidance: float, sheet: Path | None
) -> list[Row]:
    if model.clip is None:
        raise ValueError("model: one with a CLIP image tower, in its folder `clip`; this one has none")
    scenes, held_out = unseen_scenes(count, held_out=False), unseen_scenes(count, held_out=True)
    pictures = drawn(scenes[:64] + held_out[:64], 512)
    restored = round_trip(model, pictures)
    both = scenes[:64] + held_out[:64]
    on_drawn, on_restored = shares(verdicts(judge, both, pictures)), shares(verdicts(judge, both, restored))
    first = generate(model, [scene.caption for scene in scenes], size, steps, guidance, seed=0)
    few = min(count, 32)
    second = generate(model, [scene.caption for scene in scenes[:few]], size, steps, guidance, seed=50_000)
    unseen = generate(model, [scene.caption for scene in held_out], size, steps, guidance, seed=90_000)
    if sheet:
        _save_sheet(first, scenes, sheet)
        _save_sheet(unseen, held_out, sheet.with_stem(sheet.stem + "-held-out"))
    differ = variety(scenes[:few], first[:few], second)
    made, new = shares(verdicts(judge, scenes, first)), shares(verdicts(judge, held_out, unseen))
    return [
        ("judge on drawn pictures: worst of place, kind, colour, relation", _percent(_worst(on_drawn)), "99 %", ""),
        ("judge on VAE round trips: worst of the same", _percent(_worst(on_restored)), "99 %", ""),
        ("VAE PSNR at 512²", f"{psnr(restored, pictures):.1f} dB", "30 dB", "36 dB"),
        (f"CLIP, picture → caption, top-1 of {CHOICES}", _percent(clip_accuracy(model)), "90 %", "98 %"),
        ("generated: place right", _percent(made["place"]), "95 %", "99 %"),
        ("… each thing's kind right", _percent(made["kind"]), "85 %", "97 %"),
        ("… each thing's colour right", _percent(made["colour"]), "85 %", "97 %"),
        ("… relation right", _percent(made["relation"]), "75 %", "93 %"),
        ("… whole prompt right", _percent(made["whole"]), "60 %", "90 %"),
        ("… whole prompt right, held-out compositions", _percent(new["whole"]), "45 %", "80 %"),
        ("variety: two samples of a prompt against two drawings of it", _percent(differ), "60 %", "90 %"),
        *attention_rows(model, scenes),
    ]


def attention_rows(model: Components, scenes: list[Scene]) -> list[Row]:
    """Pointing accuracy and IoU of every group of layers; the aim is for the best of them."""
    return [
        (f"attention, {group}: a thing's word points into it; IoU", f"{_percent(points)}; {overlaps:.2f}", "", "90 %")
        for group, (points, overlaps) in score_maps(model, scenes).items()
    ]


def draw_samples(model: Components, file: Path, guidance: float) -> None:
    """The README's twelve pictures, one sample of each prompt and no second try."""
    pictures = [text_to_image(model, prompt, guidance=guidance, seed=seed) for seed, prompt in enumerate(SAMPLES)]
    strip(pictures, SAMPLES, columns=4).savefig(file, pil_kwargs={"quality": 88})


def _worst(found: dict[str, float]) -> float:
    return min(value for name, value in found.items() if name != "whole")


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _save_sheet(pixels: torch.Tensor, scenes: list[Scene], file: Path) -> None:
    """A contact sheet of the first hundred samples, 160 pixels each, and their prompts beside it."""
    columns = min(10, len(pixels))
    full = min(100, len(pixels)) // columns * columns
    small = torch.nn.functional.adaptive_avg_pool2d(pixels[:full], 160)
    Image.fromarray(contact_sheet(to_pictures(small), columns)).save(file)
    file.with_suffix(".txt").write_text("\n".join(scene.caption for scene in scenes[:100]))


def as_table(rows: list[Row]) -> str:
    lines = ["| figure | measured | must | aim |", "|---|---|---|---|"]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


def write_into_card(card: Path, table: str) -> None:
    text = card.read_text(encoding="utf-8")
    before, rest = text.split(CARD_START)
    _, after = rest.split(CARD_END)
    card.write_text(f"{before}{CARD_START}\n{table}\n{CARD_END}{after}", encoding="utf-8")


def _picture_file(name: str) -> Path:
    """Where a picture can be saved, or an error before minutes of measuring rather than after them."""
    file = Path(name)
    if file.suffix.lower() not in (".jpg", ".png"):
        raise argparse.ArgumentTypeError(f"{name!r} should end in .jpg or .png")
    if not file.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {str(file.parent)!r}")
    return file


def _card_file(name: str) -> Path:
    file = Path(name)
    if not file.is_file() or CARD_START not in file.read_text(encoding="utf-8"):
        raise argparse.ArgumentTypeError(f"{name!r} is not a model card with the line {CARD_START!r}")
    return file


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sdlearn.evaluate", description=__doc__)
    parser.add_argument("--model", default="tiny", help="a name or a folder that sdlearn.load takes")
    parser.add_argument("--judge", type=Path, default=Path(__file__).resolve().parents[1] / "assets" / "judge")
    parser.add_argument("--count", type=int, default=100, help="prompts of each sort")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--guidance", type=float, default=3.0)
    parser.add_argument("--sheet", type=_picture_file, help="save contact sheets of the samples here")
    parser.add_argument("--card", type=_card_file, help="write the table into this model card")
    parser.add_argument("--samples", type=_picture_file, help="only draw the README's twelve samples into this file")
    choice = parser.parse_args()
    if choice.samples:
        draw_samples(load(choice.model), choice.samples, choice.guidance)
        return
    rows = measure(
        load(choice.model),
        load_judge(choice.judge),
        choice.count,
        choice.size,
        choice.steps,
        choice.guidance,
        choice.sheet,
    )
    table = (
        f"{as_table(rows)}\n\nMeasured on {choice.count} unseen prompts of each sort, {choice.size}², "
        f"{choice.steps} steps, guidance {choice.guidance:g}."
    )
    print(table)
    if choice.card:
        write_into_card(choice.card, table)


if __name__ == "__main__":
    main()
