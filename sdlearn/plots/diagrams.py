"""Diagrams of the pipeline and the U-Net, with shapes read from the model."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

from sdlearn._support.arguments import whole_number
from sdlearn._support.checked import checked
from sdlearn.loading import Components
from sdlearn.plots.look import INK, new_figure
from sdlearn.text import Token
from sdlearn.unet import Stop

STAGES = {
    "text": ("#fde9c9", "Text"),
    "clip": ("#f9c784", "CLIP text encoder"),
    "unet": ("#9ecae9", "U-Net"),
    "scheduler": ("#d7e3ee", "Scheduler"),
    "noise": ("#e4e4e4", "Noise"),
    "vae": ("#b5d6b2", "VAE decoder"),
    "picture": ("#ddefdb", "Picture"),
}


@checked
def pipeline(model: Components, lit: str | None = None) -> Figure:
    """The way from text to picture, with every shape from the model; the stage `lit` stands out."""
    count, width = model.tokenizer.model_max_length, model.unet.config.cross_attention_dim
    channels, side = model.unet.config.in_channels, model.side // model.factor
    latents, pixels = f"{channels}×{side}×{side}", f"3×{model.side}×{model.side}"
    figure = new_figure(2.9, layout=None)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 100), ylim=(0, 32))
    axes.axis("off")
    boxes = {
        "text": (1, 18, 13, 9, "“a red house …”"),
        "clip": (20, 18, 17, 9, f"{count} tokens → {count}×{width}"),
        "unet": (44, 18, 17, 9, f"{latents}, t → {latents}"),
        "noise": (20, 3, 17, 9, latents),
        "scheduler": (44, 3, 17, 9, "a little less noise"),
        "vae": (67, 18, 15, 9, f"{latents} → picture"),
        "picture": (87, 18, 12, 9, pixels),
    }
    for stage, (x, y, w, h, shape) in boxes.items():
        _box(axes, (x, y, w, h), STAGES[stage], shape, lit=stage == lit)
    for start, end, bend in (
        ((14.5, 22.5), (19.3, 22.5), 0),
        ((37.7, 22.5), (43.3, 22.5), 0),
        ((61.7, 22.5), (66.3, 22.5), 0),
        ((82.7, 22.5), (86.3, 22.5), 0),
        ((37.7, 10.0), (45.5, 17.2), 0.15),
        ((57.5, 17.2), (57.5, 12.8), 0.35),
        ((50.0, 12.8), (50.0, 17.2), 0.35),
    ):
        arrow = FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=13, color=INK, lw=1.4)
        arrow.set_connectionstyle("arc3", rad=-bend)
        axes.add_patch(arrow)
    axes.text(
        62.5, 15.0, "repeat for\nevery step", fontsize=8, color=INK, va="center", style="italic"
    )
    return figure


def _box(
    axes,
    box: tuple[float, float, float, float],
    stage: tuple[str, str],
    shape: str,
    lit: bool,
) -> None:
    x, y, w, h = box
    colour, name = stage
    edge = {"ec": LIT, "lw": 3.0} if lit else {"ec": INK, "lw": 1.0}
    axes.add_patch(FancyBboxPatch((x, y), w, h, "round,pad=0.5", fc=colour, **edge))
    centred = {"ha": "center", "va": "center", "color": INK}
    axes.text(x + w / 2, y + h * 0.66, name, fontsize=10.5, weight="bold", **centred)
    axes.text(x + w / 2, y + h * 0.27, shape, fontsize=8.5, **centred)


LIT, BLANK = "#c0392b", {"fc": "white", "ec": "none", "pad": 0.8}
PART_COLOURS = {
    "input": "#e4e4e4",
    "down": "#9ecae9",
    "middle": "#c3b1e1",
    "up": "#f9c784",
    "output": "#ddefdb",
}


@checked
def unet_ladder(stops: Sequence[Stop], lit: int | None = None) -> Figure:
    """The way through the U-Net: a bar for each block, taller for a larger side.

    The number of channels is given wherever it changes. Dashed lines are skip connections, one for
    each height. Below each block are its parameters, and its parameters times positions: about the
    number of multiplications that the block costs, not counting attention's own products. Stops
    without a side (the time embedding) are left out. The block `lit`, an index among the bars,
    stands out and is named in the title.
    """
    shown = blocks_of(stops)
    if not shown:
        raise ValueError(f"stops: at least one block with a side, got {len(stops)} without one")
    if lit is not None:
        whole_number("lit", lit, 0, len(shown) - 1)
    figure = new_figure(4.6, layout=None)
    axes = figure.add_axes((0, 0.36, 1, 0.58))
    tallest = max(max(stop.after[1:]) for stop in shown)
    heights = [np.sqrt(max(stop.after[1:]) / tallest) for stop in shown]
    for index, (stop, height) in enumerate(zip(shown, heights, strict=True)):
        hatch = "///" if stop.kind == "Transformer2DModel" else None
        axes.add_patch(
            Rectangle(
                (index - 0.4, -height / 2),
                0.8,
                height,
                fc=PART_COLOURS[stop.part],
                ec=INK,
                hatch=hatch,
            )
        )
    for shape, run in groupby(range(len(shown)), key=lambda index: shown[index].after):
        indices = list(run)
        top = heights[indices[0]] / 2 + 0.03
        axes.text(
            np.mean(indices), top, f"{shape[0]}", ha="center", fontsize=7.5, color=INK, bbox=BLANK
        )
    for (height, width), run in groupby(
        range(len(shown)), key=lambda index: shown[index].after[1:]
    ):
        indices = list(run)
        bottom = -heights[indices[0]] / 2 - 0.09
        axes.text(np.mean(indices), bottom, f"{height}×{width}", ha="center", fontsize=8, color=INK)
    for start, end in _skips(shown):
        axes.plot(
            [start + 0.4, end - 0.4],
            [heights[end] / 2 - 0.04] * 2,
            "--",
            color=INK,
            lw=0.9,
            zorder=0,
        )
    for part, colour in PART_COLOURS.items():
        axes.add_patch(Rectangle((0, 0), 0, 0, fc=colour, ec=INK, label=part))
    axes.add_patch(Rectangle((0, 0), 0, 0, fc="white", ec=INK, hatch="///", label="attention"))
    axes.plot([], [], "--", color=INK, lw=0.9, label="skip connection")
    axes.legend(ncols=7, loc="lower center", frameon=False, fontsize=8, bbox_to_anchor=(0.5, -0.08))
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
    axes.set_title(title, fontsize=10, color=INK)
    parameters = [stop.parameters for stop in shown]
    work = [count * np.prod(stop.after[1:]) for count, stop in zip(parameters, shown, strict=True)]
    for bottom, name, values in (
        (0.19, "parameters", parameters),
        (0.01, "parameters × positions", work),
    ):
        below = figure.add_axes((0, bottom, 1, 0.12))
        colours = [PART_COLOURS[stop.part] for stop in shown]
        edges = [LIT if index == lit else INK for index in range(len(shown))]
        below.bar(range(len(shown)), values, 0.8, color=colours, edgecolor=edges)
        below.text(-0.6, max(values), name, fontsize=8, color=INK, va="top")
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


@checked
def tokens(read: Sequence[Token], per_row: int = 9) -> Figure:
    """Each token in its own box, piece above number; the pieces of one word share a colour."""
    if len(read) == 0:
        raise ValueError("read: at least one token, got none")
    whole_number("per_row", per_row, 1, 100)
    rows = -(-len(read) // per_row)
    figure = new_figure(0.75 * rows, layout=None)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, per_row), ylim=(-rows, 0))
    axes.axis("off")
    word = 0
    for index, token in enumerate(read):
        row, column = divmod(index, per_row)
        special = token.span[0] == token.span[1]
        colour = "#e4e4e4" if special else (STAGES["text"][0], STAGES["unet"][0])[word % 2]
        axes.add_patch(
            FancyBboxPatch(
                (column + 0.08, -row - 0.82), 0.84, 0.64, "round,pad=0.03", fc=colour, ec=INK
            )
        )
        size = 9 if len(token.piece) < 11 else 6.5
        axes.text(
            column + 0.5,
            -row - 0.38,
            token.piece,
            ha="center",
            va="center",
            fontsize=size,
            color=INK,
        )
        axes.text(
            column + 0.5,
            -row - 0.68,
            f"{token.id}",
            ha="center",
            va="center",
            fontsize=8,
            color=INK,
        )
        word += token.piece.endswith("</w>")
    return figure
