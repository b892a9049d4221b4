"""Exercises of lesson 13, where to: ControlNet."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from sdlearn import plots
from sdlearn.exercises import choices, pictures
from sdlearn.exercises.choices import Wish
from sdlearn.exercises.engine import Lesson
from sdlearn.exercises.given import numbers, toy_noise
from sdlearn.exercises.results import Case

lesson = Lesson("13_where_to")

# --- exercise 1: what arrives behind a zero convolution -------------------------------------------


def _push(wide: int, out: int, rate: float, step: int) -> Case:
    """What comes in, how the loss pushes what comes out, the learning rate, and which step."""
    return numbers(wide), numbers(out, seed=1), rate, step


def _arriving(answer: Callable) -> Figure:
    """How strong the gradient is that arrives, step after step."""
    steps = (1, 2, 3, 4, 5)
    lines = {
        whose: [
            torch.as_tensor(run(*_push(6, 4, 0.1, step))).float().norm().item() for step in steps
        ]
        for whose, run in (("target", arriving), ("yours", answer))
    }
    return pictures.curves(steps, lines, "step", "gradient that arrives")


@lesson.exercise(
    cases=lambda: [
        (torch.tensor([2.0, 3.0]), torch.tensor([5.0]), 0.1, 2),
        _push(3, 2, 0.5, 1),
        _push(3, 2, 0.5, 2),
        _push(4, 5, 0.01, 3),
        _push(2, 2, 2.0, 6),
    ],
    picture=_arriving,
    by_hand=lambda came, push, rate, step: {
        "the weight's gradient": torch.outer(push, came),
        f"the weight in step {step}": -(step - 1) * rate * torch.outer(push, came),
    },
)
def arriving(came: Tensor, push: Tensor, rate: float, step: int) -> Tensor:
    """The gradient that gets through y = W x to x in this step, from W = 0 in step 1."""
    weight = -(step - 1) * rate * torch.outer(push, came)
    return weight.T @ push


def _times(x: Tensor, push: Tensor, factor: float) -> Tensor:
    return factor * (push @ push) * x


arriving.mistakes(
    "one step too many: in step 1 the weight is still zero, so nothing arrives",
    lambda x, p, r, step: _times(x, p, -step * r),
    "a step goes *downhill*: the rate times the gradient is subtracted",
    lambda x, p, r, step: _times(x, p, (step - 1) * r),
    "the learning rate is missing",
    lambda x, p, r, step: _times(x, p, -(step - 1)),
    "the weight was never changed: after the first step it is no longer zero",
    lambda x, p, r, step: 0 * x,
    "the weight changes in *every* step, not only in the first",
    lambda x, p, r, step: _times(x, p, -r * (step > 1)),
    "these are sums over the new weight's columns; what arrives is pushed through it: Wᵀ push",
    lambda x, p, r, step: -(step - 1) * r * p.sum() * x,
    "the weight's gradient is the push times what came in; what came in is missing",
    lambda x, p, r, step: (-(step - 1) * r * p @ p).expand(len(x)),
    "the rate was applied to what arrives as well; it belongs to the weight's step only",
    lambda x, p, r, step: _times(x, p, -(step - 1) * r * r),
    "this is the weight's change in one step, summed; what arrives depends on all steps so far",
    lambda x, p, r, step: -r * p.sum() * x,
)

# --- exercise 2: mend a friend's control ----------------------------------------------------------


def toy_control(
    noisy: Tensor, t: int, states: Tensor, picture: Tensor
) -> tuple[list[Tensor], Tensor]:
    """A stand-in for a ControlNet: what it finds for two skips, and for the middle."""
    white = picture.mean(dim=(1, 2, 3))[:, None, None, None]
    first = torch.sin(noisy) * white + 0.3
    return [first, 2 * first[..., ::2] - white], (first + white + t / 1000).mean(dim=(2, 3))


def toy_unet(noisy: Tensor, t: int, states: Tensor, down: list[Tensor], middle: Tensor) -> Tensor:
    """A stand-in for a U-Net that is handed what was found."""
    first, second = (found.mean(dim=(2, 3))[..., None, None] for found in down)
    text = states.mean()
    return toy_noise(noisy, t) + text * (first + 2 * second + 3 * middle[..., None, None])


def _controlled(shape: tuple[int, ...], side: int, scale: float, t: int) -> Case:
    states = numbers(shape[0], 3, 2, seed=1).abs()
    picture = (numbers(shape[0], 3, side, side, seed=2) > 0.5).float()
    return toy_unet, toy_control, numbers(*shape), t, states, picture, scale


def _as_scale_grows(answer: Callable) -> Figure:
    """How far the prediction moves from the U-Net's own, as the scale grows."""
    scales = (0.0, 0.5, 1.0, 1.5, 2.0)
    cases = [_controlled((1, 2, 4, 4), 8, scale, 300) for scale in scales]
    alone = controlled_noise(*cases[0])
    lines = {
        whose: [(torch.as_tensor(run(*case)) - alone).norm().item() for case in cases]
        for whose, run in (("target", controlled_noise), ("yours", answer))
    }
    return pictures.curves(scales, lines, "scale", "distance from the U-Net alone")


def _said(unet: Callable, control: Callable, given: tuple, change: Callable) -> Tensor:
    noisy, t, states, picture, scale = given
    return unet(noisy, t, states, *change(*control(noisy, t, states, picture), scale))


@lesson.exercise(
    cases=lambda: [
        _controlled((1, 1, 1, 2), 2, 0.5, 100),
        _controlled((1, 2, 4, 4), 8, 0.0, 500),
        _controlled((2, 3, 4, 2), 8, 1.0, 900),
        _controlled((3, 2, 2, 4), 4, 1.7, 10),
    ],
    picture=_as_scale_grows,
)
def controlled_noise(
    unet: Callable,
    control: Callable,
    noisy: Tensor,
    t: int,
    states: Tensor,
    picture: Tensor,
    scale: float,
) -> Tensor:
    """The predicted noise, with scale times everything that the ControlNet found."""
    return _said(
        unet,
        control,
        (noisy, t, states, picture, scale),
        lambda down, middle, s: ([s * found for found in down], s * middle),
    )


def _slip(change: Callable, picture: Callable = lambda given: given) -> Callable:
    """A wrong answer: it changes what was found, or the picture, in another way."""
    return lambda unet, control, noisy, t, states, given, scale: _said(
        unet, control, (noisy, t, states, picture(given), scale), change
    )


controlled_noise.mistakes(
    "one mistake is left: the middle is not scaled, so at scale 0 it still speaks",
    _slip(lambda down, m, s: ([s * found for found in down], m)),
    "one mistake is left: the picture was moved to [-1, 1], but a ControlNet reads [0, 1]",
    _slip(lambda down, m, s: ([s * found for found in down], s * m), lambda given: 2 * given - 1),
    "both mistakes are still there: look at the middle, and at the numbers of the picture",
    _slip(lambda down, m, s: ([s * found for found in down], m), lambda given: 2 * given - 1),
    "now only the middle is scaled, and the skips are not",
    _slip(lambda down, m, s: (down, s * m)),
    "nothing is scaled: at scale 0 this still changes the picture",
    _slip(lambda down, m, s: (down, m)),
    "black and white are swapped: things would stand wherever the mask is black",
    _slip(lambda down, m, s: ([s * found for found in down], s * m), lambda given: 1 - given),
    "the picture was scaled instead of what was found in it",
    lambda unet, control, noisy, t, states, given, scale: _said(
        unet, control, (noisy, t, states, scale * given, 1.0), lambda down, m, s: (down, m)
    ),
    "the scale was applied twice",
    _slip(lambda down, m, s: ([s * s * found for found in down], s * s * m)),
    "what was found is subtracted; it is added",
    _slip(lambda down, m, s: ([-s * found for found in down], -s * m)),
    "the middle is left out: hand it on as well, scaled",
    _slip(lambda down, m, s: ([s * found for found in down], 0 * m)),
)

# --- exercise 3: discs ----------------------------------------------------------------------------


def _disc_pictures(answer: Callable) -> Figure:
    places = [(0.25, 0.3, 0.15), (0.7, 0.75, 0.22)]
    return plots.strip(
        [np.asarray(run(places, 64), float) for run in (discs, answer)], ["target", "yours"]
    )


def _distance(places: list, side: int, swap: bool = False) -> list:
    """For each place, how far every pixel's centre is from it, divided by its radius."""
    rows, columns = (np.indices((side, side)) + 0.5) / side
    if swap:
        rows, columns = columns, rows
    return [np.hypot(columns - x, rows - y) / radius for x, y, radius in places]


def _squares(places: list, side: int) -> np.ndarray:
    """The mistake of comparing each coordinate on its own."""
    rows, columns = (np.indices((side, side)) + 0.5) / side
    inside = [(abs(columns - x) < r) & (abs(rows - y) < r) for x, y, r in places]
    return np.any(inside, axis=0).astype(float)


@lesson.exercise(
    cases=lambda: [
        ([(0.5, 0.5, 0.4)], 4),
        ([(0.25, 0.6, 0.2)], 16),
        ([(0.25, 0.3, 0.15), (0.7, 0.75, 0.22)], 32),
        ([(0.3, 0.4, 0.2), (0.4, 0.5, 0.2), (0.9, 0.1, 0.3)], 24),
    ],
    picture=_disc_pictures,
)
def discs(places: list[tuple[float, float, float]], side: int) -> np.ndarray:
    """White discs (x, y, radius, as fractions of the side) on black: 1 inside, 0 outside."""
    return (np.min(_distance(places, side), axis=0) < 1).astype(float)


discs.mistakes(
    "x and y are swapped: x counts columns, from the left",
    lambda places, side: (np.min(_distance(places, side, swap=True), axis=0) < 1).astype(float),
    "black and white are swapped",
    lambda places, side: (np.min(_distance(places, side), axis=0) >= 1).astype(float),
    "only the last disc is there; a pixel is white if it is in *any* of them",
    lambda places, side: (_distance(places, side)[-1] < 1).astype(float),
    "only the first disc is there; a pixel is white if it is in *any* of them",
    lambda places, side: (_distance(places, side)[0] < 1).astype(float),
    "a pixel is white here only if it is in *all* of the discs",
    lambda places, side: (np.max(_distance(places, side), axis=0) < 1).astype(float),
    "where discs overlap the numbers add up to more than 1",
    lambda places, side: sum((d < 1).astype(float) for d in _distance(places, side)),
    "the radius was taken for the diameter: the discs are half as wide as they should be",
    lambda places, side: (np.min(_distance(places, side), axis=0) < 0.5).astype(float),
    "these are squares: use the distance, √(dx² + dy²)",
    _squares,
    "white is 1 here, not 255",
    lambda places, side: 255 * discs(places, side),
)

# --- exercise 4: which tool? ----------------------------------------------------------------------

TOOLS = ("prompt", "image to image", "inpainting", "attention", "control")
WISHES = {
    "snow": Wish(
        "prompt",
        "nothing is said about where, so words are enough",
        {"control": "it would do, but what would you paint? No place is asked for"},
    ),
    "poster": Wish(
        "control",
        "a place and an outline, and nothing else is fixed",
        {
            "prompt": "words such as *at the top right* say a place only roughly, if the model "
            "reads them at all",
            "image to image": "it needs a picture to start from, and keeps its colours as well",
            "inpainting": "it needs a finished picture around the place",
            "attention": "it makes words stronger or weaker in a picture; it does not move them",
        },
    ),
    "repair": Wish(
        "inpainting",
        "everything outside the place must stay as it is, to the pixel",
        {
            "control": "it would put the cat there, and draw everything else anew",
            "image to image": "it redraws the whole picture, also what should stay",
            "prompt": "with another prompt, even the same seed changes the whole picture",
        },
    ),
    "drawing": Wish(
        "image to image",
        "there is a picture whose colours and arrangement should stay, roughly",
        {
            "control": "a mask has outlines and no colours, and her colours should stay",
            "inpainting": "it keeps one part exactly and draws another; here all of it is redrawn",
            "prompt": "the prompt knows nothing of the drawing",
        },
    ),
    "redder": Wish(
        "attention",
        "the same picture, with one word that counts more",
        {
            "inpainting": "it draws the house anew; it should stay, only redder",
            "prompt": "with another prompt, even the same seed changes more than the colour",
            "image to image": "it can redraw the picture, but has no dial for a single word",
        },
    ),
    "three": Wish(
        "control",
        "three places are three things: counted on paper, not by the model",
        {"prompt": "this is what prompts fail at: the model counts badly"},
    ),
}


@lesson.open_exercise(picture=choices.table_of(WISHES))
def tool_for(answer: Callable[[], dict[str, str]]) -> dict[str, str]:
    """The tool for every wish."""
    return choices.chosen(answer(), WISHES, TOOLS, "tool")
