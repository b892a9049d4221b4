"""The way from text to picture, stage by stage, with shapes read from the model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from sdlearn._support.checked import checked
from sdlearn.loading import Components
from sdlearn.plots.look import AMBER, ARROW, BLUE, GREEN, GREY, INK, PAPER, new_figure

STAGES = {
    "text": (AMBER, "Text"),
    "tokenizer": (AMBER, "Tokenizer"),
    "clip": (AMBER, "CLIP\ntext encoder"),
    "unet": (BLUE, "U-Net"),
    "scheduler": (BLUE, "Scheduler"),
    "noise": (GREY, "Noise"),
    "vae": (GREEN, "VAE decoder"),
    "picture": (GREEN, "Picture"),
    "start": (GREEN, "Your picture"),
    "encoder": (GREEN, "VAE encoder"),
    "mask": (GREY, "Your mask"),
    "controlnet": (BLUE, "ControlNet"),
}


@checked
def pipeline(
    model: Components,
    lit: str | Sequence[str] = (),
    from_picture: bool = False,
    from_mask: bool = False,
) -> Figure:
    """The way from text to picture, with every shape from the model; the stages `lit` stand out.

    from_picture: image to image, which adds the noise to a picture's latents.
    from_mask: a ControlNet, which reads a mask and adds to what the U-Net computes.
    """
    count, width = model.tokenizer.model_max_length, model.unet.config.cross_attention_dim
    channels, side = model.unet.config.in_channels, model.side // model.factor
    latents, pixels = f"{channels}×{side}×{side}", f"3×{model.side}×{model.side}"
    tall = ROWS[1 + from_mask] + BOX[1] + ROWS[0]
    figure = new_figure(tall / 12, layout=None)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 100), ylim=(0, tall))
    axes.axis("off")
    boxes = {
        "text": (0, 1, "“a red house …”"),
        "tokenizer": (1, 1, f"{count} tokens"),
        "clip": (2, 1, f"{count}×{width}"),
        "unet": (3, 1, f"predicts the noise\n{latents}"),
        "picture": (4, 1, pixels),
        "noise": (2, 0, latents),
        "scheduler": (3, 0, f"removes a part of it\n{latents}"),
        "vae": (4, 0, f"to {pixels}"),
    }
    ways = [
        ("text", "tokenizer", 0, 0),
        ("tokenizer", "clip", 0, 0),
        ("clip", "unet", 0, 0),
        ("noise", "unet", 0, 0),
        ("unet", "scheduler", 4.5, 0.25),
        ("scheduler", "unet", -4.5, 0.25),
        ("scheduler", "vae", 0, 0),
        ("vae", "picture", 0, 0),
    ]
    if from_picture:
        boxes |= {"start": (0, 0, pixels), "encoder": (1, 0, f"to {latents}")}
        boxes["noise"] = (2, 0, f"added: {latents}")
        ways += [("start", "encoder", 0, 0), ("encoder", "noise", 0, 0)]
    if from_mask:
        boxes |= {"mask": (2, 2, pixels), "controlnet": (3, 2, "adds to the U-Net")}
        ways += [("mask", "controlnet", 0, 0), ("controlnet", "unet", 0, 0)]
    lit = [lit] if isinstance(lit, str) else lit
    if unknown := set(lit) - set(boxes):
        raise ValueError(f"lit: of {', '.join(boxes)}, got {', '.join(sorted(unknown))}")
    for stage, (column, row, shape) in boxes.items():
        _box(axes, (COLUMNS[column], ROWS[row], *BOX), STAGES[stage], shape, lit=stage in lit)
    for start, end, aside, bend in ways:
        _arrow(axes, *(boxes[stage][:2] for stage in (start, end)), aside, bend)
    said = {"fontsize": 8.5, "color": INK, "ha": "center", "va": "center"}
    axes.text(68.5, 18, "repeat for\nevery t", **said)
    axes.text(80, 11.5, "after\nthe last", **said)
    return figure


COLUMNS, ROWS, BOX = (1, 21, 41, 61, 84), (2.5, 22.5, 42.5), (15, 11)
"""Where the boxes of the pipeline begin, from the left and from below, and their size."""


def _arrow(axes, start: tuple[int, int], end: tuple[int, int], aside: float, bend: float) -> None:
    """An arrow between the edges of two boxes: along a row, along a column, or diagonally."""
    (x, y), (to_x, to_y) = (
        (COLUMNS[c] + BOX[0] / 2, ROWS[r] + BOX[1] / 2) for c, r in (start, end)
    )
    across, up = to_x - x, to_y - y
    reach = BOX[0] / 2 + 0.9 if across else 0, BOX[1] / 2 + 0.9 if up else 0
    if across and up:  # from the top of a box to the bottom of the next
        ends = (x + 3, y + reach[1]), (to_x - BOX[0] / 2 + 0.5, to_y - reach[1])
    else:
        step = np.array(reach) * np.sign((across, up))
        ends = np.array((x + aside, y)) + step, np.array((to_x + aside, to_y)) - step
    arrow = FancyArrowPatch(*ends, arrowstyle="-|>", mutation_scale=14, color=ARROW, lw=1.6)
    arrow.set_connectionstyle("arc3", rad=-bend)
    axes.add_patch(arrow)


def _box(
    axes,
    box: tuple[float, float, float, float],
    stage: tuple[tuple[str, str], str],
    shape: str,
    lit: bool,
) -> None:
    x, y, w, h = box
    (pale, strong), name = stage
    face, ink = (strong, PAPER) if lit else (pale, INK)
    rounded = "round,pad=0.5,rounding_size=1.6"
    axes.add_patch(FancyBboxPatch((x, y), w, h, rounded, fc=face, ec="none"))
    centred = {"ha": "center", "va": "center", "color": ink}
    axes.text(x + w / 2, y + h * 0.68, name, fontsize=11, weight="bold", **centred)
    axes.text(x + w / 2, y + h * 0.22, shape, fontsize=8.5, **centred)
