"""`python benchmarks/two_kernels.py`: a guided U-Net step alone, and beside a second process.

Shows why `sdlearn._support.threads` tells OpenMP's threads to sleep while they wait.
"""

from __future__ import annotations

import os
import subprocess
import sys

SETTINGS = {
    "default": {},
    "GOMP_SPINCOUNT=10000": {"GOMP_SPINCOUNT": "10000"},
    "GOMP_SPINCOUNT=3000": {"GOMP_SPINCOUNT": "3000"},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}

STEP = """
import statistics, sys, time
import torch, sdlearn
unet = sdlearn.load(device="cpu").unet
x, c = torch.randn(2, 4, 64, 64), torch.randn(2, 77, unet.config.cross_attention_dim)
times, end = [], time.time() + float(sys.argv[1])
with torch.no_grad():
    unet(x, 5, c)
    while time.time() < end:
        start = time.perf_counter(); unet(x, 5, c); times.append(time.perf_counter() - start)
print(1000 * statistics.median(times))
"""


def milliseconds(settings: dict[str, str], processes: int, lasting: float = 12) -> float:
    """The slowest process's median milliseconds a step, with this many processes at once."""
    known = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "OMP_NUM_THREADS")
    environment = {name: value for name, value in os.environ.items() if name not in known}
    # one of them is set, so that sdlearn sets none
    environment |= settings or {"KMP_BLOCKTIME": "200"}
    command = [sys.executable, "-c", STEP, str(lasting)]
    running = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    return max(float(process.communicate()[0]) for process in running)


if __name__ == "__main__":
    print("| setting | alone, ms | two at once, ms | ratio |\n|---|---|---|---|")
    for name, settings in SETTINGS.items():
        alone, both = milliseconds(settings, 1), milliseconds(settings, 2)
        print(f"| {name} | {alone:.0f} | {both:.0f} | {both / alone:.1f} |", flush=True)
