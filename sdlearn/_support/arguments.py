"""Checks of a caller's arguments, made before any work starts.

Each error names the argument, says what would fit and shows what was given.
"""

from __future__ import annotations

import math
from numbers import Integral, Real

import numpy as np
import torch
from torch import Tensor


def single(value: object) -> object:
    """The number in a zero-dimensional tensor or array; anything else unchanged."""
    is_single = isinstance(value, Tensor | np.ndarray) and value.ndim == 0
    return value.item() if is_single and not getattr(value, "is_meta", False) else value


def whole_number(name: str, value: object, low: int, high: int) -> int:
    """The value as an int; TypeError or ValueError unless it is from low to high, both included."""
    value = single(value)
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(
            f"{name}: a whole number from {low} to {high}, got {value!r} ({type(value).__name__})"
        )
    if not low <= value <= high:
        raise ValueError(f"{name}: a whole number from {low} to {high}, got {value}")
    return int(value)


def number(name: str, value: object, low: float, high: float) -> float:
    """The value as a float; TypeError or ValueError unless it is from low to high."""
    value = single(value)
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(
            f"{name}: a number from {low:g} to {high:g}, got {value!r} ({type(value).__name__})"
        )
    if math.isnan(value) or not low <= value <= high:
        raise ValueError(f"{name}: a number from {low:g} to {high:g}, got {value}")
    return float(value)


def texts(name: str, value: object) -> list[str]:
    """One text, or several, as a list."""
    listed = [value] if isinstance(value, str) else value
    if (
        not isinstance(listed, list | tuple)
        or not listed
        or not all(isinstance(text, str) for text in listed)
    ):
        raise TypeError(f"{name}: a text, or a list of at least one text, got {value!r}")
    for text in listed:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"{name}: text, got half of a character (a surrogate): {text!r}"
            ) from error
    return list(listed)


def check_finite(name: str, made: Tensor) -> None:
    """Raise FloatingPointError if NaN or infinity came out of a network."""
    if made.isfinite().all():
        return
    what_to_do = (
        "Its weights or its input must be broken"
        if made.dtype == torch.float32
        else f"Use it in float32: model.{name}.to(torch.float32), or load(..., dtype=torch.float32)"
    )
    raise FloatingPointError(
        f"{name}: NaN or infinity came out of it in {made.dtype}. {what_to_do}."
    )
