"""The learner's own copies of the lessons, in `my-lessons/`; those in `notebooks/` stay untouched.

A copy has no outputs, so that nothing is spoiled, and is written only once: when the lesson changes
later, the copy stays as it is until the learner asks for a new one, and then the old one is kept.
`start.py` uses this module before any package is installed, so it needs only Python itself.
"""

from __future__ import annotations

import hashlib
import json
import platform
from pathlib import Path

RECORD = ".copied.json"
"""In the folder of the copies: for every lesson, the fingerprint of what was copied."""
METADATA = {
    # what JupyterLab would add; with it, a lesson that was only read has nothing to save
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {
        "codemirror_mode": {"name": "ipython", "version": 3},
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
        "version": platform.python_version(),
    },
}


def prepare(lessons: Path, own: Path) -> list[str]:
    """Copy the lessons that the learner does not have yet.

    Returns:
        the names of the lessons that have changed since they were copied.
    """
    own.mkdir(exist_ok=True)
    copied, changed = _read_record(own), []
    for lesson in sorted(lessons.glob("*.ipynb")):
        now = _fingerprint(lesson)
        if not (own / lesson.name).exists():
            _copy(lesson, own / lesson.name)
            copied[lesson.name] = now
        elif copied.setdefault(lesson.name, now) != now:
            changed.append(lesson.stem)
    _write_record(own, copied)
    return changed


def renew(lessons: Path, own: Path, number: str) -> tuple[Path, Path | None]:
    """Copy a lesson again, by its number ("4" is 04), and keep the learner's version beside it.

    Returns:
        the new copy, and the old one under its new name, if there was one.

    Raises:
        ValueError: there is no such lesson.
    """
    names = [lesson.name for lesson in sorted(lessons.glob("*.ipynb"))]
    asked = number.zfill(2) if number.isdigit() else number
    chosen = [name for name in names if asked and name.startswith(asked)]
    if len(chosen) != 1:
        numbers = ", ".join(name[:2] for name in names)
        raise ValueError(f"there is no lesson {number!r}; the lessons are {numbers}")
    lesson, copy = lessons / chosen[0], own / chosen[0]
    own.mkdir(exist_ok=True)
    old = None
    if copy.exists():
        old = next(
            file
            for count in range(1, 10_000)
            if not (file := copy.with_stem(f"{copy.stem}-old-{count}")).exists()
        )
        copy.rename(old)
    _copy(lesson, copy)
    _write_record(own, _read_record(own) | {copy.name: _fingerprint(lesson)})
    return copy, old


def _copy(lesson: Path, copy: Path) -> None:
    """The lesson without outputs, written whole or not at all."""
    notebook = json.loads(lesson.read_text(encoding="utf-8"))
    notebook["metadata"] = METADATA
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
    unfinished = copy.with_suffix(".unfinished")
    text = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(copy)


def _fingerprint(lesson: Path) -> str:
    """A hash of what the lesson says; outputs do not count."""
    cells = json.loads(lesson.read_text(encoding="utf-8"))["cells"]
    said = json.dumps([(cell["cell_type"], "".join(cell["source"])) for cell in cells])
    return hashlib.sha256(said.encode()).hexdigest()


def _read_record(own: Path) -> dict[str, str]:
    try:
        return dict(json.loads((own / RECORD).read_text(encoding="utf-8")))
    except (OSError, ValueError):  # without it, the copies count as copies of today's lessons
        return {}


def _write_record(own: Path, copied: dict[str, str]) -> None:
    (own / RECORD).write_text(json.dumps(copied, indent=1), encoding="utf-8")
