"""How an exercise is declared, and how an answer to it is graded.

An exercise is the course's own function with cases to compare on; its mistakes are known wrong
ways, in pairs of what to say and what was done:

    lesson = Lesson("04_forward_noising")

    @lesson.exercise(cases=lambda: [(torch.tensor([0.5, 0.2]),)], picture=_curve)
    def alpha_bars(betas):
        \"\"\"ᾱ of every step.\"\"\"
        return (1 - betas).cumprod(dim=0)

    alpha_bars.mistakes(
        "this multiplies β; a step *keeps* 1 - β",
        lambda betas: betas.cumprod(dim=0),
    )

An open exercise has many right answers: a function tries the learner's and raises `Unmet` with what
is missing, or returns what its picture is drawn from.
"""

from __future__ import annotations

import inspect
import math
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field

import torch
from matplotlib.figure import Figure
from torch import Tensor

from sdlearn._support.precision import in_float32

LONGEST = 60
"""An argument whose repr is longer is shown as the name of its type."""
RETURNED_NONE = "your function returned None; does it end with `return`?"

Case = tuple
"""The arguments of one call."""


class Unmet(Exception):
    """What an answer to an open exercise lacks, as a sentence for the learner."""


@dataclass(frozen=True, repr=False)
class Grade:
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


class Lesson:
    """A lesson, by the name of its notebook, and its exercises in the order they are declared."""

    def __init__(self, name: str):
        self.name = name
        self.exercises: list[AnyExercise] = []

    def exercise(
        self,
        cases: Callable[[], list[Case]],
        picture: Callable[[Callable], Figure] | None = None,
        near: Callable[[object, object], bool] | None = None,
    ) -> Callable[[Callable], Exercise]:
        """Declare a function as an exercise, under its own name.

        Args:
            cases: gives the arguments to try, the smallest first.
            picture: draws the learner's function at work, beside the right one.
            near: is a result as good as the right one? By default, equal to within rounding.
        """
        return lambda right: self._add(Exercise(self.name, right, cases, picture, near or equal))

    def open_exercise(
        self, picture: Callable[[object], Figure]
    ) -> Callable[[Callable], OpenExercise]:
        """Declare a function that tries answers as an open exercise, under its own name."""
        return lambda attempt: self._add(OpenExercise(self.name, attempt, picture))

    def _add(self, exercise: AnyExercise) -> AnyExercise:
        self.exercises.append(exercise)
        return exercise


class AnyExercise(ABC):
    """What both kinds share: a grade for whatever is handed in, and never an exception."""

    lesson: str
    name: str

    def grade(self, answer: object) -> Grade:
        """What the check says about an answer; it never raises."""
        try:
            with in_float32():
                return self._grade(answer)
        except Unmet as unmet:
            return self._wrong(str(unmet))
        except NotImplementedError as error:
            if str(error):  # PyTorch raises it too, and says why
                return self._wrong(_about(error, answer))
            return Grade(self.name, None, "not attempted yet")
        except Exception as error:
            return self._wrong(_about(error, answer))

    @abstractmethod
    def _grade(self, answer: object) -> Grade: ...

    def _wrong(self, message: str) -> Grade:
        return Grade(self.name, False, message)

    def _right(self, draw: Callable[[], Figure | None], answer: object) -> Grade:
        """A right answer with its picture; one that fails on the picture's larger input is not."""
        try:
            return Grade(self.name, True, "right", draw())
        except Exception as error:
            about = _about(error, answer)
            return self._wrong(f"right on small cases, but not on a picture: {about}")


@dataclass(frozen=True)
class Exercise(AnyExercise):
    """What is asked for, how it is recognised, and how it goes wrong. Called, it is the answer."""

    lesson: str
    right: Callable
    cases: Callable[[], list[Case]]
    picture: Callable[[Callable], Figure] | None
    near: Callable[[object, object], bool]
    known: dict[str, Callable] = field(default_factory=dict)
    """Known mistakes: for each, what to say and the wrong way."""

    @property
    def name(self) -> str:
        return self.right.__name__

    def __call__(self, *arguments, **named):
        return self.right(*arguments, **named)

    def mistakes(self, *pairs: str | Callable) -> None:
        """Add known mistakes in pairs: what to say, and the wrong way. They are tried in order.

        Raises:
            TypeError: something other than a text and a function, in turn.
        """
        says, ways = pairs[::2], pairs[1::2]
        if len(says) != len(ways) or not all(map(callable, ways)) or len(set(says)) < len(says):
            raise TypeError(f"{self.name}: mistakes are pairs of a new text and a function")
        self.known.update(zip(says, ways, strict=True))

    def _grade(self, answer: object) -> Grade:
        if not callable(answer):
            return self._wrong(f"a function was expected, got {type(answer).__name__}")
        cases = self.cases()
        results = [answer(*_copied(case)) for case in cases]
        pairs = list(zip(cases, results, strict=True))
        wrong = [(c, result) for c, result in pairs if not self.near(result, self.right(*c))]
        if not wrong:
            return self._right(lambda: self.picture(answer) if self.picture else None, answer)
        for says, way in self.known.items():
            if all(self.near(result, way(*case)) for case, result in pairs):
                return self._wrong(says)
        case, result = wrong[0]
        if _is_real(result) and not equal(answer(*_copied(case)), result):
            return self._wrong(
                "the result changes from call to call; use what the function is given"
            )
        return self._wrong(_difference(result, self.right(*case), case))


@dataclass(frozen=True)
class OpenExercise(AnyExercise):
    """An exercise with many right answers. attempt: tries one, raises `Unmet`."""

    lesson: str
    attempt: Callable[[object], object]
    picture: Callable[[object], Figure]

    @property
    def name(self) -> str:
        return self.attempt.__name__

    def _grade(self, answer: object) -> Grade:
        measured = self.attempt(answer)
        return self._right(lambda: self.picture(measured), answer)


# --- what learners' functions return --------------------------------------------------------------


def tensor_of(result: object, shape: tuple[int, ...] | None = None, where: str = "") -> Tensor:
    """A result as a tensor of finite numbers, of this shape if one is given.

    where: how the message begins, such as "at scale 3: ".

    Raises:
        Unmet: naming what came instead.
    """
    if result is None:
        raise Unmet(f"{where}{RETURNED_NONE}")
    try:
        values = torch.as_tensor(result).detach()
    except (TypeError, ValueError, RuntimeError):
        raise Unmet(f"{where}a tensor was expected, got {type(result).__name__}") from None
    if values.is_complex():
        raise Unmet(f"{where}your result is complex: the root of a negative number was taken")
    if shape is not None and values.shape != shape:
        wanted = "×".join(map(str, shape))
        raise Unmet(f"{where}shape {wanted or '()'} was expected, got {_shape(values)}")
    if not values.isfinite().all():
        raise Unmet(f"{where}your result holds NaN or infinity")
    return values


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


def _is_real(value: object) -> bool:
    return isinstance(value, Tensor) and not value.is_complex()


def _copied(case: Case) -> Case:
    """A copy of the arguments: the learner's function may change them in place."""
    return tuple(value.clone() if isinstance(value, Tensor) else copy(value) for value in case)


def _difference(result: object, expected: object, case: Case) -> str:
    """What came, what was expected, and for which arguments."""
    expected = torch.as_tensor(expected).double()
    where = f"for ({', '.join(map(_short, case))}): "
    try:
        values = tensor_of(result, tuple(expected.shape), where).double()
    except Unmet as unmet:
        return str(unmet)
    if expected.numel() == 1:
        return f"{where}{expected.item():.6g} was expected, got {values.item():.6g}"
    largest = (values - expected).abs().max().item()
    return f"{where}the shape is right, the largest difference is {largest:.3g}"


def _about(error: Exception, answer: object) -> str:
    """The error, and the line of the learner's own code that it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame.line for frame in frames if frame.filename == _file(answer)]
    line = f" in line `{own[-1]}`" if own and own[-1] else ""
    return f"{type(error).__name__}{line}: {str(error).splitlines()[0] if str(error) else ''}"


def _file(answer: object) -> str | None:
    try:
        return inspect.getfile(answer)
    except TypeError:
        return None


def _short(argument: object) -> str:
    if isinstance(argument, Tensor):
        many = argument.numel() > 1
        return f"tensor {_shape(argument)}" if many else f"{argument.item():.4g}"
    if isinstance(argument, float):
        return f"{argument:.4g}" if math.isfinite(argument) else str(argument)
    text = repr(argument)
    return text if len(text) < LONGEST else type(argument).__name__


def _shape(value: Tensor) -> str:
    return "×".join(map(str, value.shape)) or "()"
