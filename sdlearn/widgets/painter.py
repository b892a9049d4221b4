"""A prompt, what is said about it, and the picture that grows from it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

import ipywidgets
from PIL import Image

from sdlearn._support.checked import checked
from sdlearn.denoising import Step
from sdlearn.images import to_jpeg
from sdlearn.loading import Components
from sdlearn.pipeline import latents_to_images, or_defaults, picture_size, text_to_latents
from sdlearn.widgets.prompted import PromptBox

LIGHT = 2e7
"""A U-Net of at most this many parameters draws quickly enough to follow what is typed."""
SKETCH, PAUSE = 8, 0.7
"""The steps of a sketch, and the seconds without a key press after which the picture is drawn."""


@checked
class Painter(PromptBox):
    """A text box, a button, and a picture that emerges from noise.

    Drawing runs on its own thread, so Stop works at once and the notebook stays free. A new drawing
    stops the one before it. `picture` is the last finished picture, `prompt` the text in the box,
    and `error` the exception that ended the latest drawing, if any.

    Args:
        every: show the growing picture after so many steps.
        live: while one types, draw sketches of half the size, and the picture itself in a pause; by
            default, if the model is small or on a GPU. Otherwise Enter draws.
    """

    shows = "what is drawn from the prompt"

    def __init__(
        self,
        model: Components,
        prompt: str = "",
        picture: Image.Image | None = None,
        steps: int | None = None,
        every: int = 3,
        guidance: float | None = None,
        seed: int = 0,
        live: bool | None = None,
    ):
        self.model, self.picture = model, picture
        self.every = every
        self.steps, guidance = or_defaults(model, steps, guidance)
        if live is None:
            live = model.unet.num_parameters() <= LIGHT or model.device.type == "cuda"
        self._make_controls(prompt, seed, as_typed=live)
        self.guidance = ipywidgets.FloatSlider(
            guidance, min=1, max=15, step=0.5, description="Guidance", readout_format=".1f"
        )
        self.image = ipywidgets.Image(
            format="jpeg", width=512, height=512, value=_jpeg_or_grey(picture, model.side)
        )
        self.text.observe(lambda _: self._sketch() if live else self.draw(), names="value")
        controls = ipywidgets.HBox([self.seed, self.guidance], layout={"flex_flow": "row wrap"})
        buttons = ipywidgets.HBox([self.draw_button, self.stop_button])
        super().__init__([self.text, controls, buttons, self.progress, self.said, self.image])

    def draw(self) -> None:
        """Start drawing the prompt in the text box; an unfinished drawing is abandoned."""
        self._start(self._drawn)

    def _sketch(self) -> None:
        self._start(self._sketched)

    def _start(self, work: Callable[[dict], Iterator[Callable[[], None]]]) -> None:
        wanted = {"prompt": self.prompt, "guidance": self.guidance.value, "seed": self.seed.value}
        self.error, self._finished = None, False
        self._work_on(work(wanted))

    def _sketched(self, wanted: dict) -> Iterator[Callable[[], None]]:
        """A small picture of few steps, and after a pause the whole one."""
        yield partial(self._say_about, wanted["prompt"])
        steps = min(SKETCH, self.steps)
        for step in text_to_latents(self.model, size=_half(self.model), steps=steps, **wanted):
            if step.index + 1 < step.count:
                yield _nothing
            else:
                yield partial(self._show_sketch, latents_to_images(self.model, step.latents)[0])
        for _ in range(round(PAUSE / 0.05)):
            time.sleep(0.05)
            yield _nothing
        yield from self._drawn(wanted, growing=False)

    def _drawn(self, wanted: dict, growing: bool = True) -> Iterator[Callable[[], None]]:
        yield partial(self._say_about, wanted["prompt"])
        for step in text_to_latents(self.model, steps=self.steps, **wanted):
            last = step.index + 1 == step.count
            due = last or (growing and step.index % self.every == 0)
            picture = latents_to_images(self.model, step.latents)[0] if due else None
            yield partial(self._show, step, picture, last)

    def _show_sketch(self, sketch: Image.Image) -> None:
        self.progress.move(0)
        self.image.value = to_jpeg(sketch)
        self._say(f"{self._about} A sketch; the picture follows when you pause.".strip())

    def _show(self, step: Step, picture: Image.Image | None, last: bool) -> None:
        self.progress.move(step.index + 1, step.count)
        if picture:
            self.image.value = to_jpeg(picture)
        if last:
            self.picture, self._finished = picture, True
            self._say(self._about)

    def __repr__(self) -> str:
        return f"Painter({self.prompt!r}, seed={self.seed.value}, guidance={self.guidance.value:g})"


def _jpeg_or_grey(picture: Image.Image | None, side: int) -> bytes:
    return to_jpeg(picture or Image.new("RGB", (side, side), "#8c8c8c"))


def _nothing() -> None:
    """Show nothing: newer work or a stop takes effect here, between two steps."""


def _half(model: Components) -> int:
    """Half the model's side where its U-Net can halve that often enough, or else the whole side."""
    try:
        picture_size(model, model.side // 2)
    except ValueError:
        return model.side
    return model.side // 2
