"""Long work on a thread: its progress, its latest picture, and the buttons Stop and Go on."""

from __future__ import annotations

import html
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import ipywidgets
from IPython.display import display, update_display
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from sdlearn._support.arguments import whole_number
from sdlearn._support.checked import checked
from sdlearn.images import figure_to_picture, to_jpeg
from sdlearn.widgets.bar import Bar
from sdlearn.widgets.latest import DrawingBox, Latest
from sdlearn.widgets.stop_button import StopButton

BEFORE = "While it runs, the latest picture is shown here."


@checked
@dataclass(frozen=True, repr=False)
class Shown:
    """What long work has to show: how much is done, a line of text, and a new picture or Figure.

    Without a picture, the one before stays.
    """

    done: int
    text: str = ""
    picture: Image.Image | Figure | None = None

    def __repr__(self) -> str:
        return f"Shown after {self.done}: {self.text}"


@checked
class Live(DrawingBox):
    """Runs a generator of `Shown` on its own thread, so that the notebook stays free.

    A bar and the time left follow every `Shown`. Stop ends the work after the next one, and Go on
    continues from there. Only one `Live` runs at a time: when one starts, it stops the one before,
    so running a cell twice does not train the same network on two threads. `shown` is the latest
    `Shown`, and `error` the exception that ended the work, if any. `wait()` blocks until the work
    has ended or was stopped. Then a saved notebook has the latest picture where the `Live` stands.
    """

    shows = "the latest picture of the work"

    _latest: ClassVar[Live | None] = None

    def __init__(self, work: Iterator[Shown], total: int, start: bool = True):
        whole_number("total", total, 0, 10**9)
        self._steps = work
        self._work = Latest(self._failed, self._busy)
        self.shown: Shown | None = None
        self.error: Exception | None = None
        self.finished = False
        self._began = (0.0, 0)
        self._displayed = self._pictured = False
        self.progress = Bar("Steps done", total)
        self.go_button = ipywidgets.Button(description="Go on", icon="play", disabled=True)
        self.stop_button = StopButton(self.stop)
        self.said = ipywidgets.HTML()
        self.image = ipywidgets.Image(format="jpeg", value=to_jpeg(_note(BEFORE)))
        self.go_button.on_click(lambda _: self.go_on())
        buttons = ipywidgets.HBox([self.go_button, self.stop_button])
        super().__init__([self.progress, buttons, self.said, self.image])
        if start:
            self.go_on()

    def go_on(self) -> None:
        """Start, or continue after Stop; do nothing while the work is running or has ended."""
        if self.running or self.finished:
            return
        before, Live._latest = Live._latest, self
        self._began = time.monotonic(), self.progress.done
        self._say("starting …")
        self._work.start(self._go_on_after(before))

    def wait(self, timeout: float | None = None) -> None:
        super().wait(timeout)
        if self._displayed:
            update_display(self._repr_mimebundle_(), raw=True, display_id=self.model_id)

    def _ipython_display_(self) -> None:
        display(self._repr_mimebundle_(), raw=True, display_id=self.model_id)
        self._displayed = True

    def _go_on_after(self, before: Live | None) -> Iterator[Callable[[], None]]:
        if before not in (None, self):
            before.stop()
            before._work.wait()
        for shown in self._steps:
            self._show(shown)
            yield _rest
        self._end()

    def _failed(self, error: Exception) -> None:
        super()._failed(error)
        self._end()

    def _end(self) -> None:
        self.finished = True
        if not self._pictured:
            self.image.layout.display = "none"

    def _busy(self, busy: bool) -> None:
        super()._busy(busy)
        self.go_button.disabled = busy or self.finished

    def _show(self, shown: Shown) -> None:
        self.shown = shown
        self.progress.move(shown.done)
        self._say(html.escape(self._how_far(shown)))
        picture = shown.picture
        if isinstance(picture, Figure):
            picture = figure_to_picture(picture)
        if picture is not None:
            self.image.value = to_jpeg(picture.convert("RGB"))
            self._pictured = True

    def _still(self) -> bytes | memoryview:
        """The latest picture, or else how far the work is."""
        if self._pictured or not (self.error or self.shown):
            return self.image.value
        last = "ended by an error" if self.error else self.shown.text
        return to_jpeg(_note(f"{self.progress.done} of {self.progress.total}: {last}"))

    def _how_far(self, shown: Shown) -> str:
        """The line under the bar, such as "37 of 600, about 40 s left: loss 0.12"."""
        then, before = self._began
        pace = (time.monotonic() - then) / max(shown.done - before, 1)
        left = time_left(pace * (self.progress.total - shown.done))
        return f"{shown.done} of {self.progress.total}{left}" + (
            f": {shown.text}" if shown.text else ""
        )

    def __repr__(self) -> str:
        return f"Live({self.progress.done} of {self.progress.total})"


def time_left(seconds: float) -> str:
    """What is said of the time that is left: nothing of less than half a second."""
    if seconds < 0.5:
        return ""
    return (
        f", about {seconds:.0f} s left" if seconds < 90 else f", about {seconds / 60:.0f} min left"
    )


def _rest() -> None:
    """Show nothing: a stop takes effect here, between two steps."""


def _note(text: str) -> Image.Image:
    """A line of text where a picture would be."""
    blank = Image.new("RGB", (900, 60), "#eeeeee")
    ImageDraw.Draw(blank).text((450, 30), text, "#555555", ImageFont.load_default(18), anchor="mm")
    return blank
