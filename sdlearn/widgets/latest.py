"""`Latest`, work on a thread that new work stops, and `DrawingBox`, a widget around it."""

from __future__ import annotations

import html
import threading
import time
from collections.abc import Callable, Iterable

from sdlearn._support.waiting import waiting
from sdlearn.widgets.static import PictureBox
from sdlearn.widgets.stop_button import StopButton


class Latest:
    """Runs the latest work it was given; any earlier work is abandoned at its next step.

    Work is an iterable of functions without arguments. Iterating does the work, on the thread, and
    each function shows a result. Once the work is stopped, none of its functions is called.

    Args:
        failed: called with the exception that ended the work, unless newer work has begun.
        busy: called with True when work starts, and with False when the latest work has finished,
            failed, or was stopped.
    """

    def __init__(self, failed: Callable[[Exception], None], busy: Callable[[bool], None]):
        self._failed, self._busy = failed, busy
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self.thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        return self.thread is not None and self.thread.is_alive()

    def start(self, work: Iterable[Callable[[], None]]) -> None:
        """Stop the work before, and start this one on a new thread."""
        with self._lock:
            self._stop.set()
            self._stop = threading.Event()
            self._busy(True)
            self.thread = threading.Thread(target=self._run, args=(work, self._stop), daemon=True)
            self.thread.start()

    def stop(self) -> None:
        """Abandon the work at its next step."""
        self._stop.set()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the work has ended."""
        end = None if timeout is None else time.monotonic() + timeout
        while self.running and (end is None or time.monotonic() < end):
            self.thread.join(0.1)  # in short pieces: Windows cannot interrupt a long one

    def _run(self, work: Iterable[Callable[[], None]], stop: threading.Event) -> None:
        try:
            for show in work:
                with self._lock:
                    if stop.is_set():
                        break
                    show()
        except Exception as error:
            with self._lock:
                if stop is self._stop:
                    self._failed(error)
        with self._lock:
            if stop is self._stop:
                self._busy(False)


class Stopped(KeyboardInterrupt):
    """The work that a cell waited for was stopped: the cell ends, in one line."""

    def _render_traceback_(self) -> list[str]:
        return ["Stopped. The cells below need what was not finished: go on, or run it again."]


class DrawingBox(PictureBox):
    """A widget that draws on a thread, with a button that stops the drawing."""

    _work: Latest
    stop_button: StopButton
    error: Exception | None
    """The exception that ended the latest drawing, or None."""

    @property
    def running(self) -> bool:
        return self._work.running

    def stop(self) -> None:
        """Abandon the drawing at its next step; what is already shown stays."""
        self._work.stop()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the drawing has ended.

        Raises:
            Stopped: the wait was interrupted, by Stop or from the kernel; so was the drawing.
        """
        self.stop_button.waiting = True
        waiting.has_own_bar()
        try:
            self._work.wait(timeout)
        except KeyboardInterrupt:
            self.stop()
            raise Stopped from None
        finally:
            self.stop_button.waiting = False

    def _failed(self, error: Exception) -> None:
        self.error = error
        self._say(f"<b>{type(error).__name__}</b>: {html.escape(str(error))}")

    def _busy(self, busy: bool) -> None:
        self.stop_button.runs += busy
        self.stop_button.disabled = not busy
