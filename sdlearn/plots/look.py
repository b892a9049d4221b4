"""The look of all figures: one width, colours for colour-blind readers, a white background."""

from __future__ import annotations

from typing import Literal

from matplotlib.figure import Figure

from sdlearn._support.arguments import number
from sdlearn._support.checked import checked

WIDTH = 9.0
INK, PAPER, LIT = "#24303c", "#ffffff", "#c0392b"
"""Of lines and letters, of the page, and of what stands out."""
Layout = Literal["constrained", "compressed", "tight", "none"] | None
LINES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
"""Okabe and Ito's colours, in the order in which lines use them."""
SEQUENTIAL, DIVERGING = "viridis", "RdBu_r"


@checked
def new_figure(height: float, layout: Layout = "constrained") -> Figure:
    """A figure with the width that all figures share, white on light and dark pages alike.

    height: in inches, from 0.1 to 100.
    """
    number("height", height, 0.1, 100)
    return Figure(figsize=(WIDTH, height), dpi=100, facecolor=PAPER, layout=layout)
