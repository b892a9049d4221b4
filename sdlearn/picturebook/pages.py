"""The pages of the picture book: random scenes by book and page, and which are held out.

Each book has its own random numbers: `TRAIN` for training, `JUDGE` for training the judge, `TEST`
for measuring, and `TWIN`, whose pages differ from those of `TRAIN` by one change.

To measure generalisation, the model is never trained on these scenes (`is_held_out`). The judge,
which has to read pictures of them, is: every fourth page of its book is held out.

- scenes with a colour-thing pair for which ``(3 * kind + colour) % 8 == 0``, both counted from 0 in
  `KINDS` and `COLOURS`: one colour of every kind is never seen;
- scenes with two kinds for which ``(kind + other kind) % 6 == 5``: twelve of the 66 pairs of
  different kinds.
"""

from __future__ import annotations

import itertools

import numpy as np

from sdlearn._support.arguments import whole_number
from sdlearn._support.checked import checked
from sdlearn.picturebook.scenes import (
    COLOURS,
    GROUND_KINDS,
    KINDS,
    SETTINGS,
    SKY_KINDS,
    Scene,
    compose,
    dice,
)

TRAIN, JUDGE, TEST, TWIN = 1, 2, 3, 4
"""The books. A scene's seed holds its book and page, so no two books share random numbers."""


@checked
def scene_at(page: int, book: int = TRAIN, held_out: bool = False) -> Scene:
    """One page of a book; the same numbers always give the same scene.

    held_out: give a scene that the model was never trained on; there are none in `TWIN`.
    """
    for name, number in (("page", page), ("book", book)):
        whole_number(name, number, 0, 2**63 - 1)
    rng = np.random.default_rng((book, page, held_out))
    if book == TWIN:
        return twin(scene_at(page), rng)
    return random_scene(rng, held_out or (book == JUDGE and page % 4 == 0))


@checked
def is_held_out(things: list[tuple[str, str]]) -> bool:
    """True if the model must never be trained on a scene with these (colour, kind) pairs."""
    pairs = [(COLOURS.index(colour), KINDS.index(kind)) for colour, kind in things]
    unseen_pair = any((3 * kind + colour) % 8 == 0 for colour, kind in pairs)
    unseen_company = any((a + b) % 6 == 5 for (_, a), (_, b) in itertools.combinations(pairs, 2))
    return unseen_pair or unseen_company


@checked
def random_scene(
    rng: np.random.Generator | int, held_out: bool = False, count: int | None = None
) -> Scene:
    """A random scene of 1 to 3 things (or `count`), held out or not."""
    rng = dice(rng)
    if count is None:
        count = int(rng.choice([1, 2, 3], p=[0.35, 0.45, 0.2]))
    whole_number("count", count, 1, 3)
    while True:
        kinds, colours = rng.choice(KINDS, count), rng.choice(COLOURS, count)
        things = [(str(colour), str(kind)) for colour, kind in zip(colours, kinds, strict=True)]
        if len(set(things)) == count and is_held_out(things) == held_out:
            return compose(things, str(rng.choice(list(SETTINGS))), rng=rng)


@checked
def twin(scene: Scene, rng: np.random.Generator) -> Scene:
    """The scene with one change: two colours swapped, left and right swapped, or another word."""
    before = [(thing.colour, thing.kind) for thing in scene.things]
    sizes = tuple(thing.size for thing in scene.things)
    while True:
        things, setting, relation = list(before), scene.setting, scene.relation
        which = rng.integers(len(things))
        change = rng.choice(
            ["exchange", "turn", "colour", "kind", "setting"], p=[0.3, 0.45, 0.1, 0.1, 0.05]
        )
        if change == "exchange" and len(things) > 1:
            (a, first), (b, second), *others = things
            things = [(b, first), (a, second), *others]
        elif change == "turn" and relation in ("left of", "right of"):
            relation = "right of" if relation == "left of" else "left of"
        elif change == "colour":
            things[which] = (str(rng.choice(COLOURS)), things[which][1])
        elif change == "kind":
            row = SKY_KINDS if things[which][1] in SKY_KINDS else GROUND_KINDS
            things[which] = (things[which][0], str(rng.choice(row)))
        elif change == "setting":
            setting = str(rng.choice(list(SETTINGS)))
        changed = (things, setting, relation) != (before, scene.setting, scene.relation)
        if changed and len(set(things)) == len(things) and not is_held_out(things):
            return compose(things, setting, relation, sizes, rng)
