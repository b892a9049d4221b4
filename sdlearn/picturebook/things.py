"""The shape of every kind of thing in the picture book, as painted outlines in a unit square.

Coordinates: x from -0.5 (left) to 0.5 (right), y from -0.5 (bottom) to 0.5 (top).
A part's paint is either a name (`main`, `dark` or `light`, a shade of the thing's own colour) or a
fixed RGB colour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from matplotlib.path import Path
from matplotlib.transforms import Affine2D

Paint = str | tuple[float, float, float]
Part = tuple[Path, Paint]

BROWN, CREAM, GLASS = (0.55, 0.36, 0.22), (0.98, 0.94, 0.84), (0.75, 0.90, 0.97)
DARK, LEAF, GOLD = (0.20, 0.20, 0.25), (0.30, 0.62, 0.28), (0.93, 0.68, 0.25)


def ellipse(x: float, y: float, rx: float, ry: float, turn: float = 0) -> Path:
    """An ellipse at (x, y), turned by `turn` degrees."""
    return Path.unit_circle().transformed(Affine2D().scale(rx, ry).rotate_deg(turn).translate(x, y))


def polygon(*points: tuple[float, float]) -> Path:
    """A closed polygon."""
    return Path([*points, points[0]], closed=True)


def box(left: float, bottom: float, right: float, top: float) -> Path:
    """A rectangle by its sides."""
    return polygon((left, bottom), (right, bottom), (right, top), (left, top))


def smooth(*points: tuple[float, float]) -> Path:
    """A closed curve through the points (Catmull-Rom, as cubic Bézier pieces)."""
    p = np.array(points)
    before, after, beyond = np.roll(p, 1, 0), np.roll(p, -1, 0), np.roll(p, -2, 0)
    pieces = np.stack([p + (after - before) / 6, after - (beyond - p) / 6, after], axis=1)
    codes = [Path.MOVETO] + [Path.CURVE4] * (3 * len(p))
    return Path(np.concatenate([p[:1], pieces.reshape(-1, 2)]), codes)


def house() -> Iterator[Part]:
    """A house with a chimney, a roof, a door and two windows."""
    yield box(0.18, 0.20, 0.30, 0.48), BROWN
    yield box(-0.40, -0.50, 0.40, 0.08), "main"
    yield polygon((-0.50, 0.05), (0.50, 0.05), (0.0, 0.50)), "dark"
    yield box(-0.10, -0.50, 0.12, -0.14), BROWN
    yield box(-0.33, -0.26, -0.17, -0.06), CREAM
    yield box(0.19, -0.26, 0.34, -0.06), CREAM


def tree() -> Iterator[Part]:
    """A tree of three triangles on a trunk."""
    yield box(-0.08, -0.50, 0.08, -0.20), BROWN
    yield polygon((-0.42, -0.26), (0.42, -0.26), (0.0, 0.14)), "main"
    yield polygon((-0.34, -0.02), (0.34, -0.02), (0.0, 0.34)), "main"
    yield polygon((-0.25, 0.20), (0.25, 0.20), (0.0, 0.50)), "main"


def car() -> Iterator[Part]:
    """A car with two windows and two wheels."""
    yield smooth((-0.28, -0.12), (-0.2, 0.15), (0.12, 0.15), (0.26, -0.12)), "main"
    yield polygon((-0.20, -0.10), (-0.15, 0.08), (-0.03, 0.08), (-0.03, -0.10)), GLASS
    yield polygon((0.03, -0.10), (0.03, 0.08), (0.11, 0.08), (0.19, -0.10)), GLASS
    yield (
        smooth(
            (-0.45, -0.15),
            (-0.3, -0.09),
            (0.3, -0.09),
            (0.45, -0.18),
            (0.45, -0.35),
            (-0.45, -0.35),
        ),
        "main",
    )
    for x in (-0.27, 0.27):
        yield ellipse(x, -0.37, 0.125, 0.125), DARK
        yield ellipse(x, -0.37, 0.055, 0.055), CREAM


def cat() -> Iterator[Part]:
    """A sitting cat with its tail at the right."""
    yield (
        smooth(
            (0.2, -0.46),
            (0.40, -0.40),
            (0.42, -0.10),
            (0.34, 0.06),
            (0.27, 0.0),
            (0.31, -0.14),
            (0.2, -0.30),
        ),
        "dark",
    )
    yield (
        smooth(
            (-0.24, -0.49), (-0.20, -0.1), (-0.1, 0.1), (0.14, 0.1), (0.24, -0.1), (0.28, -0.49)
        ),
        "main",
    )
    yield polygon((-0.26, 0.22), (-0.24, 0.50), (-0.04, 0.36)), "main"
    yield polygon((0.30, 0.22), (0.28, 0.50), (0.08, 0.36)), "main"
    yield ellipse(0.02, 0.20, 0.29, 0.22), "main"
    yield ellipse(0.02, -0.30, 0.11, 0.16), "light"
    for x in (-0.09, 0.13):
        yield ellipse(x, 0.23, 0.04, 0.055), DARK
    yield ellipse(0.02, 0.11, 0.035, 0.025), (0.95, 0.55, 0.60)


def mushroom() -> Iterator[Part]:
    """A mushroom with three spots."""
    yield (
        smooth(
            (-0.13, -0.49), (-0.12, -0.1), (-0.12, 0.1), (0.12, 0.1), (0.12, -0.1), (0.13, -0.49)
        ),
        CREAM,
    )
    yield (
        smooth((-0.48, -0.02), (-0.40, 0.28), (0.0, 0.48), (0.40, 0.28), (0.48, -0.02), (0, -0.07)),
        "main",
    )
    for x, y, r in ((-0.22, 0.17, 0.075), (0.06, 0.30, 0.085), (0.25, 0.10, 0.065)):
        yield ellipse(x, y, r * 1.15, r), CREAM


def boat() -> Iterator[Part]:
    """A boat with two sails."""
    yield box(-0.03, -0.15, 0.03, 0.50), BROWN
    yield polygon((0.05, -0.08), (0.40, -0.08), (0.05, 0.46)), CREAM
    yield polygon((-0.06, -0.08), (-0.34, -0.08), (-0.06, 0.36)), CREAM
    yield (
        smooth(
            (-0.49, -0.14),
            (-0.25, -0.17),
            (0.25, -0.17),
            (0.49, -0.14),
            (0.28, -0.48),
            (-0.28, -0.48),
        ),
        "main",
    )


def fish() -> Iterator[Part]:
    """A fish that swims to the left."""
    yield polygon((0.20, 0.0), (0.50, 0.26), (0.42, 0.0), (0.50, -0.26)), "dark"
    yield smooth((-0.08, 0.22), (0.08, 0.36), (0.2, 0.16)), "dark"
    yield (
        smooth(
            (-0.50, -0.01),
            (-0.30, 0.20),
            (0.0, 0.26),
            (0.28, 0.06),
            (0.28, -0.06),
            (0.0, -0.26),
            (-0.30, -0.20),
        ),
        "main",
    )
    yield ellipse(0.02, -0.03, 0.09, 0.12), "light"
    yield ellipse(-0.29, 0.06, 0.07, 0.07), CREAM
    yield ellipse(-0.30, 0.06, 0.035, 0.035), DARK


def flower() -> Iterator[Part]:
    """A flower with six petals and two leaves."""
    yield box(-0.03, -0.50, 0.03, 0.10), LEAF
    yield ellipse(0.16, -0.30, 0.16, 0.065, 30), LEAF
    yield ellipse(-0.16, -0.34, 0.16, 0.065, -30), LEAF
    for k in range(6):
        angle = np.pi / 3 * k + np.pi / 6
        yield (
            ellipse(0.19 * np.cos(angle), 0.18 + 0.19 * np.sin(angle), 0.14, 0.11, 60 * k + 30),
            "main",
        )
    yield ellipse(0, 0.18, 0.11, 0.11), GOLD


def star() -> Iterator[Part]:
    """A star with five points."""
    corners = [(np.sin(np.pi * k / 5), np.cos(np.pi * k / 5)) for k in range(10)]
    yield (
        polygon(
            *[
                ((0.52 if k % 2 == 0 else 0.24) * x, (0.52 if k % 2 == 0 else 0.24) * y - 0.03)
                for k, (x, y) in enumerate(corners)
            ]
        ),
        "main",
    )


def heart() -> Iterator[Part]:
    """A heart with a highlight."""
    t = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    x = 0.49 * np.sin(t) ** 3
    y = 0.031 * (13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)) + 0.06
    yield polygon(*zip(x, y, strict=True)), "main"
    yield ellipse(-0.22, 0.20, 0.10, 0.07, 35), "light"


def balloon() -> Iterator[Part]:
    """A hot-air balloon with its basket."""
    yield polygon((-0.20, -0.10), (-0.10, -0.34), (0.10, -0.34), (0.20, -0.10)), CREAM
    yield (
        smooth(
            (0, 0.50),
            (0.25, 0.41),
            (0.36, 0.17),
            (0.28, -0.06),
            (0.13, -0.2),
            (-0.13, -0.2),
            (-0.28, -0.06),
            (-0.36, 0.17),
            (-0.25, 0.41),
        ),
        "main",
    )
    yield smooth((0, 0.50), (0.11, 0.17), (0.05, -0.2), (-0.05, -0.2), (-0.11, 0.17)), "light"
    yield box(-0.11, -0.50, 0.11, -0.32), BROWN


def kite() -> Iterator[Part]:
    """A kite with its tail."""
    yield (
        smooth(
            (0.0, -0.2),
            (0.06, -0.3),
            (-0.02, -0.4),
            (0.06, -0.5),
            (0.0, -0.42),
            (-0.06, -0.4),
            (0.02, -0.3),
        ),
        "dark",
    )
    yield polygon((0, 0.50), (0.34, 0.16), (0, -0.26), (-0.34, 0.16)), "main"
    yield polygon((0, 0.50), (0.34, 0.16), (0, 0.16)), "light"
    yield polygon((0, 0.16), (0, -0.26), (-0.34, 0.16)), "dark"


SHAPES: dict[str, Callable[[], Iterator[Part]]] = {
    shape.__name__: shape
    for shape in (house, tree, car, cat, mushroom, boat, fish, flower, star, heart, balloon, kite)
}
