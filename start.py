"""Start the course: `python3 start.py`. Run its tests: `python3 start.py test`.

The first run makes an environment in `.venv` and installs `requirements.txt` into it; later runs
start at once. The lessons that open are the learner's own copies, in `my-lessons`. This file needs
only Python itself, and it keeps to old syntax so that even an old Python can run it and say what is
wrong.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST = (3, 11)
NEEDED_GB, CUDA_GB = 3, 10
ROOT = Path(__file__).resolve().parent
OWN = ROOT / "my-lessons"
VENV, BEFORE = ROOT / ".venv", ROOT / ".venv-before"
BIN = "Scripts" if os.name == "nt" else "bin"

EXAMPLES = """
examples:
  python3 start.py                      open the lessons in JupyterLab
  python3 start.py --no-browser         the same on a server, without opening a browser
  python3 start.py renew 04             a new copy of lesson 04; yours is kept beside it
  python3 start.py test                 run all tests
  python3 start.py test -k noising      run some of them
  python3 start.py --port 9000          options that are not listed here go to JupyterLab,
                                        or to pytest after `test`
"""

WHAT_IT_MEANS = (
    # words to look for in the output of pip or uv, and what to tell the user
    (
        ("No space left on device", "not enough space on the disk"),
        "The disk is full. Free at least {gb} GB and run the same command again.",
    ),
    (
        (
            "Temporary failure in name resolution",
            "Name or service not known",
            "getaddrinfo failed",
            "nodename nor servname",
            "Network is unreachable",
            "NewConnectionError",
            "ConnectTimeoutError",
            "Connection refused",
            "ProxyError",
        ),
        "The package index cannot be reached. The first run needs the network: check the "
        "connection (or the proxy settings) and run the same command again. Later runs need "
        "no network.",
    ),
    (
        ("No matching distribution found",),
        "A package has no release for this Python ({python}) on this machine. Install Python "
        "3.11, 3.12, 3.13 or 3.14 and run this file with it.",
    ),
)


class Failed(Exception):
    """The environment could not be made; says why, and what to do."""


def main():
    if sys.version_info < OLDEST:
        sys.exit(
            "This course needs Python %d.%d or newer; this is Python %s. Install a newer one "
            "from python.org or your package manager and run it, for example: "
            "python3.12 start.py" % (OLDEST + (sys.version.split()[0],))
        )
    choice, rest = arguments(sys.argv[1:])
    try:
        if choice.what == "renew":
            return renew(rest)
        if choice.what == "lab":
            check_root(rest)
        if not is_ready():
            prepare()
        command = tests(rest) if choice.what == "test" else lab(rest)
        sys.exit(subprocess.call(command, cwd=str(ROOT), env=environment()))
    except Failed as failed:
        sys.exit("\n%s" % failed)
    except KeyboardInterrupt:
        sys.exit(130)


def arguments(given):
    """What to do, and the arguments that are passed on."""
    parser = argparse.ArgumentParser(
        usage="python3 start.py [lab | renew LESSON | test] [options of JupyterLab or pytest]",
        description="Open the course in JupyterLab, or run its tests.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "what",
        nargs="?",
        choices=["lab", "renew", "test"],
        help="lab, if nothing is given",
        default="lab",
    )
    first = given[:1] if given and not given[0].startswith("-") else []
    shown = [one for one in given if one in ("-h", "--help") and "--" not in given]
    choice = parser.parse_args(first + shown)
    return choice, [one for one in given[len(first) :] if one != "--"]


def check_root(rest):
    if hasattr(os, "geteuid") and os.geteuid() == 0 and "--allow-root" not in rest:
        raise Failed(
            "You are root, and JupyterLab runs as root only if told so. Become another user, or "
            "run: python3 start.py %s" % " ".join(rest + ["--allow-root"])
        )


def tests(rest):
    return [str(python()), "-m", "pytest"] + rest


def lab(rest):
    """JupyterLab, opening the learner's copy of the first lesson."""
    from sdlearn._support import own_lessons

    try:
        changed = own_lessons.prepare(ROOT / "notebooks", OWN)
    except OSError as error:
        raise Failed("Your copies of the lessons cannot be written: %s" % error) from error
    for name in changed:
        print(
            "There is a newer lesson %s. Your copy stays as it is; to get the new one, and keep "
            "yours beside it: python3 start.py renew %s" % (name, name[:2]),
            flush=True,
        )
    first = "/lab/tree/%s/00_start_here.ipynb" % OWN.name
    command = [str(python()), "-m", "jupyterlab", "--ServerApp.root_dir", str(ROOT)]
    return command + ["--LabApp.default_url=" + first] + rest


def renew(rest):
    from sdlearn._support import own_lessons

    try:
        new, old = own_lessons.renew(ROOT / "notebooks", OWN, " ".join(rest))
    except (ValueError, OSError) as error:
        raise Failed("renew: %s" % error) from error
    print("New: %s" % new.relative_to(ROOT))
    if old:
        print("Yours: %s" % old.relative_to(ROOT))


def environment():
    """The environment variables of JupyterLab, which every kernel inherits.

    They point to the course's settings and its package, wherever the folder was moved to, and let
    threads wait without spinning.
    """
    from sdlearn._support.threads import WAITING, says_nothing_of_waiting

    settings = dict(os.environ)
    if says_nothing_of_waiting(settings):
        settings.update(WAITING)
    for name, ours in (("JUPYTER_CONFIG_PATH", ROOT / ".jupyter"), ("PYTHONPATH", ROOT)):
        theirs = settings.get(name)
        settings[name] = os.pathsep.join([str(ours)] + ([theirs] if theirs else []))
    return settings


def fingerprint():
    """A hash of what the environment is made from: the packages, and Python without its patch."""
    requirements = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    needed = re.findall(r"^dependencies = \[(.*?)\]", project, re.DOTALL | re.MULTILINE)
    listed = "\n".join([requirements] + needed).splitlines()
    lines = [line.split(" #")[0].strip() for line in listed]
    parts = ["%d.%d" % sys.version_info[:2]] + [line for line in lines if line[:1] not in ("", "#")]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def python(venv=None):
    name = "python.exe" if os.name == "nt" else "python"
    return (venv or VENV) / BIN / name


def stamp(venv):
    """Written last: an environment without it is not finished."""
    return venv / "sdlearn-stamp"


def is_ready():
    return is_whole(VENV) and stamp(VENV).read_text() == fingerprint()


def is_whole(venv):
    return python(venv).exists() and stamp(venv).exists()


def prepare():
    """Make the environment; if that fails and there was one before, go on with that one."""
    if is_whole(VENV):
        print("The course needs other packages than before.", flush=True)
        shutil.rmtree(str(BEFORE), ignore_errors=True)
        try:
            VENV.rename(BEFORE)
        except OSError as error:
            raise Failed(
                "The environment cannot be replaced (%s). Close JupyterLab, wherever it runs, and "
                "run the same command again." % error
            ) from error
    try:
        make()
    except (Failed, KeyboardInterrupt) as failed:
        shutil.rmtree(str(VENV), ignore_errors=True)
        if not is_whole(BEFORE):
            if isinstance(failed, KeyboardInterrupt):
                raise Failed("Stopped. Run the same command again to go on.") from failed
            raise
        BEFORE.rename(VENV)
        if isinstance(failed, KeyboardInterrupt):
            raise
        print("\n%s\nUntil then, the packages from before are used." % failed, flush=True)
    else:
        stamp(VENV).write_text(fingerprint())
        shutil.rmtree(str(BEFORE), ignore_errors=True)


def make():
    """A new environment with everything in it, by uv if there is one, or else by venv and pip."""
    free = shutil.disk_usage(str(ROOT)).free / 1e9
    if NEEDED_GB <= free < CUDA_GB and sys.platform.startswith("linux"):
        print(
            "The disk has %.1f GB free. On Linux, PyTorch's packages may bring CUDA, and then "
            "need about %d GB." % (free, CUDA_GB)
        )
    if free < NEEDED_GB:
        raise Failed(
            "The disk has %.1f GB free; the course's packages need about %d GB. Free some and "
            "try again." % (free, NEEDED_GB)
        )
    print("Preparing the course (once; this takes a few minutes) ...", flush=True)
    shutil.rmtree(str(VENV), ignore_errors=True)
    uv = shutil.which("uv")
    if uv:
        failed = run([uv, "venv", "--seed", "--python", sys.executable, str(VENV)]) or run(
            [uv, "pip", "install", "--python", str(python()), "-r", "requirements.txt"]
        )
        if not failed:
            return
        print("\nuv could not do it; trying the same with pip ...", flush=True)
        shutil.rmtree(str(VENV), ignore_errors=True)
    try:
        import ensurepip  # noqa: F401
        import venv
    except ImportError as error:
        raise Failed(
            "This Python lacks the venv module. On Debian and Ubuntu: sudo apt install "
            "python%d.%d-venv; on Fedora: sudo dnf install python3-pip; then run the same "
            "command again." % sys.version_info[:2]
        ) from error
    try:
        venv.create(str(VENV), with_pip=True)
    except (OSError, subprocess.CalledProcessError) as error:
        otherwise = "The environment %s could not be created: %s" % (VENV, error)
        raise Failed(explain(str(error), otherwise)) from error
    pip = [str(python()), "-m", "pip", "install", "--disable-pip-version-check"]
    failed = run(pip + ["-r", "requirements.txt"])
    if failed:
        raise Failed(explain(failed, "Installing the packages failed; pip's own output is above"))


def run(command):
    """Run a command in front of the user's eyes. Its output if it failed, or else nothing."""
    said = []
    with subprocess.Popen(
        command,
        cwd=str(ROOT),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
    ) as running:
        try:
            for line in running.stdout:
                print(line, end="", flush=True)
                said.append(line)
        except KeyboardInterrupt:
            running.kill()
            raise
    return "".join(said) or "nothing was said" if running.returncode else ""


def explain(said, otherwise):
    """What the output of pip means for someone who wants to start the course."""
    for signs, meaning in WHAT_IT_MEANS:
        if any(sign in said for sign in signs):
            return meaning.format(gb=NEEDED_GB, python=sys.version.split()[0])
    return otherwise + ". Run the same command again to retry."


if __name__ == "__main__":
    main()
