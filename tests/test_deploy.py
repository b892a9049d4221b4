"""The course for a class, in JupyterHub. `benchmarks/hub.py` runs it with ten learners."""

import importlib.util
import json
import os
import re

import pytest
import yaml
from traitlets.config import Config

import start
from sdlearn._support.paths import NOTEBOOKS, ROOT

DEPLOY = ROOT / "deploy"
pytestmark = pytest.mark.skipif(os.name == "nt", reason="JupyterHub does not run on Windows")


@pytest.fixture
def learner():
    spec = importlib.util.spec_from_file_location("learner", DEPLOY / "learner.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def configured(monkeypatch, course=None):
    """What `deploy/jupyterhub_config.py` says to JupyterHub."""
    if course:
        monkeypatch.setenv("SDLEARN_COURSE", str(course))
    said = Config()
    source = (DEPLOY / "jupyterhub_config.py").read_text()
    exec(compile(source, "jupyterhub_config.py", "exec"), {"get_config": lambda: said})
    return said


def test_each_learner_gets_their_own_lessons_once(learner, tmp_path):
    for _ in range(2):
        folder = learner.desk(tmp_path)
        copies = folder / "my-lessons"
        assert {file.name for file in copies.glob("*.ipynb")} == {
            file.name for file in NOTEBOOKS.glob("*.ipynb")
        }
        lesson = copies / "00_start_here.ipynb"
        if "mine" not in lesson.read_text():
            cells = json.loads(lesson.read_text())["cells"]
            assert not any(cell.get("outputs") for cell in cells)
            lesson.write_text('"mine"')
    assert lesson.read_text() == '"mine"'


def test_links_of_a_lesson_lead_to_the_course(learner, tmp_path):
    folder = learner.desk(tmp_path)
    for lesson in (folder / "my-lessons").glob("*.ipynb"):
        for link in re.findall(r"\]\((\.\./[^)#]+)\)", lesson.read_text()):
            assert (lesson.parent / link).exists(), link


def test_the_server_is_jupyterhubs_in_the_courses_environment(learner, tmp_path):
    run = learner.command(tmp_path, ["--allow-root"])
    assert run[:3] == [str(start.python()), "-m", "jupyterhub.singleuser"]
    assert f"--ServerApp.root_dir={tmp_path}" in run
    assert run[-1] == "--allow-root"
    first = re.search("default_url=/lab/tree/(.+)", " ".join(run[:-1]))[1]
    assert (learner.desk(tmp_path) / first).exists()


def test_jupyterhub_is_told_what_is_there(monkeypatch):
    python, script = configured(monkeypatch, ROOT).Spawner.cmd
    assert script == str(DEPLOY / "learner.py")
    assert python == str(start.python())
    there = configured(monkeypatch, "/srv/sdlearn").Spawner
    values = yaml.safe_load((DEPLOY / "values.yaml").read_text())["singleuser"]
    assert values["cmd"] == there.cmd
    assert values["startTimeout"] == there.start_timeout
    assert "WORKDIR /srv/sdlearn\n" in (ROOT / "Dockerfile").read_text()


def test_both_recipes_give_a_learner_the_same(monkeypatch):
    memory = yaml.safe_load((DEPLOY / "values.yaml").read_text())["singleuser"]["memory"]
    recipe = (DEPLOY / "README.md").read_text()
    assert f"limits.memory {memory['limit']}" in recipe
    largest = max(
        float(gigabytes)
        for gigabytes in re.findall(
            r"^\| \d\d_\w+ \| \d+ \| ([\d.]+) \|",
            (ROOT / "benchmarks/RESULTS.md").read_text(),
            re.MULTILINE,
        )
    )
    assert largest < float(memory["limit"].rstrip("G"))
