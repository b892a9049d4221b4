"""The figures in a model's card: a row for each, what it should reach, and writing them there."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image

from sdlearn._support.share import Share, share_of
from sdlearn.compression import decode, encode, scale
from sdlearn.evaluate.judge import Judge
from sdlearn.evaluate.map_scores import of_different_kinds, score_maps
from sdlearn.evaluate.samples import (
    captions,
    drawn,
    generate,
    generate_by_diffusers,
    grain,
    shares,
    unseen_scenes,
    variety,
    verdicts,
    whole_by_count,
)
from sdlearn.images import contact_sheet, psnr, to_pictures
from sdlearn.loading import Components
from sdlearn.picturebook.pages import TEST, scene_at
from sdlearn.picturebook.scenes import Scene

CHOICES = 64
PAGES = 64
"""How many pages of each sort the judge and the VAE are measured on, and how many for attention."""
FIFTY_STEPS = 100
"""How many prompts are drawn in fifty steps."""
PAIRS = 32
"""How many prompts are drawn twice, to measure the variety."""
STRONG = 7.5
"""The guidance that most code in the field uses."""

HEAD = ("figure", "measured", "must", "aim")
Row = tuple[str, str, str, str]
"""A line of the table, under `HEAD`."""


def measure(model: Components, judge: Judge, count: int, sheet: Path | None = None) -> list[Row]:
    """Measure every figure on `count` unseen prompts of each sort.

    Unless a row says otherwise, the pictures are drawn with the model's defaults, as a learner
    would draw them.

    sheet: where to save contact sheets of what was drawn.

    Raises:
        ValueError: the model has no CLIP image tower.
    """
    if model.clip is None:
        raise ValueError(
            "model: it needs a CLIP image tower, in its folder `clip`; this one has none"
        )
    scenes, held_out = unseen_scenes(count, held_out=False), unseen_scenes(count, held_out=True)
    return [
        *rows_of_parts(model, judge, scenes[:PAGES] + held_out[:PAGES]),
        *rows_of_samples(model, judge, scenes, held_out, sheet),
        *rows_of_other_settings(model, judge, scenes),
        *rows_of_attention(model, scenes[:PAGES]),
    ]


def rows_of_parts(model: Components, judge: Judge, scenes: list[Scene]) -> list[Row]:
    """The judge's own accuracy, which shows how far to trust it; the autoencoder; CLIP."""
    pictures = drawn(scenes, model.side)
    restored = round_trip(model, pictures)
    worst = [_worst(shares(verdicts(judge, scenes, pixels))) for pixels in (pictures, restored)]
    return [
        (
            "judge on drawn pictures: worst of setting, kind, colour, relation",
            str(worst[0]),
            "99%",
            "",
        ),
        ("judge on VAE round trips: worst of the same", str(worst[1]), "99%", ""),
        (f"VAE PSNR at {model.side}²", f"{psnr(restored, pictures):.1f} dB", "30 dB", "36 dB"),
        (f"CLIP, picture → caption, top-1 of {CHOICES}", str(clip_accuracy(model)), "90%", "98%"),
    ]


def rows_of_samples(
    model: Components, judge: Judge, scenes: list[Scene], held_out: list[Scene], sheet: Path | None
) -> list[Row]:
    """What is right in generated pictures, of scenes like the trained ones and of held-out ones."""
    first = generate(model, captions(scenes), seed=0)
    unseen = generate(model, captions(held_out), seed=90_000)
    pairs = scenes[:PAIRS]
    differ = variety(pairs, first[: len(pairs)], generate(model, captions(pairs), seed=50_000))
    if sheet:
        save_sheet(first, scenes, sheet)
        save_sheet(unseen, held_out, sheet.with_stem(sheet.stem + "-held-out"))
    read = verdicts(judge, scenes, first)
    made, by_count = shares(read), whole_by_count(scenes, read)
    new = shares(verdicts(judge, held_out, unseen))
    return [
        ("generated: setting right", str(made["setting"]), "99%", "99%"),
        ("… each thing's kind right", str(made["kind"]), "96%", "99%"),
        ("… each thing's colour right", str(made["colour"]), "95%", "99%"),
        ("… relation right", str(made["relation"]), "94%", "98%"),
        ("… nothing there that was not asked for", str(made["nothing else"]), "93%", "98%"),
        ("… whole prompt right", str(made["whole"]), "90%", "97%"),
        ("… whole prompt right, one thing", str(by_count[1]), "", ""),
        ("… whole prompt right, two things", str(by_count[2]), "", ""),
        ("… whole prompt right, three things", str(by_count[3]), "65%", "92%"),
        ("… whole prompt right, held-out compositions", str(new["whole"]), "82%", "93%"),
        (
            "variety: two samples of a prompt against two drawings of it",
            f"{100 * differ:.0f}%",
            "60%",
            "90%",
        ),
        (
            f"grain in a plain sky, of 255; drawn: {grain(scenes, drawn(scenes, model.side)):.1f}",
            _grain(scenes, first),
            "",
            "1.0",
        ),
    ]


def rows_of_other_settings(model: Components, judge: Judge, scenes: list[Scene]) -> list[Row]:
    """Whole prompts right, and grain, with something other than the model's defaults."""
    prompts, half = captions(scenes), model.side // 2
    few = prompts[:FIFTY_STEPS]
    ways = {
        f"guidance {STRONG}": lambda: generate(model, prompts, seed=0, guidance=STRONG),
        f"{half}²": lambda: generate(model, prompts, seed=0, size=half),
        f"plain diffusers at its defaults, 50 steps, guidance 7.5, {len(few)} prompts": lambda: (
            generate_by_diffusers(model, few, seed=0)
        ),
    }
    rows = []
    for name, draw in ways.items():
        pixels = draw()
        asked = scenes[: len(pixels)]
        whole = shares(verdicts(judge, asked, pixels))["whole"]
        rows.append(
            (f"whole prompt right, {name}; grain", f"{whole}; {_grain(asked, pixels)}", "", "")
        )
    return rows


def rows_of_attention(model: Components, scenes: list[Scene]) -> list[Row]:
    """Pointing accuracy and IoU of every group of layers; the aim applies to the best group."""
    words = sum(len(scene.things) for scene in of_different_kinds(scenes))
    return [
        (
            f"attention, {group}: a thing's word points into it; IoU",
            f"{Share(round(points * words), words)}; {overlaps:.2f}",
            "",
            "90%",
        )
        for group, (points, overlaps) in score_maps(model, scenes).items()
    ]


@torch.no_grad()
def round_trip(model: Components, pixels: torch.Tensor) -> torch.Tensor:
    """Encode and decode, one picture at a time."""
    latents = [scale(model.vae, encode(model.vae, p).mean) for p in pixels.split(1)]
    return torch.cat([decode(model.vae, z).float().cpu() for z in latents])


@torch.no_grad()
def clip_accuracy(model: Components, rounds: int = 8) -> Share:
    """How often CLIP matches a picture to its caption, out of 64 different captions.

    The captions differ from each other in things, colours or setting.
    """
    right = []
    for number in range(rounds):
        scenes, page = {}, 10_000 * (number + 1)
        while len(scenes) < CHOICES:
            scene = scene_at(page, TEST)
            scenes.setdefault(
                (frozenset((t.kind, t.colour) for t in scene.things), scene.setting), scene
            )
            page += 1
        chosen = list(scenes.values())
        pixels = drawn(chosen, model.clip.config.vision_config.image_size).to(
            model.device, model.dtype
        )
        tokens = model.tokenizer(
            captions(chosen), padding="max_length", return_tensors="pt"
        ).input_ids
        logits = model.clip(input_ids=tokens.to(model.device), pixel_values=pixels).logits_per_image
        right += (logits.argmax(dim=1).cpu() == torch.arange(CHOICES)).tolist()
    return share_of(right)


def _worst(shares: dict[str, Share]) -> Share:
    return min(
        (shares[name] for name in ("setting", "kind", "colour", "relation")),
        key=lambda share: share.value,
    )


def _grain(scenes: list[Scene], pixels: torch.Tensor) -> str:
    return f"{grain(scenes, pixels):.1f}"


def save_sheet(pixels: torch.Tensor, scenes: list[Scene], file: Path) -> None:
    """Save a contact sheet of the first hundred samples, 160² pixels each, and their prompts.

    The prompts go into a text file beside it.
    """
    columns = min(10, len(pixels))
    full = min(100, len(pixels)) // columns * columns
    small = torch.nn.functional.adaptive_avg_pool2d(pixels[:full], 160)
    Image.fromarray(contact_sheet(to_pictures(small), columns)).save(file)
    file.with_suffix(".txt").write_text("\n".join(captions(scenes[:full])))


# --- the card -------------------------------------------------------------------------------------


def marks(name: str) -> tuple[str, str]:
    """The lines of a card before and after a table, which is called "figures" or "solvers"."""
    return f"<!-- {name}: written by python -m sdlearn.evaluate -->", f"<!-- end of {name} -->"


def as_table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table; ValueError for a row that is not as long as the head."""
    if any(len(row) != len(head) for row in rows):
        raise ValueError(f"rows: {len(head)} cells in each, as in the head, got {rows}")
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


def write_into_card(card: Path, name: str, table: str) -> None:
    """Put a table between its two marks, and change nothing else in the card."""
    start, end = marks(name)
    before, rest = card.read_text(encoding="utf-8").split(start)
    _, after = rest.split(end)
    card.write_text(f"{before}{start}\n{table}\n{end}{after}", encoding="utf-8")
