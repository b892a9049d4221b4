"""Checks of the learner's own functions: `check.one_step(one_step)`.

A check never raises. It says "not attempted yet", or which mistake was made, or where the answer
first goes wrong. If the answer is right, it says so and shows the learner's function at work.
`check.progress()` shows how many exercises are solved, and `check.reset()` forgets them.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable

from sdlearn.exercises import exercises
from sdlearn.exercises.grade import Grade
from sdlearn.exercises.progress import Progress, forget, read_done, write_done


def progress() -> Progress:
    """How many exercises of each lesson are solved, counting all earlier sessions."""
    listed = tuple((exercise.lesson, exercise.name) for exercise in exercises().values())
    return Progress(listed, frozenset(read_done()))


def reset() -> Progress:
    """Forget which exercises were solved."""
    forget()
    return progress()


def __getattr__(name: str) -> Callable[[object], Grade]:
    if name.startswith("_"):
        raise AttributeError(name)
    if name not in exercises():
        near = difflib.get_close_matches(name, exercises(), n=1, cutoff=0.5)
        meant = f"did you mean {near[0]}? T" if near else "t"
        raise AttributeError(
            f"there is no exercise {name!r}; {meant}he course has {', '.join(exercises())}"
        )

    def run(answer: object) -> Grade:
        grade = exercises()[name].grade(answer)
        if grade.passed:
            write_done(read_done() | {name})
        return grade

    return run
