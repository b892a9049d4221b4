"""Which exercises the learner has solved, kept in a small file in the user's data folder."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_data_path

BAR = 20


@dataclass(frozen=True, repr=False)
class Progress:
    """All exercises as (lesson, name), and the names of the solved ones."""

    exercises: tuple[tuple[str, str], ...]
    done: frozenset[str]

    def __repr__(self) -> str:
        lessons = dict.fromkeys(lesson for lesson, _ in self.exercises)
        lines = [
            self._line(lesson, [name for of, name in self.exercises if of == lesson])
            for lesson in lessons
        ]
        return "\n".join(lines)

    def _line(self, lesson: str, names: list[str]) -> str:
        done = [name for name in names if name in self.done]
        open_ = [name for name in names if name not in self.done]
        bar = "█" * round(BAR * len(done) / len(names))
        left = f"  left: {', '.join(open_)}" if open_ else "  all solved"
        return f"{lesson:<24} {bar:░<{BAR}} {len(done)} of {len(names)}{left}"


def progress_file() -> Path:
    """Where it is kept: in SDLEARN_HOME if that is set, else in the user's data folder."""
    home = os.environ.get("SDLEARN_HOME")
    return (Path(home) if home else user_data_path("sdlearn")) / "progress.json"


def read_done() -> set[str]:
    """Names of the solved exercises; nothing yet, or a file that cannot be read, is an
    empty set.
    """
    try:
        return set(json.loads(progress_file().read_text(encoding="utf-8"))["solved"])
    except FileNotFoundError:
        return set()
    except (OSError, ValueError, KeyError, TypeError) as error:
        warnings.warn(
            f"{progress_file()} cannot be read ({error}); progress starts from zero", stacklevel=3
        )
        return set()


def write_done(names: Collection[str]) -> None:
    """Save the solved exercises, the whole file or nothing of it; a folder that cannot be written
    to is only said.
    """
    file = progress_file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(f".{os.getpid()}")
        unfinished.write_text(json.dumps({"solved": sorted(names)}), encoding="utf-8")
        unfinished.replace(file)
    except OSError as error:
        warnings.warn(f"{file} cannot be written ({error}); progress is not kept", stacklevel=3)


def forget() -> None:
    """Remove the file."""
    progress_file().unlink(missing_ok=True)
