"""A question whose answer is hidden until the learner has chosen."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable

import ipywidgets
from matplotlib.figure import Figure
from PIL import Image

from sdlearn._support.checked import checked
from sdlearn.images import figure_to_picture, to_jpeg


@checked
class Guess(ipywidgets.VBox):
    """A question, a button for each option, and an answer that appears with the first choice.

    Where no kernel runs, as on GitHub, the options and the answer are folded lines. You can read
    `chosen`.

    Args:
        question: HTML.
        comments: for each option, what is said when it is chosen, as HTML.
        answer: a Figure, a picture, a widget, or anything that has a text.
        chosen: the option that was chosen earlier, if any; the answer is then shown at once.
        remember: called with the option at the first choice.
    """

    def __init__(
        self,
        question: str,
        comments: dict[str, str],
        answer: object,
        chosen: str | None = None,
        remember: Callable[[str], None] = lambda option: None,
    ):
        for option, comment in comments.items():
            if not isinstance(comment, str):
                raise TypeError(f"comments: a text for each option, got {comment!r} for {option!r}")
        self.question, self.comments, self.answer = question, comments, answer
        self.chosen: str | None = None
        self.remember = remember
        wide = {"width": "auto", "max_width": "640px"}
        self.buttons = {
            option: ipywidgets.Button(description=option, layout=wide) for option in comments
        }
        for option, button in self.buttons.items():
            button.style.text_align = "left"
            button.on_click(lambda _, option=option: self.choose(option))
        self.comment = ipywidgets.HTMLMath()
        self.hidden = ipywidgets.VBox([shown(answer)], layout={"display": "none"})
        asked = ipywidgets.HTMLMath(f"<b>Your guess.</b> {question}")
        super().__init__([asked, *self.buttons.values(), self.comment, self.hidden])
        self.add_class("sdlearn-guess")
        if chosen in comments:  # the options may have changed since
            self.remember = lambda option: None
            self.choose(chosen)

    def choose(self, option: str) -> None:
        """Comment on an option, and show the answer."""
        if self.chosen is None:
            self.remember(option)
        self.chosen = option
        for name, button in self.buttons.items():
            button.button_style = "info" if name == option else ""
        self.comment.value = self.comments[option]
        self.hidden.layout.display = ""

    def _repr_mimebundle_(self, **kwargs) -> dict:
        folded = [
            f"<details><summary>{html.escape(option)}</summary>{comment}</details>"
            for option, comment in self.comments.items()
        ]
        answer = f"<details><summary>the result</summary>{still(self.answer)}</details>"
        page = f"<b>Your guess.</b> {self.question}{''.join(folded)}{answer}"
        return {
            **super()._repr_mimebundle_(**kwargs),
            "text/html": f"<div>{page}</div>",
            "text/plain": repr(self),
        }

    def __repr__(self) -> str:
        return f"Guess({', '.join(self.comments)}; chosen: {self.chosen})"


def shown(answer: object) -> ipywidgets.Widget:
    """An answer as a widget."""
    if isinstance(answer, ipywidgets.Widget):
        return answer
    picture = _jpeg(answer)
    if picture is None:
        return ipywidgets.HTML(_text(answer))
    return ipywidgets.HTML(
        f'<img alt="the result" style="max-width: 100%" src="data:image/jpeg;base64,'
        f'{base64.b64encode(picture).decode()}">'
    )


def still(answer: object) -> str:
    """An answer as HTML that needs no kernel."""
    if isinstance(answer, ipywidgets.Widget):
        bundle = answer._repr_mimebundle_()
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        return _img(data["image/jpeg"]) if "image/jpeg" in data else _text(answer)
    picture = _jpeg(answer)
    return _text(answer) if picture is None else _img(base64.b64encode(picture).decode())


def _jpeg(answer: object) -> bytes | None:
    picture = figure_to_picture(answer) if isinstance(answer, Figure) else answer
    return to_jpeg(picture.convert("RGB"), 80) if isinstance(picture, Image.Image) else None


def _img(encoded: str) -> str:
    return f'<img src="data:image/jpeg;base64,{encoded}">'


def _text(answer: object) -> str:
    return f"<pre>{html.escape(str(answer))}</pre>"
