"""Clouds of points in the plane, arrows between them, and paths through it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle

import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from sdlearn._support.arguments import whole_number
from sdlearn._support.checked import checked
from sdlearn.plots.look import INK, LINES, PAPER, WIDTH, new_figure

REACH = 3.0
"""Every plane shows -3 to 3 along both axes: nearly all standard normal points lie there."""
ARROWS = 40


@checked
def plane(
    points: Float[Tensor, "n 2"],
    noisy: Float[Tensor, "m 2"],
    towards: Float[Tensor, "m 2"],
    title: str,
) -> Figure:
    """On the left noisy points over the clean ones, in grey; on the right arrows to `towards`.

    Only some of the noisy points get an arrow, and none that would leave the plane.
    """
    figure = new_figure(4.9)
    left, right = figure.subplots(1, 2)
    _draw(left, points, title)
    left.scatter(*noisy.T.tolist(), s=8, color=LINES[0], alpha=0.6)
    _draw(right, points, "from a noisy point to the average clean one")
    inside = ((noisy.abs() < REACH) & (towards.abs() < REACH)).all(dim=1).nonzero().flatten()
    few = inside[:: max(1, len(noisy) // ARROWS)]
    starts, ways = noisy[few], (towards - noisy)[few]
    right.scatter(*starts.T.tolist(), s=8, color=LINES[0])
    exact = {"angles": "xy", "scale_units": "xy", "scale": 1}
    right.quiver(*starts.T.tolist(), *ways.T.tolist(), width=0.004, color=LINES[1], **exact)
    return figure


@checked
def paths(
    points: Float[Tensor, "n 2"],
    walks: Mapping[str, Sequence[Float[Tensor, "m 2"]]],
    columns: int = 2,
) -> Figure:
    """A plane for each walk: the paths of m points, from a ring (start) to a large dot (end)."""
    if not walks:
        raise ValueError("walks: at least one, got none")
    columns = min(whole_number("columns", columns, 1, 100), len(walks))
    rows = -(-len(walks) // columns)
    figure = new_figure(rows * WIDTH / columns)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(walks) :]:
        axes.axis("off")
    everything = torch.cat([points, *(x for walk in walks.values() for x in walk)])
    reach = min(REACH, 1.1 * everything.abs().max().item())
    for axes, (title, walk) in zip(grid.flat, walks.items(), strict=False):
        _draw(axes, points, title)
        axes.set(xlim=(-reach, reach), ylim=(-reach, reach))
        for way, colour in zip(torch.stack(list(walk), dim=1), cycle(LINES), strict=False):
            _draw_way(axes, way, markersize=2.5, colour=colour)
    return figure


@checked
def one_path(points: Float[Tensor, "n 2"], way: Float[Tensor, "steps 2"]) -> Figure:
    """The path of one point, filling the whole figure."""
    figure = Figure(figsize=(4.5, 4.5), dpi=100, facecolor=PAPER)
    axes = figure.add_axes((0, 0, 1, 1))
    _draw(axes, points, "")
    _draw_way(axes, way, markersize=3.5, colour=LINES[0])
    axes.plot(*way[-1].tolist(), "o", markersize=5, color=LINES[1])
    return figure


def _draw_way(axes: Axes, way: Tensor, markersize: float, colour: str) -> None:
    axes.plot(*way.T.tolist(), "-o", markersize=markersize, linewidth=1, color=colour)
    axes.plot(*way[0].tolist(), "o", markersize=8, color=colour, fillstyle="none")
    axes.plot(*way[-1].tolist(), "o", markersize=6, color=colour, markeredgecolor=INK)


def _draw(axes: Axes, points: Tensor, title: str) -> None:
    axes.set_facecolor("#f6f8fa")
    axes.spines[:].set_visible(False)
    axes.scatter(*points.T.tolist(), s=3, color="#9aa5ae")
    axes.set(xlim=(-REACH, REACH), ylim=(-REACH, REACH), aspect="equal", xticks=[], yticks=[])
    axes.set_title(title, fontsize=10, color=INK)
