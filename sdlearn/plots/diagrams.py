"""Small diagrams: the tokens of a text, what attention mixes, and the links of consistency."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, Rectangle

from sdlearn._support.arguments import whole_number
from sdlearn._support.checked import checked
from sdlearn.plots.look import AMBER, ARROW, BLUE, GREEN, GREY, INK, LINES, PAPER, arrow, new_figure
from sdlearn.text import Token


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
        colour = GREY[0] if special else (AMBER[0], BLUE[0])[word % 2]
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


@checked
def mixture(values: Sequence[float], weights: Sequence[float]) -> Figure:
    """Values that are mixed: the larger the weight of one, the wider its line to the mixture."""
    if len(values) != len(weights):
        raise ValueError(f"weights: {len(values)}, one for each value, got {len(weights)}")
    if len(values) == 0:
        raise ValueError("values: at least one, got none")
    count = len(values)
    figure = new_figure(0.85 * count + 0.2, layout=None)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 9), ylim=(0, 0.85 * count + 0.2), aspect="equal")
    axes.axis("off")
    end = (6.3, (0.85 * count + 0.2) / 2)
    mixed = sum(value * weight for value, weight in zip(values, weights, strict=True))
    for index, (value, weight) in enumerate(zip(values, weights, strict=True)):
        y = 0.85 * (count - index - 0.5) + 0.1
        axes.plot([2.7, end[0]], [y, end[1]], color=LINES[0], lw=1 + 20 * weight, zorder=0)
        _ball(axes, (2.7, y), f"{value:g}", BLUE[0])
        axes.text(2.2, y, f"weight {weight:.2f}", ha="right", va="center", fontsize=10, color=INK)
    _ball(axes, end, f"{mixed:.1f}", AMBER[0])
    axes.text(end[0] + 0.5, end[1], "the mixture", va="center", fontsize=10, color=INK)
    return figure


def _ball(axes: Axes, middle: tuple[float, float], text: str, colour: str) -> None:
    axes.add_patch(Circle(middle, 0.34, fc=colour, ec=INK))
    axes.text(*middle, text, ha="center", va="center", fontsize=11, weight="bold", color=INK)


@checked
def new_row(words: Sequence[str], new: str, rows: int, wide: int) -> Figure:
    """Textual inversion: each word looks up its row of the table, and only the new row is trained.

    words: those of a prompt, at most 15 different ones; `new` is among them.
    rows, wide: the shape of the table before the new row.
    """
    if new not in words:
        raise ValueError(f"new: one of the words, got {new!r}, which is not among them")
    known = [word for word in dict.fromkeys(words) if word != new]
    if len(known) >= DRAWN:
        raise ValueError(f"words: at most {DRAWN} different ones, got {len(known) + 1}")
    whole_number("rows", rows, 1, 1_000_000)
    whole_number("wide", wide, 1, 100_000)
    figure = new_figure(3.0, layout=None)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 90), ylim=(3.5, 33.5), aspect="equal")
    axes.axis("off")
    said = {"fontsize": 10, "color": INK, "ha": "center", "va": "center"}
    left, right, low, high, tall = 24.0, 40.0, 9.0, 30.0, 21.0 / DRAWN
    places = [high - tall * (n + 0.5) for n in range(DRAWN)]
    row_of = dict(zip(known, places[1 :: DRAWN // (len(known) + 1)], strict=False))
    back = row_of[new] = low - 1.2 - tall / 2
    for place in (*places, back):
        colour = LINES[4] if place in row_of.values() else BLUE[0]
        look = {"fc": AMBER[1] if place == back else colour, "ec": PAPER, "lw": 1.5}
        axes.add_patch(Rectangle((left, place - tall / 2), right - left, tall, **look))
    axes.text((left + right) / 2, high + 1.8, f"the table: {rows} rows of {wide} numbers", **said)
    axes.text((left + right) / 2, back - tall / 2 - 1.8, "the new row, trained", **said)
    apart = (high - back) / len(words)
    for n, word in enumerate(words):
        y = high - apart * (n + 0.5)
        pale, strong = (AMBER[0], AMBER[1]) if word == new else (BLUE[0], ARROW)
        shape = "round,pad=0,rounding_size=0.8"
        axes.add_patch(FancyBboxPatch((3, y - 1.3), 10, 2.6, shape, fc=pale, ec="none"))
        axes.text(8, y, word, **said)
        arrow(axes, (13.4, y), (left - 0.3, row_of[word]), strong)
    middle = (high + low) / 2
    for x, name in ((47, "text encoder,\nthe layers\nbehind the table"), (66, "U-Net")):
        shape = "round,pad=0,rounding_size=1.4"
        axes.add_patch(FancyBboxPatch((x, middle - 5), 13, 10, shape, fc=GREY[0], ec="none"))
        axes.text(x + 6.5, middle + 0.6, name, **said)
    axes.text(63, middle + 7, "frozen", **said)
    axes.text(85.5, middle, "loss", **said)
    for start, end in ((right + 0.4, 46.8), (60.2, 65.8), (79.2, 82.8)):
        arrow(axes, (start, middle), (end, middle))
    turn, under = right + 3.5, middle - 3.8
    way = [85.5, 85.5, turn, turn, right + 2.5], [middle - 2, under, under, back, back]
    axes.plot(*way, color=AMBER[1], lw=1.4, ls="--", zorder=3)  # back through both boxes
    arrow(axes, (right + 2.5, back), (right + 0.2, back), AMBER[1])
    axes.text(
        turn + 1.5, back, "the gradient changes nothing but this row", **said | {"ha": "left"}
    )
    return figure


DRAWN = 15
"""How many rows of the table are drawn."""


def consistency() -> Figure:
    """What a consistency model learns: the same answer at both ends of each step of the teacher.

    Below, the teacher's path from noise to picture; above, what the student answers at each point.
    """
    figure = new_figure(2.9, layout=None)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 90), ylim=(3, 32), aspect="equal")
    axes.axis("off")
    said = {"fontsize": 10, "color": INK, "ha": "center", "va": "center"}
    places = {
        "t = 999: noise": (20, 8),
        "t = 899": (37, 12),
        "t = 99": (63, 12),
        "no noise left": (80, 8),
    }
    for name, (x, y) in places.items():
        end = name == "no noise left"
        colour, answer = (GREEN, "the picture") if end else (AMBER, "answer")
        axes.add_patch(Circle((x, y), 1.6, fc=BLUE[1], ec="none", zorder=2))
        axes.text(x, y - 3.6, name, **said)
        shape = "round,pad=0,rounding_size=1.4"
        axes.add_patch(FancyBboxPatch((x - 6, 21), 12, 5, shape, fc=colour[0], ec=colour[1]))
        axes.text(x, 23.5, answer, **said)
        arrow(axes, (x, y + 1.8), (x, 20.8), colour[1])
    stops = [*places.values()]
    stops.insert(2, (50, 12.6))
    for (x, y), (to, up) in pairwise(stops):
        axes.text((x + to) / 2, 23.5, "" if 50 in (x, to) else "=", **said | {"fontsize": 15})
        arrow(axes, (x + 1.8, y), (to - 1.8, up), BLUE[1])
    axes.text(50, 12.6, "…", **said | {"fontsize": 15})
    axes.text(50, 23.5, "=  …  =", **said | {"fontsize": 15})
    for y, name in ((23.5, "the student"), (9, "the teacher's\nsteps")):
        axes.text(6, y, name, **said)
    arrow(axes, (80, 28.5), (20, 28.5), GREEN[1])
    axes.text(50, 30.4, "the right answer moves this way, link by link", **said)
    return figure
