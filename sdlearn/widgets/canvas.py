"""A picture to paint on."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import anywidget
import numpy as np
import traitlets
from PIL import Image

from sdlearn._support.checked import checked
from sdlearn.images import to_jpeg, to_rgb
from sdlearn.picturebook.drawing import RGB
from sdlearn.widgets.static import with_picture

SHOWN = 440
"""The width at which the canvas is shown, in pixels."""
COLOURS = {
    name: "#" + "".join(f"{round(255 * part):02x}" for part in rgb)
    for name, rgb in {**RGB, "black": (0, 0, 0)}.items()
}
MASK_COLOUR = {"mask": "#ff00ff"}


@checked
class Canvas(anywidget.AnyWidget):
    """Paint on a picture with the mouse, a finger, or keys: arrows move the brush, Space paints.

    Undo, or Ctrl+Z, takes back one stroke after the other.

    `picture` is the picture together with what was painted on it; `mask` is white where something
    was painted. You can save both like any picture: `canvas.picture.save("mine.png")`.

    Args:
        picture: the picture to paint on; the canvas has its size.
        mask: if true, paint with a single see-through colour, to mark a part of the picture.
        colours: the colours to paint with, by name, such as {"red": "#db2929"}.
    """

    _esm = Path(__file__).with_name("canvas.js")
    background = traitlets.Bytes().tag(sync=True)
    # the browser's bytes arrive as a memoryview
    strokes = traitlets.Bytes(b"").tag(sync=True, from_json=lambda value, _: bytes(value))
    width = traitlets.Int().tag(sync=True)
    height = traitlets.Int().tag(sync=True)
    shown = traitlets.Int(SHOWN).tag(sync=True)
    colours = traitlets.Dict().tag(sync=True)
    brush = traitlets.Int(32).tag(sync=True)
    see_through = traitlets.Bool(False).tag(sync=True)

    def __init__(
        self,
        picture: Image.Image | np.ndarray,
        mask: bool = False,
        colours: Mapping[str, str] = COLOURS,
    ):
        self._background = to_rgb("picture", picture)
        file = io.BytesIO()
        self._background.save(file, "PNG")
        width, height = self._background.size
        super().__init__(
            background=file.getvalue(),
            width=width,
            height=height,
            colours=MASK_COLOUR if mask else dict(colours),
            see_through=mask,
            brush=64 if mask else 32,
        )

    @property
    def picture(self) -> Image.Image:
        return Image.alpha_composite(self._background.convert("RGBA"), self._painted()).convert(
            "RGB"
        )

    @property
    def mask(self) -> Image.Image:
        return self._painted().getchannel("A").point(lambda alpha: 255 * (alpha > 127))

    def _painted(self) -> Image.Image:
        if not self.strokes:
            return Image.new("RGBA", self._background.size)
        return Image.open(io.BytesIO(self.strokes)).convert("RGBA")

    def _repr_mimebundle_(self, **kwargs) -> tuple | dict:
        small = self.picture.resize((SHOWN, SHOWN * self.height // self.width))
        return with_picture(super()._repr_mimebundle_(**kwargs), to_jpeg(small, 80), repr(self))

    def __repr__(self) -> str:
        return f"Canvas of {self.width}×{self.height} pixels"
