"""`PictureBox`, a widget that leaves its picture for readers without a kernel."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import ClassVar

import ipywidgets

from sdlearn.widgets.names import Names


def with_picture(
    bundle: tuple | dict, jpeg: bytes | memoryview, text: str | None = None
) -> tuple | dict:
    """Add a JPEG to a widget's mime bundle, for readers without JavaScript, as on GitHub.

    Exported pages show it too. An anywidget's bundle is a tuple with metadata, and its text
    contains a memory address: replace it with `text`.
    """
    data, *rest = bundle if isinstance(bundle, tuple) else (bundle,)
    shown = {
        **data,
        "image/jpeg": base64.b64encode(jpeg).decode(),
        **({"text/plain": text} if text else {}),
    }
    return (shown, *rest) if rest else shown


class PictureBox(ipywidgets.VBox):
    """Controls around a picture, `image`, and a line of text, `said`.

    `shows` is what a screen reader says of the picture.
    """

    image: ipywidgets.Image
    said: ipywidgets.HTML
    shows: ClassVar[str]

    def __init__(self, parts: Sequence[ipywidgets.Widget]):
        self.names = Names(picture=self.shows)
        super().__init__([*parts, self.names])
        self.add_class("sdlearn-named")

    def _say(self, text: str) -> None:
        self.said.value = text

    def _still(self) -> bytes | memoryview:
        """The JPEG for readers without a kernel."""
        return self.image.value

    def _repr_mimebundle_(self, **kwargs) -> dict:
        return with_picture(super()._repr_mimebundle_(**kwargs), self._still())
