"""Hooks that act on one thread only: they ignore what other threads run on the same module."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps


def of_this_thread(hook: Callable) -> Callable:
    """Limit a hook to runs on the calling thread; runs on any other thread are left alone.

    Widgets draw on threads of their own, and a cell may be watching the same model.
    """
    thread = threading.get_ident()

    @wraps(hook)
    def guarded(*args, **kwargs):
        return hook(*args, **kwargs) if threading.get_ident() == thread else None

    return guarded
