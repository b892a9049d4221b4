"""The one look of the course: one width, colours for colour-blind readers, white in light and dark
pages.
"""

from __future__ import annotations

from matplotlib.figure import Figure

WIDTH = 9.0
INK, PAPER = "#24303c", "#ffffff"
LINES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
"""Okabe and Ito's colours, in the order in which lines take them."""
SEQUENTIAL, DIVERGING = "viridis", "RdBu_r"


def new_figure(height: float, layout: str | None = "constrained") -> Figure:
    """A figure of the course's one width, on white in light and dark pages alike."""
    return Figure(figsize=(WIDTH, height), dpi=100, facecolor=PAPER, layout=layout)
