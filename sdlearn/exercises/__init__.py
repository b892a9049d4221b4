"""The exercises, one module per lesson: what each asks for, and which mistakes it knows.

Every module with a `lesson` in it is found by itself. Lessons are ordered by name, exercises by
their place in the module.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from sdlearn.exercises.engine import AnyExercise


@cache
def exercises() -> dict[str, AnyExercise]:
    """Every exercise of the course by its name."""
    modules = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
    lessons = [module.lesson for module in modules if hasattr(module, "lesson")]
    ordered = sorted(lessons, key=lambda lesson: lesson.name)
    listed = [exercise for lesson in ordered for exercise in lesson.exercises]
    named = {exercise.name: exercise for exercise in listed}
    if len(named) < len(listed):
        raise ValueError("two exercises have the same name; a name is unique in the whole course")
    return named


def unknown(what: str, name: str, known: Collection[str]) -> AttributeError:
    """The error for a name that the course does not have, with the nearest one that it has."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    meant = f"did you mean {near[0]}? T" if near else "t"
    return AttributeError(f"there is no {what} {name!r}; {meant}he course has {', '.join(known)}")
