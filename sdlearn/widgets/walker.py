"""A plane in which you drop a point, and it walks back to the data."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence

import ipywidgets
import torch
from jaxtyping import Float
from torch import Tensor

from sdlearn import plots
from sdlearn._support.arguments import number
from sdlearn._support.checked import checked
from sdlearn.images import figure_to_picture, to_jpeg
from sdlearn.plots.planes import REACH
from sdlearn.widgets.point_picker import PointPicker
from sdlearn.widgets.static import PictureBox

PIXELS = 450


@checked
class Walker(PictureBox):
    """Click anywhere in the plane: a noisy point is dropped there, and its path back is drawn.

    You can read `walk` (the points of the way), and set `point`.

    Args:
        points: the clean points, drawn in grey.
        way: gives the way from a start of shape [1, 2], step by step, each of shape [1, 2].
        start: where the first point is dropped.
    """

    shows = "the way of the point"

    def __init__(
        self,
        points: Float[Tensor, "n 2"],
        way: Callable[[Tensor], Sequence[Tensor]],
        start: tuple[float, float] = (2.0, 1.5),
    ):
        self._points, self._way, self._lock = points, way, threading.Lock()
        self.said, self.image = ipywidgets.HTML(), ipywidgets.Image(format="jpeg")
        self.point = start
        self.picker = PointPicker(figure_to_picture(self._figure()), PIXELS)
        x, y = self.point
        self.picker.x, self.picker.y = (1 + x / REACH) / 2, (1 - y / REACH) / 2
        self.picker.observe(lambda _: self._picked(), names=["x", "y"])
        super().__init__([self.picker, self.said])

    @property
    def point(self) -> tuple[float, float]:
        """Where the point was dropped."""
        return self._start

    @point.setter
    def point(self, start: tuple[float, float]) -> None:
        start = tuple(number("start", part, -REACH, REACH) for part in start)
        if len(start) != 2:
            raise ValueError(f"start: two numbers, x and y, got {len(start)}")
        with self._lock:
            self._start = start
            self.walk = self._walk_from(torch.tensor([start]))
            picture = figure_to_picture(self._figure())
            self.image.value = to_jpeg(picture)
            if hasattr(self, "picker"):
                self.picker.show(picture)
            self._say(f"from ({start[0]:.1f}, {start[1]:.1f}) in {len(self.walk) - 1} steps")

    def _walk_from(self, start: Tensor) -> list[Tensor]:
        came = self._way(start)
        steps = list(came) if isinstance(came, Iterable) else []
        if not steps or any(getattr(step, "shape", None) != start.shape for step in steps):
            raise ValueError(
                "way: a function that gives the way from a start, step by step, each of shape "
                f"{list(start.shape)}, got one that gives {type(came).__name__}"
            )
        return [step[0] for step in steps]

    def _picked(self) -> None:
        x, y = self.picker.point
        self.point = ((2 * x - 1) * REACH, (1 - 2 * y) * REACH)

    def _figure(self):
        return plots.one_path(self._points, torch.stack(self.walk))

    def __repr__(self) -> str:
        return f"Walker at ({self.point[0]:.1f}, {self.point[1]:.1f})"
