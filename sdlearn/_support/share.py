"""How many answers were right, and how far the share over all questions may be from that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt


@dataclass(frozen=True)
class Share:
    """How many answers were right, out of how many."""

    right: int
    of: int

    @property
    def value(self) -> float:
        return self.right / self.of if self.of else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% confidence interval for the share over all prompts (Wilson 1927)."""
        if not self.of:
            return float("nan"), float("nan")
        z, n = 1.96, self.of
        middle = (self.value + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * sqrt(self.value * (1 - self.value) / n + z * z / (4 * n * n))
        return max(0.0, middle - half), min(1.0, middle + half)

    def __str__(self) -> str:
        if not self.of:
            return "none"
        low, high = self.interval
        return f"{100 * self.value:.1f}% ({100 * low:.0f}–{100 * high:.0f})"


def share_of(answers: Iterable[bool]) -> Share:
    """How many of the answers are True."""
    listed = list(answers)
    return Share(sum(listed), len(listed))
