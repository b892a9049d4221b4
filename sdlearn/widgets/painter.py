"""A prompt and the picture that grows from it."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator
from functools import partial

import ipywidgets
from PIL import Image

from sdlearn._support.checked import checked
from sdlearn.denoising import Step
from sdlearn.images import to_jpeg
from sdlearn.loading import Components
from sdlearn.pipeline import latents_to_images, or_defaults, text_to_latents
from sdlearn.text import split_words
from sdlearn.widgets.latest import DrawingBox, Latest
from sdlearn.widgets.stop_button import StopButton


@checked
class Painter(DrawingBox):
    """A text box, a button, and a picture that emerges from noise.

    Drawing runs on its own thread, so Stop works at once and the notebook stays free. A new drawing
    stops the one before it. `picture` is the last finished picture, `prompt` the text in the box,
    and `error` the exception that ended the latest drawing, if any.
    """

    def __init__(
        self,
        model: Components,
        prompt: str = "",
        picture: Image.Image | None = None,
        steps: int | None = None,
        every: int = 3,
        guidance: float | None = None,
        seed: int = 0,
    ):
        self.model, self.picture, self.error = model, picture, None
        self.every = every
        self.steps, guidance = or_defaults(model, steps, guidance)
        self._work = Latest(self._failed, self._busy)
        full = ipywidgets.Layout(width="512px")
        self.text = ipywidgets.Text(
            prompt, description="Prompt", continuous_update=False, layout=full
        )
        self.seed = ipywidgets.BoundedIntText(
            seed, 0, 2**31 - 1, description="Seed", layout={"width": "170px"}
        )
        self.guidance = ipywidgets.FloatSlider(
            guidance, min=1, max=15, step=0.5, description="Guidance", readout_format=".1f"
        )
        self.draw_button = ipywidgets.Button(
            description="Draw", icon="paint-brush", button_style="primary"
        )
        self.stop_button = StopButton(self.stop)
        self.progress = ipywidgets.IntProgress(0, 0, self.steps, layout=full)
        self.said = ipywidgets.HTML()
        self.image = ipywidgets.Image(
            format="jpeg", width=512, height=512, value=_jpeg_or_grey(picture, model.side)
        )
        self.draw_button.on_click(lambda _: self.draw())
        self.text.observe(lambda _: self.draw(), names="value")
        controls = ipywidgets.HBox([self.seed, self.guidance])
        buttons = ipywidgets.HBox([self.draw_button, self.stop_button])
        super().__init__([self.text, controls, buttons, self.progress, self.said, self.image])

    @property
    def prompt(self) -> str:
        return self.text.value

    def draw(self) -> None:
        """Start drawing the prompt in the text box; an unfinished drawing is abandoned."""
        wanted = {"prompt": self.prompt, "guidance": self.guidance.value, "seed": self.seed.value}
        self.error = None
        self._work.start(self._draw(wanted))

    def _draw(self, wanted: dict) -> Iterator[Callable[[], None]]:
        about = _about_words(split_words(self.model.tokenizer, wanted["prompt"]))
        yield lambda: self._say(about)
        for step in text_to_latents(self.model, steps=self.steps, **wanted):
            last = step.index + 1 == step.count
            due = last or step.index % self.every == 0
            picture = latents_to_images(self.model, step.latents)[0] if due else None
            yield partial(self._show, step, picture, last)

    def _show(self, step: Step, picture: Image.Image | None, last: bool) -> None:
        self.progress.max, self.progress.value = step.count, step.index + 1
        if picture:
            self.image.value = to_jpeg(picture)
        if last:
            self.picture = picture

    def __repr__(self) -> str:
        return f"Painter({self.prompt!r}, seed={self.seed.value}, guidance={self.guidance.value:g})"


def _jpeg_or_grey(picture: Image.Image | None, side: int) -> bytes:
    return to_jpeg(picture or Image.new("RGB", (side, side), "#8c8c8c"))


def _about_words(split: list[str]) -> str:
    if not split:
        return ""
    words = ", ".join(html.escape(word) for word in split)
    return (
        f"Known only in pieces: <b>{words}</b>. The model has rarely or never seen this as a "
        "whole word."
    )
