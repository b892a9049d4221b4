"""The exercises of every lesson, one module a lesson: what is asked for and which mistakes are
known.

A module that holds a `lesson` is one; lessons stand in the order of their numbers, and exercises in
the order of their declarations.
"""

from __future__ import annotations

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
