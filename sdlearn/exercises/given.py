"""What the exercises hand to the learner's functions: seeded numbers, the small model, and its
judge.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from sdlearn.judge import Judge, load_judge
from sdlearn.loading import TINY, Components, load


def numbers(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal numbers, always the same for a seed."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@cache
def tiny() -> Components:
    """The shipped model, loaded when the first exercise needs it."""
    return load("tiny", device="cpu")


@cache
def judge() -> Judge:
    """The shipped judge, which reads pictures of the picture book."""
    return load_judge(TINY.parent / "judge")
