"""What the learner has solved and guessed, kept in a small file in the user's data folder."""

from __future__ import annotations

import json
import os
import warnings
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_data_path

BAR = 20
CARD = (
    "width: 170px; padding: 8px 12px; border-radius: 8px; "
    "border: 1px solid var(--jp-border-color2, #c3cad1)"
)
TRACK = "height: 6px; margin: 6px 0; border-radius: 3px; background: rgba(127, 127, 127, 0.25)"
FILLED = "height: 6px; border-radius: 3px; background: #2e7d3c"
SMALL = "font-size: 90%; margin-top: 4px; opacity: 0.8"
"""Styles that go with a light and with a dark page."""


@dataclass(frozen=True, repr=False)
class Progress:
    """Exercises as (lesson, name), and the names of the solved ones."""

    exercises: tuple[tuple[str, str], ...]
    done: frozenset[str]

    def __repr__(self) -> str:
        return "\n".join(self._line(*of_lesson) for of_lesson in self._by_lesson().items())

    def _repr_html_(self) -> str:
        """A card for each lesson, which links to it."""
        cards = "".join(self._card(*of_lesson) for of_lesson in self._by_lesson().items())
        return f'<div style="display: flex; flex-wrap: wrap; gap: 10px">{cards}</div>'

    def _by_lesson(self) -> dict[str, list[str]]:
        named: dict[str, list[str]] = {}
        for lesson, name in self.exercises:
            named.setdefault(lesson, []).append(name)
        return named

    def _card(self, lesson: str, names: list[str]) -> str:
        number, _, title = lesson.partition("_")
        done = sum(name in self.done for name in names)
        marked = "<br>".join(f"{'✓' if name in self.done else '·'} {name}" for name in names)
        return (
            f'<div style="{CARD}"><a href="{lesson}.ipynb"><b>{number}</b> '
            f"{title.replace('_', ' ')}</a>"
            f'<div style="{TRACK}"><div style="{FILLED}; width: {done / len(names):.0%}"></div>'
            f"</div>{done} of {len(names)} solved"
            f'<div style="{SMALL}">{marked}</div></div>'
        )

    def _line(self, lesson: str, names: list[str]) -> str:
        done = [name for name in names if name in self.done]
        open_ = [name for name in names if name not in self.done]
        bar = "█" * round(BAR * len(done) / len(names))
        left = f"  left: {', '.join(open_)}" if open_ else "  all solved"
        return f"{lesson:<24} {bar:░<{BAR}} {len(done)} of {len(names)}{left}"


@dataclass(frozen=True)
class Record:
    """The names of the solved exercises, and what was guessed in the quiz questions."""

    solved: frozenset[str] = frozenset()
    guesses: tuple[tuple[str, str], ...] = ()
    """The first guess at each question: its name, and the option."""

    def with_solved(self, name: str) -> Record:
        """The record with one more solved exercise."""
        return Record(self.solved | {name}, self.guesses)

    def with_guess(self, name: str, option: str) -> Record:
        """The first guess counts: a later one changes nothing."""
        return Record(self.solved, tuple({name: option, **dict(self.guesses)}.items()))


def record_file() -> Path:
    """Where it is kept: in SDLEARN_HOME if that is set, else in the user's data folder."""
    home = os.environ.get("SDLEARN_HOME")
    return (Path(home) if home else user_data_path("sdlearn")) / "progress.json"


def read() -> Record:
    """What the file says; without one, or with one that cannot be read, an empty record."""
    try:
        kept = json.loads(record_file().read_text(encoding="utf-8"))
        guesses = kept.get("guesses", {})  # files of the first version have none
        return Record(frozenset(kept["solved"]), tuple(guesses.items()))
    except FileNotFoundError:
        return Record()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        warnings.warn(
            f"{record_file()} cannot be read ({error}); progress starts from zero", stacklevel=3
        )
        return Record()


def write(record: Record) -> None:
    """Save the record, all of it or nothing; warn if the folder cannot be written to."""
    file = record_file()
    kept = {"solved": sorted(record.solved), "guesses": dict(record.guesses)}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(f".{os.getpid()}")
        unfinished.write_text(json.dumps(kept), encoding="utf-8")
        unfinished.replace(file)
    except OSError as error:
        warnings.warn(f"{file} cannot be written ({error}); progress is not kept", stacklevel=3)


def forget() -> None:
    """Remove the file."""
    record_file().unlink(missing_ok=True)
