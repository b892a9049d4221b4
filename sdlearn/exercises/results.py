"""What learners' functions are given and what they return: numbers in many forms, or none."""

from __future__ import annotations

from copy import copy

import numpy as np
import torch
from torch import Tensor

from sdlearn.exercises.diagnosis import shape_of, written

RETURNED_NONE = "your function returned None; does it end with `return`?"

Case = tuple
"""The arguments of one call."""


class Unmet(Exception):
    """What an answer to an open exercise lacks, as a sentence for the learner."""


def tensor_of(result: object, shape: tuple[int, ...] | None = None, where: str = "") -> Tensor:
    """A result as a tensor of finite numbers, of this shape if one is given.

    where: how the message begins, such as "at scale 3: ".

    Raises:
        Unmet: naming what was returned instead.
    """
    if result is None:
        raise Unmet(f"{where}{RETURNED_NONE}")
    try:
        values = torch.as_tensor(result).detach()
    except (TypeError, ValueError, RuntimeError):
        came = type(result).__name__
        if isinstance(result, list | tuple) and result:
            came += f" of {type(result[0]).__name__}"
        raise Unmet(f"{where}numbers were expected, got {came}") from None
    if values.is_complex():
        raise Unmet(f"{where}your result is complex: the root of a negative number was taken")
    if shape is not None and values.shape != shape:
        wanted = f"shape {'×'.join(map(str, shape))}" if shape else "a single number"
        came = shape_of(values) if shape else f"shape {shape_of(values)}"
        if not values.ndim:
            came = f"a single number, {written(values)}"
        raise Unmet(f"{where}{wanted} was expected, got {came}")
    if not values.isfinite().all():
        raise Unmet(f"{where}your result contains NaN or infinity")
    return values


def unlike(value: float, bound: float, digits: int = 2) -> tuple[str, str]:
    """Two numbers with as few decimals as tell them apart, but at least `digits`."""
    for more in range(digits, digits + 6):
        first, second = f"{value:.{more}f}", f"{bound:.{more}f}"
        if first != second:
            break
    return first, f"{bound:g}" if float(second) == bound else second


def equal(value: object, expected: object) -> bool:
    """Equal to within rounding; any dtype, and any way to write a number."""
    try:
        if torch.as_tensor(value).is_complex():
            return False
        value, expected = (torch.as_tensor(v).detach().double() for v in (value, expected))
    except (TypeError, ValueError, RuntimeError):
        return False
    return value.shape == expected.shape and torch.allclose(
        value, expected, rtol=1e-4, atol=1e-5, equal_nan=True
    )


def plain(result: object) -> object:
    """A result as a tensor without gradient, if it is an array or a list of numbers."""
    if isinstance(result, Tensor):
        return result.detach()
    if isinstance(result, np.ndarray | list | tuple):
        try:
            values = torch.as_tensor(result)
        except (TypeError, ValueError, RuntimeError):
            return result
        return values.float() if values.is_floating_point() else values
    return result


def same(before: object, after: object) -> bool:
    """True if an argument is unchanged. Only tensors and lists are easily changed by mistake."""
    if isinstance(before, Tensor):
        return before.shape == after.shape and torch.equal(before.nan_to_num(), after.nan_to_num())
    return not isinstance(before, list) or before == after


def is_finite(value: object) -> bool:
    """True for a tensor without NaN or infinity."""
    return isinstance(value, Tensor) and bool(value.isfinite().all())


def is_real(value: object) -> bool:
    """True for a tensor that is not complex."""
    return isinstance(value, Tensor) and not value.is_complex()


def copied(case: Case) -> Case:
    """A copy of the arguments: the learner's function may change them in place."""
    return tuple(value.clone() if isinstance(value, Tensor) else copy(value) for value in case)
