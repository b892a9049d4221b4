"""The look of all figures: one width, colours for colour-blind readers, a white background."""

from __future__ import annotations

from matplotlib.figure import Figure

WIDTH = 9.0
INK, PAPER = "#24303c", "#ffffff"
LINES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
"""Okabe and Ito's colours, in the order in which lines use them."""
SEQUENTIAL, DIVERGING = "viridis", "RdBu_r"


def new_figure(height: float, layout: str | None = "constrained") -> Figure:
    """A figure with the width that all figures share, white on light and dark pages alike."""
    return Figure(figsize=(WIDTH, height), dpi=100, facecolor=PAPER, layout=layout)
