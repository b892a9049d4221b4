"""A function's annotations as its check: what they do not allow is refused before any work.

The error names the argument, says what would fit, and shows what came.
"""

from __future__ import annotations

import collections.abc
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from functools import cache, wraps
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
import torch

Checked = TypeVar("Checked", bound=Callable)
Sizes = dict[str, int | tuple[int, ...]]
"""The sizes that names in annotations stand for in one call, as far as they are known."""

WORDS = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    torch.Tensor: "a tensor",
    np.ndarray: "an array",
    "Components": "a model from sdlearn.load",
    "Image": "a PIL picture",
    "Maps": "maps from sdlearn.attention.record",
    "Scene": "a Scene from sdlearn.compose",
    "CLIPModel": "a CLIPModel (a folder without one gives a model without clip)",
    "CLIPImageProcessorPil": "CLIP's image processor (a folder without CLIP has none)",
}
"""How to name what fits, by class or by the name of a class."""
PLURALS = {str: "texts", int: "whole numbers", float: "numbers"}
NUMBERS = {"Float": "floats", "Int": "whole numbers", "UInt8": "8-bit numbers", "Bool": "bools"}


def checked(target: Checked) -> Checked:
    """Check the arguments of a function, or of a class when it is made, against its annotations.

    Sizes with one name, such as n in [n, c, h, w], have to be equal in all arguments, and all
    tensors of floats have to be on one device.
    """
    if isinstance(target, type):
        target.__init__ = checked(target.__init__)
        return target
    signature = inspect.signature(target)

    @cache
    def hints() -> dict[str, Any]:
        # at the first call, because an annotation may name what is defined further down
        return typing.get_type_hints(inspect.unwrap(target))

    @wraps(target)
    def guarded(*args, **kwargs):
        try:
            given = signature.bind(*args, **kwargs).arguments
        except TypeError:
            return target(*args, **kwargs)  # for Python's own words
        check_arguments({name: (hints()[name], v) for name, v in given.items() if name in hints()})
        return target(*args, **kwargs)

    guarded.is_checked = True
    return guarded


def check_arguments(given: Mapping[str, tuple[Any, Any]]) -> None:
    """Raise TypeError or ValueError for the first value that its annotation does not allow."""
    sizes: Sizes = {}
    placed: tuple[str, torch.device] | None = None
    for name, (hint, value) in given.items():
        if not _fits(value, hint, sizes):
            right_kind = any(_fits_but_for_shape(value, part) for part in _parts(hint))
            error = ValueError if right_kind else TypeError
            raise error(f"{name}: {_said(hint, sizes)}, got {_shown(value)}{_way_out(value, hint)}")
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            if placed and value.device != placed[1]:
                raise ValueError(f"{name}: on {placed[1]} like {placed[0]}, got {value.device}")
            placed = name, value.device
        is_array = any(
            _is_array(part) and _fits_but_for_shape(value, part) for part in _parts(hint)
        )
        if is_array and 0 in value.shape:
            raise ValueError(f"{name}: at least one number, got {_shown(value)}")


# --- does it fit? ---------------------------------------------------------------------------------


def _parts(hint: Any) -> tuple[Any, ...]:
    """The alternatives of a union."""
    is_union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    return typing.get_args(hint) if is_union else (hint,)


def _fits(value: Any, hint: Any, sizes: Sizes) -> bool:
    return any(_fits_one(value, part, sizes) for part in _parts(hint))


def _fits_one(value: Any, hint: Any, sizes: Sizes) -> bool:
    if _is_array(hint):
        return _fits_but_for_shape(value, hint) and _fits_shape(value.shape, hint, sizes)
    if hint is None or hint is type(None):
        return value is None
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple and Ellipsis not in inner:
        same = isinstance(value, tuple | list) and len(value) == len(inner)
        return same and all(_fits(v, h, sizes) for v, h in zip(value, inner, strict=True))
    if origin in _SEVERAL:
        if not isinstance(value, _SEVERAL[origin]) or isinstance(value, str | bytes):
            return False
        if not isinstance(value, collections.abc.Collection):
            return True  # an iterator, whose values come later
        flat = getattr(value, "ndim", 1) == 1  # arrays count as collections, even of no axis
        return flat and (not inner or all(_fits(v, inner[0], sizes) for v in value))
    if origin is typing.Literal:
        return isinstance(value, tuple({type(one) for one in inner})) and value in inner
    if origin is collections.abc.Mapping and inner:
        fits = isinstance(value, Mapping)
        return fits and all(_fits(v, inner[1], sizes) for v in value.values())
    if origin is collections.abc.Callable or hint is Callable:
        return callable(value)
    return _is_a(value, origin or hint)


_SEVERAL = {
    list: list | tuple,
    tuple: list | tuple,
    collections.abc.Sequence: collections.abc.Sequence,
    collections.abc.Collection: collections.abc.Collection,
    collections.abc.Iterable: collections.abc.Iterable,
}
"""For annotations that hold several values: what may come. A list does where a tuple is usual."""


def _is_a(value: Any, kind: Any) -> bool:
    if not isinstance(kind, type):
        return True
    if kind in (int, float):
        return isinstance(value, Integral if kind is int else Real) and not isinstance(value, bool)
    if issubclass(kind, torch.nn.Module) and isinstance(value, torch.nn.Module):
        return any(isinstance(module, kind) for module in value.modules())  # also if wrapped
    return isinstance(value, kind)


def _is_array(hint: Any) -> bool:
    """True for jaxtyping's annotations, which have a kind of array, its dtypes and its sizes."""
    return hasattr(hint, "dim_str")


def _fits_but_for_shape(value: Any, hint: Any) -> bool:
    if not _is_array(hint):
        return isinstance(hint, type) and _is_a(value, hint)
    if not isinstance(value, hint.array_type):
        return False
    name = str(value.dtype).removeprefix("torch.")
    return not isinstance(hint.dtypes, tuple | list) or name in hint.dtypes


def _fits_shape(shape: tuple[int, ...], hint: Any, sizes: Sizes) -> bool:
    names, found = hint.dim_str.split(), dict(sizes)
    spread = next((i for i, name in enumerate(names) if name[0] in "*." or "..." in name), None)
    if spread is not None:
        tail = len(names) - spread - 1
        if len(shape) < spread + tail:
            return False
        middle = tuple(shape[spread : len(shape) - tail])
        if found.setdefault(names[spread], middle) != middle:
            return False
        names = names[:spread] + names[spread + 1 :]
        shape = (*shape[:spread], *shape[len(shape) - tail :])
    if len(names) != len(shape):
        return False
    for name, size in zip(names, shape, strict=True):
        broadcast, name = name.startswith("#"), name.removeprefix("#")
        if name.isdigit() and int(name) != size:
            return False
        named = name.isidentifier() and not name.startswith("_") and not (broadcast and size == 1)
        if named and found.setdefault(name, size) != size:
            return False
    sizes.update(found)
    return True


# --- what is said ---------------------------------------------------------------------------------


def _said(hint: Any, sizes: Sizes) -> str:
    return " or ".join(dict.fromkeys(_one_said(part, sizes) for part in _parts(hint)))


def _one_said(hint: Any, sizes: Sizes) -> str:
    if _is_array(hint):
        several = NUMBERS.get(hint.__name__.split("[")[0], "numbers")
        return f"{WORDS[hint.array_type]} of {several} {_shape_said(hint, sizes)}"
    if hint is None or hint is type(None):
        return "None"
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple and Ellipsis not in inner:
        return f"({', '.join(_said(part, sizes) for part in inner)})"
    if origin in _SEVERAL:
        return f"a list of {PLURALS.get(inner[0], _said(inner[0], sizes))}" if inner else "a list"
    if origin is collections.abc.Callable or hint is Callable:
        return "a function"
    if origin is typing.Literal:
        return " or ".join(map(repr, inner))
    kind = origin or hint
    name = getattr(kind, "__name__", str(kind))
    return WORDS.get(kind) or WORDS.get(name) or f"{'an' if name[0] in 'AEIO' else 'a'} {name}"


def _shape_said(hint: Any, sizes: Sizes) -> str:
    said = []
    for name in hint.dim_str.split():
        size = sizes.get(name.removeprefix("#"), name.lstrip("#"))
        said += map(str, size) if isinstance(size, tuple) else [str(size)]
    return f"[{', '.join('…' if part.startswith('*') else part for part in said)}]"


def _shown(value: Any) -> str:
    if isinstance(value, torch.Tensor | np.ndarray):
        kind = WORDS[torch.Tensor if isinstance(value, torch.Tensor) else np.ndarray]
        return f"{kind} of {str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    if value is None:
        return "None"
    if isinstance(value, str | int | float | list | tuple | dict) and len(repr(value)) < 60:
        return f"{value!r} ({type(value).__name__})"
    return type(value).__name__


def _way_out(value: Any, hint: Any) -> str:
    """How to make the one kind of array from the other."""
    wanted = {part.array_type for part in _parts(hint) if _is_array(part)}
    if isinstance(value, np.ndarray) and wanted == {torch.Tensor}:
        return "; torch.from_numpy(x) makes a tensor"
    if isinstance(value, torch.Tensor) and wanted == {np.ndarray}:
        return "; x.cpu().numpy() makes an array"
    return ""
