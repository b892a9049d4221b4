"""A check for a broken torchvision, which would break the course, though it does not use it."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec


@cache
def check_torchvision() -> None:
    """Check that an installed torchvision can be imported.

    The course does not use torchvision, but transformers imports it if it is installed.

    Raises:
        ImportError: torchvision is installed but cannot be imported, for example because it was
            built for another torch.
    """
    if find_spec("torchvision") is None:
        return
    try:
        import_module("torchvision")
    except Exception as error:
        raise ImportError(
            f"torchvision is installed and cannot be imported ({error}): it was probably built "
            "for another torch. The course does not need it. Remove it, pip uninstall torchvision, "
            "or start the course with python3 start.py, which makes an environment of its own."
        ) from error
