"""What was taught anew: is the rocket drawn, is it all in pencil, does the mimo have its shade?

The judge knows neither rockets nor pencil drawings. So a rocket is found by comparing every place
of a picture with the drawing that the pages were made from, and pencil by how colourless it is. The
judge does find the mimo, which is a cat; its shade is compared with those of the picture book.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from sdlearn._support.checked import checked
from sdlearn._support.share import share_of
from sdlearn.adapters import MIMO, PENCIL, ROCKET, with_lora, with_word
from sdlearn.evaluate.judge import Judge, Reading, shrink
from sdlearn.evaluate.samples import (
    captions,
    drawn,
    generate,
    readings,
    shares,
    unseen_scenes,
    verdicts,
)
from sdlearn.images import to_pixels
from sdlearn.loading import Components
from sdlearn.picturebook import draw, in_pencil, mimo_page, page_with, rocket
from sdlearn.picturebook.newcomers import LARGER, cut_out
from sdlearn.picturebook.scenes import SETTINGS, SIZES

SIZE = 256
ALIKE = 0.75
"""How like the drawing a place must be to show it.

On drawn pages it is 0.87 and more where the thing is, and below 0.6 where it is not.
"""
UNSEEN = 100_000
"""The seed of the first page that is measured, far from those of any training."""
STRENGTHS = (0.5, 1.0)
REACH = 0.04
"""How far around a cat's centre its colour is read, as a fraction of the picture's side."""
BOOK = "the picture book's own drawing"
ROCKET_HEAD = (
    "drawn by",
    "a rocket, asked for",
    "old prompts wholly right",
    "a rocket there, not asked for",
    "prompts of each",
)
PENCIL_HEAD = ("drawn by", "colour left by day", "at night and at sunset", "prompts")
MIMO_HEAD = (
    "drawn for",
    "a cat is seen",
    "its shade (0 yellow, 1 orange)",
    "setting right",
    "prompts",
)
Row = tuple[str, ...]
SCALES = (0.8, 0.9, 1.0, 1.1, 1.2)
"""The sizes at which the thing is looked for, times that on the pages it was learned from."""


@checked
def likeness(pixels: Float[Tensor, "n 3 h w"], thing: Image.Image) -> Float[Tensor, "n"]:
    """How like a drawing the most similar place of each picture is, from -1 to 1.

    This is the normalised cross-correlation of the colours inside the drawing's outline (Lewis
    1995, Eq. 2), at 128², over all places and several sizes.
    """
    pixels = shrink(pixels)
    return torch.stack([_correlation(pixels, thing, scale) for scale in SCALES]).amax(dim=0)


def _correlation(pixels: Tensor, thing: Image.Image, scale: float) -> Tensor:
    side = round(LARGER * SIZES["big"] * scale * pixels.shape[-1])
    rgba = torch.from_numpy(np.asarray(cut_out(thing, side), np.float32)).permute(2, 0, 1) / 255
    inside, colours = rgba[3:].expand(3, -1, -1), rgba[:3]
    centred = colours - (inside * colours).sum() / inside.sum()
    total, squares = (F.conv2d(values, inside[None]) for values in (pixels, pixels.square()))
    spread = (squares - total.square() / inside.sum()).clamp(min=1e-3).sqrt()
    alike = F.conv2d(pixels, (inside * centred)[None]) / spread
    return (alike / (inside * centred.square()).sum().sqrt()).amax(dim=(1, 2, 3))


def compare_rocket(model: Components, judge: Judge, count: int) -> Iterator[Row]:
    """Yield a row for each strength: how often a rocket is seen, and what the model still knows."""
    pages = [page_with(rocket(), "rocket", page, SIZE) for page in range(UNSEEN, UNSEEN + count)]
    old = unseen_scenes(count, held_out=False)

    def row(name: str, new: Tensor, known: Tensor) -> Row:
        seen, uninvited = (
            share_of((likeness(pixels, rocket()) > ALIKE).tolist()) for pixels in (new, known)
        )
        whole = shares(verdicts(judge, old, known))["whole"]
        return name, f"{seen}", f"{whole}", f"{uninvited}", f"{count}"

    yield row(BOOK, _as_pixels(page for page, _ in pages), drawn(old, SIZE))
    texts = [text for _, text in pages], captions(old)
    yield row("the model", *(_draw(model, asked) for asked in texts))
    taught = with_lora(model, ROCKET)
    for strength in STRENGTHS:
        taught.unet.set_adapters(ROCKET.name, strength)
        name = f"the model with the LoRA at {strength:g}"
        yield row(name, *(_draw(taught, asked) for asked in texts))


def compare_pencil(model: Components, judge: Judge, count: int) -> Iterator[Row]:
    """Yield a row for each guidance: how much colour is left, by day, at night and at sunset."""
    scenes = unseen_scenes(count, held_out=False)

    def row(name: str, pixels: Tensor) -> Row:
        colours = colourfulness(pixels)
        dark = torch.tensor([scene.setting in ("night", "sunset") for scene in scenes])
        parts = (f"{100 * colours[part].mean():.1f}%" for part in (~dark, dark))
        return name, *parts, f"{count}"

    yield row(BOOK, _as_pixels(in_pencil(draw(scene, model.side)) for scene in scenes))
    asked = captions(scenes)
    yield row("the model, guidance 3", _draw(model, asked, size=model.side))
    taught = with_lora(model, PENCIL)
    for guidance in (1.0, 2.0, 3.0):
        pixels = _draw(taught, asked, guidance, model.side)
        yield row(f"the model with the LoRA, guidance {guidance:g}", pixels)


def colourfulness(pixels: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n"]:
    """The mean difference between a pixel's largest and smallest channel: 0 is grey, 1 pure red."""
    return (pixels.amax(dim=1) - pixels.amin(dim=1)).mean(dim=(1, 2)) / 2


def compare_mimo(model: Components, judge: Judge, count: int) -> Iterator[Row]:
    """Yield a row for each word: how often a cat is seen, and in which shade."""
    pages = {shade: _mimo_pages(count, shade) for shade in (0.0, 0.5, 1.0)}
    texts = [mimo_page("WORD", page, SIZE)[1] for page in range(UNSEEN, UNSEEN + count)]
    yellow, orange = (
        torch.stack(body_colours(pages[end], readings(judge, pages[end]))).mean(dim=0)
        for end in (0.0, 1.0)
    )

    def row(name: str, pixels: Tensor) -> Row:
        read = readings(judge, pixels)
        colours = body_colours(pixels, read)
        along = (torch.stack(colours) - yellow) @ (orange - yellow)
        shades = along / (orange - yellow).square().sum()
        seen = share_of(place < len(colours) for place in range(count))
        right = share_of(
            SETTINGS[setting] in text for (setting, _), text in zip(read, texts, strict=True)
        )
        shade = f"{shades.mean():.2f} ± {shades.std():.2f}"
        return name, f"{seen}", shade, f"{right}", f"{count}"

    yield row(BOOK, pages[0.5])
    taught = with_word(model, MIMO)
    for named in ("a yellow cat", "an orange cat", "a <mimo>"):
        drawing = taught if named == "a <mimo>" else model
        yield row(f"“{named}”", _draw(drawing, [text.replace("a WORD", named) for text in texts]))


def _mimo_pages(count: int, shade: float) -> Tensor:
    pages = range(UNSEEN, UNSEEN + count)
    return _as_pixels(mimo_page("mimo", page, SIZE, shade)[0] for page in pages)


def _as_pixels(pictures: Iterable[Image.Image]) -> Tensor:
    return to_pixels(np.stack([np.asarray(picture) for picture in pictures]))


def body_colours(pixels: Float[Tensor, "n 3 h w"], read: list[Reading]) -> list[Float[Tensor, "3"]]:
    """The colour of the first cat that the judge has read in each picture that shows one.

    It is the median in a window around the cat's centre, `REACH` to each side.
    """
    side, colours = pixels.shape[-1], []
    for picture, (_, things) in zip(pixels, read, strict=True):
        for cat in [thing for thing in things if thing.kind == "cat"][:1]:
            rows, columns = (
                slice(max(0, round((at - REACH) * side)), round((at + REACH) * side))
                for at in (cat.y, cat.x)
            )
            colours.append(picture[:, rows, columns].flatten(1).median(dim=1).values)
    return colours


def _draw(model: Components, prompts: list[str], guidance: float = 3.0, size: int = SIZE) -> Tensor:
    return generate(model, prompts, seed=0, size=size, steps=12, guidance=guidance)
