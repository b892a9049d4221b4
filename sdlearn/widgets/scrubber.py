"""A slider over pictures that are all in the browser, so it works even while the kernel is busy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anywidget
import traitlets
from matplotlib.figure import Figure
from PIL import Image

from sdlearn._support.arguments import number
from sdlearn._support.checked import checked
from sdlearn.images import figure_to_picture, to_jpeg
from sdlearn.widgets.static import with_picture

QUALITY = 80
"""JPEG quality of the frames: the browser gets all of them, and the saved notebook keeps one."""


@checked
class Scrubber(anywidget.AnyWidget):
    """Pictures behind a slider, with a label for each.

    `index` is the position of the slider, counted from 0, and `label` is the label there. You can
    read both, and set `index`.

    Args:
        pictures: PIL pictures or Figures, all of the same size.
        labels: the texts beside the slider, one for each picture.
        name: what the slider moves through, shown before the label.
        marks: for each label, where in the picture the thing it names is, from 0 (left) to 1
            (right); a click into the picture then goes to the nearest mark.
    """

    _esm = Path(__file__).with_name("scrubber.js")
    frames = traitlets.List(traitlets.Bytes()).tag(sync=True)
    labels = traitlets.List(traitlets.Unicode()).tag(sync=True)
    name = traitlets.Unicode().tag(sync=True)
    marks = traitlets.List(traitlets.Float()).tag(sync=True)
    index = traitlets.Int(0).tag(sync=True)

    def __init__(
        self,
        pictures: Sequence[Image.Image | Figure],
        labels: Sequence[str],
        name: str = "step",
        marks: Sequence[float] = (),
    ):
        if len(pictures) == 0 or len(pictures) != len(labels):
            raise ValueError(
                f"labels: one for each of the {len(pictures)} pictures, at least one, got "
                f"{len(labels)}"
            )
        if len(marks) not in (0, len(pictures)):
            raise ValueError(
                f"marks: one for each of the {len(pictures)} pictures, or none, got {len(marks)}"
            )
        drawn = [figure_to_picture(p) if isinstance(p, Figure) else p for p in pictures]
        super().__init__(
            frames=[to_jpeg(p.convert("RGB"), QUALITY) for p in drawn],
            labels=list(labels),
            name=name,
            marks=[number("marks", mark, 0, 1) for mark in marks],
        )

    @property
    def label(self) -> str:
        return self.labels[self.index]

    @traitlets.validate("index")
    def _within(self, proposal: dict) -> int:
        return min(max(proposal["value"], 0), len(self.frames) - 1)

    def _repr_mimebundle_(self, **kwargs) -> tuple | dict:
        return with_picture(
            super()._repr_mimebundle_(**kwargs), self.frames[self.index], repr(self)
        )

    def __repr__(self) -> str:
        return f"Scrubber of {len(self.frames)} pictures, {self.name} {self.label}"
