"""Hooks that mind their own business: what another thread runs on the same module passes
them by.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps


def of_this_thread(hook: Callable) -> Callable:
    """The hook for runs on the thread that calls this; runs on any other thread are left alone.

    Widgets draw on threads of their own, with the model that a cell may be watching.
    """
    thread = threading.get_ident()

    @wraps(hook)
    def guarded(*args, **kwargs):
        return hook(*args, **kwargs) if threading.get_ident() == thread else None

    return guarded
