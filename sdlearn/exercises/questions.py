"""The questions that a lesson asks before it shows a result, from `questions.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_suffix(".toml")


@dataclass(frozen=True)
class Question:
    """A question, and a comment on each option."""

    lesson: str
    name: str
    text: str
    options: dict[str, str]


@cache
def questions() -> dict[str, Question]:
    """Every question of the course by its name, which is unique in the whole course."""
    lessons = tomllib.loads(FILE.read_text(encoding="utf-8"))
    listed = [
        Question(lesson, name, asked["text"], dict(asked["options"]))
        for lesson, questions in lessons.items()
        for name, asked in questions.items()
    ]
    named = {question.name: question for question in listed}
    if len(named) < len(listed):
        raise ValueError("two questions have the same name; a name is unique in the whole course")
    return named
