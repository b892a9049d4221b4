"""The U-Net as a row of bars, with shapes read from the model."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from sdlearn._support.arguments import whole_number
from sdlearn._support.checked import checked
from sdlearn.plots.look import INK, LIT, new_figure
from sdlearn.unet import Stop

BLANK = {"fc": "white", "ec": "none", "pad": 0.6, "alpha": 0.85}
PART_COLOURS = {
    "input": "#e4e4e4",
    "down": "#9ecae9",
    "middle": "#c3b1e1",
    "up": "#f9c784",
    "output": "#ddefdb",
}


BLOCKS, PALE = ("ResnetBlock2D", "Transformer2DModel"), 0.35
"""The blocks drawn in full colour; single layers are pale."""


@checked
def unet_ladder(stops: Sequence[Stop], lit: int | None = None) -> Figure:
    """The way through the U-Net: a bar for each block, taller for a larger side.

    The number of channels is given wherever it changes. Dashed lines are skip connections, one for
    each height. Below each block are its parameters, and parameters × positions, which is about its
    number of multiplications (without attention's own products); the percentages are the shares of
    all blocks of one height. Stops without a side (the time embedding) are left out. The block
    `lit`, an index among the bars, stands out and is named in the title.
    """
    shown = blocks_of(stops)
    if not shown:
        raise ValueError(f"stops: at least one block with a side, got {len(stops)} without one")
    if lit is not None:
        whole_number("lit", lit, 0, len(shown) - 1)
    figure = new_figure(5.6, layout=None)
    axes = figure.add_axes((0, 0.36, 1, 0.58))
    tallest = max(max(stop.after[1:]) for stop in shown)
    heights = [np.sqrt(max(stop.after[1:]) / tallest) for stop in shown]
    looks = [
        {
            "fc": to_rgba(PART_COLOURS[stop.part], 1 if stop.kind in BLOCKS else PALE),
            "ec": INK,
            "hatch": "///" if stop.kind == "Transformer2DModel" else None,
        }
        for stop in shown
    ]
    for index, (look, height) in enumerate(zip(looks, heights, strict=True)):
        axes.add_patch(Rectangle((index - 0.4, -height / 2), 0.8, height, **look))
    centred = {"ha": "center", "color": INK}
    before, lower = -2, False
    for shape, run in groupby(range(len(shown)), key=lambda index: shown[index].after):
        first = next(run)
        lower = first == before + 1 and not lower  # so that two neighbours do not overlap
        top = heights[first] / 2 - (0.1 if lower else 0.025)
        size = 8.5 if shape[0] < 100 else 7
        axes.text(first, top, f"{shape[0]}", fontsize=size, va="top", bbox=BLANK, **centred)
        before = first
    levels = [
        ((height, width), list(run))
        for (height, width), run in groupby(
            range(len(shown)), key=lambda index: shown[index].after[1:]
        )
    ]
    for (height, width), indices in levels:
        bottom = -heights[indices[0]] / 2 - 0.09
        axes.text(np.mean(indices), bottom, f"{height}×{width}", fontsize=9, **centred)
    for start, end in _skips(shown):
        top = heights[end] / 2
        bracket = [top, top + 0.04, top + 0.04, top]
        axes.plot([start, start, end, end], bracket, "--", color=INK, lw=1.1)
    for part in ("down", "middle", "up"):
        axes.add_patch(Rectangle((0, 0), 0, 0, fc=PART_COLOURS[part], ec=INK, label=part))
    axes.add_patch(Rectangle((0, 0), 0, 0, fc=to_rgba(INK, 0.08), ec=INK, label="pale: one layer"))
    axes.add_patch(Rectangle((0, 0), 0, 0, fc="white", ec=INK, hatch="///", label="attention"))
    axes.plot([], [], "--", color=INK, lw=1.1, label="skip connection")
    axes.legend(
        ncols=8,
        loc="lower center",
        frameon=False,
        fontsize=8.5,
        bbox_to_anchor=(0.5, -0.08),
        columnspacing=1.2,
    )
    title = "after every block: channels above, height×width below"
    if lit is not None:
        axes.add_patch(
            Rectangle((lit - 0.4, -heights[lit] / 2), 0.8, heights[lit], fill=False, ec=LIT, lw=3)
        )
        before, after = (
            "×".join(map(str, shape)) for shape in (shown[lit].before, shown[lit].after)
        )
        title = (
            f"{shown[lit].name}: {shown[lit].kind}, {before} → {after}, "
            f"{shown[lit].parameters:,} parameters"
        )
    axes.set(ylim=(-0.72, 0.64))
    axes.set_title(title, fontsize=10.5, color=INK)
    parameters = [stop.parameters for stop in shown]
    work = [count * np.prod(stop.after[1:]) for count, stop in zip(parameters, shown, strict=True)]
    for bottom, name, values in (
        (0.17, "parameters", parameters),
        (0.01, "parameters × positions", work),
    ):
        below = figure.add_axes((0, bottom, 1, 0.12))
        for index, (look, value) in enumerate(zip(looks, values, strict=True)):
            edge = LIT if index == lit else INK
            below.bar(index, value, 0.8, **look | {"ec": edge, "hatch": None})
        for _, indices in levels:
            share = sum(values[index] for index in indices) / sum(values)
            top = max(values[index] for index in indices)
            below.text(np.mean(indices), top, f"{share:.0%}", fontsize=9, va="bottom", **centred)
        below.set_ylim(0, 1.3 * max(values))
        below.text(-0.6, 1.3 * max(values), name, fontsize=9, color=INK, va="top")
    for axes in figure.axes:
        axes.set_xlim(-1, len(shown))
        axes.axis("off")
    return figure


@checked
def blocks_of(stops: Sequence[Stop]) -> list[Stop]:
    """The stops that have a side: these are the bars of the ladder."""
    return [stop for stop in stops if len(stop.after) == 3]


@checked
def ladder_marks(stops: Sequence[Stop]) -> list[float]:
    """Where the bars of the ladder are, from 0 (left) to 1 (right)."""
    count = len(blocks_of(stops))
    return [(index + 1) / (count + 1) for index in range(count)]


def _skips(shown: Sequence[Stop]) -> list[tuple[int, int]]:
    """Skips from a height's last block on the way down to its first ResNet block on the way up."""
    down = {
        s.after[1:]: i
        for i, s in enumerate(shown)
        if s.part in ("input", "down") and s.before[1:] == s.after[1:]
    }
    up = {}
    for i, stop in enumerate(shown):
        if stop.part == "up" and stop.kind == "ResnetBlock2D":
            up.setdefault(stop.after[1:], i)
    return [(start, up[size]) for size, start in down.items() if size in up]
