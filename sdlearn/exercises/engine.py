"""How an exercise is declared, and how an answer to it is graded.

An exercise is the course's own function with cases to compare on; its mistakes are known wrong
functions, each after the text that a learner reads:

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
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial, wraps

import torch
from matplotlib.figure import Figure
from torch import Tensor

from sdlearn._support.precision import in_float32
from sdlearn.exercises.diagnosis import (
    Call,
    asked_wrongly,
    difference,
    listed,
    redone,
    relation,
    written,
)
from sdlearn.exercises.grade import Grade
from sdlearn.exercises.results import (
    Case,
    Unmet,
    copied,
    equal,
    is_finite,
    is_real,
    plain,
    same,
    tensor_of,
)

CUT_OFF = (
    "the number is right, but a network cannot learn from it: its gradient was cut off, by "
    "`.item()`, `.detach()`, `float()`, `torch.tensor()` or `torch.no_grad()`"
)
LONG = 90
"""A case that takes more characters than this is shown beneath the message, not in it."""


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
        learns: Callable[[], tuple[Case, Tensor]] | None = None,
        by_hand: Callable[..., dict[str, object]] | None = None,
        asks: Callable[[Callable, Case], list[Call]] | None = None,
    ) -> Callable[[Callable], Exercise]:
        """Declare a function as an exercise, under its own name.

        Args:
            cases: gives the arguments to try, the smallest first.
            picture: draws the learner's function at work, beside the right one.
            near: decides whether a result is as good as the right one; by default, equality to
                within rounding.
            learns: for a function that networks are trained with, a case and a tensor in it that
                the gradient of the result has to reach.
            by_hand: the intermediate results of a case, by name, to redo it on paper.
            asks: the calls that a function makes to the network of a case, in order.
        """
        near = near or equal
        return lambda right: self._add(
            Exercise(self.name, right, cases, picture, near, learns, by_hand, asks)
        )

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
            with in_float32(), torch.random.fork_rng(devices=[]):
                _check_function(answer)
                return self._grade(answer)
        except Unmet as unmet:
            return self._wrong(str(unmet))
        except NotImplementedError as error:
            if str(error):  # PyTorch raises it too, and says why
                return self._wrong(_about(error, answer))
            return Grade(self.name, None, "not attempted yet")
        except (Exception, SystemExit) as error:  # a learner's `exit()` must not end the kernel
            return self._wrong(_about(error, answer))

    @abstractmethod
    def _grade(self, answer: object) -> Grade: ...

    def _wrong(self, message: str) -> Grade:
        return Grade(self.name, False, message)

    def _right(self, draw: Callable[[], Figure | None], answer: object) -> Grade:
        """A right answer with its picture; one that fails on the picture's larger input is not."""
        try:
            picture = draw()
        except Exception as error:
            about = _about(error, answer)
            return self._wrong(f"right on small cases, but not on a picture: {about}")
        return Grade(self.name, True, "right", lambda: picture)


@dataclass(frozen=True, eq=False)
class Exercise(AnyExercise):
    """What is asked for, how a right answer is recognised, and how wrong ones go wrong.

    Calling it runs the course's own function.
    """

    lesson: str
    right: Callable
    cases: Callable[[], list[Case]]
    picture: Callable[[Callable], Figure] | None
    near: Callable[[object, object], bool]
    learns: Callable[[], tuple[Case, Tensor]] | None = None
    by_hand: Callable[..., dict[str, object]] | None = None
    asks: Callable[[Callable, Case], list[Call]] | None = None
    known: dict[str, Callable] = field(default_factory=dict)
    """Known mistakes: the wrong functions, by the text that a learner reads."""

    @property
    def name(self) -> str:
        """The function's own name."""
        return self.right.__name__

    @cached_property
    def tried(self) -> list[Case]:
        """The cases; answers get copies of them."""
        return self.cases()

    @cached_property
    def _results(self) -> dict[tuple[int, int], object]:
        return {}

    def result(self, way: Callable, case: Case) -> object:
        """What one of the exercise's own functions returns for a case, computed once."""
        key = id(way), id(case)
        if key not in self._results:
            self._results[key] = way(*copied(case))
        return self._results[key]

    def __call__(self, *arguments, **named):
        return self.right(*arguments, **named)

    def mistakes(self, *pairs: str | Callable) -> None:
        """Add known mistakes in pairs: a text, and a wrong function. They are tried in order.

        Raises:
            TypeError: something other than a text and a function, in turn.
        """
        says, ways = pairs[::2], pairs[1::2]
        if len(says) != len(ways) or not all(map(callable, ways)) or len(set(says)) < len(says):
            raise TypeError(f"{self.name}: mistakes are pairs of a new text and a function")
        self.known.update(zip(says, ways, strict=True))

    def _grade(self, answer: object) -> Grade:
        pairs, failed = self._tried(answer)
        wrong = [
            (c, result) for c, result in pairs if not self.near(result, self.result(self.right, c))
        ]
        if not wrong and failed:
            return failed
        if not wrong:
            self._check_gradient(answer)
            self._check_own_dice(answer)
            return self._right(lambda: self._draw(answer), answer)
        case, result = wrong[0]
        if is_real(result) and not equal(answer(*copied(case)), result):
            return self._wrong(
                "the result changes from call to call: draw nothing yourself, and use what the "
                "function is given"
            )
        try:
            message = self._mistake(pairs) or self._difference(answer, pairs, wrong)
        except Unmet as unmet:  # a shape, NaN, None: there is a case to redo for these, too
            message = str(unmet)
        picture = partial(self._draw_if_possible, answer)
        return Grade(self.name, False, message, picture, self._redone(case, result))

    def _tried(self, answer: Callable) -> tuple[list[tuple[Case, object]], Grade | None]:
        """The cases and their results, up to the first that raises, and the grade for that."""
        pairs = []
        for case in self.tried:
            try:
                pairs.append((case, self._try(answer, case)))
            except (Unmet, NotImplementedError):
                raise
            except Exception as error:
                about = f"{_about(error, answer)} (for {self._given(case)})"
                return pairs, Grade(self.name, False, about, case=listed(self._names(), case))
        return pairs, None

    def _try(self, answer: Callable, case: Case) -> object:
        """The answer's result for a case; raise Unmet if it changed its arguments."""
        given = copied(case)
        result = answer(*given)
        for name, before, after in zip(self._names(), case, given, strict=False):
            if not same(before, after):
                raise Unmet(
                    f"your function changes its argument `{name}`, which later cells use again; "
                    "leave it as it is, and make a new tensor"
                )
        return result

    def _names(self) -> list[str]:
        return list(inspect.signature(self.right).parameters)

    def _check_gradient(self, answer: Callable) -> None:
        if self.learns is None:
            return
        (mine, right) = (self._gradient(way) for way in (answer, self.right))
        if mine is None:
            raise Unmet(CUT_OFF)
        if not equal(mine, right):
            raise Unmet("the number is right, but its gradient is not: is a part of it detached?")

    def _gradient(self, way: Callable) -> Tensor | None:
        """How the result changes with the tensor that has to learn; None if it cannot."""
        case, weights = self.learns()
        result = way(*case)
        if not (isinstance(result, Tensor) and result.requires_grad):
            return None
        (gradient,) = torch.autograd.grad(result, weights, allow_unused=True)
        return gradient

    def _check_own_dice(self, answer: Callable) -> None:
        """Raise Unmet if the answer changed torch's global random state, which later cells use."""
        torch.manual_seed(2**31 - 1)  # a seed that no learner would choose
        before = torch.random.get_rng_state()
        answer(*copied(self.tried[0]))
        if not torch.equal(before, torch.random.get_rng_state()):
            raise Unmet(
                "the numbers are right, but your function resets torch's *global* random numbers, "
                "which other cells use too; make a `torch.Generator()`, seed it, and pass it on as "
                "`generator=`"
            )

    def _draw(self, answer: Callable) -> Figure | None:
        """The picture; it gets every result as a tensor, whatever kind the answer returns."""

        @wraps(answer)
        def drawable(*arguments, **named):
            return plain(answer(*arguments, **named))

        return self.picture(drawable) if self.picture else None

    def _draw_if_possible(self, answer: Callable) -> Figure | None:
        try:
            return self._draw(answer)
        except Exception:  # a wrong answer may return something that cannot be drawn
            return None

    def _mistake(self, pairs: list[tuple[Case, object]]) -> str | None:
        """The first known mistake that gives the same results, at least where they are finite."""
        finite = [pair for pair in pairs if is_finite(pair[1])]
        return self._known(pairs) or (self._known(finite) if finite else None)

    def _known(self, pairs: list[tuple[Case, object]]) -> str | None:
        if all(self.near(result, self.result(self.right, case)) for case, result in pairs):
            return None
        for says, way in self.known.items():
            try:
                if all(self.near(result, self.result(way, case)) for case, result in pairs):
                    return says
            except (ArithmeticError, RuntimeError, IndexError, ValueError):
                continue  # a wrong function may fail where the learner's does not
        return None

    def _difference(self, answer: Callable, pairs: list, wrong: list) -> str:
        """What is wrong with the form of the result; else how it follows from the right one."""
        case, result = wrong[0]
        expected = torch.as_tensor(self.result(self.right, case))
        tensor_of(result, tuple(expected.shape), f"for {self._given(case)}: ")
        if said := self._relation(pairs):
            return said
        right = len(pairs) - len(wrong)
        mine, expected = self._compared(case, result)
        are = "is" if right == 1 else "are"
        some = f"; {right} of {len(pairs)} cases {are} right" if right else ""
        return (
            f"for {self._given(case)}: {difference(mine, expected)}{some}"
            f"{self._on_the_way(answer, case)}"
        )

    def _relation(self, pairs: list) -> str | None:
        try:
            return relation([self._compared(*pair) for pair in pairs])
        except (TypeError, ValueError, RuntimeError):  # the result of another case is not a tensor
            return None

    def _compared(self, case: Case, result: object) -> tuple[Tensor, Tensor]:
        """A result and the right one, in double precision."""
        return (
            torch.as_tensor(result).detach().double(),
            torch.as_tensor(self.result(self.right, case)).double(),
        )

    def _on_the_way(self, answer: Callable, case: Case) -> str:
        """The first call to the network that differs from the right one, as a sentence."""
        if self.asks is None:
            return ""
        return ". " + asked_wrongly(*(self.asks(way, case) for way in (answer, self.right)))

    def _given(self, case: Case) -> str:
        named = zip(self._names(), case, strict=False)
        shown = [(name, v) for name, v in named if isinstance(v, Tensor | int | float | str | list)]
        given = ", ".join(f"{name} = {written(value)}" for name, value in shown)
        return given if len(given) < LONG else "the case below"

    def _redone(self, case: Case, result: object) -> str:
        try:
            mine, right = map(torch.as_tensor, (result, self.result(self.right, case)))
            mine, right = mine if mine.is_complex() else mine.double(), right.double()
        except (TypeError, ValueError, RuntimeError):
            return ""
        steps = self.by_hand(*case) if self.by_hand else {}
        return redone(self._names(), case, steps, mine.detach(), right)


@dataclass(frozen=True)
class OpenExercise(AnyExercise):
    """An exercise with many right answers. attempt: tries one, raises `Unmet`."""

    lesson: str
    attempt: Callable[[object], object]
    picture: Callable[[object], Figure]

    @property
    def name(self) -> str:
        """The function's own name."""
        return self.attempt.__name__

    def _grade(self, answer: object) -> Grade:
        measured = self.attempt(answer)
        return self._right(lambda: self.picture(measured), answer)


def _check_function(answer: object) -> None:
    if not callable(answer) or isinstance(answer, torch.nn.Module):
        raise Unmet(
            f"a function was expected, got {type(answer).__name__}; hand in the function itself, "
            "without ()"
        )


def _about(error: BaseException, answer: object) -> str:
    """The error, and the line of the learner's own code that it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame.line for frame in frames if frame.filename == _file(answer)]
    line = f" in line `{own[-1]}`" if own and own[-1] else ""
    return f"{type(error).__name__}{line}: {str(error).splitlines()[0] if str(error) else ''}"


def _file(answer: object) -> str | None:
    try:
        return inspect.getfile(inspect.unwrap(answer))
    except TypeError:
        return None
