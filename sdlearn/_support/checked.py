"""Check a function's arguments against its annotations, before any work starts.

The error names the argument, says what would fit, and shows what was given.
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
"""The sizes that the names in annotations stand for, as far as one call has shown."""

WORDS = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    torch.Tensor: "a tensor",
    np.ndarray: "an array",
    np.random.Generator: "a numpy random generator",
    torch.Generator: "a torch.Generator",
    collections.abc.Mapping: "a dict",
    "Components": "a model from sdlearn.load",
    "Image": "a PIL picture",
    "Maps": "maps from sdlearn.attention.record",
    "Scene": "a Scene from sdlearn.compose",
    "Share": "a Share from sdlearn.evaluate.samples",
    "CLIPImageProcessorPil": "CLIP's image processor",
}
"""How errors describe what fits, by class or by class name."""
PLURALS = {
    str: "texts",
    int: "whole numbers",
    float: "numbers",
    np.ndarray: "arrays",
    "Image": "PIL pictures",
    "Scene": "Scenes",
    "Stop": "Stops from sdlearn.unet.tour",
    "Token": "Tokens from sdlearn.text.pieces",
}
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
        if torch.compiler.is_compiling() or torch.jit.is_tracing():
            return target(*args, **kwargs)  # the values are not there yet
        try:
            given = signature.bind(*args, **kwargs)
        except TypeError:
            return target(*args, **kwargs)  # Python's own message is clear enough
        known = {name: hints()[name] for name in given.arguments if name in hints()}
        check_arguments({name: (hint, given.arguments[name]) for name, hint in known.items()})
        for name, hint in known.items():
            given.arguments[name] = _as_number(given.arguments[name], hint)
        return target(*given.args, **given.kwargs)

    guarded.is_checked = True
    return guarded


def _as_number(value: Any, hint: Any) -> Any:
    """The number in a zero-dimensional array or tensor, where only numbers are expected."""
    if not isinstance(value, torch.Tensor | np.ndarray) or value.ndim:
        return value
    as_tensor = any(_is_array(part) for part in _parts(hint)) and isinstance(value, torch.Tensor)
    numbers = any(part in (int, float) for part in _parts(hint))
    return value.item() if numbers and not as_tensor and not _is_meta(value) else value


def _is_meta(value: torch.Tensor | np.ndarray) -> bool:
    return getattr(value, "is_meta", False)


def check_arguments(given: Mapping[str, tuple[Any, Any]]) -> None:
    """Raise TypeError or ValueError for the first value that its annotation does not allow."""
    sizes: Sizes = {}
    placed: tuple[str, torch.device] | None = None
    for name, (hint, value) in given.items():
        if not _fits(value, hint, sizes):
            right_kind = any(_fits_but_for_shape(value, part) for part in _parts(hint))
            error = ValueError if right_kind else TypeError
            raise error(f"{name}: {_said(hint, sizes)}, got {_got(value, hint, sizes)}")
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
        same = _is_several(value, tuple) and len(value) == len(inner)
        return same and all(_fits(v, h, sizes) for v, h in zip(value, inner, strict=True))
    if origin in _SEVERAL:
        return _is_several(value, origin) and _misfit(value, hint, sizes) is None
    if origin is typing.Literal:
        return isinstance(value, tuple({type(one) for one in inner})) and value in inner
    if origin is collections.abc.Mapping:
        return isinstance(value, Mapping) and _misfit(value, hint, sizes) is None
    if origin is collections.abc.Callable or hint is Callable:
        return callable(value)
    return _is_a(value, origin or hint)


_SEVERAL = {
    list: collections.abc.Sequence,
    tuple: collections.abc.Sequence,
    collections.abc.Sequence: collections.abc.Sequence,
    collections.abc.Collection: collections.abc.Collection,
    collections.abc.Iterable: collections.abc.Iterable,
}
"""What is accepted for annotations of several values: a tuple, say, where a list is usual."""


def _is_several(value: Any, kind: Any) -> bool:
    if isinstance(value, torch.Tensor | np.ndarray):
        return value.ndim > 0
    return isinstance(value, _SEVERAL[kind]) and not isinstance(value, str | bytes)


def _misfit(value: Any, hint: Any, sizes: Sizes) -> str | None:
    """The first of several values that does not fit, and where it is."""
    inner = typing.get_args(hint)
    if not inner or not isinstance(value, collections.abc.Collection | torch.Tensor):
        return None  # an iterator, whose values come later
    if isinstance(value, Mapping):
        named, kind = value.items(), inner[-1]
    else:
        named, kind = enumerate(value), inner[0]
    for where, element in named:
        # sizes may differ from one to the next
        if type(element) is not kind and not _fits(element, kind, dict(sizes)):
            return f"{_shown(element)} at {where!r}"
    return None


def _is_a(value: Any, kind: Any) -> bool:
    if not isinstance(kind, type):
        return True
    if kind in (int, float):
        return _is_number(value, whole=kind is int)
    if kind is bool:
        return isinstance(value, bool | np.bool_)
    if issubclass(kind, torch.nn.Module) and isinstance(value, torch.nn.Module):
        return any(isinstance(module, kind) for module in value.modules())  # also if wrapped
    return isinstance(value, kind)


def _is_number(value: Any, whole: bool) -> bool:
    """True for a number, also in a zero-dimensional tensor or array."""
    if isinstance(value, torch.Tensor | np.ndarray):
        kinds = ("int",) if whole else ("int", "float")
        return value.ndim == 0 and any(kind in str(value.dtype) for kind in kinds)
    return isinstance(value, Integral if whole else Real) and not isinstance(value, bool)


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
    names, known = hint.dim_str.split(), dict(sizes)
    spread = next((i for i, name in enumerate(names) if name[0] in "*." or "..." in name), None)
    if spread is not None:
        tail = len(names) - spread - 1
        if len(shape) < spread + tail:
            return False
        middle = tuple(shape[spread : len(shape) - tail])
        if known.setdefault(names[spread], middle) != middle:
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
        if named and known.setdefault(name, size) != size:
            return False
    sizes.update(known)
    return True


# --- the message ----------------------------------------------------------------------------------


def _said(hint: Any, sizes: Sizes) -> str:
    return " or ".join(dict.fromkeys(_one_said(part, sizes) for part in _parts(hint)))


def _one_said(hint: Any, sizes: Sizes) -> str:
    if _is_array(hint):
        several = NUMBERS.get(hint.__name__.split("[")[0], "numbers")
        return f"{WORDS[hint.array_type]} {_shape_said(hint, several, sizes)}"
    if hint is None or hint is type(None):
        return "None"
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple and Ellipsis not in inner:
        return f"({', '.join(_said(part, sizes) for part in inner)})"
    if origin in _SEVERAL:
        return f"a list of {_plural(inner[0], sizes)}" if inner else "a list"
    if origin is collections.abc.Mapping:
        return f"a dict, with {_said(inner[-1], sizes)} for each name"
    if origin is collections.abc.Callable or hint is Callable:
        return "a function"
    if origin is typing.Literal:
        return " or ".join(map(repr, inner))
    kind = origin or hint
    name = getattr(kind, "__name__", str(kind))
    return WORDS.get(kind) or WORDS.get(name) or f"{'an' if name[0] in 'AEIO' else 'a'} {name}"


def _plural(hint: Any, sizes: Sizes) -> str:
    return " or ".join(_one_plural(part, sizes) for part in _parts(hint))


def _one_plural(hint: Any, sizes: Sizes) -> str:
    if typing.get_origin(hint) is tuple:
        return f"pairs {_said(hint, sizes)}"
    if _is_array(hint):
        return _said(hint, sizes).replace("a tensor", "tensors").replace("an array", "arrays")
    name = getattr(hint, "__name__", "")
    return PLURALS.get(hint) or PLURALS.get(name) or f"values, each {_said(hint, sizes)}"


def _shape_said(hint: Any, numbers: str, sizes: Sizes) -> str:
    names = hint.dim_str.split()
    if not names:
        return "with one number"
    if names in (["..."], [names[0]]) and names[0][0] in "*." and names[0] not in sizes:
        return f"of {numbers} of any shape"
    said = []
    for name in names:
        size = sizes.get(name.removeprefix("#"), name.lstrip("#"))
        size = f"1 or {size}" if name[0] == "#" and size != 1 else size
        said += map(str, size) if isinstance(size, tuple) else [str(size)]
    return f"of {numbers} [{', '.join('…' if part[0] in '*.' else part for part in said)}]"


def _got(value: Any, hint: Any, sizes: Sizes) -> str:
    """What was given (of several values, the first that does not fit), and how to make it fit."""
    several = [part for part in _parts(hint) if typing.get_origin(part) in (*_SEVERAL, Mapping)]
    for part in several:
        kind = typing.get_origin(part)
        if isinstance(value, Mapping) if kind is Mapping else _is_several(value, kind):
            misfit = _misfit(value, part, sizes)
            if misfit:
                return misfit
    return f"{_shown(value)}{_way_out(value, hint)}"


def _shown(value: Any) -> str:
    if isinstance(value, torch.Tensor | np.ndarray):
        kind = WORDS[torch.Tensor if isinstance(value, torch.Tensor) else np.ndarray]
        return f"{kind} of {str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    if value is None:
        return "None"
    if isinstance(value, type):
        return f"the class {value.__name__} itself"
    kind = type(value).__name__
    if isinstance(value, str | int | float | list | tuple | dict) and len(repr(value)) < 60:
        return f"{value!r} ({kind})"
    return f"{'an' if kind[0].lower() in 'aeio' else 'a'} {kind}"


def _way_out(value: Any, hint: Any) -> str:
    """How to turn what was given into what fits, for common mistakes."""
    parts, kind = _parts(hint), type(value).__name__
    names = {getattr(part, "__name__", "") for part in parts}
    arrays = {part.array_type for part in parts if _is_array(part)}
    if isinstance(value, np.ndarray) and arrays == {torch.Tensor}:
        floats = any(_is_array(part) and part.__name__.startswith("Float") for part in parts)
        return f"; torch.from_numpy(x){'.float()' if floats else ''} makes a tensor"
    if isinstance(value, torch.Tensor) and arrays == {np.ndarray}:
        return "; x.cpu().numpy() makes an array"
    if isinstance(value, torch.Tensor) and any("Bool" in name for name in names):
        return "; x > 0.5 makes bools"
    if isinstance(value, list | tuple) and arrays:
        return (
            f"; {'np.stack' if arrays == {np.ndarray} else 'torch.stack'}(x) makes one of several"
        )
    if any(typing.get_origin(part) in _SEVERAL for part in parts) and hasattr(value, "__iter__"):
        return "" if isinstance(value, str | bytes | Mapping) else "; list(x) makes a list"
    if kind == "Components" and names & {"UNet2DConditionModel", "Module"}:
        return "; say model.unet"
    if kind == "Components" and "AutoencoderKL" in names:
        return "; say model.vae"
    if isinstance(value, str) and "Components" in names:
        return "; sdlearn.load('tiny') makes one"
    if value is None and names & {"CLIPModel", "CLIPImageProcessorPil"}:
        return "; the folder of this model has no CLIP"
    return ""
