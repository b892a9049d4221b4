"""Explore the attention of a drawing: by step, word, layer and head, and from any point in it."""

from __future__ import annotations

import html
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial

import ipywidgets
import numpy as np
from jaxtyping import Float
from matplotlib.font_manager import findfont
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from sdlearn import plots
from sdlearn._support.checked import checked
from sdlearn.attention.watching import START, Watched, watch
from sdlearn.images import to_jpeg
from sdlearn.loading import Components
from sdlearn.pipeline import or_defaults
from sdlearn.widgets.point_picker import PointPicker
from sdlearn.widgets.prompted import PromptBox

SIDE = 376
"""The side of each of the two pictures, in pixels."""
ALL = "all"
"""The choice of every layer or head. (None, as a value, is shown as no choice at all.)"""
POINT_VIEW = (900, 320, 28, 130)
"""The view of a point, in pixels: width, height, height of its titles, and width of its words."""


def point_view(
    picture: Image.Image,
    shares: Mapping[str, float],
    looks: Float[Tensor, "h w"],
    point: tuple[float, float],
) -> Image.Image:
    """The words that a point of the picture attends to, as bars, and where it looks, as a map.

    The view is drawn without a Figure, which is quick enough to follow a slider.
    """
    width, height, top, left = POINT_VIEW
    sheet = Image.new("RGB", (width, height), plots.PAPER)
    pen, side = ImageDraw.Draw(sheet), height - top
    row = min(22.0, side / len(shares))
    font = _font(min(14.0, 0.75 * row))
    longest = (width - side - left - 80) / max(*shares.values(), 1e-6)
    for number, (word, share) in enumerate(shares.items()):
        y = top + row * number
        pen.text((left - 8, y + row / 2), word, plots.INK, font, anchor="rm")
        pen.rectangle((left, y + 2, left + longest * share, y + row - 3), fill=plots.LINES[0])
        pen.text(
            (left + longest * share + 6, y + row / 2), f"{share:.0%}", plots.INK, font, anchor="lm"
        )
    over = plots.heat_over(picture, looks).resize((side, side))
    rows, columns = looks.shape
    x, y = int(point[0] * columns) * side / columns, int(point[1] * rows) * side / rows
    one = (x - 2, y - 2, x + side / columns + 1, y + side / rows + 1)
    ImageDraw.Draw(over).rectangle(one, outline="white", width=3)
    sheet.paste(over, (width - side, top))
    pen.text((left, 4), "which words this point listens to (cross-attention)", plots.INK, _font(14))
    pen.text((width - side, 4), "where it looks (self)", plots.INK, _font(14))
    return sheet


@cache
def _font(size: float) -> ImageFont.FreeTypeFont:
    """matplotlib's own font, which has every symbol used in the course."""
    return ImageFont.truetype(findfont("DejaVu Sans"), size)


def _telling(word: str) -> int:
    return 0 if word == START else len(word)


@checked
class AttentionExplorer(PromptBox):
    """Draws a prompt and keeps the attention of every step.

    On the left is the growing picture, in which you choose a point with a click or the arrow keys.
    On the right is the map of a word over the picture, and below, what the chosen point attends to.
    `watched` is the list of steps. `step`, `word`, `layer`, `head` and `point` say what is shown;
    set the first four with the controls of the same names.
    """

    shows = "the attention map over the drawing of the prompt"

    def __init__(
        self,
        model: Components,
        prompt: str,
        steps: int | None = None,
        guidance: float | None = None,
        seed: int = 0,
    ):
        self.model = model
        self.steps, self.guidance = or_defaults(model, steps, guidance)
        self.watched: list[Watched] = []
        self._lock, self._quiet = threading.RLock(), False
        self._make_controls(prompt, seed, "640px")
        self.progress.layout.width = "250px"
        wide = ipywidgets.Layout(width="640px", max_width="100%")
        row = ipywidgets.Layout(flex_flow="row wrap")
        beside = ipywidgets.Layout(width=f"{SIDE}px", max_width="100%", flex="0 0 auto")
        self.step_slider = ipywidgets.IntSlider(
            0, 0, 0, description="Step", readout=False, layout=wide
        )
        self.word_choice = ipywidgets.ToggleButtons(
            description="Word", style={"button_width": "auto"}
        )
        self.layer_choice = ipywidgets.Dropdown(description="Layer")
        self.head_choice = ipywidgets.Dropdown(description="Head")
        grey = Image.new("RGB", (SIDE, SIDE), "#8c8c8c")
        self.picker = PointPicker(grey, SIDE)
        self.image = ipywidgets.Image(format="jpeg", value=to_jpeg(grey), layout=beside)
        self.picker.layout = beside
        self.point_image = ipywidgets.Image(
            format="jpeg",
            value=to_jpeg(Image.new("RGB", POINT_VIEW[:2], "#eeeeee")),
            layout={"max_width": "100%", "object_fit": "contain"},
        )
        super().__init__(
            [
                self.text,
                ipywidgets.HBox(
                    [self.seed, self.draw_button, self.stop_button, self.progress], layout=row
                ),
                self.step_slider,
                self.word_choice,
                ipywidgets.HBox([self.layer_choice, self.head_choice], layout=row),
                self.said,
                ipywidgets.HBox([self.picker, self.image], layout=row),
                self.point_image,
            ]
        )
        self.text.observe(lambda _: self.draw(), names="value")
        for control in (self.step_slider, self.word_choice, self.head_choice):
            control.observe(lambda _: self._show(), names="value")
        self.layer_choice.observe(lambda _: self._offer_heads(), names="value")
        self.picker.observe(lambda _: self._show_point(), names=["x", "y"])

    @property
    def step(self) -> int:
        return self.step_slider.value

    @property
    def word(self) -> str | None:
        return self.word_choice.value

    @property
    def layer(self) -> str | None:
        """The name of the chosen layer; None means all of them."""
        return None if self.layer_choice.value == ALL else self.layer_choice.value

    @property
    def head(self) -> int | None:
        """The number of the chosen head; None means all of them."""
        return None if self.head_choice.value == ALL else self.head_choice.value

    @property
    def point(self) -> tuple[float, float]:
        return self.picker.point

    @property
    def heat(self) -> Float[Tensor, "h w"]:
        """The attention map that is currently shown."""
        return self.watched[self.step].heat(self.word, self.layer, self.head)

    def draw(self) -> None:
        """Draw the prompt in the text box; an unfinished drawing is abandoned."""
        self.error = None
        wanted = {
            "prompt": self.prompt,
            "seed": self.seed.value,
            "guidance": self.guidance,
            "steps": self.steps,
        }
        self._work_on(self._draw(wanted))

    def _draw(self, wanted: dict) -> Iterator[Callable[[], None]]:
        watched = []
        for step in watch(self.model, **wanted):
            watched.append(step)
            yield partial(self._grow, step)
        yield partial(self._take, watched)

    def _busy(self, busy: bool) -> None:
        super()._busy(busy)
        # after Stop, the picture on the left is still from the drawing that was abandoned
        if not busy and self.watched:
            self.picker.show(self.watched[self.step].picture)

    def _grow(self, step: Watched) -> None:
        self.progress.move(step.index + 1, step.count)
        self.picker.show(step.picture)

    def _take(self, watched: list[Watched]) -> None:
        """Switch to another drawing: its last step, and the same word or else its longest word."""
        last, word = watched[-1], self.word
        sizes = {f"{layer.name}, {h}×{w}": layer.name for layer, (h, w) in last.layers}
        with self._changing():
            self.watched = watched
            self.step_slider.max = self.step_slider.value = len(watched) - 1
            self.word_choice.options = list(last.words)
            self.word_choice.value = word if word in last.words else max(last.words, key=_telling)
            self.layer_choice.options = {ALL: ALL, **sizes}
            self.layer_choice.value = ALL
            self._offer_heads()

    def _offer_heads(self) -> None:
        """Offer the heads of the chosen layer or, for all layers, those that every layer has."""
        if not self.watched:
            return
        heads = min(
            layer.heads for layer, _ in self.watched[-1].layers if self.layer in (None, layer.name)
        )
        with self._changing():
            self.head_choice.options = {ALL: ALL, **{str(head): head for head in range(heads)}}
            self.head_choice.value = ALL

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Change several controls together, and show the result only at the end."""
        with self._lock:
            outer, self._quiet = self._quiet, True
            try:
                yield
            finally:
                self._quiet = outer
            self._show()

    def _show(self) -> None:
        with self._lock:
            if self._quiet or not self.watched:
                return
            now, heat = self.watched[self.step], self.heat
            self.picker.show(now.picture)
            self.image.value = to_jpeg(plots.heat_over(now.picture, heat))
            self.said.value = (
                f"step {now.index + 1} of {now.count}, t = {now.t}; "
                f"<b>{html.escape(self.word)}</b> gets from "
                f"{heat.min():.1%} to {heat.max():.1%} of the attention, {heat.mean():.1%} on "
                "average"
            )
            self._show_point()

    def _show_point(self) -> None:
        with self._lock:
            if self._quiet or not self.watched:
                return
            now = self.watched[self.step]
            shares = now.shares(self.point, self.layer, self.head)
            view = point_view(now.picture, shares, now.looks(self.point), self.point)
            self.point_image.value = to_jpeg(view)

    def _still(self) -> bytes:
        return to_jpeg(self.as_picture())

    def as_picture(self) -> Image.Image:
        """What the widget shows, as one picture, for readers without JavaScript."""
        if not self.watched:
            return Image.new("RGB", (900, 120), "#eeeeee")
        now = self.watched[self.step]
        pair = [now.picture, plots.heat_over(now.picture, self.heat)]
        return Image.fromarray(np.hstack([np.asarray(p.resize((SIDE, SIDE))) for p in pair]))

    def __repr__(self) -> str:
        return f"AttentionExplorer({self.text.value!r}, step={self.step}, word={self.word!r})"
