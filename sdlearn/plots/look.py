"""What figures share: width, ink and paper, and the palette for stages, lines and matrices.

The font is matplotlib's own; sizes stand beside each text.
"""

from __future__ import annotations

from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from sdlearn._support.arguments import number
from sdlearn._support.checked import checked

WIDTH = 9.0
INK, PAPER, LIT, FAINT = "#24303c", "#ffffff", "#c0392b", "#c3cad1"
"""The colours of lines and letters, of the page, of what stands out, and of frames and ticks."""
AMBER, BLUE, GREY, GREEN = (
    ("#fdebd0", "#b9650f"),
    ("#d6e6f5", "#1f5f9e"),
    ("#e9ecef", "#4a5662"),
    ("#dcefdc", "#2e7d3c"),
)
"""A pale colour for each of the stages, and a strong one where a lesson is about it."""
ARROW = "#7b8794"
Layout = Literal["constrained", "compressed", "tight", "none"] | None
LINES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
"""Okabe and Ito's colours, in the order in which lines use them."""
SEQUENTIAL, DIVERGING = "Blues", "RdBu_r"


class QuietFigure(Figure):
    """A figure whose axes stay in the background: faint lines at the left and below, small ticks.

    `rcParams` would do it, too, but they are the learner's, and not safe to change from a thread.
    """

    def add_subplot(self, *arguments, **named) -> Axes:
        return _quiet(super().add_subplot(*arguments, **named))

    def add_axes(self, *arguments, **named) -> Axes:
        return _quiet(super().add_axes(*arguments, **named))


def _quiet(axes: Axes) -> Axes:
    axes.spines[:].set_color(FAINT)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(color=FAINT, labelcolor=INK, labelsize=8.5)
    axes.xaxis.label.set(color=INK, size=9.5)
    axes.yaxis.label.set(color=INK, size=9.5)
    return axes


@checked
def new_figure(height: float, layout: Layout = "constrained") -> Figure:
    """A figure with the width that all figures share, white on light and dark pages alike.

    height: in inches, from 0.1 to 100.
    """
    number("height", height, 0.1, 100)
    return QuietFigure(figsize=(WIDTH, height), dpi=100, facecolor=PAPER, layout=layout)


def arrow(
    axes: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    colour: str = ARROW,
    short: float = 0,
) -> None:
    """A straight arrow of a diagram, which ends `short` typographic points before `end`."""
    look = {"arrowstyle": "-|>", "mutation_scale": 10, "lw": 1.3, "shrinkA": 0, "shrinkB": short}
    axes.add_patch(FancyArrowPatch(start, end, color=colour, **look))
