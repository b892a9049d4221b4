"""`python benchmarks/memory.py`: the memory of each additional learner on a Linux machine.

Every process is a learner: it loads the small model, draws a picture and waits. Its proportional
share (Pss) divides a page that n processes share by n: weights that are mapped from their file are
in memory once.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LEARNER = """
import sys
import sdlearn
from sdlearn import plots
model = sdlearn.load("tiny", device="cpu")
sdlearn.text_to_image(model, "a red house", steps=2)
print("drawn", flush=True)
sys.stdin.read()
"""
MACHINE_GB = 24


def shares(learners: int) -> list[float]:
    """The proportional share of every learner's memory in GB, while all of them run."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", LEARNER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(learners)
    ]
    try:
        for process in running:
            process.stdout.readline()
        return [_share(process.pid) for process in running]
    finally:
        for process in running:
            process.stdin.close()
            process.wait()


def _share(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1e6


def main() -> None:
    print("| learners | GB together | GB for each |\n|---|---|---|")
    together = {}
    for learners in (1, 2, 4, 8):
        together[learners] = sum(shares(learners))
        print(
            f"| {learners} | {together[learners]:.2f} | {together[learners] / learners:.2f} |",
            flush=True,
        )
    more = (together[8] - together[4]) / 4
    fit = int((MACHINE_GB - together[4]) / more) + 4
    print(
        f"\nOne learner more takes {more:.2f} GB: {fit} fit in {MACHINE_GB} GB, JupyterLab "
        "itself apart."
    )


if __name__ == "__main__":
    main()
