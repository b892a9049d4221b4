"""Checks of the learner's own functions: `check.one_step(one_step)`.

A check never raises. It says "not attempted yet", or which mistake was made, or where the answer
first goes wrong. If the answer is right, it says so and shows the learner's function at work.
`check.progress()` shows how many exercises are solved, and `check.reset()` forgets them.
"""

from __future__ import annotations

from collections.abc import Callable

from sdlearn.exercises import exercises, unknown
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
