"""The learner's own picture, from a file."""

from __future__ import annotations

import html
import io
from collections.abc import Callable
from pathlib import Path

import anywidget
import traitlets
from PIL import Image

from sdlearn.images import square, to_rgb

LARGEST = 1024
"""The longest side that is sent to the kernel, in pixels."""
WHY_NOT = {
    ".heic": "HEIC is a format that browsers cannot read; export the photo as JPEG",
    ".heif": "HEIF is a format that browsers cannot read; export the photo as JPEG",
    ".svg": "SVG describes lines, not pixels; export it as PNG",
}


class PictureUpload(anywidget.AnyWidget):
    """A button that takes a picture file and passes on its central square, as RGB.

    The browser turns the picture as its EXIF data says, and shrinks it to at most 1,024 pixels, so
    that photos of any size come through.

    Args:
        side: side of the square, in pixels.
        take: called with the picture.
        say: called with a line of HTML if the file is not a picture; what was shown before stays.
    """

    _esm = Path(__file__).with_name("upload.js")
    largest = traitlets.Int(LARGEST).tag(sync=True)
    name = traitlets.Unicode().tag(sync=True)
    # the browser's bytes arrive as a memoryview
    content = traitlets.Bytes(b"").tag(sync=True, from_json=lambda value, _: bytes(value))
    chosen = traitlets.Int(0).tag(sync=True)
    """How many files were chosen so far: it changes even if the same one is chosen again."""

    def __init__(self, side: int, take: Callable[[Image.Image], None], say: Callable[[str], None]):
        super().__init__()
        self._side, self._take, self._say = side, take, say
        self.failure: Exception | None = None
        self.observe(lambda _: self._read(), names="chosen")

    def _read(self) -> None:
        self.failure = None
        try:
            picture = square(to_rgb("picture", Image.open(io.BytesIO(self.content))), self._side)
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            self.failure = error
            other = "it is not a picture that the browser can read"
            why = WHY_NOT.get(Path(self.name).suffix.lower(), other)
            self._say(f"<b>{html.escape(self.name)}</b> cannot be shown: {why}.")
        else:
            self._take(picture)

    def __repr__(self) -> str:
        return "PictureUpload()"
