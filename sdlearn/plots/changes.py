"""What a training has changed: values before and after, and how much is still right."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sdlearn._support.checked import checked
from sdlearn._support.share import Share
from sdlearn.plots.look import ARROW, INK, LINES, PAPER, arrow, new_figure


@checked
def shares(named: Mapping[str, Share]) -> Figure:
    """A bar from 0 to 100% for each share, and a line for its `Share.interval`."""
    if not named:
        raise ValueError("named: at least one share, got none")
    if empty := [name for name, share in named.items() if not share.of]:
        raise ValueError(f"named: shares of at least one answer, but {empty[0]!r} has none")
    figure = new_figure(0.55 * len(named) + 0.75)
    axes = figure.subplots()
    ends = [[100 * end for end in share.interval] for share in named.values()]
    for row, (share, (low, high)) in enumerate(zip(named.values(), ends, strict=True)):
        axes.barh(row, 100 * share.value, color=LINES[4], height=0.6)
        axes.plot([low, high], [row, row], color=INK, lw=1.4, marker="|", markersize=9)
        said = f"{share.right} of {share.of}  ({low:.0f}–{high:.0f}%)"
        axes.text(102, row, said, va="center", fontsize=10, color=INK)
    axes.set_yticks(range(len(named)), list(named), fontsize=10)
    axes.set(xlim=(0, 124), xticks=range(0, 101, 20))
    axes.xaxis.set_major_formatter("{x:g}%")
    axes.spines["bottom"].set_bounds(0, 100)
    axes.invert_yaxis()
    return figure


@checked
def moved(panels: Mapping[str, Mapping[str, tuple[float, float]]], x: str) -> Figure:
    """For each name, an arrow from the value at the start (a ring) to the value now (a dot).

    panels: by title, the two values of each name.
    x: what the values are, written below.
    """
    if not panels:
        raise ValueError("panels: at least one, got none")
    if empty := [title for title, named in panels.items() if not named]:
        raise ValueError(f"panels: at least one name in each, but {empty[0]!r} has none")
    figure = new_figure(0.36 * max(map(len, panels.values())) + 1.2)
    grid = figure.subplots(1, len(panels), squeeze=False, sharex=True)[0]
    for axes, (title, named) in zip(grid, panels.items(), strict=True):
        for row, pair in enumerate(named.values()):
            _pair(axes, row, *pair)
        axes.set_yticks(range(len(named)), list(named), fontsize=10)
        axes.set_ylim(len(named) - 0.4, -0.6)
        axes.set_title(title, fontsize=10, color=INK)
        axes.set_xlabel(x)
        axes.grid(axis="x", alpha=0.25)
        axes.margins(x=0.18)
    rings, dots = axes.lines[:2]
    figure.legend([rings, dots], ["at the start", "now"], **LEGEND)
    return figure


LEGEND = {"loc": "outside lower center", "ncols": 2, "fontsize": 8.5, "frameon": False}


def _pair(axes: Axes, row: int, before: float, now: float) -> None:
    arrow(axes, (before, row), (now, row), ARROW, short=4.5)
    axes.plot(before, row, "o", markersize=7, mfc=PAPER, mec=ARROW, mew=1.3, zorder=3)
    axes.plot(now, row, "o", markersize=8, color=LINES[0], zorder=4)
    for value, other, weight in ((before, now, "normal"), (now, before, "bold")):
        right = value > other or (value == other and weight == "bold")
        said = {"ha": "left" if right else "right", "va": "center", "fontsize": 9, "color": INK}
        aside = (8 if right else -8, 0)
        axes.annotate(
            f"{round(value, 2) + 0:.2f}".replace("-", "−"),
            (value, row),
            aside,
            textcoords="offset points",
            weight=weight,
            **said,
        )
