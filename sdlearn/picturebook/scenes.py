"""Scenes of the picture book: what is in a picture, where each thing is, and a matching caption.

Scene and caption are made together, so every caption is true of its picture.
`sdlearn.picturebook.drawing` paints a scene.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

import numpy as np

from sdlearn._support.arguments import whole_number
from sdlearn._support.checked import checked

GROUND_KINDS = ("house", "tree", "car", "cat", "mushroom", "boat", "fish", "flower")
SKY_KINDS = ("star", "heart", "balloon", "kite")
KINDS = GROUND_KINDS + SKY_KINDS
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white")
SETTINGS = {
    "meadow": "in a meadow",
    "desert": "in the desert",
    "snow": "in the snow",
    "night": "at night",
    "beach": "on the beach",
    "sunset": "at sunset",
}
SIZES = {"small": 0.24, "big": 0.36}
"""The longest side of a thing, as a fraction of the picture's side."""

SIDE_BY_SIDE = ("left of", "right of", "beside", "and")
STACKED = ("above", "below")
RELATIONS = SIDE_BY_SIDE + STACKED
WORDINGS = (
    "{things} {setting}",
    "{setting}, {things}",
    "a picture of {things} {setting}",
    "{things}, {setting}",
)

MARGIN = 0.03
GROUND_LINE = (0.80, 0.90)
SKY_LINE = (0.16, 0.24)


@checked
@dataclass(frozen=True)
class Thing:
    """One thing. Its centre (x, y) and longest `side` are fractions of the picture's side.

    x and y are measured from the top left corner.
    """

    kind: str
    colour: str
    size: str
    x: float
    y: float

    @property
    def side(self) -> float:
        return SIZES[self.size]


@checked
@dataclass(frozen=True)
class Scene:
    """What is in a picture: its things in the caption's order, their relation and the setting."""

    things: tuple[Thing, ...]
    relation: str | None
    setting: str
    caption: str
    backdrop: tuple[float, ...]
    """Four numbers in [0, 1) that move the horizon, the hills, the sun and the clouds."""


@checked
def possible_relations(kinds: list[str]) -> tuple[str, ...]:
    """The relations that fit these kinds: only sky things can be above ground things."""
    if not 1 <= len(kinds) <= 3:
        raise ValueError(f"kinds: of one, two or three things, got {len(kinds)}")
    if len(kinds) == 1:
        return ()
    if len(kinds) == 3:
        return ("and",)
    first, second = (kind in SKY_KINDS for kind in kinds)
    return SIDE_BY_SIDE + (("above",) if first > second else ("below",) if first < second else ())


@checked
def compose(
    things: list[tuple[str, str]],
    setting: str,
    relation: str | None = None,
    sizes: tuple[str, ...] | None = None,
    rng: np.random.Generator | int = 0,
) -> Scene:
    """Lay out a scene of (colour, kind) pairs in a setting; what you leave out is chosen at random.

    >>> compose([("red", "house"), ("blue", "star")], "snow", "below", rng=0).relation
    'below'

    Raises:
        ValueError: a word is unknown, there are more than three things, or the relation or the
            sizes do not fit.
    """
    rng = dice(rng)
    _check(things, setting, relation, sizes)
    kinds = [kind for _, kind in things]
    if relation is None and len(things) > 1:
        relation = str(rng.choice(possible_relations(kinds)))
    sizes = sizes or _random_sizes(rng, len(things))
    xs = _columns(rng, sizes, relation)
    placed = tuple(
        Thing(kind, colour, size, x, _row(rng, kind, size))
        for (colour, kind), size, x in zip(things, sizes, xs, strict=True)
    )
    caption = _caption(rng, placed, relation, setting)
    return Scene(placed, relation, setting, caption, tuple(rng.random(4)))


def _check(things, setting, relation, sizes) -> None:
    if not 1 <= len(things) <= 3:
        raise ValueError(f"things: a scene holds 1 to 3 things, got {len(things)}")
    for colour, kind in things:
        for word, known, name in ((colour, COLOURS, "colour"), (kind, KINDS, "kind")):
            if word not in known:
                raise ValueError(
                    f"things: unknown {name} {word!r}; the picture book has {', '.join(known)}"
                )
    if setting not in SETTINGS:
        raise ValueError(
            f"setting: unknown setting {setting!r}; the picture book has {', '.join(SETTINGS)}"
        )
    allowed = possible_relations([kind for _, kind in things])
    if relation is not None and relation not in allowed:
        raise ValueError(
            f"relation: {relation!r} does not fit these things; possible: {allowed or 'none'}"
        )
    if sizes is not None and (len(sizes) != len(things) or not set(sizes) <= set(SIZES)):
        raise ValueError(
            f"sizes: one of {tuple(SIZES)} for each of the {len(things)} things, got {sizes}"
        )
    if sizes is not None and len(sizes) == 3 and sizes.count("big") > 1:
        raise ValueError("sizes: of three things at most one can be big, or they do not fit")


def _random_sizes(rng: np.random.Generator, count: int) -> tuple[str, ...]:
    """Sizes for `count` things; of three, at most one is big, so that they fit side by side."""
    if count < 3:
        return tuple(str(size) for size in rng.choice(list(SIZES), count))
    sizes = ["small"] * 3
    sizes[rng.integers(3)] = str(rng.choice(list(SIZES)))
    return tuple(sizes)


def _columns(rng: np.random.Generator, sizes: tuple[str, ...], relation: str | None) -> list[float]:
    """The x of each thing: placed from left to right, with the free space shared out at random."""
    sides = [SIZES[size] for size in sizes]
    if relation in STACKED:
        x = rng.uniform(max(sides) / 2 + MARGIN, 1 - max(sides) / 2 - MARGIN)
        return [float(x)] * 2
    order = {"left of": [0, 1], "right of": [1, 0]}.get(relation) or rng.permutation(
        len(sides)
    ).tolist()
    gaps = rng.dirichlet([2.0] * (len(sides) + 1)) * (1 - 2 * MARGIN - sum(sides))
    xs, left = [0.0] * len(sides), MARGIN
    for gap, i in zip(gaps, order, strict=False):
        left += gap
        xs[i] = float(left + sides[i] / 2)
        left += sides[i]
    return xs


def _row(rng: np.random.Generator, kind: str, size: str) -> float:
    """The y of a thing's centre: ground things stand on the ground, sky things float."""
    if kind in SKY_KINDS:
        return float(max(rng.uniform(*SKY_LINE), SIZES[size] / 2 + 0.01))
    return float(rng.uniform(*GROUND_LINE) - SIZES[size] / 2)


def _caption(
    rng: np.random.Generator, things: tuple[Thing, ...], relation: str | None, setting: str
) -> str:
    named = [_noun_phrase(thing, says_size=rng.random() < 0.4) for thing in things]
    phrase = (
        f"{named[0]}, {named[1]} and {named[2]}" if len(named) == 3 else f" {relation} ".join(named)
    )
    wording = WORDINGS[rng.choice(len(WORDINGS), p=[0.55, 0.15, 0.15, 0.15])]
    return wording.format(things=phrase, setting=SETTINGS[setting])


def _noun_phrase(thing: Thing, says_size: bool) -> str:
    words = f"{thing.size} {thing.colour}" if says_size else thing.colour
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words} {thing.kind}"


def dice(rng: np.random.Generator | int) -> np.random.Generator:
    """A generator of random numbers; for a whole number, the one with this seed."""
    if isinstance(rng, Integral):
        return np.random.default_rng(whole_number("rng", rng, 0, 2**63 - 1))
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng: a whole number or a numpy Generator, got {type(rng).__name__}")
    return rng


@checked
def words() -> list[str]:
    """Every word that captions use, sorted: all the words that the small model has ever read."""
    phrases = [*KINDS, *COLOURS, *SIZES, *RELATIONS, *SETTINGS.values(), *WORDINGS, "a an"]
    text = " ".join(phrases).replace("{things}", "").replace("{setting}", "").replace(",", " ")
    return sorted(set(text.split()))
