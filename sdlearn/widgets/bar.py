"""`Bar`: how much of some work is done."""

from __future__ import annotations

import html

import ipywidgets

STYLE = "width: 100%; height: 1em; accent-color: var(--jp-brand-color1, #1976d2)"


class Bar(ipywidgets.HTML):
    """The browser's own progress bar, which has a name and a value for a screen reader.

    `done` steps of `total` are done; `move` changes both.
    """

    def __init__(self, name: str, total: int, width: str = "512px"):
        super().__init__(layout={"width": width, "max_width": "100%"})
        self.name = name
        self.move(0, total)

    def move(self, done: int, total: int | None = None) -> None:
        self.done, self.total = done, self.total if total is None else total
        self.value = (
            f'<progress aria-label="{html.escape(self.name)}" style="{STYLE}" '
            f'value="{self.done}" max="{max(self.total, 1)}"></progress>'
        )
