"""Every lesson on another model: a folder in Stable Diffusion's layout, through papermill's parameter."""

from pathlib import Path

import nbformat
import papermill
import pytest
from nbclient import NotebookClient
from papermill.parameterize import parameterize_notebook

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
LESSONS = sorted(NOTEBOOKS.glob("*.ipynb"))
FEW = 20
"""Steps of a lesson's live training."""


@pytest.fixture(scope="module")
def folder(random_pipeline, tmp_path_factory):
    saved = tmp_path_factory.mktemp("another model")
    random_pipeline.save_pretrained(saved)
    return saved


def parameters(lesson: Path, folder: Path) -> dict:
    offered = papermill.inspect_notebook(str(lesson))
    assert "MODEL" in offered
    return {"MODEL": str(folder), **({"STEPS": FEW} if "STEPS" in offered else {})}


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda file: file.stem)
def test_a_lesson_runs_on_another_model(lesson, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("SDLEARN_HOME", str(tmp_path))
    executed, chosen = str(tmp_path / lesson.name), parameters(lesson, folder)
    papermill.execute_notebook(str(lesson), executed, chosen, cwd=str(NOTEBOOKS), kernel_name="python3")


HOOKED = """
import torch
modules = [m for part in vars(model).values() if isinstance(part, torch.nn.Module) for m in part.modules()]
assert not [m for m in modules if m._forward_hooks or m._forward_pre_hooks]
"""


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda file: file.stem)
def test_cells_run_twice_and_in_another_order(lesson, folder, tmp_path, monkeypatch):
    """Top to bottom, then bottom to top, as one who goes back; nothing stays hooked to the model."""
    monkeypatch.setenv("SDLEARN_HOME", str(tmp_path))
    notebook = parameterize_notebook(papermill.iorw.load_notebook_node(str(lesson)), parameters(lesson, folder))
    cells = [(index, cell) for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    notebook.cells.append(nbformat.v4.new_code_cell(HOOKED))
    again = [pair for pair in reversed(cells) if "parameters" not in pair[1].metadata.tags]
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": NOTEBOOKS}})
    with client.setup_kernel():
        for index, cell in [*cells, *again, (len(notebook.cells) - 1, notebook.cells[-1])]:
            client.execute_cell(cell, index)
