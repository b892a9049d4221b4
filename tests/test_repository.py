"""What holds for the repository as a whole."""

import json
import re
import tomllib

from importlinter.cli import lint_imports

import start
from sdlearn._support.paths import ROOT


def test_every_module_imports_only_from_below(capsys):
    broken = lint_imports(str(ROOT / "pyproject.toml"), no_cache=True, no_logo=True)
    assert not broken, capsys.readouterr().out


def test_the_linter_is_one_release_everywhere():
    files = ("pyproject.toml", ".github/workflows/tests.yml", ".pre-commit-config.yaml")
    pins = [
        re.search(r"ruff(?:==|-pre-commit\n +rev: v)([\d.]+)", (ROOT / file).read_text())[1]
        for file in files
    ]
    assert len(set(pins)) == 1, pins


def test_the_containers_take_and_run_what_is_there():
    dockerfile = (ROOT / "Dockerfile").read_text()
    copied = re.findall(r"^COPY --chown=learner (.+) \S+$", dockerfile, re.MULTILINE)
    assert copied[-1] == "."
    for file in " ".join(copied).split():
        assert (ROOT / file).exists(), file
    # the packages are installed before the lessons are copied; start.py reads these to do so
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {"start.py", "requirements.txt", "pyproject.toml", project["readme"]}
    assert needed <= set(" ".join(copied[:-1]).split())
    command = json.loads(re.search(r"^CMD (.+)$", dockerfile, re.MULTILINE)[1])
    choice, rest = start.arguments(command[2:])
    assert choice.what == "lab"
    assert rest == ["--ip=0.0.0.0", "--no-browser"]
    assert f"/{start.OWN.name} sdlearn" in dockerfile  # where the volume is
    workspace = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    assert workspace["postCreateCommand"] == "python -c 'import start; start.prepare()'"
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".venv", "my-lessons", ".git"} <= set(ignored)
    lines = (ROOT / ".binder/requirements.txt").read_text().split()
    assert (ROOT / ".binder" / lines[-1]).resolve() == ROOT / "requirements.txt"
