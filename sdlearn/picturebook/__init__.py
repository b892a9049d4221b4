"""The picture book: the small world that the small model knows, with captions and masks.

`scenes` says what is in a picture and where, `drawing` paints it from the shapes in `things`,
`pages` says which random scenes are for training, which for testing, and which are held out.
`newcomers` puts something into a page that the book does not have, and `pencil` redraws a page in
another style.
"""

from sdlearn.picturebook.drawing import draw, draw_array, masks
from sdlearn.picturebook.newcomers import mimo_page, page_with, rocket
from sdlearn.picturebook.pages import is_held_out, random_scene, scene_at
from sdlearn.picturebook.pencil import in_pencil
from sdlearn.picturebook.scenes import (
    COLOURS,
    KINDS,
    RELATIONS,
    SETTINGS,
    SIZES,
    Scene,
    Thing,
    compose,
    words,
)

__all__ = [
    "COLOURS",
    "KINDS",
    "RELATIONS",
    "SETTINGS",
    "SIZES",
    "Scene",
    "Thing",
    "compose",
    "draw",
    "draw_array",
    "in_pencil",
    "is_held_out",
    "masks",
    "mimo_page",
    "page_with",
    "random_scene",
    "rocket",
    "scene_at",
    "words",
]
