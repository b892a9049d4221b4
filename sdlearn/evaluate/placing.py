"""Control: is each thing where it should be, and does it have the outline that it should have?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import hypot
from statistics import fmean

import numpy as np
import torch
from diffusers import ControlNetModel
from jaxtyping import Bool, UInt8
from PIL import Image

from sdlearn._support.share import share_of
from sdlearn.control import controlled, find_edges
from sdlearn.evaluate.judge import Judge
from sdlearn.evaluate.samples import (
    AT_ONCE,
    captions,
    drawn,
    generate,
    readings,
    shares,
    unseen_scenes,
    verdicts,
)
from sdlearn.images import to_pictures
from sdlearn.loading import Components
from sdlearn.picturebook.drawing import draw, masks
from sdlearn.picturebook.scenes import Scene

SIZE = 256
NEAR = 0.05
"""How far the centre of a thing may be from where it should be, as a fraction of the side."""
UNLIKE = 40
"""How much a pixel must differ from the backdrop in its row to belong to a thing."""
AROUND = 0.25
"""How much of its width and height is looked at around a thing, on each side."""
HEAD = ("drawn with", "scale", "in its place", "overlap", "prompts", "whole prompt right")


def mask_of(scene: Scene, size: int = SIZE) -> Image.Image:
    """The mask of a scene: white where any of its things is."""
    covered = masks(scene, size).max(axis=0)
    return Image.fromarray((covered * 255).round().astype(np.uint8)).convert("RGB")


def edges_of(scene: Scene, size: int = SIZE) -> Image.Image:
    """The edges of the page with this scene."""
    return find_edges(draw(scene, size))


def placed(judge: Judge, scenes: list[Scene], pixels: torch.Tensor) -> list[bool]:
    """For each thing of each scene: does the judge see its kind there, within `NEAR`?"""
    return [
        any(
            seen.kind == thing.kind and hypot(seen.x - thing.x, seen.y - thing.y) < NEAR
            for seen in things
        )
        for scene, (_, things) in zip(scenes, readings(judge, pixels), strict=True)
        for thing in scene.things
    ]


def overlaps(scene: Scene, picture: UInt8[np.ndarray, "h h 3"]) -> list[float]:
    """For each thing, how well what is drawn around its place fills its mask: IoU, from 0 to 1.

    Drawn is what differs from the backdrop: from the median colour of its row, outside the masks.
    """
    each = masks(scene, len(picture)) > 0.5
    wanted, pixels = each.any(axis=0), picture.astype(np.float32)
    outside = np.ma.array(pixels, mask=np.broadcast_to(wanted[..., None], pixels.shape))
    backdrop = np.ma.median(outside, axis=1, keepdims=True).filled(0)
    found = np.linalg.norm(pixels - backdrop, axis=2) > UNLIKE
    return [iou(found[window], wanted[window]) for window in map(_window, each)]


def iou(found: Bool[np.ndarray, "h w"], wanted: Bool[np.ndarray, "h w"]) -> float:
    """Intersection over union: the pixels in both, divided by the pixels in at least one."""
    either = (found | wanted).sum()
    return float((found & wanted).sum() / either) if either else 1.0


def _window(thing: np.ndarray) -> tuple[slice, slice]:
    """The rows and columns of a thing, with some space around it."""
    rows, columns = (np.nonzero(thing.any(axis=axis))[0] for axis in (1, 0))
    sides = []
    for found in (rows, columns):
        space = round(AROUND * (found[-1] - found[0] + 1))
        sides.append(slice(max(0, found[0] - space), found[-1] + 1 + space))
    return sides[0], sides[1]


def generate_where(
    model: Components,
    control: ControlNetModel,
    scenes: list[Scene],
    seed: int,
    scale: float = 1.0,
    shown_of: Callable[[Scene], Image.Image] = mask_of,
    captioned: bool = True,
    **options,
) -> torch.Tensor:
    """One picture for each scene, from its caption and its mask: float32 [n, 3, height, width].

    Args:
        shown_of: what the ControlNet reads for a scene.
        captioned: False draws without captions.
        options: as in `generate`.
    """
    pixels = []
    for first in range(0, len(scenes), AT_ONCE):
        some = scenes[first : first + AT_ONCE]
        prompts = captions(some) if captioned else [""] * len(some)
        with controlled(model.unet, control, [shown_of(scene) for scene in some], scale):
            pixels.append(generate(model, prompts, seed + first, **options))
    return torch.cat(pixels)


def compare_control(
    model: Components,
    control: ControlNetModel,
    judge: Judge,
    count: int,
    shown_of: Callable[[Scene], Image.Image] = mask_of,
) -> Iterator[tuple[str, ...]]:
    """Yield a row of the table for each trial, as soon as it is measured.

    shown_of: what the ControlNet reads for a scene.
    """
    scenes = unseen_scenes(count, held_out=False)
    yield _row("the picture book's own drawing", "–", judge, scenes, drawn(scenes, SIZE))
    alone = generate(model, captions(scenes), seed=0, size=SIZE)
    yield _row("the model alone", "–", judge, scenes, alone)
    trials = {(scale, True): "the model with control" for scale in (0.5, 1.0, 1.5)}
    trials[1.0, False] = "the same, without captions"
    for (scale, captioned), name in trials.items():
        pixels = generate_where(
            model, control, scenes, 0, scale, shown_of, captioned=captioned, size=SIZE
        )
        yield _row(name, f"{scale:g}", judge, scenes, pixels)


def _row(
    name: str, scale: str, judge: Judge, scenes: list[Scene], pixels: torch.Tensor
) -> tuple[str, ...]:
    filled = [
        value
        for scene, picture in zip(scenes, to_pictures(pixels), strict=True)
        for value in overlaps(scene, picture)
    ]
    return (
        name,
        scale,
        f"{share_of(placed(judge, scenes, pixels))}",
        f"{fmean(filled):.2f}",
        f"{len(scenes)}",
        f"{shares(verdicts(judge, scenes, pixels))['whole']}",
    )
