"""The picture book: the small world that the small model knows, with captions and masks.

`scenes` says what is in a picture and where, `drawing` paints it from the shapes in `things`,
`pages` says which random scenes are for training, which for testing, and which are held out, and
`newcomers` puts a thing into a page that the book does not have.
"""

from sdlearn.picturebook.drawing import draw, draw_array, masks
from sdlearn.picturebook.newcomers import page_with
from sdlearn.picturebook.pages import is_held_out, random_scene, scene_at
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
    "is_held_out",
    "masks",
    "page_with",
    "random_scene",
    "scene_at",
    "words",
]
