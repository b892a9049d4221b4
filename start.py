"""Start the course: `python3 start.py`. Run its tests: `python3 start.py test`.

The first run makes an environment in `.venv` and installs `requirements.txt` into it; later runs
start at once. Everything after `--` goes to JupyterLab, or to pytest. This file needs only Python
itself, and it keeps to old syntax so that even an old Python can run it and say what is wrong.
"""

import argparse
import errno
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST = (3, 11)
NEEDED_GB, CUDA_GB = 3, 10
ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "sdlearn-stamp"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

WHAT_PIP_MEANS = (
    # words to look for in pip's output, and what to tell the user
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
        "3.11, 3.12 or 3.13 and run this file with it.",
    ),
)


def stop(message):
    sys.exit("\n" + message)


def main():
    if sys.version_info < OLDEST:
        stop(
            "This course needs Python %d.%d or newer; this is Python %s. Install a newer one "
            "from python.org or your package manager and run it, for example: "
            "python3.12 start.py" % (OLDEST + (sys.version.split()[0],))
        )
    ours, rest = split(sys.argv[1:])
    parser = argparse.ArgumentParser(
        description="Open the course in JupyterLab, or run its tests.",
        epilog="Everything after -- goes to JupyterLab, or to pytest.",
    )
    parser.add_argument("what", nargs="?", choices=["lab", "test"], default="lab")
    parser.add_argument(
        "--no-browser", action="store_true", help="do not open a browser (on a server)"
    )
    choice = parser.parse_args(ours)
    if not is_ready():
        prepare()
    command = [str(PYTHON), "-m"]
    if choice.what == "test":
        command += ["pytest"] + rest
    else:
        command += [
            "jupyterlab",
            "--notebook-dir",
            str(ROOT / "notebooks"),
            "--LabApp.default_url=/lab/tree/00_start_here.ipynb",
        ]
        command += ["--no-browser"] * choice.no_browser + rest
    try:
        sys.exit(subprocess.call(command, cwd=str(ROOT), env=environment()))
    except KeyboardInterrupt:
        sys.exit(130)


def split(arguments):
    """Our own arguments, and those after `--`."""
    if "--" not in arguments:
        return arguments, []
    here = arguments.index("--")
    return arguments[:here], arguments[here + 1 :]


def environment():
    """The environment variables of JupyterLab, which every kernel inherits.

    They point to the course's settings, and let threads wait without spinning.
    """
    from sdlearn._support.threads import WAITING, says_nothing_of_waiting

    settings = dict(os.environ)
    if says_nothing_of_waiting(settings):
        settings.update(WAITING)
    paths = [str(ROOT / ".jupyter")] + [
        path for path in [settings.get("JUPYTER_CONFIG_PATH")] if path
    ]
    settings["JUPYTER_CONFIG_PATH"] = os.pathsep.join(paths)
    return settings


def fingerprint():
    """A hash of everything that the environment is made from."""
    files = [
        (ROOT / name).read_text(encoding="utf-8") for name in ("requirements.txt", "pyproject.toml")
    ]
    parts = [str(ROOT), sys.version] + files
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def is_ready():
    return PYTHON.exists() and STAMP.exists() and STAMP.read_text() == fingerprint()


def prepare():
    """Make the environment from scratch.

    The stamp is written last: without it, an environment counts as unfinished and is made again.
    """
    free = shutil.disk_usage(str(ROOT)).free / 1e9
    if NEEDED_GB <= free < CUDA_GB and sys.platform.startswith("linux"):
        print(
            "The disk has %.1f GB free. On Linux, PyTorch's packages may bring CUDA, and then "
            "need about %d GB." % (free, CUDA_GB)
        )
    if free < NEEDED_GB:
        stop(
            "The disk has %.1f GB free; the course's packages need about %d GB. Free some and "
            "try again." % (free, NEEDED_GB)
        )
    try:
        import ensurepip  # noqa: F401
        import venv
    except ImportError:
        stop(
            "This Python lacks the venv module. On Debian and Ubuntu: sudo apt install "
            "python%d.%d-venv; on Fedora: sudo dnf install python3-pip; then run the same "
            "command again." % sys.version_info[:2]
        )
    print("Preparing the course (once; this takes a few minutes) ...", flush=True)
    try:
        venv.create(str(VENV), with_pip=True, clear=True)
    except (OSError, subprocess.CalledProcessError) as error:
        if getattr(error, "errno", None) == errno.ENOSPC:
            stop(
                "The disk is full. Free at least %d GB and run the same command again." % NEEDED_GB
            )
        stop("The environment %s could not be created: %s" % (VENV, error))
    install()
    STAMP.write_text(fingerprint())


def install():
    command = [
        str(PYTHON),
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "-r",
        "requirements.txt",
    ]
    pip = subprocess.Popen(
        command,
        cwd=str(ROOT),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
    )
    said = []
    try:
        for line in pip.stdout:
            print(line, end="", flush=True)
            said.append(line)
    except KeyboardInterrupt:
        pip.kill()
        stop("Stopped. Run the same command again to go on.")
    if pip.wait() != 0:
        stop(explain("".join(said)))


def explain(said):
    """What pip's output means for someone who wants to start the course."""
    for signs, meaning in WHAT_PIP_MEANS:
        if any(sign in said for sign in signs):
            return meaning.format(gb=NEEDED_GB, python=sys.version.split()[0])
    return (
        "Installing the packages failed; pip's own output is above. Run the same command "
        "again to retry."
    )


if __name__ == "__main__":
    main()
