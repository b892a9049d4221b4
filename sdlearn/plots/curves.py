"""Curves and matrices: schedules, histograms, lines, similarities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from textwrap import fill

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.ticker import LogLocator, NullLocator
from PIL import Image
from torch import Tensor

from sdlearn._support.checked import checked
from sdlearn.images import to_pictures
from sdlearn.noising import Schedule, add_noise
from sdlearn.plots.look import DIVERGING, INK, LINES, PAPER, SEQUENTIAL, new_figure

Values = Sequence[float] | Tensor
Points = tuple[Values, Values]
FEW = 30
"""Lines of at most this many points get a marker at each point."""
THINNER = 0.8
"""Each of these lines is thinner than the one before, which stays visible where they coincide."""
DECADES = 4
"""A logarithmic axis of fewer decades has plain numbers; a longer one has matplotlib's powers."""


@checked
def schedules(named: Mapping[str, Schedule]) -> Figure:
    """What each schedule does: β of a step, ᾱ, and the signal-to-noise ratio.

    ᾱ is the picture's share of the variance.
    """
    figure = new_figure(2.9)
    of_step, of_share, of_ratio = figure.subplots(1, 3)
    for (name, schedule), colour in zip(named.items(), cycle(LINES), strict=False):
        t = np.linspace(0, 1, len(schedule))
        for axes, values in (
            (of_step, schedule.betas),
            (of_share, schedule.alpha_bars),
            (of_ratio, schedule.snr),
        ):
            axes.plot(t, values.cpu().numpy(), color=colour, label=name)
    for axes, title in (
        (of_step, "β: variance added by a step"),
        (of_share, "ᾱ: share still picture"),
        (of_ratio, "SNR"),
    ):
        axes.set_title(title, fontsize=9, color=INK)
        axes.set_xlabel("t / T")
        axes.grid(alpha=0.25)
    of_step.set_yscale("log")
    of_ratio.set_yscale("log")
    of_ratio.set_ylim(1e-4, 1e4)
    of_ratio.axhline(1, color=INK, linewidth=0.8)
    of_share.legend(fontsize=8, frameon=False)
    return figure


@checked
def rung(
    schedule: Schedule,
    t: int,
    pixels: Float[Tensor, "3 H W"],
    latents: Float[Tensor, "c h w"],
    noises: tuple[Float[Tensor, "3 H W"], Float[Tensor, "c h w"]],
) -> Figure:
    """One rung of the noise ladder: pixels, latents, and their histograms with the normal curve."""
    seen, small = (
        add_noise(schedule, pixels, t, noises[0]),
        add_noise(schedule, latents, t, noises[1]),
    )
    figure = new_figure(3.1)
    of_pixels, of_latents, of_spread = figure.subplots(1, 3)
    of_pixels.imshow(to_pictures(seen[None])[0])
    of_pixels.set_title("pixels " + "×".join(map(str, pixels.shape)), fontsize=9, color=INK)
    of_latents.imshow(small[0].cpu().numpy(), cmap=DIVERGING, vmin=-3, vmax=3)
    of_latents.set_title(
        f"latents {'×'.join(map(str, latents.shape))}, channel 0", fontsize=9, color=INK
    )
    edges = np.linspace(-4, 4, 65)
    for values, colour, name in ((seen, LINES[0], "pixels"), (small, LINES[1], "latents")):
        look = {"histtype": "stepfilled", "fc": to_rgba(colour, 0.12), "ec": colour, "lw": 1.6}
        of_spread.hist(values.flatten().cpu().numpy(), edges, density=True, label=name, **look)
    of_spread.plot(
        edges, np.exp(-(edges**2) / 2) / np.sqrt(2 * np.pi), "--", color=INK, lw=1, label="normal"
    )
    of_spread.set(ylim=(0, 1.2), yticks=[])
    of_spread.legend(fontsize=8, frameon=False, loc="upper right")
    of_spread.set_title(
        f"ᾱ = {schedule.alpha_bars[t]:.3f}   SNR = {schedule.snr[t]:.3g}", fontsize=9, color=INK
    )
    for axes in (of_pixels, of_latents):
        axes.axis("off")
    return figure


@checked
def lines(
    panels: Mapping[str, Mapping[str, Points | float]],
    x: str,
    y: str = "",
    log: bool = False,
    joined: bool = True,
    level: bool = False,
    doubling: bool = False,
) -> Figure:
    """Lines in one panel or several, side by side; one name has one colour in all of them.

    panels: the lines of each title, by name: x and y of the points, or one number for a dashed line
    at that height. Names that begin with "_" are left out of the legend.
    log: make the y axis logarithmic.
    joined: if False, draw separate dots.
    level: if True, the panels have the same y axis.
    doubling: if True, equal distances on the x axis are equal factors, with ticks at 1, 2, 4, 8 …
        and at every point.
    """
    if not panels:
        raise ValueError("panels: at least one, got none")
    names = list(dict.fromkeys(name for named in panels.values() for name in named))
    colours = dict(zip(names, cycle(LINES), strict=False))
    shared = all(len(named) == len(names) for named in panels.values())
    figure = new_figure(2.9)
    grid = figure.subplots(1, len(panels), squeeze=False, sharey=level)
    for axes, (title, named) in zip(grid.flat, panels.items(), strict=True):
        measured: set[float] = set()
        for order, (name, points) in enumerate(named.items()):
            look = {"color": colours[name], "label": name}
            if isinstance(points, tuple):
                across, up = (torch.as_tensor(values).float().cpu() for values in points)
                if across.shape != up.shape:
                    raise ValueError(
                        f"panels: as many x as y for {name!r} in {title!r}, got "
                        f"{len(across)} and {len(up)}"
                    )
                measured.update(across.tolist())
                look |= {"linestyle": "-" if joined else ""}
                if not joined:
                    look |= {"marker": "o", "markersize": 4}
                elif len(across) <= FEW:
                    size = THINNER**order
                    look |= {"marker": "o", "markersize": 6 * size, "linewidth": 3 * size}
                axes.plot(across, up, **look)
            else:
                axes.axhline(points, linestyle="--", linewidth=1.2, **look)
        axes.set_title(title, fontsize=10, color=INK)
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        axes.grid(alpha=0.25)
        if log:
            axes.set_yscale("log")
            low, high = axes.get_ylim()
            if high / low < 10**DECADES:
                axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                axes.yaxis.set_major_formatter("{x:g}")
                axes.yaxis.set_minor_locator(NullLocator())
        if doubling:
            axes.set_xscale("log", base=2)
            low, high = axes.get_xlim()
            powers = {tick for tick in axes.get_xticks() if low <= tick <= high}
            axes.set_xticks(sorted(powers | measured))
            axes.xaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_minor_locator(NullLocator())
        told = [name for name in named if not name.startswith("_")]
        if told and len(names) > 1 and not shared:
            below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.22), "ncols": len(told)}
            axes.legend(fontsize=8.5, frameon=False, **below)
    if len(names) > 1 and shared:
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(
            handles, labels, fontsize=8.5, frameon=False, loc="outside lower center", ncols=6
        )
    return figure


@checked
def table(
    panels: Mapping[str, Float[Tensor, "n m"]], rows: Sequence[str], columns: Sequence[str]
) -> Figure:
    """Numbers from 0 to 1 in coloured cells: a table for every title, side by side."""
    if not panels:
        raise ValueError("panels: at least one, got none")
    for title, numbers in panels.items():
        if numbers.shape != (len(rows), len(columns)):
            raise ValueError(
                f"panels: {len(rows)}×{len(columns)} numbers for {title!r}, got "
                f"{'×'.join(map(str, numbers.shape))}"
            )
    figure = new_figure(0.36 * len(rows) + 0.7)
    grid = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for axes, (title, numbers) in zip(grid, panels.items(), strict=True):
        _fill(axes, numbers.float().cpu().numpy(), (0, 1))
        axes.set_xticks(range(len(columns)), columns, fontsize=9)
        axes.set_yticks(range(len(rows)), rows, fontsize=9)
        axes.set_title(title, fontsize=10, color=INK)
    return figure


def _fill(axes: Axes, numbers: np.ndarray, limits: tuple[float, float]) -> None:
    """A coloured cell for every number, and the number in it."""
    axes.imshow(numbers, cmap=SEQUENTIAL, aspect="auto", vmin=limits[0], vmax=limits[1])
    for (row, column), value in np.ndenumerate(numbers):
        # light letters only on the dark end of the colours
        ink = PAPER if value > limits[0] + 0.62 * (limits[1] - limits[0]) else INK
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=ink, fontsize=10)
    rows, columns = numbers.shape
    axes.hlines(np.arange(rows - 1) + 0.5, -0.5, columns - 0.5, color=PAPER, lw=2.5)
    axes.vlines(np.arange(columns - 1) + 0.5, -0.5, rows - 0.5, color=PAPER, lw=2.5)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


@checked
def similarity(
    matrix: Float[Tensor, "n m"],
    pictures: Sequence[Image.Image],
    captions: Sequence[str],
    title: str = "cosine similarity",
    limits: tuple[float, float] = (-1, 1),
) -> Figure:
    """A similarity matrix: a row per picture, a column per caption, and a number in every cell.

    The colours go from the lower to the upper limit: -1 to 1 for cosines, 0 to 1 for probabilities.
    """
    if matrix.shape != (len(pictures), len(captions)):
        raise ValueError(
            f"matrix: {len(pictures)}×{len(captions)} for these, got "
            f"{'×'.join(map(str, matrix.shape))}"
        )
    rows, columns = matrix.shape
    figure = new_figure(0.62 * rows + 1.1)
    axes = figure.subplots()
    numbers = torch.as_tensor(matrix).float().cpu().numpy()
    _fill(axes, numbers, limits)
    axes.set_xticks(
        range(columns), [fill(caption, 84 // columns) for caption in captions], fontsize=8.5
    )
    axes.xaxis.tick_top()
    axes.set_yticks(range(rows), [""] * rows)
    for row, picture in enumerate(pictures):
        small = OffsetImage(np.asarray(picture.convert("RGB").resize((112, 112))), zoom=0.36)
        axes.add_artist(
            AnnotationBbox(
                small, (-0.5, row), xybox=(-32, 0), boxcoords="offset points", frameon=False
            )
        )
    axes.set_xlabel(title, fontsize=9)
    return figure
