"""Pictures of values: every function returns a matplotlib Figure, drawn without pyplot's hidden state."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from PIL import Image

from sdlearn.loading import Components

WIDTH = 9.0
INK, PAPER = "#24303c", "#ffffff"
STAGES = {
    "text": ("#fde9c9", "Text"),
    "clip": ("#f9c784", "CLIP text encoder"),
    "unet": ("#9ecae9", "U-Net"),
    "scheduler": ("#d7e3ee", "Scheduler"),
    "noise": ("#e4e4e4", "Noise"),
    "vae": ("#b5d6b2", "VAE decoder"),
    "picture": ("#ddefdb", "Picture"),
}


def new_figure(height: float, layout: str | None = "constrained") -> Figure:
    """A figure of the course's one width, on white in light and dark pages alike."""
    return Figure(figsize=(WIDTH, height), dpi=100, facecolor=PAPER, layout=layout)


def pipeline(model: Components, lit: str | None = None) -> Figure:
    """The way from text to picture with every shape, read from the model; the stage `lit` stands out."""
    count, width = model.tokenizer.model_max_length, model.unet.config.cross_attention_dim
    channels, side = model.unet.config.in_channels, model.side // model.factor
    latents, pixels = f"{channels}×{side}×{side}", f"3×{model.side}×{model.side}"
    figure = new_figure(2.9, layout=None)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 100), ylim=(0, 32))
    axes.axis("off")
    boxes = {
        "text": (1, 18, 13, 9, "“a red house …”"),
        "clip": (20, 18, 17, 9, f"{count} tokens → {count}×{width}"),
        "unet": (44, 18, 17, 9, f"{latents}, t → {latents}"),
        "noise": (20, 3, 17, 9, latents),
        "scheduler": (44, 3, 17, 9, "a little less noise"),
        "vae": (67, 18, 15, 9, f"{latents} → picture"),
        "picture": (87, 18, 12, 9, pixels),
    }
    for stage, (x, y, w, h, shape) in boxes.items():
        _box(axes, (x, y, w, h), STAGES[stage], shape, lit)
        if lit is not None and stage == lit:
            axes.add_patch(FancyBboxPatch((x, y), w, h, "round,pad=0.5", fill=False, ec="#c0392b", lw=3))
    for start, end, bend in (
        ((14.5, 22.5), (19.3, 22.5), 0),
        ((37.7, 22.5), (43.3, 22.5), 0),
        ((61.7, 22.5), (66.3, 22.5), 0),
        ((82.7, 22.5), (86.3, 22.5), 0),
        ((37.7, 10.0), (45.5, 17.2), 0.15),
        ((57.5, 17.2), (57.5, 12.8), 0.35),
        ((50.0, 12.8), (50.0, 17.2), 0.35),
    ):
        arrow = FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=13, color=INK, lw=1.4)
        arrow.set_connectionstyle("arc3", rad=-bend)
        axes.add_patch(arrow)
    axes.text(62.5, 15.0, "repeat for\nevery step", fontsize=8, color=INK, va="center", style="italic")
    return figure


def _box(axes, place: tuple[float, float, float, float], stage: tuple[str, str], shape: str, lit: str | None) -> None:
    x, y, w, h = place
    colour, name = stage
    axes.add_patch(FancyBboxPatch((x, y), w, h, "round,pad=0.5", fc=colour, ec=INK, lw=1.0))
    axes.text(x + w / 2, y + h * 0.66, name, ha="center", va="center", fontsize=10.5, color=INK, weight="bold")
    axes.text(x + w / 2, y + h * 0.27, shape, ha="center", va="center", fontsize=8.5, color=INK)


def strip(pictures: Sequence[Image.Image | np.ndarray], titles: Sequence[str], columns: int = 6) -> Figure:
    """Pictures side by side, a title above each, in lines that fit."""
    if len(pictures) != len(titles):
        raise ValueError(f"titles: one for each of the {len(pictures)} pictures, got {len(titles)}")
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    figure = new_figure(rows * (WIDTH / columns + 0.4))
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, picture, title in zip(grid.flat, pictures, titles, strict=False):
        axes.imshow(np.asarray(picture))
        axes.set_title(fill(title, int(116 / columns)), fontsize=9, color=INK)
    return figure
