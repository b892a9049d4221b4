"""Checks of the learner's own functions: `check.one_step(one_step)`.

A check never raises. It says "not attempted yet", or which mistake was made, or where the answer
first goes wrong; or it says that the answer is right and shows the learner's function at work.
`check.progress()` tells how far the course has come, and `check.reset()` forgets it.
"""

from __future__ import annotations

import inspect
import math
import traceback
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module

import torch
from matplotlib.figure import Figure
from torch import Tensor

from sdlearn.progress import Progress, forget, read_done, write_done

LESSONS = (
    "families",
    "similarity",
    "compression",
    "noising",
    "unet",
    "attention",
    "training",
    "denoising",
    "text_to_image",
    "image_to_image",
    "real_thing",
)
"""Modules of `sdlearn.exercises`, in the order of the course."""
FEWEST_MISTAKES = 3
LONGEST = 60
"""An argument whose repr is longer is called by its type."""

Case = tuple
"""The arguments of one call."""


@dataclass(frozen=True)
class Mistake:
    """A known wrong way, and what to say to whoever took it."""

    says: str
    wrong: Callable


@dataclass(frozen=True)
class Exercise:
    """What is asked for, how it is recognised, and how it goes wrong.

    right: the course's own function, with which the learner's is compared on every case.
    cases: arguments to try, the smallest first.
    picture: draws the learner's function at work, beside the right one.
    near: says whether a result is as good as the right one; by default equal to within rounding.
    """

    lesson: str
    name: str
    right: Callable
    cases: Callable[[], list[Case]]
    mistakes: tuple[Mistake, ...]
    picture: Callable[[Callable], Figure] | None = None
    near: Callable[[object, object], bool] = field(default_factory=lambda: _equal)

    def __post_init__(self):
        _enough(self.name, self.mistakes)

    def judge(self, answer: object) -> Result:
        return _without_raising(self.name, self._judge, answer)

    def _judge(self, answer: object) -> Result:
        if not callable(answer):
            return Result(self.name, False, f"a function was expected, got {type(answer).__name__}")
        cases = self.cases()
        found = [answer(*_copied(case)) for case in cases]
        wrong = [i for i, case in enumerate(cases) if not self.near(found[i], self.right(*case))]
        if not wrong:
            return _right(self.name, lambda: self.picture(answer) if self.picture else None, answer)
        for mistake in self.mistakes:
            if all(
                self.near(value, mistake.wrong(*case))
                for value, case in zip(found, cases, strict=True)
            ):
                return Result(self.name, False, mistake.says)
        case, value = cases[wrong[0]], found[wrong[0]]
        if (
            isinstance(value, Tensor)
            and not value.is_complex()
            and not _equal(answer(*_copied(case)), value)
        ):
            return Result(
                self.name,
                False,
                "the result is another one each time; use what the function is given",
            )
        return Result(self.name, False, _difference(value, self.right(*case), case))


@dataclass(frozen=True)
class OpenExercise:
    """An exercise with many right answers: every demand either holds or says what is missing.

    measure: runs the answer and returns what the demands look at; it may raise for an answer of the
        wrong kind.
    demands: functions that return None, or what is wrong.
    """

    lesson: str
    name: str
    measure: Callable[[object], object]
    demands: tuple[Callable[[object], str | None], ...]
    picture: Callable[[object], Figure] | None = None

    def __post_init__(self):
        _enough(self.name, self.demands)

    def judge(self, answer: object) -> Result:
        return _without_raising(self.name, self._judge, answer)

    def _judge(self, answer: object) -> Result:
        measured = self.measure(answer)
        for demand in self.demands:
            missing = demand(measured)
            if missing:
                return Result(self.name, False, missing)
        return _right(self.name, lambda: self.picture(measured) if self.picture else None, answer)


@dataclass(frozen=True, repr=False)
class Result:
    """What a check found. `passed` is None for an exercise that was not attempted."""

    name: str
    passed: bool | None
    message: str
    picture: Figure | None = None

    def __repr__(self) -> str:
        return f"{ {True: '✓', False: '✗', None: '·'}[self.passed] } {self.name}: {self.message}"

    def _ipython_display_(self) -> None:
        from IPython.display import display

        print(self)
        if self.picture is not None:
            display(self.picture)


def progress() -> Progress:
    """How many exercises of every lesson are solved, over the whole course and all sessions."""
    return Progress(tuple((e.lesson, e.name) for e in exercises().values()), frozenset(read_done()))


def reset() -> Progress:
    """Forget which exercises were solved."""
    forget()
    return progress()


@cache
def exercises() -> dict[str, Exercise | OpenExercise]:
    """Every exercise of the course by its name."""
    found = [
        exercise
        for lesson in LESSONS
        for exercise in import_module(f"sdlearn.exercises.{lesson}").EXERCISES
    ]
    return {exercise.name: exercise for exercise in found}


def __getattr__(name: str) -> Callable[[object], Result]:
    if name.startswith("_"):
        raise AttributeError(name)
    if name not in exercises():
        raise AttributeError(
            f"there is no exercise {name!r}; the course has {', '.join(exercises())}"
        )

    def run(answer: object) -> Result:
        result = exercises()[name].judge(answer)
        if result.passed:
            write_done(read_done() | {name})
        return result

    return run


def _without_raising(name: str, judge: Callable[[object], Result], answer: object) -> Result:
    try:
        return judge(answer)
    except Exception as error:
        if isinstance(error, NotImplementedError) and not str(
            error
        ):  # PyTorch raises it, too, and says why
            return Result(name, None, "not attempted yet")
        return Result(name, False, _about(error, answer))


def _right(name: str, draw: Callable[[], Figure | None], answer: object) -> Result:
    """A right answer with its picture; an answer that fails on the picture's larger input is not
    right yet.
    """
    try:
        return Result(name, True, "right", draw())
    except Exception as error:
        return Result(
            name, False, f"right on small cases, but not on a picture: {_about(error, answer)}"
        )


def _enough(name: str, mistakes: tuple) -> None:
    if len(mistakes) < FEWEST_MISTAKES:
        raise ValueError(
            f"{name}: an exercise knows at least {FEWEST_MISTAKES} mistakes, got {len(mistakes)}"
        )


def _copied(case: Case) -> Case:
    """Arguments of their own for the learner's function, which may change them in place."""
    return tuple(value.clone() if isinstance(value, Tensor) else copy(value) for value in case)


def _equal(value: object, expected: object) -> bool:
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


def _difference(value: object, expected: Tensor, case: Case) -> str:
    """What came, what was expected, and for which arguments."""
    if value is None:
        return "your function returned None; does it end with `return`?"
    if isinstance(value, complex) or (isinstance(value, Tensor) and value.is_complex()):
        return "your result is complex: the root of a negative number was taken"
    try:
        got = torch.as_tensor(value).detach().double()
    except (TypeError, ValueError, RuntimeError):
        return f"a tensor was expected, got {type(value).__name__}"
    given = ", ".join(_short(argument) for argument in case)
    expected = torch.as_tensor(expected).double()
    if got.shape != expected.shape:
        return f"for ({given}): shape {_shape(expected)} was expected, got {_shape(got)}"
    if not got.isfinite().all():
        return f"for ({given}): your result holds NaN or infinity"
    largest = (got - expected).abs().max().item()
    if expected.numel() == 1:
        return f"for ({given}): {expected.item():.6g} was expected, got {got.item():.6g}"
    return f"for ({given}): the shape is right, the largest difference is {largest:.3g}"


def _about(error: Exception, answer: object) -> str:
    """The error, and the line of the learner's own code that it came from."""
    own = [
        frame.line
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == _file(answer)
    ]
    line = f" in line `{own[-1]}`" if own and own[-1] else ""
    return f"{type(error).__name__}{line}: {str(error).splitlines()[0] if str(error) else ''}"


def _file(answer: object) -> str | None:
    try:
        return inspect.getfile(answer)
    except TypeError:
        return None


def _short(argument: object) -> str:
    if isinstance(argument, Tensor):
        return f"tensor {_shape(argument)}" if argument.numel() > 1 else f"{argument.item():.4g}"
    if isinstance(argument, float):
        return f"{argument:.4g}" if math.isfinite(argument) else str(argument)
    text = repr(argument)
    return text if len(text) < LONGEST else type(argument).__name__


def _shape(value: Tensor) -> str:
    return "×".join(map(str, value.shape)) or "()"
