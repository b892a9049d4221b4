"""What holds for the repository as a whole."""

import re

from importlinter.cli import lint_imports

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
