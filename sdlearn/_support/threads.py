"""How torch's threads wait, so that two open notebooks do not slow each other down.

OpenMP threads spin while they wait for work. Two kernels that do so on the same cores steal each
other's time and run many times slower. Telling the threads to sleep costs a single kernel a little
and saves the pair. `benchmarks/two_kernels.py` measures both.
"""

from __future__ import annotations

from collections.abc import Mapping

WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0"}
"""For GNU OpenMP (Linux) and for LLVM's and Intel's (macOS, Windows). Read once, when torch is
first imported.
"""


def says_nothing_of_waiting(environment: Mapping[str, str]) -> bool:
    """True if the user chose no waiting of their own."""
    return not any(name in environment for name in (*WAITING, "GOMP_SPINCOUNT"))
