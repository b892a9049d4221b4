"""What the exercises hand to the learner's functions: seeded numbers, and the small model."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from sdlearn.loading import Components, load


def numbers(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal numbers, always the same for a seed."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@cache
def tiny() -> Components:
    """The shipped model, loaded when the first exercise needs it."""
    return load("tiny", device="cpu")
