"""What the exercises hand to the learner's functions: numbers, pages, and the small model."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

from sdlearn.compression import decode, encode, scale
from sdlearn.images import to_pictures, to_pixels
from sdlearn.loading import Components, load
from sdlearn.picturebook.drawing import draw_array
from sdlearn.picturebook.scenes import Scene


def numbers(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal numbers, always the same for a seed."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float32)


def several(count: int, shape: tuple[int, ...]) -> tuple[Tensor, ...]:
    """Standard normal tensors of one shape, seeded 0, 1, 2 …"""
    return tuple(numbers(*shape, seed=seed) for seed in range(count))


@cache
def tiny() -> Components:
    """The shipped model, loaded when the first exercise needs it."""
    return load("tiny", device="cpu")


def pixels_of(scene: Scene, size: int) -> Tensor:
    """A page as pixels [1, 3, size, size]."""
    return to_pixels(draw_array(scene, size)[None])


def latents_of(pixels: Tensor) -> Tensor:
    """The small model's scaled latents of pixels."""
    return scale(tiny().vae, encode(tiny().vae, pixels).mean)


def picture_of(latents: object) -> np.ndarray:
    """Latents [1, 4, h, w], perhaps a learner's, decoded by the small model: uint8 [H, W, 3]."""
    return to_pictures(decode(tiny().vae, torch.as_tensor(latents).float()))[0]


def toy_noise(latents: Tensor, t: int | Tensor) -> Tensor:
    """tanh(latents · (0.5 + t / 1000)) + 0.1, a stand-in for what a network predicts."""
    t = torch.as_tensor(t).reshape(-1, *[1] * (latents.ndim - 1))
    return torch.tanh(latents * (0.5 + t / 1000)) + 0.1
