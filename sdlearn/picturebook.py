"""The picture book: the small world that the small model knows, as scenes with captions.

A scene says what is in a picture and where; `sdlearn.drawing` paints it. Scene and caption are made
together, so every caption is true of its picture.

Held out of training, so that generalisation can be measured (`is_held_out`):

- colour-thing pairs with ``(3 * kind + colour) % 8 == 0``, each counted from 0 in `KINDS` and
`COLOURS`:
  one colour of every kind is never seen;
- scenes holding two kinds with ``(kind + other kind) % 6 == 5``: twelve of the 66 pairs of
different kinds.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from sdlearn.arguments import whole_number

GROUND_KINDS = ("house", "tree", "car", "cat", "mushroom", "boat", "fish", "flower")
SKY_KINDS = ("star", "heart", "balloon", "kite")
KINDS = GROUND_KINDS + SKY_KINDS
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white")
PLACES = {
    "meadow": "in a meadow",
    "desert": "in the desert",
    "snow": "in the snow",
    "night": "at night",
    "beach": "on the beach",
    "sunset": "at sunset",
}
SIZES = {"small": 0.24, "big": 0.36}
"""Longest side of a thing, as a part of the picture's side."""

SIDE_BY_SIDE = ("left of", "right of", "beside", "and")
STACKED = ("above", "below")
RELATIONS = SIDE_BY_SIDE + STACKED
WORDINGS = (
    "{things} {place}",
    "{place}, {things}",
    "a picture of {things} {place}",
    "{things}, {place}",
)

MARGIN = 0.03
GROUND_LINE = (0.80, 0.90)
SKY_LINE = (0.16, 0.24)


@dataclass(frozen=True)
class Thing:
    """One thing: its centre (x, y) and longest side in parts of the picture, from the top left
    corner.
    """

    kind: str
    colour: str
    size: str
    x: float
    y: float

    @property
    def side(self) -> float:
        return SIZES[self.size]


@dataclass(frozen=True)
class Scene:
    """What is in a picture: things in the order of the caption, how they stand, and where."""

    things: tuple[Thing, ...]
    relation: str | None
    place: str
    caption: str
    backdrop: tuple[float, ...]
    """Four numbers in [0, 1) that move the horizon, the hills, the sun and the clouds."""


def is_held_out(things: list[tuple[str, str]]) -> bool:
    """True if these (colour, kind) pairs must never appear together in training."""
    pairs = [(COLOURS.index(colour), KINDS.index(kind)) for colour, kind in things]
    unseen_pair = any((3 * kind + colour) % 8 == 0 for colour, kind in pairs)
    unseen_company = any((a + b) % 6 == 5 for (_, a), (_, b) in itertools.combinations(pairs, 2))
    return unseen_pair or unseen_company


def random_scene(
    rng: np.random.Generator | int, held_out: bool = False, count: int | None = None
) -> Scene:
    """A random scene of 1 to 3 things (or `count`) from the training part of the world, or the
    held-out part.
    """
    rng = np.random.default_rng(rng)
    drawn = (
        int(rng.choice([1, 2, 3], p=[0.35, 0.45, 0.2]))
        if count is None
        else whole_number("count", count, 1, 3)
    )
    while True:
        kinds = rng.choice(KINDS, drawn)
        colours = rng.choice(COLOURS, drawn)
        things = [(str(colour), str(kind)) for colour, kind in zip(colours, kinds, strict=True)]
        if len(set(things)) == drawn and is_held_out(things) == held_out:
            return compose(things, str(rng.choice(list(PLACES))), rng=rng)


def twin(scene: Scene, rng: np.random.Generator) -> Scene:
    """A scene whose caption differs in one thing only: two colours exchanged, the order turned
    round, another word.
    """
    while True:
        things = [(thing.colour, thing.kind) for thing in scene.things]
        place, relation, which = scene.place, scene.relation, rng.integers(len(things))
        change = rng.choice(
            ["exchange", "turn", "colour", "kind", "place"], p=[0.3, 0.45, 0.1, 0.1, 0.05]
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
        elif change == "place":
            place = str(rng.choice(list(PLACES)))
        changed = (things, place, relation) != (
            [(t.colour, t.kind) for t in scene.things],
            scene.place,
            scene.relation,
        )
        if changed and len(set(things)) == len(things) and not is_held_out(things):
            return compose(
                things, place, relation, tuple(thing.size for thing in scene.things), rng
            )


def possible_relations(kinds: list[str]) -> tuple[str, ...]:
    """The relations that these kinds can stand in: only things of the sky can be above things of
    the ground.
    """
    if len(kinds) == 1:
        return ()
    if len(kinds) == 3:
        return ("and",)
    first, second = (kind in SKY_KINDS for kind in kinds)
    return SIDE_BY_SIDE + (("above",) if first > second else ("below",) if first < second else ())


def compose(
    things: list[tuple[str, str]],
    place: str,
    relation: str | None = None,
    sizes: tuple[str, ...] | None = None,
    rng: np.random.Generator | int = 0,
) -> Scene:
    """Lay out a scene of (colour, kind) pairs at a place; what is not said is drawn at random.

    >>> compose([("red", "house"), ("blue", "star")], "snow", "below", rng=0).relation
    'below'

    Raises:
        ValueError: an unknown word, more than three things, or a relation these things cannot stand
            in.
    """
    rng = np.random.default_rng(rng)
    _check(things, place, relation, sizes)
    kinds = [kind for _, kind in things]
    if relation is None and len(things) > 1:
        relation = str(rng.choice(possible_relations(kinds)))
    sizes = sizes or _random_sizes(rng, len(things))
    xs = _columns(rng, sizes, relation)
    placed = tuple(
        Thing(kind, colour, size, x, _row(rng, kind, size))
        for (colour, kind), size, x in zip(things, sizes, xs, strict=True)
    )
    caption = _caption(rng, placed, relation, place)
    return Scene(placed, relation, place, caption, tuple(rng.random(4)))


def _check(things, place, relation, sizes) -> None:
    if not 1 <= len(things) <= 3:
        raise ValueError(f"things: a scene holds 1 to 3 things, got {len(things)}")
    for colour, kind in things:
        for word, known, name in ((colour, COLOURS, "colour"), (kind, KINDS, "kind")):
            if word not in known:
                raise ValueError(
                    f"things: unknown {name} {word!r}; the picture book has {', '.join(known)}"
                )
    if place not in PLACES:
        raise ValueError(
            f"place: unknown place {place!r}; the picture book has {', '.join(PLACES)}"
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
        raise ValueError("sizes: of three things at most one can be big, else they do not fit")


def _random_sizes(rng: np.random.Generator, count: int) -> tuple[str, ...]:
    """Sizes for `count` things; of three, at most one is big, so that they fit side by side."""
    if count < 3:
        return tuple(str(size) for size in rng.choice(list(SIZES), count))
    sizes = ["small"] * 3
    sizes[rng.integers(3)] = str(rng.choice(list(SIZES)))
    return tuple(sizes)


def _columns(rng: np.random.Generator, sizes: tuple[str, ...], relation: str | None) -> list[float]:
    """The x of each thing: packed from left to right, the room that is left shared out
    at random.
    """
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
    """The y of a thing's centre: things of the ground stand on it, things of the sky float."""
    if kind in SKY_KINDS:
        return float(max(rng.uniform(*SKY_LINE), SIZES[size] / 2 + 0.01))
    return float(rng.uniform(*GROUND_LINE) - SIZES[size] / 2)


def _caption(
    rng: np.random.Generator, things: tuple[Thing, ...], relation: str | None, place: str
) -> str:
    named = [_noun_phrase(thing, says_size=rng.random() < 0.4) for thing in things]
    phrase = (
        f"{named[0]}, {named[1]} and {named[2]}" if len(named) == 3 else f" {relation} ".join(named)
    )
    wording = WORDINGS[rng.choice(len(WORDINGS), p=[0.55, 0.15, 0.15, 0.15])]
    return wording.format(things=phrase, place=PLACES[place])


def _noun_phrase(thing: Thing, says_size: bool) -> str:
    words = f"{thing.size} {thing.colour}" if says_size else thing.colour
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words} {thing.kind}"


def words() -> list[str]:
    """Every word that captions are made of, in alphabetical order: all that the small model has
    ever read.
    """
    phrases = [*KINDS, *COLOURS, *SIZES, *RELATIONS, *PLACES.values(), *WORDINGS, "a an"]
    found = set(
        " ".join(phrases).replace("{things}", "").replace("{place}", "").replace(",", " ").split()
    )
    return sorted(found)
