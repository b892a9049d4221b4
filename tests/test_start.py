"""start.py: what it passes on, when it trusts an environment, and that it never loses one."""

import json
import os
import shutil
import sys
from collections import namedtuple
from pathlib import Path

import pytest

import start
from sdlearn._support import own_lessons

Usage = namedtuple("Usage", "total used free")
OFFLINE = "Temporary failure in name resolution\nERROR: No matching distribution found for torch"


class Installer:
    """Stands in for `venv`, pip and uv. `says` is what the last one prints if it fails."""

    def __init__(self):
        self.commands, self.says, self.uv_says = [], "", ""

    def create(self, path, with_pip=True):
        start.python(Path(path)).parent.mkdir(parents=True)
        start.python(Path(path)).write_text("new")

    def run(self, command):
        self.commands.append(" ".join(command))
        if command[0] == "/usr/bin/uv":
            if command[1] == "venv" and not self.uv_says:
                self.create(command[-1])
            return self.uv_says
        return self.says


@pytest.fixture
def installer(tmp_path, monkeypatch):
    """start.py with its environment in an empty folder, without uv."""
    stands_in = Installer()
    monkeypatch.setattr(start, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(start, "BEFORE", tmp_path / ".venv-before")
    monkeypatch.setattr(start, "run", stands_in.run)
    monkeypatch.setattr("venv.create", stands_in.create)
    monkeypatch.setattr(start.shutil, "which", lambda name: None)
    return stands_in


def make_old(text="old"):
    """An environment that works, but was made from other requirements."""
    start.python().parent.mkdir(parents=True)
    start.python().write_text(text)
    start.stamp(start.VENV).write_text("another fingerprint")


@pytest.mark.parametrize(
    ("given", "what", "rest"),
    [
        ([], "lab", []),
        (["--no-browser"], "lab", ["--no-browser"]),
        (["lab", "--port", "9000"], "lab", ["--port", "9000"]),
        (["--", "--port=9000"], "lab", ["--port=9000"]),
        (["test", "-k", "drawing"], "test", ["-k", "drawing"]),
        (["test", "--", "-k", "drawing", "--help"], "test", ["-k", "drawing", "--help"]),
        (["renew", "04"], "renew", ["04"]),
    ],
)
def test_what_it_does_not_know_is_passed_on(given, what, rest):
    choice, passed = start.arguments(given)
    assert (choice.what, passed) == (what, rest)


def test_help_shows_examples_and_a_slip_is_told(capsys):
    with pytest.raises(SystemExit, match="0"):
        start.arguments(["--help"])
    assert "python3 start.py renew 04" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        start.arguments(["tset"])
    assert "invalid choice: 'tset'" in capsys.readouterr().err


def test_root_is_told_the_whole_command(monkeypatch):
    monkeypatch.setattr(start.os, "geteuid", lambda: 0, raising=False)
    with pytest.raises(start.Failed, match=r"python3 start.py --no-browser --allow-root"):
        start.check_root(["--no-browser"])
    start.check_root(["--allow-root"])
    monkeypatch.setattr(start.os, "geteuid", lambda: 1000, raising=False)
    start.check_root([])


def test_a_prepared_environment_is_trusted_the_second_time(installer):
    assert not start.is_ready()
    start.prepare()
    assert start.is_ready()
    assert len(installer.commands) == 1


def test_a_half_made_environment_is_not_trusted(installer):
    installer.create(start.VENV)
    assert not start.is_ready()


def test_only_what_matters_makes_a_new_environment(tmp_path, monkeypatch):
    requirements, project = tmp_path / "requirements.txt", tmp_path / "pyproject.toml"
    requirements.write_text("# tried\ntorch==2\n")
    project.write_text('[project]\ndependencies = [\n    "torch>=2",\n]\n[tool.x]\na = 1\n')
    monkeypatch.setattr(start, "ROOT", tmp_path)
    before = start.fingerprint()
    requirements.write_text("# tried twice\n\ntorch==2  # exactly\n")
    project.write_text(project.read_text().replace("a = 1", "a = 2"))
    monkeypatch.setattr(start.sys, "version", "another patch")
    assert start.fingerprint() == before
    moved = tmp_path / "moved"
    moved.mkdir()
    for file in (requirements, project):
        shutil.copy(file, moved)
    monkeypatch.setattr(start, "ROOT", moved)
    assert start.fingerprint() == before
    for file, old, new in (
        (requirements, "torch==2", "torch==3"),
        (project, "torch>=2", "torch>=3"),
    ):
        (tmp_path / file.name).write_text(file.read_text().replace(old, new))
        monkeypatch.setattr(start, "ROOT", tmp_path)
        assert start.fingerprint() != before
        shutil.copy(moved / file.name, tmp_path)
    monkeypatch.setattr(start.sys, "version_info", (3, 99, 0))
    assert start.fingerprint() != before


def test_the_packages_own_dependencies_count_below_a_comment_too(tmp_path, monkeypatch):
    for name in ("requirements.txt", "pyproject.toml"):
        shutil.copy(start.ROOT / name, tmp_path)
    monkeypatch.setattr(start, "ROOT", tmp_path)
    project, seen = tmp_path / "pyproject.toml", [start.fingerprint()]
    for old, new in (
        ("dependencies = [", "dependencies = [ # tried"),
        ('"accelerate>=', '"accelerate>'),
        ('"transformers>=', '"transformers>'),
    ):
        project.write_text(project.read_text(encoding="utf-8").replace(old, new, 1), "utf-8")
        seen.append(start.fingerprint())
    assert len(set(seen[1:])) == 3


def test_new_packages_replace_the_environment_only_when_they_are_there(installer):
    make_old()
    start.prepare()
    assert start.is_ready()
    assert start.python().read_text() == "new"
    assert not start.BEFORE.exists()


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_failed_update_keeps_the_environment_that_works(
    installer, interrupted, capsys, monkeypatch
):
    make_old()
    installer.says = OFFLINE
    if interrupted:

        def interrupt(command):
            raise KeyboardInterrupt

        monkeypatch.setattr(start, "run", interrupt)
        with pytest.raises(KeyboardInterrupt):
            start.prepare()
    else:
        start.prepare()
        said = capsys.readouterr().out
        assert "cannot be reached" in said
        assert "the packages from before are used" in said
    assert start.python().read_text() == "old"
    assert start.is_whole(start.VENV)
    assert not start.is_ready()


def test_an_update_that_was_killed_is_taken_up_again(installer):
    make_old()
    start.VENV.rename(start.BEFORE)
    installer.create(start.VENV)  # half made, without a stamp
    installer.says = OFFLINE
    start.prepare()
    assert start.python().read_text() == "old"


def test_an_environment_in_use_is_told(installer, monkeypatch):
    make_old()

    def locked(*_):
        raise PermissionError("in use")

    monkeypatch.setattr(Path, "rename", locked)
    with pytest.raises(start.Failed, match="in use.*Close JupyterLab"):
        start.prepare()
    assert start.is_whole(start.VENV)


def test_a_failed_first_install_leaves_nothing(installer):
    installer.says = OFFLINE
    with pytest.raises(start.Failed, match="package index cannot be reached"):
        start.prepare()
    assert not start.is_ready()
    assert not start.VENV.exists()


def test_uv_is_used_where_it_is_installed(installer, monkeypatch):
    monkeypatch.setattr(start.shutil, "which", lambda name: "/usr/bin/uv")
    start.prepare()
    assert [command.split()[:2] for command in installer.commands] == [
        ["/usr/bin/uv", "venv"],
        ["/usr/bin/uv", "pip"],
    ]
    assert f"--python {start.python()}" in installer.commands[1]
    assert start.is_ready()


def test_where_uv_fails_pip_is_tried(installer, monkeypatch, capsys):
    monkeypatch.setattr(start.shutil, "which", lambda name: "/usr/bin/uv")
    installer.uv_says = "error: no index"
    start.prepare()
    assert "trying the same with pip" in capsys.readouterr().out
    assert "-m pip install" in installer.commands[-1]
    assert start.is_ready()


def test_an_old_python_is_told_so(monkeypatch):
    monkeypatch.setattr(start.sys, "version_info", (3, 8, 10))
    with pytest.raises(SystemExit, match=r"needs Python 3.11 or newer; this is Python"):
        start.main()


def test_a_full_disk_is_told_before_anything_is_made(installer, monkeypatch):
    monkeypatch.setattr(start.shutil, "disk_usage", lambda _: Usage(1, 1, 5e8))
    with pytest.raises(
        start.Failed, match=r"disk has 0.5 GB free; the course's packages need about 3 GB"
    ):
        start.prepare()
    assert not start.VENV.exists()


def test_a_missing_venv_module_names_the_package(installer, monkeypatch):
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    with pytest.raises(start.Failed, match=r"sudo apt install python3\.\d+-venv"):
        start.prepare()


def test_a_commands_output_is_returned_only_if_it_failed(capfd):
    assert start.run([sys.executable, "-c", "print('fine')"]) == ""
    assert start.run([sys.executable, "-c", "print('bad'); raise SystemExit(3)"]) == "bad\n"
    assert "fine" in capfd.readouterr().out


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
        (OFFLINE, "cannot be reached"),
        ("ERROR: No matching distribution found for torch==2.13.0", "no release for this Python"),
        ("ERROR: something else", "It failed. Run the same command again"),
    ],
)
def test_pips_errors_are_explained(said, told):
    assert told in start.explain(said, "It failed")


def test_kernels_get_the_settings_and_keep_what_the_user_set(monkeypatch):
    for name in ("OMP_WAIT_POLICY", "KMP_BLOCKTIME", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "/mine")
    monkeypatch.setenv("PYTHONPATH", "/also mine")
    settings = start.environment()
    assert settings["OMP_WAIT_POLICY"] == "PASSIVE"
    ours, theirs = settings["JUPYTER_CONFIG_PATH"].split(os.pathsep)
    assert (Path(ours) / "labconfig" / "default_setting_overrides.json").exists()
    assert theirs == "/mine"
    assert settings["PYTHONPATH"].split(os.pathsep) == [str(start.ROOT), "/also mine"]
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert start.environment()["OMP_WAIT_POLICY"] == "ACTIVE"


# --- the learner's own copies ---------------------------------------------------------------------


def lesson(folder: Path, name: str, source: str) -> Path:
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": ["Predict: what comes out?"]},
        {
            "cell_type": "code",
            "execution_count": 3,
            "metadata": {"tags": ["parameters"]},
            "outputs": [{"output_type": "stream", "name": "stdout", "text": ["the answer"]}],
            "source": [source],
        },
    ]
    folder.mkdir(exist_ok=True)
    file = folder / f"{name}.ipynb"
    made = {"cells": cells, "metadata": {"widgets": {}}, "nbformat": 4, "nbformat_minor": 5}
    file.write_text(json.dumps(made))
    return file


@pytest.fixture
def folders(tmp_path):
    lesson(tmp_path / "notebooks", "00_start", "1 + 1")
    lesson(tmp_path / "notebooks", "04_noise", "2 + 2")
    return tmp_path / "notebooks", tmp_path / "my-lessons"


def test_copies_have_no_outputs_and_the_lessons_stay_as_they_are(folders):
    lessons, own = folders
    before = {file: file.read_bytes() for file in lessons.iterdir()}
    assert own_lessons.prepare(lessons, own) == []
    assert {file: file.read_bytes() for file in lessons.iterdir()} == before
    copy = json.loads((own / "04_noise.ipynb").read_text())
    said, code = copy["cells"]
    assert "".join(said["source"]) == "Predict: what comes out?"
    assert (code["outputs"], code["execution_count"]) == ([], None)
    assert code["metadata"] == {"tags": ["parameters"]}
    assert "the answer" not in (own / "04_noise.ipynb").read_text()


def test_a_newer_lesson_never_touches_the_copy_and_is_told_of(folders):
    lessons, own = folders
    own_lessons.prepare(lessons, own)
    mine = own / "04_noise.ipynb"
    mine.write_text(mine.read_text().replace("2 + 2", "my answer"))
    lesson(lessons, "04_noise", "3 + 3")
    lesson(lessons, "05_new", "5")
    for _ in range(2):
        assert own_lessons.prepare(lessons, own) == ["04_noise"]
        assert "my answer" in mine.read_text()
    assert (own / "05_new.ipynb").exists()


def test_new_outputs_are_no_newer_lesson(folders):
    lessons, own = folders
    own_lessons.prepare(lessons, own)
    file = lessons / "04_noise.ipynb"
    file.write_text(file.read_text().replace("the answer", "another answer"))
    assert own_lessons.prepare(lessons, own) == []


def test_renew_brings_the_new_lesson_and_keeps_every_old_one(folders):
    lessons, own = folders
    own_lessons.prepare(lessons, own)
    mine = own / "04_noise.ipynb"
    for number in (1, 2):
        mine.write_text(mine.read_text().replace("+", f"my answer {number}"))
        lesson(lessons, "04_noise", f"{number} + {number}")
        new, old = own_lessons.renew(lessons, own, "04")
        assert (new, old) == (mine, own / f"04_noise-old-{number}.ipynb")
        assert f"my answer {number}" in old.read_text()
        assert f"{number} + {number}" in new.read_text()
    assert own_lessons.prepare(lessons, own) == []
    assert own_lessons.renew(lessons, own, "00")[1] == own / "00_start-old-1.ipynb"
    assert own_lessons.renew(lessons, own, "4")[0] == mine


@pytest.mark.parametrize("asked", ["17", "", "040", "noise"])
def test_an_unknown_lesson_is_told_with_those_there_are(folders, asked):
    lessons, own = folders
    with pytest.raises(ValueError, match=f"no lesson '{asked}'; the lessons are 00, 04"):
        own_lessons.renew(lessons, own, asked)
    assert not own.exists() or not list(own.iterdir())


def test_a_damaged_record_loses_nothing(folders):
    lessons, own = folders
    own_lessons.prepare(lessons, own)
    (own / own_lessons.RECORD).write_text("{")
    before = (own / "04_noise.ipynb").read_text()
    assert own_lessons.prepare(lessons, own) == []
    assert (own / "04_noise.ipynb").read_text() == before


def test_the_lab_opens_the_copies_and_says_what_is_newer(folders, monkeypatch, capsys):
    lessons, own = folders
    monkeypatch.setattr(start, "ROOT", lessons.parent)
    monkeypatch.setattr(start, "OWN", own)
    command = start.lab(["--no-browser"])
    assert "--LabApp.default_url=/lab/tree/my-lessons/00_start_here.ipynb" in command
    assert command[-1] == "--no-browser"
    assert capsys.readouterr().out == ""
    lesson(lessons, "04_noise", "3 + 3")
    start.lab([])
    assert "python3 start.py renew 04" in capsys.readouterr().out
    start.renew(["04"])
    said = capsys.readouterr().out
    assert "New: my-lessons" in said
    assert "Yours: my-lessons" in said
    with pytest.raises(start.Failed, match="renew: there is no lesson '9'"):
        start.renew(["9"])
