"""Checks of the learner's own functions: `check.one_step(one_step)`.

A check never raises. It says "not attempted yet", or which mistake was made, or where the answer
first goes wrong. If the answer is right, it says so and shows the learner's function at work.
`check.use(one_step)` is the learner's function for the cells below, once it is right.
`check.progress()` shows how many exercises are solved, and `check.reset()` forgets them.
"""

from __future__ import annotations

from collections.abc import Callable

from sdlearn.exercises import exercises, unknown
from sdlearn.exercises.engine import Exercise
from sdlearn.exercises.grade import Grade
from sdlearn.exercises.progress import Progress, forget, read, write


def progress(lesson: str = "") -> Progress:
    """How many exercises are solved, counting all earlier sessions.

    Args:
        lesson: the start of a lesson's name, such as "04"; by default, all lessons.

    Raises:
        ValueError: if no lesson with exercises starts like this.
    """
    listed = [(exercise.lesson, exercise.name) for exercise in exercises().values()]
    asked = tuple((of, name) for of, name in listed if of.startswith(lesson))
    if not asked:
        names = ", ".join(dict.fromkeys(of for of, _ in listed))
        raise ValueError(f"lesson: the start of one of {names}, got {lesson!r}")
    return Progress(asked, read().solved)


def reset() -> Progress:
    """Forget which exercises were solved, and what was guessed."""
    forget()
    return progress()


def use(answer: Callable) -> Callable:
    """The learner's function if it is right, or else the course's own, and a line that says which.

    A lesson goes on with it, so it uses what the learner wrote, and also runs without.

    Raises:
        AttributeError: no exercise that asks for a function has its name.
    """
    name = getattr(answer, "__name__", repr(answer))
    asked = {name: each for name, each in exercises().items() if isinstance(each, Exercise)}
    if name not in asked:
        raise unknown("exercise", name, asked)
    right = asked[name].grade(answer).passed
    print(f"{name}:", "yours" if right else "the course's own, until yours is right")
    return answer if right else asked[name].right


def __getattr__(name: str) -> Callable[[object], Grade]:
    if name.startswith("_"):
        raise AttributeError(name)
    if name not in exercises():
        raise unknown("exercise", name, exercises())

    def run(answer: object) -> Grade:
        grade = exercises()[name].grade(answer)
        if grade.passed:
            write(read().with_solved(name))
        return grade

    return run
