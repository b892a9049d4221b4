"""The models that led to Stable Diffusion and those that followed: when, and how good."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from matplotlib.figure import Figure

from sdlearn.plots.curves import table
from sdlearn.plots.look import INK, LINES, new_figure


@dataclass(frozen=True)
class Event:
    """A paper or a release. `year` counts the months as a fraction."""

    year: float
    name: str
    kind: str
    """One of `ROWS`."""
    source: str
    """arXiv's number of the paper, or the address of an announcement."""


ROWS = ("ideas", "pictures from text", "Stable Diffusion", "control and speed")
EVENTS = (
    Event(2015.2, "diffusion", "ideas", "1503.03585"),
    Event(2015.4, "U-Net", "ideas", "1505.04597"),
    Event(2017.5, "Transformer", "ideas", "1706.03762"),
    Event(2020.5, "DDPM", "ideas", "2006.11239"),
    Event(2020.8, "DDIM", "ideas", "2010.02502"),
    Event(2022.6, "guidance\nwithout classifier", "ideas", "2207.12598"),
    Event(2022.8, "flow matching", "ideas", "2210.02747"),
    Event(2021.2, "CLIP\nDALL·E", "pictures from text", "2103.00020"),
    Event(2022.3, "DALL·E 2\nImagen", "pictures from text", "2204.06125"),
    Event(2024.1, "Sora\n(video)", "pictures from text", "openai.com/sora"),
    Event(2022.0, "latent\ndiffusion", "Stable Diffusion", "2112.10752"),
    Event(2022.7, "1.4, 1.5\n2.0, 2.1", "Stable Diffusion", "github.com/CompVis/stable-diffusion"),
    Event(2023.5, "SDXL", "Stable Diffusion", "2307.01952"),
    Event(2024.2, "SD 3", "Stable Diffusion", "2403.03206"),
    Event(2024.7, "FLUX.1", "Stable Diffusion", "huggingface.co/black-forest-labs"),
    Event(2021.5, "LoRA", "control and speed", "2106.09685"),
    Event(2022.65, "textual inversion\nDreamBooth", "control and speed", "2208.01618"),
    Event(2023.15, "ControlNet", "control and speed", "2302.05543"),
    Event(2023.85, "LCM", "control and speed", "2310.04378"),
)


def timeline() -> Figure:
    """A row for each kind of event, from 2015 on; the crowded years from 2021 on are wider."""
    figure = new_figure(4.6)
    axes = figure.subplots()
    for row, kind in enumerate(reversed(ROWS)):
        axes.plot([0, _along(2025)], [row, row], color=LINES[row], linewidth=1.5, zorder=0)
        axes.text(-0.2, row, kind, ha="right", va="center", fontsize=10, color=LINES[row])
        mine = sorted((e for e in EVENTS if e.kind == kind), key=lambda event: event.year)
        for index, event in enumerate(mine):
            x, above = _along(event.year), index % 2 == 0
            axes.plot(x, row, "o", color=LINES[row], markersize=7)
            axes.text(
                x,
                row + (0.14 if above else -0.14),
                event.name,
                ha="center",
                va="bottom" if above else "top",
                fontsize=9,
                color=INK,
            )
    years = (2015, 2017, 2019, *range(2021, 2026))
    axes.set_xticks([_along(year) for year in years], [str(year) for year in years], fontsize=9)
    axes.set(ylim=(-0.6, len(ROWS) - 0.4), yticks=[], xlim=(-0.2, _along(2025)))
    for side in ("left", "top", "right"):
        axes.spines[side].set_visible(False)
    return figure


def _along(year: float) -> float:
    """The x of a year: two units per year from 2021 on, 0.7 before."""
    return 0.7 * (year - 2015) if year < 2021 else 0.7 * 6 + 2 * (year - 2021)


TASKS = ("two objects", "counting", "colour", "position", "colour of each", "all tasks")
SCORES = {
    "SD 1.5": (0.38, 0.35, 0.76, 0.04, 0.06, 0.43),
    "SD 2.1": (0.51, 0.44, 0.85, 0.07, 0.17, 0.50),
    "SDXL": (0.74, 0.39, 0.85, 0.15, 0.23, 0.55),
    "SD 3, 8 billion": (0.94, 0.72, 0.89, 0.33, 0.60, 0.74),
}
"""Shares of right pictures, from github.com/djghosh13/geneval (Ghosh et al. 2023); SD 3 from arXiv
2403.03206, Table 5 (Esser et al. 2024): depth 38, fine-tuned on preferences, at 1024².
"""


def scoreboard() -> Figure:
    """What released models reach in GenEval: a row for each model, a column for each task."""
    return table(
        {"share of pictures that are right (1 is best)": torch.tensor(list(SCORES.values()))},
        list(SCORES),
        TASKS,
    )
