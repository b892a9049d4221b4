"""What a check says: a line, a case to redo folded beneath it, and a picture."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class Grade:
    """What a check found. `passed` is None for an exercise that was not attempted."""

    name: str
    passed: bool | None
    message: str
    draw: Callable[[], Figure | None] = lambda: None
    case: str = ""
    """A case that went wrong, to redo: the arguments, what was expected and what was returned."""

    @cached_property
    def picture(self) -> Figure | None:
        """The answer at work, beside the right one; drawn when it is first looked at."""
        return self.draw()

    @property
    def mark(self) -> str:
        """✓, ✗, or · for not attempted."""
        return {True: "✓", False: "✗", None: "·"}[self.passed]

    def __repr__(self) -> str:
        return f"{self.mark} {self.name}: {self.message}"

    def _repr_html_(self) -> str:
        colour = {True: "#117733", False: "#aa3333", None: "inherit"}[self.passed]
        line = f'<span style="color:{colour}">{self.mark}</span> <b>{html.escape(self.name)}</b>: '
        case = html.escape(self.case)
        folded = f"<details><summary>a case to redo</summary><pre>{case}</pre></details>"
        return f"<div>{line}{styled(self.message)}{folded if case else ''}</div>"

    def _ipython_display_(self) -> None:
        from IPython.display import display

        text = f"{self!r}\n{self.case}".strip()
        display({"text/plain": text, "text/html": self._repr_html_()}, raw=True)
        if self.picture is not None:
            display(self.picture)


def styled(message: str) -> str:
    """A message as HTML, where `code` and *emphasis* are marked as in Markdown."""
    parts = re.split(r"(`[^`]+`)", message)
    return "".join(
        f"<code>{html.escape(part[1:-1])}</code>"
        if part[:1] == "`"
        else re.sub(r"\*([^*\s][^*]*)\*", r"<em>\1</em>", html.escape(part))
        for part in parts
    )
