"""`PromptBox`: the controls that all widgets have that draw a prompt, and what is said about it."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Iterator

import ipywidgets
from transformers import CLIPTokenizer

from sdlearn._support.arguments import whole_number
from sdlearn.loading import Components
from sdlearn.text import cut_off, cut_silently, split_words
from sdlearn.widgets.bar import Bar
from sdlearn.widgets.latest import DrawingBox, Latest
from sdlearn.widgets.stop_button import StopButton


class PromptBox(DrawingBox):
    """A prompt, a seed, Draw and Stop, and a bar. The widgets place them, and say what draws."""

    model: Components
    steps: int

    def _make_controls(
        self, prompt: str, seed: int, width: str = "512px", as_typed: bool = False
    ) -> None:
        seed = whole_number("seed", seed, 0, 2**31 - 1)
        self._work = Latest(self._failed, self._busy)
        self._about, self._finished, self.error = "", True, None
        self.text = ipywidgets.Text(
            prompt,
            description="Prompt",
            continuous_update=as_typed,
            layout={"width": width, "max_width": "100%"},
        )
        self.seed = ipywidgets.BoundedIntText(
            seed, 0, 2**31 - 1, description="Seed", layout={"width": "170px"}
        )
        self.draw_button = ipywidgets.Button(
            description="Draw", icon="paint-brush", button_style="primary"
        )
        self.draw_button.on_click(lambda _: self.draw())
        self.stop_button = StopButton(self.stop)
        self.progress = Bar("Steps of the drawing", self.steps, width)
        self.said = ipywidgets.HTML()

    @property
    def prompt(self) -> str:
        return self.text.value

    def draw(self) -> None:
        """Start drawing; an unfinished drawing is abandoned."""
        raise NotImplementedError

    def _work_on(self, work: Iterable[Callable[[], None]]) -> None:
        """Draw on the thread. Parts of the prompt that are cut off are named by `_say_about`."""
        self._work.start(_silently(work))

    def _say_about(self, prompt: str) -> None:
        self._about = about(self.model.tokenizer, prompt)
        self.names.picture = f"{self.shows}: {prompt}"
        self._say(self._about)

    def _busy(self, busy: bool) -> None:
        super()._busy(busy)
        if not busy and not self._finished and self.error is None:
            self._say(f"{self._about} Stopped: this picture is not finished.".strip())


def _silently(work: Iterable[Callable[[], None]]) -> Iterator[Callable[[], None]]:
    cut_silently()
    yield from work


def about(tokenizer: CLIPTokenizer, prompt: str) -> str:
    """What to know about a prompt, as HTML: unknown words, words cut off, or that it is empty."""
    if not prompt.strip():
        return "Without a prompt, the model draws whatever it likes."
    said = []
    if lost := cut_off(tokenizer, prompt):
        said.append(f"Too long, so this was cut off: <b>{html.escape(lost)}</b>.")
    if split := split_words(tokenizer, prompt):
        words = ", ".join(html.escape(word) for word in split)
        said.append(
            f"Known only in pieces: <b>{words}</b>. The model has rarely or never seen this as a "
            "whole word."
        )
    return " ".join(said)
