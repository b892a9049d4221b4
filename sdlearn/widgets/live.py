"""Long work on a thread: its progress and its latest picture, with Stop and Go on."""

from __future__ import annotations

import html
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import ipywidgets
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from sdlearn.images import figure_to_picture, to_jpeg
from sdlearn.widgets.static import PictureBox


@dataclass(frozen=True, repr=False)
class Shown:
    """What long work has to show: how many steps are done, a line of text, and a picture
    or Figure.
    """

    done: int
    text: str
    picture: Image.Image | Figure

    def __repr__(self) -> str:
        return f"Shown after {self.done}: {self.text}"


class Live(PictureBox):
    """Runs a generator of `Shown` on a thread of its own; the notebook stays free.

    Stop ends it at the next thing shown, and Go on continues from there. One runs at a time:
    whichever starts stops the one before, so a cell that is run twice does not train the same
    network on two threads. `shown` is the latest, `error` what went wrong; `wait()` blocks until
    the work has ended or was stopped; a kernel that waits reads no clicks, so an interrupt of it
    stops the work.
    """

    _latest: ClassVar[Live | None] = None

    def __init__(self, work: Iterator[Shown], total: int, start: bool = True):
        self._work = work
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.shown: Shown | None = None
        self.error: Exception | None = None
        self.finished = False
        self.progress = ipywidgets.IntProgress(0, 0, total, layout=ipywidgets.Layout(width="512px"))
        self.go_button = ipywidgets.Button(description="Go on", icon="play", disabled=True)
        self.stop_button = ipywidgets.Button(description="Stop", icon="stop", disabled=True)
        self.said = ipywidgets.HTML()
        self.image = ipywidgets.Image(format="jpeg", value=to_jpeg(_before()))
        self.go_button.on_click(lambda _: self.go_on())
        self.stop_button.on_click(lambda _: self.stop())
        buttons = ipywidgets.HBox([self.go_button, self.stop_button])
        super().__init__([self.progress, buttons, self.said, self.image])
        if start:
            self.go_on()

    @property
    def running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def go_on(self) -> None:
        """Start, or continue after Stop; nothing happens while it runs or once it has ended."""
        if self.running or self.finished:
            return
        self._stop.clear()
        self.go_button.disabled, self.stop_button.disabled = True, False
        before, Live._latest = Live._latest, self
        self._thread = threading.Thread(target=self._run, args=(before,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End at the next thing shown; what has been done stays."""
        self._stop.set()

    def wait(self, timeout: float | None = None) -> None:
        if self._thread:
            try:
                self._thread.join(timeout)
            except KeyboardInterrupt:
                self.stop()
                raise

    def _run(self, before: Live | None) -> None:
        if before not in (None, self):
            before.stop()
            before.wait()
        try:
            for shown in self._work:
                self._show(shown)
                if self._stop.is_set():
                    break
            else:
                self.finished = True
        except Exception as error:
            self.error, self.finished = error, True
            self._say(f"<b>{type(error).__name__}</b>: {html.escape(str(error))}")
        self.stop_button.disabled, self.go_button.disabled = True, self.finished

    def _show(self, shown: Shown) -> None:
        picture = (
            figure_to_picture(shown.picture) if isinstance(shown.picture, Figure) else shown.picture
        )
        self.shown = shown
        self.progress.value = shown.done
        self._say(html.escape(shown.text))
        self.image.value = to_jpeg(picture.convert("RGB"))

    def __repr__(self) -> str:
        return f"Live({self.progress.value} of {self.progress.max})"


def _before() -> Image.Image:
    """What stands in the picture's place before there is one, and in saved pages."""
    blank = Image.new("RGB", (900, 60), "#eeeeee")
    text = "While it runs, the latest picture is shown here."
    ImageDraw.Draw(blank).text((450, 30), text, "#555555", ImageFont.load_default(18), anchor="mm")
    return blank
