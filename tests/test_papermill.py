"""Every lesson on another model, chosen with papermill's parameter; cells in both directions.

The other model is a folder in Stable Diffusion's layout. It is in half precision, as every model is
on a GPU.
"""

import json
from pathlib import Path

import nbformat
import papermill
import pytest

from sdlearn._support.paths import NOTEBOOKS

LESSONS = sorted(NOTEBOOKS.glob("*.ipynb"))
FEW = 20
"""The number of steps of a lesson's live training."""
HALF = """
import torch
from sdlearn import loading
loading._usable_dtype = lambda dtype, device: dtype or torch.bfloat16
"""
HOOKED = """
import torch
parts = [part for part in vars(model).values() if isinstance(part, torch.nn.Module)]
modules = [module for part in parts for module in part.modules()]
assert not [m for m in modules if m._forward_hooks or m._forward_pre_hooks]
"""


@pytest.fixture(scope="module")
def folder(random_pipeline, tmp_path_factory):
    saved = tmp_path_factory.mktemp("another model")
    random_pipeline.save_pretrained(saved)
    (saved / "defaults.json").write_text(json.dumps({"steps": 6, "guidance": 3.0}))  # to be quick
    return saved


def there_and_back(lesson: Path, file: Path) -> None:
    """Write the lesson's cells from top to bottom, and then from bottom to top.

    The second half is what a reader does who goes back through the lesson. Cells with the tag
    `once` are left out there: they take long, and would show the same again.
    """
    notebook = nbformat.read(lesson, 4)
    there = [cell for cell in notebook.cells if cell.cell_type == "code"]
    back = [
        cell.source
        for cell in reversed(there)
        if not {"parameters", "once"} & set(cell.metadata.get("tags", []))
    ]
    first, *rest = (nbformat.v4.new_code_cell(source) for source in [HALF, *back, HOOKED])
    notebook.cells = [first, *there, *rest]
    nbformat.write(notebook, file)


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda file: file.stem)
def test_cells_run_in_order_and_backwards_on_another_model(lesson, folder, tmp_path, monkeypatch):
    """At the end, no hooks are left on the model."""
    monkeypatch.setenv("SDLEARN_HOME", str(tmp_path))
    offered, asked = papermill.inspect_notebook(str(lesson)), tmp_path / lesson.name
    assert "MODEL" in offered
    chosen = {"MODEL": str(folder), **({"STEPS": FEW} if "STEPS" in offered else {})}
    there_and_back(lesson, asked)
    papermill.execute_notebook(
        str(asked),
        str(tmp_path / "executed.ipynb"),
        chosen,
        cwd=str(NOTEBOOKS),
        kernel_name="python3",
    )
