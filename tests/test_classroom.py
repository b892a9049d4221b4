"""The class release: lessons without solutions, graded by nbgrader if it is installed."""

import os
import re
import shutil
import subprocess
import sys

import nbformat
import pytest

from sdlearn import check
from sdlearn.exercises import classroom

LESSON = "04_forward_noising"
NBGRADER = os.environ.get("SDLEARN_NBGRADER") or shutil.which("nbgrader")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("class") / "of 2026"
    classroom.make(made)
    return made


def cells(folder, lesson):
    return nbformat.read(folder / "source" / lesson / f"{lesson}.ipynb", 4).cells


def test_every_exercise_is_an_assignments_cell_worth_a_point(folder):
    told = [
        cell.metadata.nbgrader
        for file in (folder / "source").glob("*/*.ipynb")
        for cell in nbformat.read(file, 4).cells
        if "nbgrader" in cell.metadata
    ]
    exercises = set(check.exercises())
    assert {cell.grade_id for cell in told if cell.solution} == exercises
    assert {cell.grade_id for cell in told if cell.grade} == {f"{name}-check" for name in exercises}
    assert all(cell.points == 1 and cell.locked for cell in told if cell.grade)


def test_no_solution_is_left_in_the_text(folder):
    for file in (folder / "source").glob("*/*.ipynb"):
        for cell in nbformat.read(file, 4).cells:
            assert "olution of" not in cell.source


def without(marks, source):
    """The source without what is between nbgrader's marks, as nbgrader removes it."""
    return re.sub(
        rf" *### BEGIN {marks}.*?### END {marks}",
        "    raise NotImplementedError()",
        source,
        flags=re.DOTALL,
    )


def test_cells_hold_the_solution_and_only_between_the_marks(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("SDLEARN_HOME", str(tmp_path))
    for cell in cells(folder, LESSON):
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if name in check.exercises():
            for source, passed in ((cell.source, True), (without("SOLUTION", cell.source), None)):
                scope = {}
                exec("import torch\n" + source, scope)
                assert getattr(check, name)(scope[name]).passed is passed


def test_a_folder_with_something_in_it_is_left_alone(folder):
    with pytest.raises(FileExistsError, match="is not empty"):
        classroom.make(folder)


def test_the_command_says_what_comes_next_and_what_to_install(tmp_path, monkeypatch, capsys):
    for installed in (None, "/somewhere/nbgrader"):
        monkeypatch.setattr(shutil, "which", lambda name, found=installed: found)
        folder = tmp_path / str(installed is None)
        monkeypatch.setattr(sys, "argv", ["classroom", str(folder)])
        classroom.main()
        said = capsys.readouterr().out
        assert "nbgrader generate_assignment 01_generated_content" in said
        assert ("pip install nbgrader" in said) is (installed is None)


def test_an_exercise_without_a_solution_is_an_error():
    lesson = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("check.one_step(one_step)")])
    with pytest.raises(ValueError, match="one_step: the lesson has no folded solution"):
        classroom.for_class(lesson)


# --- nbgrader itself ------------------------------------------------------------------------------


def filled(released, solutions, names):
    """The students' version, with the solutions of some exercises filled in."""
    notebook = nbformat.from_dict(released)
    for cell in notebook.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if name in names:
            cell.source = solutions[name]
    return notebook


@pytest.mark.skipif(not NBGRADER, reason="nbgrader, in an environment of its own, is not installed")
def test_nbgrader_gives_full_marks_to_solutions_none_to_stubs_and_part_to_a_mixture(tmp_path):
    """Lesson 04: nbgrader releases it, three students submit it, nbgrader grades it."""
    folder = tmp_path / "class"
    classroom.make(folder)
    # nbgrader calls other scripts of its environment
    path = f"{os.path.dirname(NBGRADER)}{os.pathsep}{os.environ['PATH']}"
    environment = {
        **os.environ,
        "PATH": path,
        "SDLEARN_HOME": str(tmp_path),
    }

    def nbgrader(*words):
        done = subprocess.run(
            [NBGRADER, *words], cwd=folder, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr

    nbgrader("generate_assignment", LESSON)
    released = nbformat.read(folder / "release" / LESSON / f"{LESSON}.ipynb", 4)
    assert not any("HIDDEN" in cell.source or "SOLUTION" in cell.source for cell in released.cells)
    solutions = {
        cell.metadata.nbgrader.grade_id: cell.source
        for cell in cells(folder, LESSON)
        if "nbgrader" in cell.metadata
    }
    solvable = [name for name in solutions if not name.endswith("-check")]
    students = {"ada": solvable, "ben": [], "cleo": solvable[:2]}
    for student, names in students.items():
        handed_in = folder / "submitted" / student / LESSON
        handed_in.mkdir(parents=True)
        nbformat.write(filled(released, solutions, names), handed_in / f"{LESSON}.ipynb")
    nbgrader("autograde", LESSON)
    nbgrader("export", "--to", "grades.csv")
    rows = [line.split(",") for line in (folder / "grades.csv").read_text().splitlines()]
    scores = {
        row[rows[0].index("student_id")]: float(row[rows[0].index("score")]) for row in rows[1:]
    }
    assert scores == {"ada": 5.0, "ben": 0.0, "cleo": 2.0}
    nbgrader("generate_feedback", LESSON)
    for student, said in {"ada": "5.0 / 5.0", "ben": "0.0 / 5.0", "cleo": "2.0 / 5.0"}.items():
        page = folder / "feedback" / student / LESSON / f"{LESSON}.html"
        assert said in " ".join(page.read_text(encoding="utf-8").split()), student
