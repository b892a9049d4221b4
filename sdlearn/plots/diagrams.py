"""Diagrams of the pipeline and the U-Net, with shapes read from the model."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from matplotlib.colors import to_rgba
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
    "tokenizer": ("#fde9c9", "Tokenizer"),
    "clip": ("#f9c784", "CLIP\ntext encoder"),
    "unet": ("#9ecae9", "U-Net"),
    "scheduler": ("#d7e3ee", "Scheduler"),
    "noise": ("#e4e4e4", "Noise"),
    "vae": ("#b5d6b2", "VAE decoder"),
    "picture": ("#ddefdb", "Picture"),
    "start": ("#ddefdb", "Your picture"),
    "encoder": ("#b5d6b2", "VAE encoder"),
}


@checked
def pipeline(model: Components, lit: str | None = None, from_picture: bool = False) -> Figure:
    """The way from text to picture, with every shape from the model; the stage `lit` stands out.

    from_picture: image to image, which adds the noise to a picture's latents.
    """
    count, width = model.tokenizer.model_max_length, model.unet.config.cross_attention_dim
    channels, side = model.unet.config.in_channels, model.side // model.factor
    latents, pixels = f"{channels}×{side}×{side}", f"3×{model.side}×{model.side}"
    figure = new_figure(3.3, layout=None)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 100), ylim=(0, 36))
    axes.axis("off")
    boxes = {
        "text": (0, 1, "“a red house …”"),
        "tokenizer": (1, 1, f"{count} tokens"),
        "clip": (2, 1, f"{count}×{width}"),
        "unet": (3, 1, f"predicts the noise\n{latents}"),
        "picture": (4, 1, pixels),
        "noise": (2, 0, latents),
        "scheduler": (3, 0, f"removes a part of it\n{latents}"),
        "vae": (4, 0, f"to {pixels}"),
    }
    ways = [
        ("text", "tokenizer", 0, 0),
        ("tokenizer", "clip", 0, 0),
        ("clip", "unet", 0, 0),
        ("noise", "unet", 0, 0),
        ("unet", "scheduler", 3, 0.3),
        ("scheduler", "unet", -3, 0.3),
        ("scheduler", "vae", 0, 0),
        ("vae", "picture", 0, 0),
    ]
    if from_picture:
        boxes |= {"start": (0, 0, pixels), "encoder": (1, 0, f"to {latents}")}
        boxes["noise"] = (2, 0, f"added: {latents}")
        ways += [("start", "encoder", 0, 0), ("encoder", "noise", 0, 0)]
    for stage, (column, row, shape) in boxes.items():
        _box(axes, (COLUMNS[column], ROWS[row], *BOX), STAGES[stage], shape, lit=stage == lit)
    for start, end, aside, bend in ways:
        _arrow(axes, *(boxes[stage][:2] for stage in (start, end)), aside, bend)
    centred = {"fontsize": 8, "color": INK, "va": "center", "style": "italic"}
    axes.text(68.5, 18, "repeat for\nevery step", ha="center", **centred)
    axes.text(80, 11.5, "after\nthe last", ha="center", **centred)
    return figure


COLUMNS, ROWS, BOX = (1, 21, 41, 61, 84), (2.5, 22.5), (15, 11)
"""Where the boxes of the pipeline begin, from the left and from below, and their size."""


def _arrow(axes, start: tuple[int, int], end: tuple[int, int], aside: float, bend: float) -> None:
    """From the edge of one box to that of the next, in its row, its column or the next of both."""
    (x, y), (to_x, to_y) = (
        (COLUMNS[c] + BOX[0] / 2, ROWS[r] + BOX[1] / 2) for c, r in (start, end)
    )
    across, up = to_x - x, to_y - y
    reach = BOX[0] / 2 + 0.9 if across else 0, BOX[1] / 2 + 0.9 if up else 0
    if across and up:  # from a corner to a corner
        ends = (x + BOX[0] / 2, y + BOX[1] / 2 + 0.4), (to_x - BOX[0] / 2 - 0.4, to_y - BOX[1] / 2)
    else:
        step = np.array(reach) * np.sign((across, up))
        ends = np.array((x + aside, y)) + step, np.array((to_x + aside, to_y)) - step
    arrow = FancyArrowPatch(*ends, arrowstyle="-|>", mutation_scale=13, color=INK, lw=1.4)
    arrow.set_connectionstyle("arc3", rad=-bend)
    axes.add_patch(arrow)


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
    axes.text(x + w / 2, y + h * 0.7, name, fontsize=10, weight="bold", **centred)
    axes.text(x + w / 2, y + h * 0.25, shape, fontsize=8, **centred)


LIT, BLANK = "#c0392b", {"fc": "white", "ec": "none", "pad": 0.6, "alpha": 0.85}
PART_COLOURS = {
    "input": "#e4e4e4",
    "down": "#9ecae9",
    "middle": "#c3b1e1",
    "up": "#f9c784",
    "output": "#ddefdb",
}


BLOCKS, PALE = ("ResnetBlock2D", "Transformer2DModel"), 0.35
"""The kinds of block that are full in colour; what has one convolution only is pale."""


@checked
def unet_ladder(stops: Sequence[Stop], lit: int | None = None) -> Figure:
    """The way through the U-Net: a bar for each block, taller for a larger side.

    The number of channels is given wherever it changes. Dashed lines are skip connections, one for
    each height. Below each block are its parameters, and its parameters times positions: about the
    number of multiplications that the block costs, not counting attention's own products; the
    numbers there are the shares of a whole height. Stops
    without a side (the time embedding) are left out. The block `lit`, an index among the bars,
    stands out and is named in the title.
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
    for shape, run in groupby(range(len(shown)), key=lambda index: shown[index].after):
        first = next(run)
        top = heights[first] / 2 - 0.025
        axes.text(first, top, f"{shape[0]}", fontsize=8.5, va="top", bbox=BLANK, **centred)
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
    for part, colour in PART_COLOURS.items():
        axes.add_patch(Rectangle((0, 0), 0, 0, fc=colour, ec=INK, label=part))
    axes.add_patch(
        Rectangle((0, 0), 0, 0, fc=to_rgba(INK, 0.08), ec=INK, label="pale: one convolution")
    )
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
        (0.2, "parameters", parameters),
        (0.01, "parameters × positions", work),
    ):
        below = figure.add_axes((0, bottom, 1, 0.13))
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
