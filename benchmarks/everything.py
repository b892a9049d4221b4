"""`python benchmarks/everything.py`: every benchmark, one by one, into `benchmarks/RESULTS.md`.

Run it on an idle machine. A benchmark that cannot run here says so in its section.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import date
from pathlib import Path

import torch

from sdlearn._support.paths import ROOT

HERE = ROOT / "benchmarks"
COMMANDS = (
    "speed",
    "recording",
    "recording --sd15 --repeat 5",
    "training",
    "memory",
    "hub",
    "two_kernels",
    "widgets",
    "lessons",
    "full_size" if torch.cuda.is_available() else "full_size --size 64 --steps 1",
)


def section(command: str) -> str:
    """The first line of a script's docstring, and what the script prints."""
    name, *options = command.split()
    script = HERE / f"{name}.py"
    about = script.read_text(encoding="utf-8").split('"""')[1].split(": ", 1)[1].split("\n\n")[0]
    print(f"{command} …", flush=True)
    done = subprocess.run([sys.executable, str(script), *options], capture_output=True, text=True)
    said = (
        done.stdout
        if done.returncode == 0
        else f"Not run here: {done.stderr.strip().splitlines()[-1]}"
    )
    return f"## {command}\n\n{about[0].upper()}{about[1:]}\n\n{said.strip()}\n"


def processor() -> str:
    """The processor's name, where Linux tells it."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.exists() else []
    return next(
        (line.split(": ")[1] for line in lines if line.startswith("model name")),
        platform.processor(),
    )


def main() -> None:
    where = (
        f"{date.today()}, {processor()}, {os.cpu_count()} cores, {platform.system()}, torch "
        f"{torch.__version__}"
    )
    head = (
        f"# Benchmarks\n\nWritten by `make benchmarks`: {where}. Times vary between machines, "
        "ratios much less.\n"
    )
    sections = [head]
    for command in COMMANDS:
        sections.append(section(command))
        (HERE / "RESULTS.md").write_text("\n".join(sections), encoding="utf-8")


if __name__ == "__main__":
    main()
