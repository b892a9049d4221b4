"""A button that stops work, also while a cell waits for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anywidget
import traitlets


class StopButton(anywidget.AnyWidget):
    """A Stop button. A click is shown at once, and answered as soon as the kernel hears of it.

    A kernel that runs a cell reads no messages. While `waiting` is true, the button interrupts the
    kernel instead, where the page allows it, as JupyterLab does.

    Args:
        stop: called at a click.
    """

    _esm = Path(__file__).with_name("stop_button.js")
    disabled = traitlets.Bool(True).tag(sync=True)
    waiting = traitlets.Bool(False).tag(sync=True)
    runs = traitlets.Int(0).tag(sync=True)
    """How much work was started so far: new work makes a pressed button ready again."""

    def __init__(self, stop: Callable[[], None]):
        super().__init__()
        self._stop = stop
        self.on_msg(lambda *_: self.click())

    def click(self) -> None:
        """Do what a click does."""
        self._stop()

    def __repr__(self) -> str:
        return "StopButton()"
