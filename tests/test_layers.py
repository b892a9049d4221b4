"""Who may import whom: the contracts in `pyproject.toml`, which `lint-imports` checks."""

from importlinter.cli import lint_imports

from sdlearn._support.paths import ROOT


def test_every_module_imports_only_from_below(capsys):
    broken = lint_imports(str(ROOT / "pyproject.toml"), no_cache=True, no_logo=True)
    assert not broken, capsys.readouterr().out
