"""What may be installed beside the course and would break it."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec


@cache
def check_torchvision() -> None:
    """The course does not use torchvision, but transformers imports one that it finds.

    Raises:
        ImportError: it is there and cannot be imported, as one that was built for another torch.
    """
    if find_spec("torchvision") is None:
        return
    try:
        import_module("torchvision")
    except Exception as error:
        raise ImportError(
            f"torchvision is installed and cannot be imported ({error}): it was probably built "
            "for another torch. "
            "The course does not need it. Remove it, pip uninstall torchvision, or start the "
            "course with "
            "python3 start.py, which makes an environment of its own."
        ) from error
