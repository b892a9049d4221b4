"""Every lesson on another model: a folder in Stable Diffusion's layout, through papermill's parameter."""

from pathlib import Path

import papermill
import pytest

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
FEW = 20
"""Steps of a lesson's live training."""


@pytest.fixture(scope="module")
def folder(random_pipeline, tmp_path_factory):
    saved = tmp_path_factory.mktemp("another model")
    random_pipeline.save_pretrained(saved)
    return saved


@pytest.mark.parametrize("lesson", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda file: file.stem)
def test_a_lesson_runs_on_another_model(lesson, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("SDLEARN_HOME", str(tmp_path))
    offered = papermill.inspect_notebook(str(lesson))
    assert "MODEL" in offered
    chosen = {"MODEL": str(folder), **({"STEPS": FEW} if "STEPS" in offered else {})}
    papermill.execute_notebook(
        str(lesson), str(tmp_path / lesson.name), chosen, cwd=str(NOTEBOOKS), kernel_name="python3"
    )
