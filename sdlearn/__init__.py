"""Stable Diffusion, opened stage by stage. Each name here loads its module on first use."""

from __future__ import annotations

import os
import sys
from importlib import import_module

from sdlearn._support.neighbours import check_torchvision
from sdlearn._support.threads import WAITING, says_nothing_of_waiting

__version__ = "0.1.0"

_HOME = {
    "load": "sdlearn.loading",
    "Components": "sdlearn.loading",
    "text_to_image": "sdlearn.pipeline",
    "image_to_image": "sdlearn.pipeline",
    "inpaint": "sdlearn.pipeline",
    "AttentionExplorer": "sdlearn.widgets",
    "Canvas": "sdlearn.widgets",
    "Live": "sdlearn.widgets",
    "Shown": "sdlearn.widgets",
    "Painter": "sdlearn.widgets",
    "Placer": "sdlearn.widgets",
    "NoiseMixer": "sdlearn.widgets",
    "RoundTrip": "sdlearn.widgets",
    "Scrubber": "sdlearn.widgets",
    "Walker": "sdlearn.widgets",
    "load_ipython_extension": "sdlearn._support.notebook",
    "draw": "sdlearn.picturebook.drawing",
    "masks": "sdlearn.picturebook.drawing",
    "Scene": "sdlearn.picturebook.scenes",
    "compose": "sdlearn.picturebook.scenes",
    "random_scene": "sdlearn.picturebook.pages",
}

__all__ = list(_HOME)

if "torch" not in sys.modules and says_nothing_of_waiting(os.environ):
    os.environ.update(WAITING)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(
            f"module 'sdlearn' has no attribute {name!r}; it offers {', '.join(__all__)}"
        )
    check_torchvision()
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
