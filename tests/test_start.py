"""start.py: what it passes on, when it trusts an environment, and how it reports problems."""

import os
import sys
from collections import namedtuple
from pathlib import Path

import pytest

import start

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """start.py with its environment in an empty folder.

    Instead of running pip, it only notes that pip would have run.
    """
    venv = tmp_path / ".venv"
    monkeypatch.setattr(start, "VENV", venv)
    monkeypatch.setattr(start, "STAMP", venv / "sdlearn-stamp")
    monkeypatch.setattr(start, "PYTHON", venv / "bin" / "python")
    installed = []
    monkeypatch.setattr(start, "install", lambda: installed.append(True))

    def create(path, with_pip, clear):
        assert clear
        start.PYTHON.parent.mkdir(parents=True, exist_ok=True)
        start.PYTHON.write_text("")

    monkeypatch.setattr("venv.create", create)
    return installed


def test_what_comes_after_two_dashes_is_passed_on():
    assert start.split(["test", "--", "-k", "drawing"]) == (["test"], ["-k", "drawing"])
    assert start.split(["--no-browser"]) == (["--no-browser"], [])


def test_a_prepared_environment_is_trusted_the_second_time(elsewhere):
    assert not start.is_ready()
    start.prepare()
    assert start.is_ready()
    assert len(elsewhere) == 1


def test_a_half_made_environment_is_not_trusted(elsewhere):
    start.PYTHON.parent.mkdir(parents=True)
    start.PYTHON.write_text("")
    assert not start.is_ready()


def test_another_python_is_noticed(elsewhere, monkeypatch):
    start.prepare()
    monkeypatch.setattr(start.sys, "version", "3.99")
    assert not start.is_ready()


@pytest.mark.parametrize("name", ["requirements.txt", "pyproject.toml"])
def test_changed_requirements_are_noticed(name, tmp_path, monkeypatch):
    monkeypatch.setattr(start, "ROOT", tmp_path)
    for file in ("requirements.txt", "pyproject.toml"):
        (tmp_path / file).write_text("× 1", encoding="utf-8")
    before = start.fingerprint()
    (tmp_path / name).write_text("× 2", encoding="utf-8")
    assert start.fingerprint() != before


def test_a_failed_install_leaves_no_stamp(elsewhere, monkeypatch):
    monkeypatch.setattr(start, "install", lambda: start.stop("pip failed"))
    with pytest.raises(SystemExit, match="pip failed"):
        start.prepare()
    assert not start.is_ready()


def test_an_old_python_is_told_so(monkeypatch):
    monkeypatch.setattr(start.sys, "version_info", (3, 8, 10))
    with pytest.raises(SystemExit, match=r"needs Python 3.11 or newer; this is Python"):
        start.main()


def test_a_full_disk_is_told_before_anything_is_made(elsewhere, monkeypatch):
    monkeypatch.setattr(start.shutil, "disk_usage", lambda _: Usage(1, 1, 5e8))
    with pytest.raises(
        SystemExit, match=r"disk has 0.5 GB free; the course's packages need about 3 GB"
    ):
        start.prepare()
    assert not start.VENV.exists()


def test_a_missing_venv_module_names_the_package(elsewhere, monkeypatch):
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    with pytest.raises(SystemExit, match=r"sudo apt install python3\.\d+-venv"):
        start.prepare()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "ERROR: Could not install packages: [Errno 28] No space left on device",
            "The disk is full",
        ),
        (
            "NewConnectionError: Failed to establish a new connection",
            "package index cannot be reached",
        ),
        (
            "Temporary failure in name resolution\nERROR: No matching distribution found for torch",
            "cannot be reached",
        ),
        ("ERROR: No matching distribution found for torch==2.13.0", "no release for this Python"),
        ("ERROR: something else", "pip's own output is above"),
    ],
)
def test_pips_errors_are_explained(said, told):
    assert told in start.explain(said)


def test_kernels_get_the_settings_and_keep_what_the_user_set(monkeypatch):
    for name in ("OMP_WAIT_POLICY", "KMP_BLOCKTIME", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "/mine")
    settings = start.environment()
    assert settings["OMP_WAIT_POLICY"] == "PASSIVE"
    ours, theirs = settings["JUPYTER_CONFIG_PATH"].split(os.pathsep)
    assert (Path(ours) / "labconfig" / "default_setting_overrides.json").exists()
    assert theirs == "/mine"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert start.environment()["OMP_WAIT_POLICY"] == "ACTIVE"
