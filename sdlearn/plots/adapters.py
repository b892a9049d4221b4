"""Diagrams of what is added to a finished network, and of what replaces it in newer models."""

from __future__ import annotations

from diffusers import UNet2DConditionModel
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, Polygon, Rectangle

from sdlearn._support.arguments import whole_number
from sdlearn._support.checked import checked
from sdlearn._support.wrapping import unwrapped
from sdlearn.plots.look import AMBER, ARROW, BLUE, FAINT, GREEN, GREY, INK, PAPER, arrow, new_figure

BESIDE, APART = 11.5, 15.5
"""The width of a box of the ControlNet's diagram, and from one box to the next."""
UNET, COPY = 4.5, 38.0
"""How high the U-Net's boxes begin, and those of the copy."""
TALL = 8.0


@checked
def control_net(unet: UNet2DConditionModel) -> Figure:
    """A ControlNet beside this U-Net: below, the frozen U-Net; above, the copy of its encoder.

    The copy is drawn from right to left, each block above the place where its outputs are added.
    """
    widths = unwrapped(unet).config.block_out_channels
    blocks = len(widths)
    right = APART * (2 * blocks + 2) + BESIDE
    figure = new_figure(9 * 47 / right, layout=None)
    axes = figure.add_axes((0.01, 0, 0.98, 1))
    axes.set(xlim=(0, right), ylim=(0, 47), aspect="equal")
    axes.axis("off")
    named = [f"block {n + 1}" for n in range(blocks)]
    boxes = ["noisy\nlatents", *named, "middle", *(f"up {n + 1}" for n in range(blocks)), "noise"]
    for column, name in enumerate(boxes):
        outside = column in (0, len(boxes) - 1)
        _box(axes, column, UNET, name, GREY[0] if outside else BLUE[0])
        if column:
            before = APART * (column - 1) + BESIDE
            arrow(axes, (before, UNET + TALL / 2), (APART * column, UNET + TALL / 2))
    middle, last = blocks + 1, 2 * blocks + 1
    for n, name in enumerate(["middle", *named[::-1]]):
        column = middle + n
        _box(axes, column, COPY, name, AMBER[0])
        if column < last:
            start = APART * (column + 1)
            arrow(axes, (start, COPY + TALL / 2), (APART * column + BESIDE, COPY + TALL / 2))
    _box(axes, last + 1, COPY, "noisy\nlatents", GREY[0])
    arrow(axes, (APART * (last + 1), COPY + TALL / 2), (APART * last + BESIDE, COPY + TALL / 2))
    _box(axes, last + 1, COPY - 15, "mask,\nshrunk", AMBER[0])
    x, y = APART * last + (APART + BESIDE) / 2, COPY - 15 + TALL / 2
    axes.plot([APART * (last + 1), x, x], [y, y, COPY + TALL / 2], color=AMBER[1], lw=1.6, zorder=1)
    _zero(axes, x, y + 5)
    _plus(axes, (x, COPY + TALL / 2))
    for n in range(blocks + 1):
        x, y = APART * (middle + n) + BESIDE / 2, 16.0 + 12 * n / blocks
        _zero(axes, x, COPY - 2.8)
        if n:  # the skip of this U-Net block: up, across, and down into the decoder
            from_x = APART * (middle - n) + BESIDE / 2
            axes.plot([from_x, from_x, x], [UNET + TALL, y, y], color=ARROW, lw=1.3, zorder=0)
            arrow(axes, (x, y), (x, UNET + TALL))
            added = (x, y)
        else:  # the middle's output, on its way to the decoder
            added = (APART * middle + (APART + BESIDE) / 2, UNET + TALL / 2)
            axes.plot([x, added[0], added[0]], [y, y, added[1]], color=AMBER[1], lw=1.6, zorder=1)
        axes.plot([x, x], [COPY, y], color=AMBER[1], lw=1.6, zorder=1)
        _plus(axes, added)
    said = {"fontsize": 10, "color": INK, "va": "center"}
    axes.text(0, COPY + 5.5, "The ControlNet: a copy of the encoder, trained", **said)
    axes.text(0, COPY + 1.5, "(0: a zero convolution)", **said)
    below = "The U-Net: frozen (lines from block to +: its skips). Both also read t and the text."
    axes.text(0, 1.4, below, **said)
    return figure


def _box(axes: Axes, column: int, y: float, name: str, colour: str) -> None:
    x = APART * column
    shape = "round,pad=0,rounding_size=1.4"
    axes.add_patch(FancyBboxPatch((x, y), BESIDE, TALL, shape, fc=colour, ec="none", zorder=2))
    centre = {"ha": "center", "va": "center", "zorder": 4}
    axes.text(x + BESIDE / 2, y + TALL / 2, name, fontsize=9, color=INK, **centre)


def _zero(axes: Axes, x: float, y: float) -> None:
    axes.add_patch(Rectangle((x - 1.6, y - 1.6), 3.2, 3.2, fc=AMBER[1], ec="none", zorder=3))
    axes.text(x, y, "0", ha="center", va="center", fontsize=9, color=PAPER, zorder=4)


def _plus(axes: Axes, centre: tuple[float, float]) -> None:
    axes.add_patch(Circle(centre, 1.35, fc=PAPER, ec=INK, lw=1.2, zorder=3))
    axes.text(*centre, "+", ha="center", va="center", fontsize=10, color=INK, zorder=4)


@checked
def low_rank(out: int, wide: int, rank: int) -> Figure:
    """A layer with LoRA: above, its weight of out×wide; below, A (rank×wide) and B (out×rank).

    A narrows from `wide` numbers to `rank`, and B widens to `out`: these sides are to scale. The
    areas are to each other as the sizes of the three matrices.
    """
    out, wide = (whole_number(*each, 1, 100_000) for each in (("out", out), ("wide", wide)))
    rank = whole_number("rank", rank, 1, min(out, wide))
    unit = 16 / max(out, wide)
    tall, across, thin = out * unit, wide * unit, rank * unit
    figure = new_figure(9 * 47 / 100, layout=None)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 100), ylim=(0, 47), aspect="equal")
    axes.axis("off")
    said = {"fontsize": 10, "color": INK, "ha": "center"}
    above, below, ends = 35.0, 12.0, 23.5
    for x, name in ((6.5, f"x\n{wide} numbers"), (93.5, f"y\n{out} numbers")):
        axes.text(x, ends, name, va="center", **said)
    corner = (46 - across / 2, above - tall / 2)
    axes.add_patch(Rectangle(corner, across, tall, fc=BLUE[0], ec="none", zorder=2))
    axes.text(46, above, "W", va="center", **said | LETTER)
    axes.text(46, above + tall / 2 + 1, f"{out}×{wide}, frozen", va="bottom", **said)
    widths = []
    for x, left, right, colour, name in (
        (29, across, thin, GREEN[1], f"A {rank}×{wide}, trained"),
        (63, thin, tall, AMBER[1], f"B {out}×{rank}, trained"),
    ):
        width = 2 * left * right / (left + right)
        xs = (x - width / 2, x - width / 2, x + width / 2, x + width / 2)
        ys = (below - left / 2, below + left / 2, below + right / 2, below - right / 2)
        corners = list(zip(xs, ys, strict=True))
        axes.add_patch(Polygon(corners, fc=colour, ec="none", zorder=2))
        letter, name = name.split(maxsplit=1)
        axes.text(x, below, letter, va="center", **said | LETTER | {"color": PAPER})
        axes.text(x, below + max(left, right) / 2 + 1, name, va="bottom", **said)
        widths.append(width)
    axes.text(46, below, f"{rank}\nnumbers", va="center", **said)
    axes.text(75, below, "× α / r", va="center", **said)
    axes.text(75, above, "+ b", va="center", **said)
    axes.text(46, 1.2, _share(out, wide, rank), va="bottom", **said)
    split, plus = 15.5, 82
    axes.plot([12.7, split], [ends, ends], color=ARROW, lw=1.3)
    for y in (above, below):
        axes.plot([split, split], [ends, y], color=ARROW, lw=1.3)
    for y, stops in (
        (above, (split, 46 - across / 2)),
        (below, (split, 29 - widths[0] / 2)),
        (below, (29 + widths[0] / 2, 41)),
        (below, (51, 63 - widths[1] / 2)),
        (below, (63 + widths[1] / 2, 70)),
    ):
        arrow(axes, (stops[0], y), (stops[1], y))
    arrow(axes, (46 + across / 2, above), (72.5, above))
    for start, y in ((77.5, above), (79.5, below)):
        axes.plot([start, plus, plus], [y, y, ends], color=ARROW, lw=1.3)
    arrow(axes, (plus, ends), (87.3, ends))
    _plus(axes, (plus, ends))
    return figure


LETTER = {"fontsize": 12, "weight": "bold"}
"""The letters in the shapes of the matrices."""


def _share(out: int, wide: int, rank: int) -> str:
    whole, trained = out * wide, rank * (out + wide)
    return f"W: {whole:,} numbers.  A and B: {trained:,} numbers, {trained / whole:.0%} as many."


def who_reads_whom() -> Figure:
    """Which tokens look at which, in Stable Diffusion's U-Net and in the transformer of SD 3.

    A row for who looks, a column for what is looked at. The blocks are not to scale.
    """
    figure = new_figure(3.1, layout=None)
    panels = {
        "a U-Net: two kinds of attention": (
            ("self-\nattention", BLUE[0]),
            ("cross-\nattention", AMBER[0]),
            ("never", PAPER),
            ("before, inside\nCLIP", PAPER),
        ),
        "SD 3: one sequence, one attention": (
            ("picture reads\npicture", BLUE[0]),
            ("picture\nreads text", AMBER[0]),
            ("text reads\npicture", GREEN[0]),
            ("text\nreads text", GREEN[0]),
        ),
    }
    for place, (title, blocks) in enumerate(panels.items()):
        axes = figure.add_axes((0.1 + 0.52 * place, 0.08, 0.36, 0.66))
        axes.set(xlim=(0, 3), ylim=(2, 0))
        axes.axis("off")
        cells = [(x, y) for y in (0, 1) for x in (0, 2)]
        for (x, y), (name, colour) in zip(cells, blocks, strict=True):
            axes.add_patch(Rectangle((x, y), 2 - x / 2, 1, fc=colour, ec=FAINT, clip_on=False))
            at = {"ha": "center", "va": "center"}
            axes.text(x + 1 - x / 4, y + 0.5, name, fontsize=9.5, color=INK, **at)
        for x, name in ((1, "… the picture"), (2.5, "… the text")):
            axes.text(x, -0.12, name, ha="center", va="bottom", fontsize=9, color=INK)
        for y, name in ((0.5, "the picture\nlooks at …"), (1.5, "the text\nlooks at …")):
            axes.text(-0.08, y, name, ha="right", va="center", fontsize=9, color=INK)
        axes.set_title(title, fontsize=10.5, color=INK, pad=26)
    return figure
