"""How torch's threads wait, so that two open notebooks do not slow each other down.

OpenMP threads spin while they wait for work. If two kernels do this on the same cores, they take
time from each other and run many times slower. With sleeping threads a single kernel is slightly
slower, but two no longer get in each other's way. `benchmarks/two_kernels.py` measures both cases.
"""

from __future__ import annotations

from collections.abc import Mapping

WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0"}
"""For GNU OpenMP (Linux), and for LLVM's and Intel's OpenMP (macOS, Windows).

These variables are read once, when torch is first imported.
"""


def says_nothing_of_waiting(environment: Mapping[str, str]) -> bool:
    """True if the user has not chosen how threads wait."""
    return not any(name in environment for name in (*WAITING, "GOMP_SPINCOUNT"))
