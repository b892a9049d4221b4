"""Paint a scene of the picture book, the same at every size, with an exact mask for each thing.

Agg, matplotlib's anti-aliased renderer, fills the paths; numpy computes light, shade and backdrops.
In every picture the light comes from the upper left.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.path import Path
from matplotlib.transforms import Affine2D
from PIL import Image

from sdlearn._support.checked import checked
from sdlearn.picturebook.scenes import SKY_KINDS, Scene, Thing
from sdlearn.picturebook.things import SHAPES, Paint

RGB = {
    "red": (0.86, 0.16, 0.16),
    "orange": (0.97, 0.52, 0.08),
    "yellow": (0.98, 0.86, 0.16),
    "green": (0.14, 0.58, 0.24),
    "blue": (0.16, 0.36, 0.86),
    "purple": (0.50, 0.20, 0.66),
    "pink": (0.98, 0.56, 0.74),
    "white": (0.96, 0.96, 0.96),
}

BACKDROPS = {
    # sky at the top, sky at the horizon, far hills, ground at the horizon, ground at the bottom
    "meadow": (
        (0.38, 0.68, 0.95),
        (0.80, 0.92, 0.98),
        (0.42, 0.68, 0.52),
        (0.58, 0.80, 0.38),
        (0.40, 0.66, 0.28),
    ),
    "desert": (
        (0.55, 0.80, 0.90),
        (0.99, 0.92, 0.72),
        (0.84, 0.58, 0.38),
        (0.95, 0.80, 0.52),
        (0.87, 0.66, 0.38),
    ),
    "snow": (
        (0.62, 0.72, 0.82),
        (0.86, 0.90, 0.94),
        (0.74, 0.82, 0.90),
        (0.95, 0.97, 0.99),
        (0.82, 0.88, 0.95),
    ),
    "night": (
        (0.05, 0.07, 0.20),
        (0.16, 0.22, 0.42),
        (0.09, 0.14, 0.28),
        (0.13, 0.25, 0.26),
        (0.07, 0.15, 0.17),
    ),
    "beach": (
        (0.30, 0.74, 0.92),
        (0.78, 0.94, 0.96),
        (0.10, 0.55, 0.72),
        (0.97, 0.90, 0.70),
        (0.93, 0.80, 0.55),
    ),
    "sunset": (
        (0.44, 0.30, 0.58),
        (0.99, 0.68, 0.40),
        (0.52, 0.28, 0.46),
        (0.46, 0.30, 0.36),
        (0.30, 0.20, 0.30),
    ),
}


@checked
def draw(scene: Scene, size: int = 512) -> Image.Image:
    """The scene as an RGB picture of size × size pixels."""
    return Image.fromarray(draw_array(scene, size))


@checked
def draw_array(scene: Scene, size: int = 512) -> np.ndarray:
    """The scene as a uint8 array [size, size, 3]."""
    _check_size(size)
    canvas = _backdrop(scene, size)
    for thing in scene.things:
        if thing.kind not in SKY_KINDS:
            _cast_shadow(canvas, thing)
    for thing in scene.things:
        layer, top, left = _layer(thing, size)
        rows, columns = slice(top, top + len(layer)), slice(left, left + layer.shape[1])
        coverage = layer[..., 3:]
        canvas[rows, columns] = canvas[rows, columns] * (1 - coverage) + layer[..., :3] * coverage
    return (canvas.clip(0, 1) * 255 + 0.5).astype(np.uint8)


@checked
def masks(scene: Scene, size: int = 512) -> np.ndarray:
    """How much of each pixel each thing covers, in the caption's order.

    The result is float32 [things, size, size], with values in [0, 1].
    """
    _check_size(size)
    covered = np.zeros((len(scene.things), size, size), np.float32)
    for mask, thing in zip(covered, scene.things, strict=True):
        layer, top, left = _layer(thing, size)
        mask[top : top + len(layer), left : left + layer.shape[1]] = layer[..., 3]
    return covered


def _check_size(size: int) -> None:
    if not isinstance(size, int | np.integer) or not 16 <= size <= 4096:
        raise ValueError(f"size: a whole number of pixels from 16 to 4096, got {size!r}")


# --- things ---------------------------------------------------------------------------------------


@cache
def _parts(kind: str) -> tuple[tuple[Path, Paint], ...]:
    return tuple(SHAPES[kind]())


def _paint(paint: Paint, colour: str) -> tuple[float, float, float]:
    main = np.array(RGB[colour])
    if paint == "main":
        return tuple(main)
    if paint == "dark":
        return tuple(main * 0.74)
    if paint == "light":
        return tuple(main + (1 - main) * 0.32) if colour != "white" else (0.86, 0.88, 0.92)
    return paint


def _layer(thing: Thing, size: int) -> tuple[np.ndarray, int, int]:
    """The thing alone, shaded, as float32 [h, w, 4], and its top and left edge in the picture.

    The last of the four channels is the coverage.
    """
    side, cx, cy = thing.side * size, thing.x * size, thing.y * size
    reach = 0.58 * side + 1
    left, top = max(0, int(cx - reach)), max(0, int(cy - reach))
    right, bottom = min(size, int(cx + reach) + 1), min(size, int(cy + reach) + 1)
    width, height = right - left, bottom - top
    renderer = RendererAgg(width, height, 72)
    pen = renderer.new_gc()
    pen.set_linewidth(0.022 * side)
    pen.set_joinstyle("round")
    pen.set_snap(False)  # otherwise boxes in small drawings are snapped to whole pixels
    transform = Affine2D().scale(side).translate(cx - left, bottom - cy)
    for path, paint in _parts(thing.kind):
        fill = _paint(paint, thing.colour)
        pen.set_foreground(tuple(0.58 * np.array(fill)), isRGBA=False)
        renderer.draw_path(pen, path, transform, fill)
    layer = np.asarray(renderer.buffer_rgba()).astype(np.float32) / 255
    x = (np.arange(left, right, dtype=np.float32) + 0.5 - cx) / side
    y = (np.arange(top, bottom, dtype=np.float32)[:, None] + 0.5 - cy) / side
    light = 1.06 - 0.20 * (x + y) - 0.25 * (x * x + y * y)
    layer[..., :3] *= light[..., None]
    return layer, top, left


def _cast_shadow(canvas: np.ndarray, thing: Thing) -> None:
    """Darken the ground softly under a thing that stands on it."""
    size = len(canvas)
    grid = (np.arange(size, dtype=np.float32) + 0.5) / size
    foot = thing.y + thing.side * 0.47
    rows = np.abs(grid - foot) < 0.15 * thing.side
    dx = (grid - thing.x - 0.05 * thing.side) / (0.50 * thing.side)
    dy = (grid[rows, None] - foot) / (0.09 * thing.side)
    shade = 0.42 * np.clip(1.0 - dx * dx - dy * dy, 0, 1)
    canvas[rows] *= (1 - shade)[..., None]


# --- backdrops ------------------------------------------------------------------------------------


def _backdrop(scene: Scene, size: int) -> np.ndarray:
    """Sky, sun or moon, clouds or stars, far hills and ground: float32 [size, size, 3]."""
    a, b, c, d = scene.backdrop
    high, low, hill, near, bottom = np.array(BACKDROPS[scene.setting], np.float32)
    grid = (np.arange(size, dtype=np.float32) + 0.5) / size
    x, y = grid, grid[:, None]
    horizon = 0.56 + 0.10 * a

    canvas = np.empty((size, size, 3), np.float32)
    canvas[:] = _mix(high, low, (y / horizon) ** 1.2)[:, :]
    _lights_of_the_sky(canvas, scene.setting, x, y, horizon, c, d)
    if scene.setting == "beach":
        ridge = np.full(size, horizon - 0.07, np.float32)
    else:
        wave = np.sin(2 * np.pi * (1.3 * x + b)) + 0.6 * np.sin(2 * np.pi * (2.3 * x + d))
        ridge = horizon - 0.05 - 0.028 * wave
    _fill_below(canvas, ridge, np.broadcast_to(hill, (size, 3)))
    ground_line = horizon + 0.012 * np.sin(2 * np.pi * (0.8 * x + c))
    _fill_below(canvas, ground_line, _mix(near, bottom, (y - horizon) / (1 - horizon))[:, 0])
    return canvas


def _lights_of_the_sky(canvas, setting, x, y, horizon, c, d) -> None:
    if setting == "night":
        _disc(canvas, x, y, 0.12 + 0.76 * c, 0.13, 0.065, (0.97, 0.95, 0.82))
        for k in range(7):
            along, up = (d + 0.618 * k) % 1, 0.06 + 0.34 * ((c + 0.414 * k) % 1)
            _disc(canvas, x, y, along, up, 0.008, (0.92, 0.93, 0.85))
    elif setting == "sunset":
        _disc(canvas, x, y, 0.2 + 0.6 * c, horizon - 0.07, 0.12, (1.0, 0.86, 0.50))
    elif setting == "desert":
        _disc(canvas, x, y, 0.12 + 0.76 * c, 0.14, 0.075, (1.0, 0.95, 0.65))
    else:
        white = {"meadow": 0.99, "beach": 0.98, "snow": 0.95}[setting]
        for along, up in ((c, 0.10 + 0.05 * d), ((c + 0.45 + 0.2 * d) % 1, 0.27 - 0.06 * d)):
            for dx, dy, r in ((-0.07, 0.012, 0.038), (0.0, 0.0, 0.052), (0.07, 0.014, 0.036)):
                _disc(canvas, x, y, along + dx, up + dy, r, (white, white, white))


def _mix(first: np.ndarray, second: np.ndarray, amount: np.ndarray) -> np.ndarray:
    return first + (second - first) * np.clip(amount, 0, 1)[..., None]


def _fill_below(canvas: np.ndarray, line: np.ndarray, colour_by_row: np.ndarray) -> None:
    """Fill everything below the line [size], one colour per row [size, 3], edges anti-aliased."""
    size = len(canvas)
    first = max(0, int(line.min() * size) - 1)
    coverage = np.clip((np.arange(first, size, dtype=np.float32)[:, None] + 1) - line * size, 0, 1)[
        ..., None
    ]
    canvas[first:] += (colour_by_row[first:, None] - canvas[first:]) * coverage


def _disc(canvas, x, y, cx, cy, radius, colour) -> None:
    size = len(canvas)
    rows, columns = np.abs(y[:, 0] - cy) <= radius + 1 / size, np.abs(x - cx) <= radius + 1 / size
    if not rows.any() or not columns.any():
        return
    distance = np.hypot(x[columns] - cx, y[rows] - cy)
    coverage = np.clip((radius - distance) * size + 0.5, 0, 1)[..., None]
    window = np.ix_(rows, columns)
    canvas[window] += (np.array(colour, np.float32) - canvas[window]) * coverage
