"""A slider over pictures that are all in the browser, so it works even while the kernel is busy."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import anywidget
import traitlets
from matplotlib.figure import Figure
from PIL import Image

from sdlearn import plots
from sdlearn._support.arguments import number, whole_number
from sdlearn._support.checked import checked
from sdlearn.images import figure_to_picture, to_jpeg
from sdlearn.widgets.static import with_picture

QUALITY = 80
"""JPEG quality of the frames: the browser gets all of them, and the saved notebook keeps one."""
KEEP_FRAMES = "SDLEARN_KEEP_FRAMES"
"""The environment variable that makes an output keep all frames, for pages without a kernel."""
FRAMES = "application/vnd.sdlearn.frames+json"


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
        stills: which pictures stand in for the widget in a saved notebook, one below the other; by
            default the one that is shown.
    """

    _esm = Path(__file__).with_name("scrubber.js")
    frames = traitlets.List(traitlets.Bytes()).tag(sync=True)
    labels = traitlets.List(traitlets.Unicode()).tag(sync=True)
    name = traitlets.Unicode().tag(sync=True)
    marks = traitlets.List(traitlets.Float()).tag(sync=True)
    index = traitlets.Int(0).tag(sync=True)

    _grid: bytes = b""
    """What stands in for the widget, if its pictures are rows."""

    def __init__(
        self,
        pictures: Sequence[Image.Image | Figure],
        labels: Sequence[str],
        name: str = "step",
        marks: Sequence[float] = (),
        stills: Sequence[int] = (),
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
        self._stills = [whole_number("stills", i, 0, len(pictures) - 1) for i in stills]
        drawn = [figure_to_picture(p) if isinstance(p, Figure) else p for p in pictures]
        super().__init__(
            frames=[to_jpeg(p.convert("RGB"), QUALITY) for p in drawn],
            labels=list(labels),
            name=name,
            marks=[number("marks", mark, 0, 1) for mark in marks],
        )

    @classmethod
    def of_rows(
        cls,
        rows: Mapping[str, Sequence[Image.Image]],
        titles: Sequence[str],
        name: str = "step",
        stills: Sequence[int] = (),
    ) -> Scrubber:
        """A slider through rows of pictures, each row a frame of its own, with its label.

        Args:
            rows: for each label its pictures, as many as there are titles.
            titles: a text above each column.
            name: what the slider moves through.
            stills: which rows stand in for the widget in a saved notebook: a grid with a column for
                each.
        """
        frames = [plots.strip(row, titles, columns=len(titles)) for row in rows.values()]
        scrubber = cls(frames, list(rows), name, stills=stills)
        if stills:
            if len(set(titles)) < len(titles):
                raise ValueError(f"titles: all different, got {list(titles)}")
            chosen = [scrubber.labels[index] for index in stills]
            turned = zip(*(rows[label] for label in chosen), strict=True)
            by_title = dict(zip(titles, turned, strict=True))
            grid = plots.grid(by_title, [f"{name} {label}" for label in chosen])
            scrubber._grid = to_jpeg(figure_to_picture(grid), QUALITY)
        return scrubber

    @property
    def label(self) -> str:
        return self.labels[self.index]

    @traitlets.validate("index")
    def _within(self, proposal: dict) -> int:
        return min(max(proposal["value"], 0), len(self.frames) - 1)

    def _repr_mimebundle_(self, **kwargs) -> tuple | dict:
        bundle = with_picture(super()._repr_mimebundle_(**kwargs), self._still(), repr(self))
        if os.environ.get(KEEP_FRAMES):
            data = bundle[0] if isinstance(bundle, tuple) else bundle
            data[FRAMES] = {
                "name": self.name,
                "labels": self.labels,
                "frames": [base64.b64encode(frame).decode() for frame in self.frames],
                "index": self.index,
            }
        return bundle

    def _still(self) -> bytes:
        if self._grid:
            return self._grid
        if not self._stills:
            return self.frames[self.index]
        pictures = [Image.open(io.BytesIO(self.frames[index])) for index in self._stills]
        titles = [f"{self.name} {self.labels[index]}" for index in self._stills]
        return to_jpeg(figure_to_picture(plots.strip(pictures, titles, columns=1)), QUALITY)

    def __repr__(self) -> str:
        return f"Scrubber of {len(self.frames)} pictures, {self.name} {self.label}"
