"""Pictures of an answer at work, beside the course's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure

from sdlearn import plots
from sdlearn.plots.look import SEQUENTIAL


def curves(
    xs: Iterable[float] | torch.Tensor,
    lines: Mapping[str, Iterable[object]],
    xlabel: str,
    ylabel: str,
) -> Figure:
    """Curves: the learner's, whose names begin with "yours", dashed over the course's.

    Names that end alike after a colon, as "yours: noise" and "target: noise", share a colour.
    """
    figure = plots.new_figure(2.6)
    axes, xs = figure.subplots(), list(xs)
    kinds = list(dict.fromkeys(_kind(name) for name in lines))
    for name, values in lines.items():
        style = {"ls": "--", "lw": 1.5} if name.startswith("yours") else {"ls": "-", "lw": 3}
        colour = plots.LINES[kinds.index(_kind(name))]
        axes.plot(xs, [float(value) for value in values], color=colour, label=name, **style)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.legend(fontsize=8, frameon=False)
    return figure


def _kind(name: str) -> str:
    before, colon, after = name.partition(": ")
    return after if colon else before.removeprefix("yours").removeprefix("target")


def histograms(named: Mapping[str, torch.Tensor]) -> Figure:
    """How the numbers of each tensor are spread."""
    figure = plots.new_figure(2.6)
    axes = figure.subplots()
    for (name, values), colour in zip(named.items(), plots.LINES, strict=False):
        values = values.flatten().numpy()
        axes.hist(values, 80, density=True, alpha=0.5, color=colour, label=name)
    axes.set_yticks([])
    axes.legend(fontsize=8, frameon=False)
    return figure


def heats(named: Mapping[str, object], **options) -> Figure:
    """Matrices as maps beside each other. options: passed on to `imshow`."""
    figure = plots.new_figure(2.8)
    for axes, (name, values) in zip(figure.subplots(1, len(named)), named.items(), strict=True):
        shown = torch.as_tensor(values).detach().float().numpy()
        axes.imshow(shown, cmap=SEQUENTIAL, **options)
        axes.set_title(name, fontsize=9)
        axes.axis("off")
    return figure


def in_two_rows(
    yours: Sequence[np.ndarray], targets: Sequence[np.ndarray], titles: Sequence[str]
) -> Figure:
    """The learner's pictures in one row, the course's below them."""
    return plots.grid({"yours": yours, "target": targets}, titles)
