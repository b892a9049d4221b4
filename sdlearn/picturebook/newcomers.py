"""Pages with a thing that the picture book does not have: any picture on white, and a word for it.

They are for teaching the model a new word. The thing takes the place of one of the book's own in a
page, and in the caption, so the book decides where it stands and what stands beside it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image

from sdlearn._support.arguments import whole_number
from sdlearn._support.checked import checked
from sdlearn.picturebook.drawing import draw
from sdlearn.picturebook.pages import is_held_out
from sdlearn.picturebook.scenes import COLOURS, KINDS, SETTINGS, compose, dice

WHITE = 240
"""A pixel is part of the thing if one of its channels is darker than this."""
STAND_IN = "car"
"""The kind whose place the newcomer takes: one that stands on the ground."""


@checked
def page_with(
    thing: Image.Image, word: str, rng: np.random.Generator | int = 0, size: int = 512
) -> tuple[Image.Image, str]:
    """A random page with a new thing, and its caption with the word for it.

    Half of the pages hold only the new thing; on the others, a thing of the book stands beside it.

    Args:
        thing: a picture of the thing on white, which is left out.
        word: what the captions call it, such as "rocket".
        rng: a seed or a generator; the same seed always gives the same page.
        size: the side of the page in pixels.

    Raises:
        ValueError: the picture is all white, or the word is empty.
    """
    whole_number("size", size, 16, 4096)
    word = word.strip()
    if not word:
        raise ValueError("word: what the captions call the thing, got an empty text")
    cut = _cut_out(thing)
    rng = dice(rng)
    things = [(str(rng.choice(COLOURS)), STAND_IN)]
    if rng.random() < 0.5:
        things.insert(int(rng.integers(2)), _companion(rng))
    setting = str(rng.choice(list(SETTINGS)))
    scene = compose(things, setting, sizes=("big",) * len(things), rng=rng)
    (stand_in,) = (each for each in scene.things if each.kind == STAND_IN)
    others = tuple(each for each in scene.things if each is not stand_in)
    page = draw(replace(scene, things=others), size)
    side = round(stand_in.side * size)
    scale = side / max(cut.size)
    fitted = cut.resize([max(1, round(length * scale)) for length in cut.size], Image.LANCZOS)
    left = round(stand_in.x * size - fitted.width / 2)
    bottom = round((stand_in.y + stand_in.side / 2) * size)
    page.paste(fitted, (left, bottom - fitted.height), fitted)
    return page, _renamed(scene.caption, stand_in.colour, word)


def _companion(rng: np.random.Generator) -> tuple[str, str]:
    """A thing of the book that may be in training, but no second stand-in."""
    kinds = [kind for kind in KINDS if kind != STAND_IN]
    while True:
        pair = str(rng.choice(COLOURS)), str(rng.choice(kinds))
        if not is_held_out([pair]):
            return pair


def _cut_out(thing: Image.Image) -> Image.Image:
    """The thing without the white around it, as RGBA."""
    pixels = np.asarray(thing.convert("RGB"))
    covered = pixels.min(axis=2) < WHITE
    if not covered.any():
        raise ValueError("thing: a picture of something on white, got one that is all white")
    alpha = Image.fromarray(covered.astype(np.uint8) * 255)
    return Image.merge("RGBA", [*thing.convert("RGB").split(), alpha]).crop(alpha.getbbox())


def _renamed(caption: str, colour: str, word: str) -> str:
    """The caption with the new word in place of the stand-in, its size and its colour."""
    article = "an" if word[0].lower() in "aeiou" else "a"
    for size in ("big ", "small ", ""):
        for old in ("an", "a"):
            caption = caption.replace(f"{old} {size}{colour} {STAND_IN}", f"{article} {word}")
    return caption
