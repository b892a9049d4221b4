"""One learner's server in JupyterHub, run instead of `jupyterhub-singleuser` (`c.Spawner.cmd`).

At the first start, the learner gets a folder `sdlearn` in their home: their own copies of the
lessons in `my-lessons`, and links to the course's `notebooks` and `assets`, which they only read.
The course is one folder for everybody, and its packages one environment: `.venv`, which needs
`jupyterhub` beside what `start.py` installs.
"""

import os
import sys
from pathlib import Path

COURSE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(COURSE))

import start  # noqa: E402
from sdlearn._support import own_lessons  # noqa: E402


def desk(home: Path) -> Path:
    """The learner's folder. A lesson that is there already is never touched."""
    folder = home / "sdlearn"
    folder.mkdir(exist_ok=True)
    for name in ("notebooks", "assets"):
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(COURSE / name)
    own_lessons.prepare(COURSE / "notebooks", folder / start.OWN.name)
    return folder


def command(folder: Path, rest: list[str]) -> list[str]:
    """JupyterHub's server for one user, showing that folder and opening the first lesson."""
    first = f"/lab/tree/{start.OWN.name}/00_start_here.ipynb"
    server = [str(start.python()), "-m", "jupyterhub.singleuser"]
    return [*server, f"--ServerApp.root_dir={folder}", f"--ServerApp.default_url={first}", *rest]


if __name__ == "__main__":
    run = command(desk(Path.home()), sys.argv[1:])
    os.execve(run[0], run, start.environment())
