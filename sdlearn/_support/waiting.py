"""The bar under a cell that takes longer than two seconds, while it runs in a notebook."""

from __future__ import annotations

import threading
import time

from IPython.display import HTML, display

AFTER, EVERY = 2.0, 0.5
"""Seconds before the bar is shown, and between two changes of what it says."""
BAR = (
    '<div role="status"><progress aria-label="This cell is running" style="width: 512px; '
    'max-width: 100%; accent-color: var(--jp-brand-color1, #1976d2)"></progress> '
    "running, {:.0f} s so far; <b>■</b> in the toolbar stops it</div>"
)


class Waiting:
    """Shows the bar in the output of the cell that runs, and takes it away when the cell ends.

    It cannot know how much is left, so its bar moves without an end. Work that knows shows a bar
    of its own, and calls `has_own_bar`. Only a notebook's cells have it: a notebook that is run
    by nbconvert, nbval, papermill or nbgrader is saved without.
    """

    _over = threading.Event()
    _thread: threading.Thread | None = None

    def begin(self, info: object) -> None:
        """A cell begins; `info` is IPython's. Front ends that show cells say which one it is."""
        self.end()
        if info.cell_id is not None:
            self.watch()

    def watch(self) -> None:
        """Show the bar if the cell that runs now still runs in two seconds."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._show, args=(self._over,), daemon=True)
        self._thread.start()

    def has_own_bar(self) -> None:
        """The cell that runs shows by itself how far it is."""
        self._over.set()

    def end(self, result: object = None) -> None:
        """The cell has ended, in whatever way."""
        self._over.set()
        if self._thread:
            self._thread.join()

    def _show(self, over: threading.Event) -> None:
        begun = time.monotonic()
        if over.wait(AFTER):
            return
        shown = display(HTML(BAR.format(AFTER)), display_id=True)
        while not over.wait(EVERY):
            shown.update(HTML(BAR.format(time.monotonic() - begun)))
        shown.update(HTML(""))


waiting = Waiting()


def watch(shell) -> None:
    """Show the bar in each cell of this shell that takes long, beginning with the one that runs."""
    if waiting.begin in shell.events.callbacks["pre_run_cell"]:
        return
    shell.events.register("pre_run_cell", waiting.begin)
    shell.events.register("post_run_cell", waiting.end)
    asked = getattr(shell, "parent_header", None) or {}  # a terminal's shell has none
    if asked.get("metadata", {}).get("cellId") is not None:
        waiting.watch()
