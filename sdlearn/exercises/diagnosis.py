"""What a wrong result reveals when it matches no known mistake, and the case to redo on paper."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

SMALL = 12
"""Tensors of at most this many numbers are written out; of larger ones, only the shape."""

Pair = tuple[Tensor, Tensor]
"""A learner's result and the right one, both float64."""


def close(first: Tensor, second: Tensor) -> bool:
    """Equal to within rounding; NaN is close to nothing."""
    return first.shape == second.shape and torch.allclose(first, second, rtol=1e-4, atol=1e-5)


def relation(pairs: list[Pair]) -> str | None:
    """How the learner's results follow from the right ones in every case, if they do."""
    if not any(right.numel() > 1 for _, right in pairs) and len(pairs) < 2:
        return None  # any two numbers are multiples of each other
    if all(close(mine, right) for mine, right in pairs):
        return None  # right as numbers, but not as what the exercise compares
    for said, turned in _turned(max(right.ndim for _, right in pairs)):
        if all(_turns_into(mine, right, turned) for mine, right in pairs):
            return said
    return (
        _shifted(pairs)
        or _scaled(pairs)
        or _only_the_first(pairs)
        or _reordered(pairs)
        or _rounded(pairs)
    )


def _turns_into(mine: Tensor, right: Tensor, turned: Callable[[Tensor], Tensor]) -> bool:
    try:
        return close(turned(mine), right)
    except (IndexError, RuntimeError):  # an axis that this result does not have
        return False


def _turned(axes: int) -> Iterator[tuple[str, Callable[[Tensor], Tensor]]]:
    """What may have been done to the right result, and how to undo it."""
    yield "the sign is wrong", lambda x: -x
    yield "this is the square of what was asked for", lambda x: x.sqrt()
    yield "this is the square root of what was asked for", lambda x: x.sign() * x.square()
    yield "this is the logarithm of what was asked for", lambda x: x.exp()
    yield "a logarithm is missing at the end", lambda x: x.log()
    yield "minus the logarithm is missing at the end", lambda x: -x.log()
    yield "this is 1 divided by what was asked for", lambda x: 1 / x
    yield "this is 1 minus what was asked for", lambda x: 1 - x
    yield "the last two axes are exchanged", lambda x: x.transpose(-1, -2)
    for axis in range(axes):
        yield f"it is in reverse order along axis {axis}", lambda x, axis=axis: x.flip(axis)
        yield (
            f"these are the scores before a softmax along axis {axis}",
            lambda x, axis=axis: x.softmax(axis),
        )
        yield (
            f"the numbers along axis {axis} should sum to 1: divide by their sum",
            lambda x, axis=axis: x / x.sum(axis, keepdim=True),
        )


def _shifted(pairs: list[Pair]) -> str | None:
    """Off by one along an axis, in the longer cases."""
    for axis in range(max(right.ndim for _, right in pairs)):
        long = [(m, r) for m, r in pairs if m.shape == r.shape and axis < r.ndim]
        long = [(m, r) for m, r in long if r.shape[axis] > 2]
        for said, mine_from, right_from in (("late", 1, 0), ("early", 0, 1)):
            if long and all(_moves(m, r, axis, mine_from, right_from) for m, r in long):
                return f"every number comes one place too {said} along axis {axis}"
    return None


def _moves(mine: Tensor, right: Tensor, axis: int, mine_from: int, right_from: int) -> bool:
    length = right.shape[axis] - 1
    return close(mine.narrow(axis, mine_from, length), right.narrow(axis, right_from, length))


def _scaled(pairs: list[Pair]) -> str | None:
    """A constant factor or summand, the same in all cases."""
    if any(mine.shape != right.shape for mine, right in pairs):
        return None
    mine, right = (torch.cat([pair[i].flatten() for pair in pairs]) for i in (0, 1))
    factor = (mine * right).sum() / right.square().sum()
    if f"{factor:.4g}" != "1" and 1e-3 < abs(factor) < 1e4 and close(mine, factor * right):
        return f"every number is {factor:.4g} times what was asked for"
    summand = (mine - right).mean()
    if close(mine, right + summand):
        return f"every number is {abs(summand):.4g} too {'large' if summand > 0 else 'small'}"
    factors = [_factor(m, r) for m, r in pairs]
    if len(pairs) < 2 or None in factors or not all(1e-3 < abs(f) < 1e3 for f in factors):
        return None
    if all(_is_whole(factor) or _is_whole(1 / factor) for factor in factors):
        many = ", ".join(f"{factor:.4g}" for factor in factors)
        return (
            f"these are {many} times the right numbers, another factor in each case: is something "
            "summed where a mean was asked for, or divided once too often?"
        )
    return None


def _is_whole(value: float) -> bool:
    return round(value) >= 1 and abs(value - round(value)) < 1e-5 * value


def _factor(mine: Tensor, right: Tensor) -> float | None:
    factor = ((mine * right).sum() / right.square().sum()).item()
    return factor if math.isfinite(factor) and close(mine, factor * right) else None


def _only_the_first(pairs: list[Pair]) -> str | None:
    several = [(m, r) for m, r in pairs if r.ndim > 1 and m.shape == r.shape and len(r) > 1]
    alone = [(m, r) for m, r in pairs if r.ndim < 2 or len(r) < 2]
    if (
        several
        and all(close(mine, right) for mine, right in alone)
        and all(close(mine[0], right[0]) for mine, right in several)
        and not any(close(m, r) for pair in several for m, r in list(zip(*pair, strict=True))[1:])
    ):
        return "only the first of the batch is right; each has its own numbers"
    return None


def _reordered(pairs: list[Pair]) -> str | None:
    sized = [(m, r) for m, r in pairs if m.numel() == r.numel() > 1]
    if len(sized) == len(pairs) and all(
        close(m.flatten().sort().values, r.flatten().sort().values) for m, r in pairs
    ):
        return "the numbers are right, but they stand in other places"
    return None


def _rounded(pairs: list[Pair]) -> str | None:
    if all(m.shape == r.shape and torch.allclose(m, r, rtol=4e-3, atol=2e-3) for m, r in pairs):
        return (
            "the numbers are nearly right, but only nearly: is something rounded, in half "
            "precision, or an approximation?"
        )
    return None


# --- where they part ------------------------------------------------------------------------------

FEW = 4
"""Results of at most this many numbers are shown in the message; larger ones, only in the case."""

Call = dict[str, Tensor]
"""The arguments of one call, by name."""


def difference(mine: Tensor, right: Tensor) -> str:
    """A wrong result and the right one; of many numbers, only the first that differs."""
    if right.numel() <= FEW:
        return f"{written(right)} was expected, got {written(mine)}"
    apart = ~torch.isclose(mine, right, rtol=1e-4, atol=1e-5)
    index = tuple(apart.nonzero()[0].tolist()) if apart.any() else (0,) * right.ndim
    return (
        f"{int(apart.sum())} of {right.numel()} numbers are wrong, first the one at "
        f"[{', '.join(map(str, index))}]: {written(right[index])} was expected, got "
        f"{written(mine[index])}"
    )


def calls(answer: Callable, case: tuple) -> list[Call]:
    """How an answer calls the first of its arguments, a function that stands for a network."""
    heard, (function, *given) = [], case

    def listening(*arguments, **named):
        bound = inspect.signature(function).bind(*arguments, **named).arguments
        heard.append({n: torch.as_tensor(x).detach().clone().float() for n, x in bound.items()})
        return function(*arguments, **named)

    answer(listening, *deepcopy(given))
    return heard


def asked_wrongly(mine: list[Call], right: list[Call]) -> str:
    """The first call of the network that differs from the right one, in words."""
    if len(mine) > 2 * len(right):
        return f"The network is called {len(mine)} times, where {len(right)} were expected"
    for number, (asked, expected) in enumerate(zip(mine, right, strict=False), 1):
        for argument, value in expected.items():
            got = asked[argument]
            if 0 in (got.ndim, value.ndim):  # one t for all, or one for each
                got, value = torch.broadcast_tensors(got, value)
            if not close(got, value):
                return (
                    f"The first thing that goes wrong: in call {number} of the network its "
                    f"`{argument}` {_instead(got, value)}"
                )
    if len(mine) != len(right):
        times = "once" if len(mine) == 1 else f"{len(mine)} times"
        return f"The network is called {times}, where {len(right)} calls were expected"
    return "The network is asked all the right questions; look at what is done with its answers"


def _instead(got: Tensor, expected: Tensor) -> str:
    if got.shape != expected.shape:
        return f"has the shape {shape_of(got)}, where {shape_of(expected)} was expected"
    if got.numel() <= SMALL:
        return f"is {written(got)}, where {written(expected)} was expected"
    return f"is wrong: {difference(got, expected)}"


# --- the case to redo on paper --------------------------------------------------------------------


def redone(
    names: Iterable[str], case: tuple, steps: Mapping[str, object], mine: Tensor, right: Tensor
) -> str:
    """The arguments of one case, the steps by hand, what was expected and what was returned."""
    by_hand = f"\n\nby hand:\n{listed(steps, tuple(steps.values()))}\n" if steps else ""
    results = f"expected: {written(right)}\ngot:      {written(mine)}"
    return f"{listed(names, case)}{by_hand}\n{results}{_parting(mine, right)}"


def listed(names: Iterable[str], case: tuple) -> str:
    """The arguments of one case, one per line."""
    return "\n".join(f"{name} = {written(value)}" for name, value in zip(names, case, strict=False))


def _parting(mine: Tensor, right: Tensor) -> str:
    """Where they first differ, if there is more than one number."""
    if mine.shape != right.shape or mine.dtype != right.dtype or right.numel() < 2:
        return ""
    apart = ~torch.isclose(mine, right, rtol=1e-4, atol=1e-5)
    if not apart.any():
        return ""
    index = tuple(apart.nonzero()[0].tolist())
    where = ", ".join(map(str, index))
    return (
        f"\nThey first differ at [{where}]: expected {written(right[index])}, got "
        f"{written(mine[index])}."
    )


def written(value: Any) -> str:
    """A value in short: small tensors as numbers, large ones by shape, functions by docstring."""
    if isinstance(value, Tensor):
        if value.numel() > SMALL:
            return f"tensor {shape_of(value)}"
        return _numbers(value.detach().tolist())
    if isinstance(value, float):
        return _numbers(value)
    if inspect.isroutine(value):
        return (value.__doc__ or "a function").splitlines()[0]
    if isinstance(value, list) and len(value) > SMALL:
        return f"[{', '.join(map(str, value[:3]))}, …, {value[-1]}]"
    text = repr(value)
    return text if len(text) < 60 and " at 0x" not in text else type(value).__name__


def _numbers(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_numbers, value))}]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def shape_of(value: Tensor) -> str:
    """A shape as text, such as 3×64×64."""
    return "×".join(map(str, value.shape)) or "()"
