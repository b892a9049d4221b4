"""The learner's own picture, from a file."""

from __future__ import annotations

import html
import io
from collections.abc import Callable

import ipywidgets
from PIL import Image, UnidentifiedImageError

from sdlearn.images import square, to_rgb


class PictureUpload(ipywidgets.FileUpload):
    """A button that takes a picture file and passes on its central square, as RGB.

    Args:
        side: side of the square, in pixels.
        take: called with the picture.
        say: called with a line of HTML if the file is not a picture; what was shown before stays.
    """

    def __init__(self, side: int, take: Callable[[Image.Image], None], say: Callable[[str], None]):
        super().__init__(accept="image/*", description="Your picture")
        self._side, self._take, self._say = side, take, say
        self.failure: Exception | None = None
        self.observe(lambda _: self._read(), names="value")

    def _read(self) -> None:
        if not self.value:
            return
        self.failure = None
        try:
            opened = Image.open(io.BytesIO(self.value[-1]["content"]))
            picture = square(to_rgb("picture", opened), self._side)
        except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
            self.failure = error
            name = html.escape(self.value[-1]["name"])
            self._say(f"<b>{name}</b> cannot be shown: it is not a picture, or it is too large.")
        else:
            self._take(picture)
