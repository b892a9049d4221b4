"""`Names`: what a screen reader says of the sliders and the picture around it."""

from __future__ import annotations

from pathlib import Path

import anywidget
import traitlets


class Names(anywidget.AnyWidget):
    """Invisible. It names what ipywidgets leaves without a name in the box that it is in.

    The box has the class `sdlearn-named`. Sliders get the name of their label.
    """

    _esm = Path(__file__).with_suffix(".js")
    picture = traitlets.Unicode().tag(sync=True)
