"""The exercises, one module per lesson: what each asks for, and which mistakes it knows.

Every module with a `lesson` in it is found by itself. Lessons are ordered by name, exercises by
their place in the module.
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
