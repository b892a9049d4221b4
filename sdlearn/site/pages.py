"""From saved notebooks to pages: nbconvert with a template of its own, and an index of lessons."""

from __future__ import annotations

import base64
import io
import os
import re
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import nbformat
import numpy as np
from jinja2 import Environment, FileSystemLoader
from nbconvert import HTMLExporter
from nbconvert.preprocessors import ExecutePreprocessor
from PIL import Image

from sdlearn._support.paths import ASSETS, NOTEBOOKS
from sdlearn.images import to_jpeg
from sdlearn.site.formulas import Formulas
from sdlearn.widgets.scrubber import FRAMES, KEEP_FRAMES

HERE = Path(__file__).parent
TEMPLATES = HERE / "templates"
COPIED = (HERE / "style.css", HERE / "scrubber.js", ASSETS / "painter.webp")
PICTURE = re.compile(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)")
NEIGHBOURS = re.compile(r"^(←.*|.*→)$\n", re.MULTILINE)
"""The line with links to other lessons, which a page has at its top and bottom anyway."""
THUMBNAIL = (480, 270)


@dataclass(frozen=True)
class Lesson:
    """What the index and a page's head say of a lesson."""

    number: str
    name: str
    title: str
    question: str
    minutes: str
    thumbnail: str
    """A small JPEG in base64; empty if the lesson has no picture yet."""

    @classmethod
    def of(cls, name: str, notebook: nbformat.NotebookNode) -> Lesson:
        head = notebook.cells[0].source
        heading = re.search(r"^# (\d\d) · (.+)$", head, re.MULTILINE)
        question = re.search(r"^\*\*(.+?)\*\*$", head, re.MULTILINE)
        minutes = re.search(r"In about (\d+) minutes", head)
        if not (heading and question and minutes):
            raise ValueError(
                f"{name}: its first cell should hold the heading '# 04 · Title', the question in "
                "bold on a line of its own, and 'In about 60 minutes'"
            )
        pictures = [picture for cell in notebook.cells for picture in _pictures(cell)]
        return cls(heading[1], name, heading[2], question[1], minutes[1], _thumbnail(pictures[1:]))


def _pictures(cell: nbformat.NotebookNode) -> list[bytes]:
    """The JPEGs among a cell's outputs."""
    shown = [output.get("data", {}) for output in cell.get("outputs", [])]
    found = [data["image/jpeg"] for data in shown if "image/jpeg" in data]
    found += [each for data in shown for each in PICTURE.findall(data.get("text/html", ""))]
    return [base64.b64decode(each) for each in found]


def _thumbnail(pictures: list[bytes]) -> str:
    """The picture, of the lesson's first ones, whose shape fits a card best."""
    wide, high = THUMBNAIL
    opened = [Image.open(io.BytesIO(picture)) for picture in pictures[:4]]
    if not opened:
        return ""
    best = min(
        opened, key=lambda picture: abs(np.log(picture.width * high / picture.height / wide))
    )
    best.thumbnail((wide, wide))
    return base64.b64encode(to_jpeg(best.convert("RGB"), 85)).decode()


def build(folder: Path, chosen: Collection[str] | None = None, live: bool = False) -> str:
    """Write the site into a folder and say what was written.

    Args:
        chosen: numbers of lessons, such as "04"; by default all.
        live: run the lessons first, so that films keep all their pictures.

    Raises:
        ValueError: there is no such lesson.
    """
    files = sorted(NOTEBOOKS.glob("*.ipynb"))
    numbers = [file.name[:2] for file in files]
    if unknown := set(chosen or ()) - set(numbers):
        raise ValueError(f"lessons: some of {', '.join(numbers)}, got {', '.join(sorted(unknown))}")
    notebooks = {file.stem: nbformat.read(file, 4) for file in files}
    lessons = [Lesson.of(name, notebook) for name, notebook in notebooks.items()]
    folder.mkdir(parents=True, exist_ok=True)
    for place, lesson in enumerate(lessons):
        if chosen and lesson.number not in chosen:
            continue
        notebook = notebooks[lesson.name]
        around = {
            "lesson": lesson,
            "before": lessons[place - 1] if place else None,
            "after": lessons[place + 1] if place + 1 < len(lessons) else None,
        }
        page = _page(_executed(notebook) if live else notebook, around)
        (folder / f"{lesson.name}.html").write_text(page, encoding="utf-8")
    index = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True)
    (folder / "index.html").write_text(
        index.get_template("index.html.j2").render(lessons=lessons), encoding="utf-8"
    )
    for file in COPIED:
        shutil.copy(file, folder / file.name)
    return f"{folder / 'index.html'}: {len(chosen or lessons)} lessons"


def _page(notebook: nbformat.NotebookNode, around: dict) -> str:
    notebook.cells[0].source = NEIGHBOURS.sub("", notebook.cells[0].source)
    exporter = HTMLExporter(
        extra_template_basedirs=[str(TEMPLATES)],
        template_name="lesson",
        preprocessors=[Formulas],
        anchor_link_text="#",
    )
    exporter.filters["for_the_site"] = for_the_site
    exporter.filters["outline"] = outline
    page, _ = exporter.from_notebook_node(notebook, {"site": around, "frames": FRAMES})
    return page


def for_the_site(html: str) -> str:
    """Links to notebooks as links to their pages."""
    return re.sub(r'href="(\d\d_\w+)\.ipynb', r'href="\1.html', html)


def outline(notebook: nbformat.NotebookNode) -> list[tuple[str, str]]:
    """The sections of a lesson: each with its anchor, as nbconvert makes it."""
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    named = re.findall(r"^## (.+)$", "\n".join(sources), re.MULTILINE)
    plain = [re.sub(r"<math.*?</math>|[`*]", "", name) for name in named]
    return [(name, quote(name.replace(" ", "-"), safe="?/:@!$&'()*+,;=")) for name in plain]


def _executed(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook, run again with films that keep all their pictures."""
    before = os.environ.get(KEEP_FRAMES)
    os.environ[KEEP_FRAMES] = "1"
    try:
        run = ExecutePreprocessor(timeout=None, store_widget_state=False)
        return run.preprocess(notebook, {"metadata": {"path": str(NOTEBOOKS)}})[0]
    finally:
        os.environ.pop(KEEP_FRAMES) if before is None else os.environ.update({KEEP_FRAMES: before})
