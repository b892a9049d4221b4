"""A picture in which you can choose a point."""

from __future__ import annotations

from pathlib import Path

import anywidget
import traitlets
from PIL import Image

from sdlearn.images import to_jpeg


class PointPicker(anywidget.AnyWidget):
    """Shows a picture, in which you choose a point with a click or the arrow keys.

    `x` and `y`, both in [0, 1) from the top left corner, can be read, set and observed.
    """

    _esm = Path(__file__).with_name("point_picker.js")
    picture = traitlets.Bytes().tag(sync=True)
    width = traitlets.Int().tag(sync=True)
    x = traitlets.Float(0.5, min=0, max=1).tag(sync=True)
    y = traitlets.Float(0.5, min=0, max=1).tag(sync=True)

    def __init__(self, picture: Image.Image, width: int):
        super().__init__(picture=to_jpeg(picture), width=width)

    @property
    def point(self) -> tuple[float, float]:
        return self.x, self.y

    def show(self, picture: Image.Image) -> None:
        self.picture = to_jpeg(picture)

    def __repr__(self) -> str:
        return f"PointPicker at ({self.x:.2f}, {self.y:.2f})"
