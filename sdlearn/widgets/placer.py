"""A mask to paint, a prompt, and the picture that follows both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import ipywidgets
import numpy as np
from diffusers import ControlNetModel
from PIL import Image

from sdlearn._support.arguments import whole_number
from sdlearn._support.checked import checked
from sdlearn.control import controlled
from sdlearn.denoising import Step
from sdlearn.images import contact_sheet, to_jpeg, to_rgb
from sdlearn.loading import Components
from sdlearn.pipeline import latents_to_images, or_defaults, picture_size, text_to_latents
from sdlearn.widgets.canvas import Canvas
from sdlearn.widgets.prompted import PromptBox

SHOWN = 320
"""The width of the mask and of the picture, in pixels of the screen; a narrow window has room."""
BRUSHES = {"white": "#ffffff", "black": "#000000"}


@checked
class Placer(PromptBox):
    """Paint in white what a ControlNet reads, and the picture beside it is drawn anew.

    Every stroke, the prompt, the scale and the seed start a new drawing, which stops the one before
    it. `mask` is what is painted now, `picture` the last finished picture.

    Args:
        control: a ControlNet that reads masks or edges, from `sdlearn.control.load_control`.
        mask: what to begin with; without it, all is black.
        size: the side of the picture in pixels; by default half the model's.
        scale: how much of what the ControlNet finds is added.
    """

    shows = "what is drawn from the prompt at the places of the mask"

    def __init__(
        self,
        model: Components,
        control: ControlNetModel,
        prompt: str = "",
        mask: Image.Image | None = None,
        size: int | None = None,
        steps: int | None = None,
        seed: int = 0,
        scale: float = 1.0,
    ):
        self.model, self.control, self.picture = model, control, None
        self.steps, _ = or_defaults(model, steps, None)
        size = model.side // 2 if size is None else whole_number("size", size, 8, 4096)
        self.size, _ = picture_size(model, size)
        self._make_controls(prompt, seed)
        black = Image.new("RGB", (self.size, self.size))
        begin = black if mask is None else to_rgb("mask", mask).resize(black.size)
        self.canvas = Canvas(begin, colours=BRUSHES)
        self.canvas.shown = SHOWN
        self.scale = ipywidgets.FloatSlider(
            scale, min=0, max=2, step=0.1, description="Scale", continuous_update=False
        )
        self.image = ipywidgets.Image(
            format="jpeg", width=SHOWN, height=SHOWN, value=to_jpeg(_grey(self.size))
        )
        self.canvas.observe(lambda _: self.draw(), names="strokes")
        for moved in (self.text, self.seed, self.scale):
            moved.observe(lambda _: self.draw(), names="value")
        wrap = {"flex_flow": "row wrap", "align_items": "flex-end"}
        super().__init__(
            [
                self.text,
                ipywidgets.HBox([self.seed, self.scale], layout=wrap),
                ipywidgets.HBox([self.draw_button, self.stop_button]),
                self.progress,
                self.said,
                ipywidgets.HBox([self.canvas, self.image], layout=wrap),
            ]
        )

    @property
    def mask(self) -> Image.Image:
        return self.canvas.picture

    def draw(self) -> None:
        """Start drawing; an unfinished drawing is abandoned."""
        self.error, self._finished = None, False
        wanted = {"prompt": self.prompt, "seed": self.seed.value, "size": self.size}
        self._work_on(self._drawn(self.mask, self.scale.value, wanted))

    def _drawn(self, mask: Image.Image, scale: float, wanted: dict) -> Iterator[Callable[[], None]]:
        yield partial(self._say_about, wanted["prompt"])
        with controlled(self.model.unet, self.control, mask, scale):
            for step in text_to_latents(self.model, steps=self.steps, **wanted):
                last = step.index + 1 == step.count
                picture = latents_to_images(self.model, step.latents)[0] if last else None
                yield partial(self._show, step, picture)

    def _show(self, step: Step, picture: Image.Image | None) -> None:
        self.progress.move(step.index + 1, step.count)
        if picture:
            self.picture, self._finished = picture, True
            self.image.value = to_jpeg(picture)

    def _still(self) -> bytes:
        """The mask and the picture side by side."""
        pair = np.stack([self.mask, self.picture or _grey(self.size)])
        return to_jpeg(Image.fromarray(contact_sheet(pair, 2)), 85)

    def __repr__(self) -> str:
        return f"Placer({self.prompt!r}, seed={self.seed.value}, scale={self.scale.value:g})"


def _grey(side: int) -> Image.Image:
    return Image.new("RGB", (side, side), "#8c8c8c")
