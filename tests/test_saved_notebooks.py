"""Saved notebooks are executed in order, and contain only cells, pictures and text."""

import re

import nbformat
import pytest

from sdlearn._support.paths import NOTEBOOKS, ROOT

LESSONS = sorted(NOTEBOOKS.glob("*.ipynb"))


@pytest.mark.parametrize("file", LESSONS, ids=lambda file: file.stem)
def test_a_lesson_is_saved_as_make_notebooks_saves_it(file):
    """It has no widget state, no cell timings, no warning and no bar of a wait that is over.

    They would make a notebook several times as large, and differ from run to run.
    """
    notebook = nbformat.read(file, 4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert list(notebook.metadata) == ["kernelspec"]
    assert {key for cell in notebook.cells for key in cell.metadata} <= {"tags"}
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [
        output.ename for cell in code for output in cell.outputs if output.output_type == "error"
    ]
    outputs = [output for cell in code for output in cell.outputs]
    assert not [output.text for output in outputs if output.get("name") == "stderr"]
    texts = [str(o.get("data", {}).get("text/plain", "")) for o in outputs]
    assert not [text for text in texts if re.search(r"\d%\|", text)], "a bar was left behind"


@pytest.mark.parametrize("file", LESSONS, ids=lambda file: file.stem)
def test_every_fold_of_a_lesson_ends_in_its_cell(file):
    """A fold that never ends hides all of its cell that follows."""
    for cell in nbformat.read(file, 4).cells:
        if cell.cell_type == "markdown":
            assert cell.source.count("<details") == cell.source.count("</details>"), cell.source


@pytest.mark.parametrize("file", LESSONS, ids=lambda file: file.stem)
def test_every_exercise_is_set_before_it_is_checked(file):
    """Headings "Exercise 1", "Exercise 2" … and checks take turns."""
    seen = []
    for cell in nbformat.read(file, 4).cells:
        if cell.cell_type == "markdown":
            seen += re.findall(r"^#+ Exercise (\d+)", cell.source, flags=re.MULTILINE)
        else:
            seen += re.findall(r"^check\.(\w+)\(\1\)$", cell.source, flags=re.MULTILINE)
    numbers, checks = seen[::2], seen[1::2]
    assert numbers == [str(number) for number in range(1, len(checks) + 1)], seen


def test_the_minutes_of_a_lesson_are_the_same_wherever_they_stand():
    tables = {
        "README": (ROOT / "README.md").read_text(encoding="utf-8"),
        "lesson 00": "\n".join(c.source for c in nbformat.read(LESSONS[0], 4).cells),
    }
    for file in LESSONS:
        (said,) = re.findall(r"In about (\d+) minutes", nbformat.read(file, 4).cells[0].source)
        for where, text in tables.items():
            (row,) = re.findall(rf"^\| \[{file.stem[:2]} .*\| (\d+) \|$", text, re.MULTILINE)
            assert row == said, where
