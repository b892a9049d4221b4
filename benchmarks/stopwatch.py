"""How long work takes, on whatever device: medians, waiting until the device has done its part."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import torch


def once(work: Callable[[], object]) -> float:
    """The seconds of one run."""
    _wait()
    start = time.perf_counter()
    work()
    _wait()
    return time.perf_counter() - start


def seconds(work: Callable[[], object], repeat: int = 3) -> float:
    """The median of `repeat` runs after one that warms up."""
    return taking_turns([work], repeat)[0]


def taking_turns(ways: Sequence[Callable[[], object]], repeat: int) -> list[float]:
    """The median of every way; they take turns, so that a busy moment affects all of them."""
    for way in ways:
        way()
    turns = [[once(way) for way in ways] for _ in range(repeat)]
    return [statistics.median(times) for times in zip(*turns, strict=True)]


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
