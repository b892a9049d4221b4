"""The exercises and the questions of every lesson, one module a lesson: what is asked for and which
mistakes are known.

A module that holds a `lesson` is one; lessons stand in the order of their numbers, and exercises in
the order of their declarations.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from sdlearn.exercises.engine import AnyExercise, Lesson, Question


@cache
def lessons() -> tuple[Lesson, ...]:
    """Every lesson that has exercises or questions."""
    modules = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
    listed = [module.lesson for module in modules if hasattr(module, "lesson")]
    return tuple(sorted(listed, key=lambda lesson: lesson.name))


@cache
def exercises() -> dict[str, AnyExercise]:
    """Every exercise of the course by its name."""
    return _by_name("exercises", [each for lesson in lessons() for each in lesson.exercises])


@cache
def questions() -> dict[str, Question]:
    """Every question of the course by its name."""
    return _by_name("questions", [each for lesson in lessons() for each in lesson.questions])


def _by_name(what: str, listed: list) -> dict:
    named = {each.name: each for each in listed}
    if len(named) < len(listed):
        raise ValueError(f"two {what} have the same name; a name is unique in the whole course")
    return named
