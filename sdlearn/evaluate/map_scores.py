"""How well attention maps point: on drawn pages, each word's map against its thing's true mask."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from sdlearn._support.checked import checked
from sdlearn.attention.maps import Maps
from sdlearn.attention.recording import record
from sdlearn.compression import encode, scale
from sdlearn.denoising import draw_noise
from sdlearn.images import to_pixels
from sdlearn.loading import Components
from sdlearn.noising import Schedule, add_noise
from sdlearn.picturebook.drawing import draw_array, masks
from sdlearn.picturebook.scenes import Scene
from sdlearn.text import encode_text, positions_of

T = 250
"""The timestep that a page is noised to: two thirds of the variance still come from the page."""


@checked
def score_maps(
    model: Components, scenes: Iterable[Scene], t: int = T
) -> dict[str, tuple[float, float]]:
    """Pointing accuracy and mean IoU for each group of layers.

    A group holds the layers in the same part of the U-Net whose maps have the same side.
    """
    scores = defaultdict(list)
    for maps, positions, mask in _things(model, scenes, t):
        for group, chosen in _groups(maps).items():
            heat = chosen.of_words(positions)[0].cpu()
            scores[group].append((points_at(heat, mask), overlap(heat, mask)))
    return {group: tuple(np.mean(pairs, axis=0).tolist()) for group, pairs in scores.items()}


@checked
def score_heads(model: Components, scenes: Iterable[Scene], layer: str, t: int = T) -> list[float]:
    """Mean IoU of each head of one layer.

    Raises:
        ValueError: the U-Net has no cross-attention of this name.
    """
    scores = defaultdict(list)
    for maps, positions, mask in _things(model, scenes, t):
        recorded = maps.select(layers=[layer])
        for head in range(next(iter(recorded)).layer.heads):
            scores[head].append(overlap(recorded.of_words(positions, head)[0].cpu(), mask))
    return [np.mean(overlaps).item() for overlaps in scores.values()]


def _things(
    model: Components, scenes: Iterable[Scene], t: int
) -> Iterator[tuple[Maps, list[int], Bool[Tensor, "H W"]]]:
    """Every thing of the scenes: the maps of its page, the positions of its word, and its mask."""
    for number, scene in enumerate(of_different_kinds(scenes)):
        maps = maps_of(model, scene, t, seed=number)
        true = torch.from_numpy(masks(scene, model.side)) > 0.5
        for thing, mask in zip(scene.things, true, strict=True):
            yield maps, positions_of(model.tokenizer, scene.caption, thing.kind), mask


def of_different_kinds(scenes: Iterable[Scene]) -> list[Scene]:
    """The scenes that can be scored: if two things are of one kind, its word means both."""
    return [
        scene
        for scene in scenes
        if len({thing.kind for thing in scene.things}) == len(scene.things)
    ]


@checked
@torch.no_grad()
def maps_of(model: Components, scene: Scene, t: int, seed: int) -> Maps:
    """The cross-attention of one U-Net run on a page noised to t, with the page's own caption."""
    clean = _latents(model, scene)
    noisy = add_noise(
        Schedule.of(model.scheduler), clean, t, draw_noise(tuple(clean.shape), seed, like=clean)
    )
    states = encode_text(model.tokenizer, model.text_encoder, scene.caption)
    with record(model.unet) as maps:
        model.unet(noisy, t, states)
    return maps


def _latents(model: Components, scene: Scene) -> Float[Tensor, "1 c h w"]:
    pixels = to_pixels(draw_array(scene, model.side)[None])
    return scale(model.vae, encode(model.vae, pixels).mean)


def _groups(maps: Maps) -> dict[str, Maps]:
    """The maps grouped by part of the U-Net and side, in order of computation."""
    sides = {m.layer.name: max(m.values.shape[-2:]) for m in maps}
    names = defaultdict(list)
    for name, side in sides.items():
        names[f"{name.split('.')[0]} {side}²"].append(name)
    return {group: maps.select(layers=layers) for group, layers in names.items()}


@checked
def points_at(heat: Float[Tensor, "h w"], mask: Bool[Tensor, "H W"]) -> bool:
    """The pointing game (Zhang et al. 2016): is the strongest position inside the thing?"""
    row, column = divmod(int(heat.argmax()), heat.shape[1])
    y, x = (row + 0.5) / heat.shape[0], (column + 0.5) / heat.shape[1]
    return bool(mask[int(y * mask.shape[0]), int(x * mask.shape[1])])


@checked
def overlap(heat: Float[Tensor, "h w"], mask: Bool[Tensor, "H W"]) -> float:
    """Intersection over union of the mask and the enlarged map's strongest pixels.

    We take as many pixels of the map as the mask has.
    """
    if not mask.any():
        raise ValueError("mask: at least one pixel inside, got none")
    enlarged = _enlarge(heat, mask.shape).flatten()
    strongest = torch.zeros_like(enlarged, dtype=torch.bool)
    strongest[enlarged.topk(int(mask.sum())).indices] = True
    mask = mask.flatten().to(strongest.device)
    return ((strongest & mask).sum() / (strongest | mask).sum()).item()


def _enlarge(heat: Float[Tensor, "h w"], size: tuple[int, int]) -> Float[Tensor, "H W"]:
    return F.interpolate(heat[None, None].float(), tuple(size), mode="bilinear")[0, 0]
