"""For instructors: make an nbgrader course folder of the lessons.

`python -m sdlearn.exercises.classroom FOLDER` writes it. Every exercise becomes a cell to be solved
and a check worth one point. The instructor's version in `source` holds the solutions between
nbgrader's marks; `nbgrader generate_assignment LESSON`, run in the folder, makes the students'
version without them in `release`.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from sdlearn._support.paths import NOTEBOOKS

CHECK = re.compile(r"^check\.(\w+)\(\1\)$", re.MULTILINE)
FOLDED = r"<details><summary>\w+ solution of {name}</summary>\n(.*?)</details>\n?"
CONFIG = """import os
from pathlib import Path

c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "sdlearn"
c.ExecutePreprocessor.timeout = 900
# the lessons run with the course's Python, whichever Python nbgrader has
paths = [str(Path("jupyter").resolve()), os.environ.get("JUPYTER_PATH")]
os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, paths))
"""
KERNEL = Path("jupyter", "kernels", "python3", "kernel.json")
"""In the course folder: the kernel that every lesson asks for."""
MISSING = """
nbgrader is not installed here. It wants other packages than the course, so give it an environment
of its own, and put that on the PATH:

    python3 -m venv nbgrader-venv && nbgrader-venv/bin/pip install nbgrader
    export PATH="$PWD/nbgrader-venv/bin:$PATH"
"""
NEXT = """
next, in {folder}:

    nbgrader generate_assignment {lesson}   # the students' version, in release/
    # what they hand in goes to submitted/NAME/{lesson}/{lesson}.ipynb
    nbgrader autograde {lesson}
    nbgrader export --to grades.csv
    nbgrader generate_feedback {lesson}     # a page for each student, in feedback/
"""


def make(folder: Path, notebooks: Path = NOTEBOOKS) -> list[str]:
    """Write the course folder, and return the names of its assignments.

    Raises:
        FileExistsError: there is something in the folder already, perhaps somebody's grades.
    """
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(
            f"{folder} is not empty; name a new folder, so that nothing in it is lost"
        )
    made = []
    for file in sorted(notebooks.glob("*.ipynb")):
        lesson = for_class(nbformat.read(file, 4))
        if any("nbgrader" in cell.metadata for cell in lesson.cells):
            target = folder / "source" / file.stem / file.name
            target.parent.mkdir(parents=True)
            nbformat.write(lesson, target)
            made.append(file.stem)
    (folder / "nbgrader_config.py").write_text(CONFIG)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel = {"argv": argv, "display_name": "sdlearn", "language": "python"}
    (folder / KERNEL).parent.mkdir(parents=True)
    (folder / KERNEL).write_text(json.dumps(kernel))
    return made


def for_class(lesson: NotebookNode) -> NotebookNode:
    """The lesson with nbgrader's cells instead of its exercises, and no folded solutions."""
    text = "\n".join(cell.source for cell in lesson.cells if cell.cell_type == "markdown")
    lesson.cells = [new for cell in lesson.cells for new in _for_class(cell, text)]
    return lesson


def _for_class(cell: NotebookNode, text: str) -> Iterator[NotebookNode]:
    asked = CHECK.search(cell.source) if cell.cell_type == "code" else None
    if not asked:
        cell.source = re.sub(FOLDED.format(name=r"\w+"), "", cell.source, flags=re.DOTALL).rstrip()
        yield cell
        return
    name = asked[1]
    folded = re.search(FOLDED.format(name=name), text, re.DOTALL)
    if not folded:
        raise ValueError(f"{name}: the lesson has no folded solution of it")
    solution = re.search(r"```python\n(.*?)```", folded[1], re.DOTALL)[1]
    yield _graded(solved(CHECK.sub("", cell.source).rstrip(), solution), name, solution=True)
    hidden = f"### BEGIN HIDDEN TESTS\nassert check.{name}({name}).passed\n### END HIDDEN TESTS"
    yield _graded(f"{asked[0]}\n{hidden}", f"{name}-check", solution=False)


def solved(stub: str, solution: str) -> str:
    """The stub, with the solution between nbgrader's marks in place of `raise`."""
    raised = ast.parse(stub).body[-1].body[-1]
    (function,) = [node for node in ast.parse(solution).body if isinstance(node, ast.FunctionDef)]
    body = solution.splitlines()[function.body[0].lineno - 1 : function.end_lineno]
    marked = ["    ### BEGIN SOLUTION", *body, "    ### END SOLUTION"]
    lines = stub.splitlines()
    return "\n".join(lines[: raised.lineno - 1] + marked + lines[raised.end_lineno :])


def _graded(source: str, name: str, solution: bool) -> NotebookNode:
    """A cell with nbgrader's metadata (schema 3): to be solved, or worth one point."""
    told = {
        "grade_id": name,
        "schema_version": 3,
        "solution": solution,
        "grade": not solution,
        "task": False,
    }
    told |= {"locked": False} if solution else {"locked": True, "points": 1}
    return new_code_cell(source, id=name, metadata={"nbgrader": told})


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m sdlearn.exercises.classroom",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="a new folder")
    folder = parser.parse_args().folder
    try:
        made = make(folder)
    except FileExistsError as error:
        parser.error(str(error))
    print(f"{len(made)} assignments in {folder}/source: {', '.join(made)}")
    if not shutil.which("nbgrader"):
        print(MISSING.rstrip())
    print(NEXT.rstrip().format(folder=folder, lesson=made[0]))


if __name__ == "__main__":
    main()
