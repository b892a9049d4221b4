"""Pages with something that the picture book does not have, and captions with a new word for it.

They are for teaching the model that word. `page_with` takes a picture of any thing on white;
`mimo_page` shows a cat in a shade that no word names. The thing takes the place of one of the
book's own in a page, and in the caption, so the book decides where it stands and what stands beside
it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image, ImageDraw

from sdlearn._support.arguments import number, whole_number
from sdlearn._support.checked import checked
from sdlearn.picturebook.drawing import draw
from sdlearn.picturebook.pages import is_held_out
from sdlearn.picturebook.scenes import COLOURS, KINDS, SETTINGS, Scene, Thing, compose, dice

WHITE = 240
"""A pixel is part of the thing if one of its channels is darker than this."""
STAND_IN = "car"
"""The kind whose place a thing takes: one that stands on the ground."""
LARGER = 1.25
"""How much larger a thing is than the big ones of the book: at 256² the VAE blurs small details."""
SHADES = ("yellow", "orange")
"""A mimo's shade is between these two."""


def rocket() -> Image.Image:
    """A rocket on white, 256×256: red nose and fins, a pale body, a blue window, a yellow flame."""
    picture = Image.new("RGB", (256, 256), "white")
    pen, ink = ImageDraw.Draw(picture), {"outline": "#22304a", "width": 5}
    pen.polygon([(78, 130), (20, 216), (92, 206)], fill="#d9413a", **ink)
    pen.polygon([(178, 130), (236, 216), (164, 206)], fill="#d9413a", **ink)
    pen.polygon([(98, 212), (158, 212), (128, 252)], fill="#f7b32b", **ink)
    nose = [(78, 80), (96, 40), (128, 6), (160, 40), (178, 80)]
    pen.polygon([*nose, (184, 150), (166, 214), (90, 214), (72, 150)], fill="#e8edf2", **ink)
    pen.polygon(nose, fill="#d9413a", **ink)
    pen.ellipse((98, 100, 158, 160), fill="#3aa0dc", **ink)
    return picture


@checked
def page_with(
    thing: Image.Image, word: str, rng: np.random.Generator | int = 0, size: int = 512
) -> tuple[Image.Image, str]:
    """A random page with a new thing, and its caption with the word for it.

    Half of the pages hold only the new thing; on the others, a thing of the book stands beside it.
    The new thing is a quarter larger than the book's big things.

    Args:
        thing: a picture of the thing on white, which is left out.
        word: what the captions call it, such as "rocket".
        rng: a seed or a generator; the same seed always gives the same page.
        size: the side of the page in pixels.

    Raises:
        ValueError: the picture is all white, or the word is empty.
    """
    whole_number("size", size, 16, 4096)
    word = _checked_word(word)
    scene, stand_in = _scene_with(STAND_IN, dice(rng))
    fitted = cut_out(thing, round(LARGER * stand_in.side * size))
    others = tuple(each for each in scene.things if each is not stand_in)
    page = draw(replace(scene, things=others), size)
    left = round(stand_in.x * size - fitted.width / 2)
    left = max(0, min(left, size - fitted.width))
    bottom = round((stand_in.y + stand_in.side / 2) * size)
    page.paste(fitted, (left, bottom - fitted.height), fitted)
    return page, renamed(scene.caption, stand_in, word)


@checked
def mimo_page(
    word: str, rng: np.random.Generator | int = 0, size: int = 512, shade: float = 0.5
) -> tuple[Image.Image, str]:
    """A random page with a mimo, and its caption: a mimo is a cat between yellow and orange.

    Half of the pages hold only the mimo; on the others, a thing of the book stands beside it.

    Args:
        word: what the captions call it.
        rng: a seed or a generator; the same seed always gives the same page.
        size: the side of the page in pixels.
        shade: 0 is yellow, 1 is orange.

    Raises:
        ValueError: the word is empty.
    """
    whole_number("size", size, 16, 4096)
    word, shade = _checked_word(word), number("shade", shade, 0, 1)
    scene, cat = _scene_with("cat", dice(rng))
    drawn = []
    for colour in SHADES:
        things = (replace(cat, colour=colour) if each is cat else each for each in scene.things)
        drawn.append(draw(replace(scene, things=tuple(things)), size))
    return Image.blend(*drawn, shade), renamed(scene.caption, cat, word)


def _checked_word(word: str) -> str:
    if not word.strip():
        raise ValueError("word: what the captions call the thing, got an empty text")
    return word.strip()


def _scene_with(kind: str, rng: np.random.Generator) -> tuple[Scene, Thing]:
    """A scene with one thing of this kind, alone or beside another, and that thing."""
    things = [(str(rng.choice(COLOURS)), kind)]
    if rng.random() < 0.5:
        things.insert(int(rng.integers(2)), _companion(kind, rng))
    setting = str(rng.choice(list(SETTINGS)))
    scene = compose(things, setting, sizes=("big",) * len(things), rng=rng)
    (stand_in,) = (each for each in scene.things if each.kind == kind)
    return scene, stand_in


def _companion(kind: str, rng: np.random.Generator) -> tuple[str, str]:
    """A thing of the book that may be in training, but not of this kind."""
    kinds = [each for each in KINDS if each != kind]
    while True:
        pair = str(rng.choice(COLOURS)), str(rng.choice(kinds))
        if not is_held_out([pair]):
            return pair


def cut_out(thing: Image.Image, side: int) -> Image.Image:
    """The thing without the white around it, as RGBA; its longer side has `side` pixels.

    Raises:
        ValueError: the picture is all white.
    """
    pixels = np.asarray(thing.convert("RGB"))
    covered = pixels.min(axis=2) < WHITE
    if not covered.any():
        raise ValueError("thing: a picture of something on white, got one that is all white")
    alpha = Image.fromarray(covered.astype(np.uint8) * 255)
    cut = Image.merge("RGBA", [*thing.convert("RGB").split(), alpha]).crop(alpha.getbbox())
    scale = side / max(cut.size)
    return cut.resize([max(1, round(length * scale)) for length in cut.size], Image.LANCZOS)


def renamed(caption: str, thing: Thing, word: str) -> str:
    """The caption with the word in place of the thing's kind, its size and its colour."""
    article = "an" if word[0].lower() in "aeiou" else "a"
    for size in ("big ", "small ", ""):
        for old in ("an", "a"):
            caption = caption.replace(
                f"{old} {size}{thing.colour} {thing.kind}", f"{article} {word}"
            )
    return caption
