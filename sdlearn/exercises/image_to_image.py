"""Exercises of lesson 10, image to image."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from sdlearn import plots
from sdlearn.denoising import Predict, ddim_inversion, ddim_step
from sdlearn.evaluate.judge import Seen, load_judge
from sdlearn.exercises.diagnosis import calls
from sdlearn.exercises.engine import Lesson
from sdlearn.exercises.given import (
    latents_of,
    numbers,
    picture_of,
    pixels_of,
    several,
    tiny,
    toy_noise,
)
from sdlearn.exercises.results import Case, Unmet, unlike
from sdlearn.images import psnr, to_pixels, to_rgb
from sdlearn.noising import Schedule, add_noise
from sdlearn.picturebook.drawing import draw, masks
from sdlearn.picturebook.scenes import SETTINGS, Scene, compose
from sdlearn.pipeline import predictor

lesson = Lesson("10_image_to_image")
SIDE = 256


@cache
def page() -> Scene:
    """The lesson's page: a red house in a meadow."""
    return compose([("red", "house")], "meadow", sizes=("big",), rng=4)


def _encoded() -> Tensor:
    return latents_of(pixels_of(page(), SIDE))


def _beside_the_page(latents: list[Tensor], titles: list[str]) -> Figure:
    shown = [draw(page(), SIDE), *map(picture_of, latents)]
    return plots.strip(shown, ["a page", *titles], columns=4)


# --- exercise 1: where to begin -------------------------------------------------------------------


def _bars(answer: Callable) -> Figure:
    figure, timesteps = plots.new_figure(2.4), list(range(981, 0, -20))
    axes = figure.subplots()
    for row, run in enumerate((answer, lower_rungs)):
        for column, strength in enumerate((0.2, 0.5, 0.8, 1.0)):
            rungs = list(run(list(timesteps), strength))
            axes.plot([column + 0.12 * row] * len(rungs), rungs, "_", color=plots.LINES[row], ms=14)
    axes.set_xticks(range(4), ["strength 0.2", "0.5", "0.8", "1"])
    title = "rungs that are done: yours (blue), target (orange)"
    axes.set(ylabel="t", ylim=(0, 1000), title=title)
    return figure


@lesson.exercise(
    cases=lambda: [
        ([900, 700, 500, 300, 100], 0.4),
        ([900, 700, 500, 300, 100], 1.0),
        ([900, 700, 500, 300, 100], 0.1),
        ([900, 700, 500, 300, 100], 0.25),
        ([900, 700, 500, 300, 100], 0.79),
        ([999, 900, 100, 50, 10], 0.4),
        (list(range(975, 0, -25)), 0.3),
        (list(range(980, 0, -20)), 0.75),
    ],
    picture=_bars,
    by_hand=lambda timesteps, strength: {
        "rungs": len(timesteps),
        "strength · rungs": strength * len(timesteps),
        "int of it": int(strength * len(timesteps)),
    },
)
def lower_rungs(timesteps: list[int], strength: float) -> list[int]:
    """The last int(strength · steps) timesteps (Meng et al. 2022)."""
    return timesteps[len(timesteps) - int(strength * len(timesteps)) :]


lower_rungs.mistakes(
    "these are the *upper* rungs, with the most noise; little strength means little noise",
    lambda ts, strength: ts[: int(strength * len(ts))],
    "right except where no rung is done: `timesteps[-0:]` is all of them, since -0 is 0",
    lambda ts, strength: ts[-int(strength * len(ts)) :],
    "upside down: a strength of 1 does all rungs, and a small one only a few",
    lambda ts, strength: ts[int(strength * len(ts)) :],
    "rounded the other way: int(strength · steps) rungs are done, `int` cuts off",
    lambda ts, strength: ts[len(ts) - int(np.ceil(strength * len(ts))) :],
    "the rungs are turned round: drawing goes from much noise to little",
    lambda ts, strength: lower_rungs(ts, strength)[::-1],
    "this is the number of rungs; the rungs themselves were asked for",
    lambda ts, s: int(s * len(ts)),
    "one rung too many is done",
    lambda ts, strength: ts[max(len(ts) - int(strength * len(ts)) - 1, 0) :],
    "rounded to the nearest; int(strength · steps) rungs are done, `int` cuts off",
    lambda ts, strength: ts[len(ts) - int(strength * len(ts) + 0.5) :],
    "the lower part by the *value* of t; count the rungs: int(strength · how many there are)",
    lambda ts, strength: [t for t in ts if t <= 1000 * strength],
)

# --- exercise 2: the whole of image to image ------------------------------------------------------


def _redrawn(
    predict: Predict,
    schedule: Schedule,
    clean: Tensor,
    noise: Tensor,
    rungs: list[int],
    start: Tensor | None = None,
    end: float = 1.0,
) -> Tensor:
    """DDIM down the rungs from the noised picture, or from somewhere else, or to another end."""
    if not rungs:
        return clean
    latents = add_noise(schedule, clean, rungs[0], noise) if start is None else start
    alpha_bars = [*schedule.alpha_bars[rungs].tolist(), end]
    for t, alpha_bar, following in zip(rungs, alpha_bars, alpha_bars[1:], strict=False):
        latents = ddim_step(latents, predict(latents, t), alpha_bar, following)
    return latents


def _jumped(
    predict: Predict, schedule: Schedule, clean: Tensor, noise: Tensor, rungs: list[int]
) -> Tensor:
    """From the first rung straight to x̂₀."""
    if not rungs:
        return clean
    noisy = add_noise(schedule, clean, rungs[0], noise)
    return ddim_step(noisy, predict(noisy, rungs[0]), schedule.alpha_bars[rungs[0]].item(), 1.0)


def _without_roots(
    schedule: Schedule, clean: Tensor, noise: Tensor, rungs: list[int]
) -> Tensor | None:
    bar = schedule.alpha_bars[rungs[0]] if rungs else 1.0
    return bar * clean + (1 - bar) * noise


def _case(shape: tuple[int, ...], timesteps: list[int], strength: float) -> Case:
    schedule = Schedule.named("scaled_linear")
    return toy_noise, schedule, *several(2, shape), timesteps, strength


def _two_houses(answer: Callable) -> Figure:
    predict, schedule = predictor(tiny(), "a blue house in a meadow", 3.0), _schedule()
    clean = _encoded()
    given = (predict, schedule, clean, numbers(*clean.shape), list(range(960, 0, -80)), 0.8)
    titles = ["yours: a blue house, strength 0.8", "target"]
    return _beside_the_page([run(*given) for run in (answer, redraw)], titles)


def _schedule() -> Schedule:
    return Schedule.of(tiny().scheduler)


@lesson.exercise(
    cases=lambda: [
        _case((1, 1, 1, 2), [900, 500], 1.0),
        _case((1, 4, 3, 5), [900, 700, 500, 300, 100], 0.6),
        _case((2, 4, 6, 5), list(range(950, 0, -100)), 0.35),
        _case((1, 4, 3, 5), [999, 900, 100, 50, 10], 0.4),
        _case((1, 4, 3, 5), [900, 500, 100], 0.0),
    ],
    picture=_two_houses,
    asks=calls,
)
def redraw(
    predict: Predict,
    schedule: Schedule,
    clean: Tensor,
    noise: Tensor,
    timesteps: list[int],
    strength: float,
) -> Tensor:
    """Noise a picture to the first of the lower rungs, and go down from there."""
    return _redrawn(predict, schedule, clean, noise, lower_rungs(timesteps, strength))


redraw.mistakes(
    "right except for a strength of 0, where no rung is done: `timesteps[-0:]` is all of them",
    lambda p, s, x, e, ts, part: _redrawn(p, s, x, e, ts[-int(part * len(ts)) :]),
    "it starts from pure noise, so the picture is not in it: noise the picture to the first rung",
    lambda p, s, x, e, ts, part: _redrawn(p, s, x, e, lower_rungs(ts, part), e),
    "it starts from the picture without noise; the U-Net expects the first rung's noise",
    lambda p, s, x, e, ts, part: _redrawn(p, s, x, e, lower_rungs(ts, part), x),
    "the picture is noised to the top of the *whole* ladder, not to the first rung that is done",
    lambda p, s, x, e, ts, part: _redrawn(
        p, s, x, e, lower_rungs(ts, part), add_noise(s, x, ts[0], e)
    ),
    "the last step ends at its own rung; after it ᾱ is 1",
    lambda p, s, x, e, ts, part: _redrawn(
        p, s, x, e, lower_rungs(ts, part), end=s.alpha_bars[ts[-1]].item()
    ),
    "all rungs are done, whatever the strength",
    lambda p, s, x, e, ts, part: _redrawn(p, s, x, e, ts),
    "the picture and the noise are just added; √ᾱ of the one and √(1 - ᾱ) of the other",
    lambda p, s, x, e, ts, part: _redrawn(p, s, x, e, lower_rungs(ts, part), x + e),
    "the first of the rungs is left out: the loop begins at the rung that the picture is noised to",
    lambda p, s, x, e, ts, part: _redrawn(
        p,
        s,
        x,
        e,
        lower_rungs(ts, part)[1:],
        add_noise(s, x, lower_rungs(ts, part)[0], e) if lower_rungs(ts, part) else None,
    ),
    "one jump to x̂₀, from the rung where it begins; go down rung by rung",
    lambda p, s, x, e, ts, part: _jumped(p, s, x, e, lower_rungs(ts, part)),
    "rounded to the nearest; int(strength · steps) rungs are done, `int` cuts off",
    lambda p, s, x, e, ts, part: _redrawn(p, s, x, e, ts[len(ts) - int(part * len(ts) + 0.5) :]),
    "the *upper* rungs are done, with the most noise; little strength means little noise",
    lambda p, s, x, e, ts, part: _redrawn(p, s, x, e, ts[: int(part * len(ts))]),
    "the square roots are missing where the picture is noised",
    lambda p, s, x, e, ts, part: _redrawn(
        p, s, x, e, lower_rungs(ts, part), _without_roots(s, x, e, lower_rungs(ts, part))
    ),
)

# --- exercise 3: inpainting -----------------------------------------------------------------------


def _inpainted(step: Callable) -> Tensor:
    """The page redrawn where its house is, with any way of keeping the rest."""
    predict, schedule = predictor(tiny(), "a yellow cat in a meadow", 3.0), _schedule()
    clean = _encoded()
    noise = numbers(*clean.shape)
    hole = F.max_pool2d(torch.from_numpy(masks(page(), SIDE))[None], 15, 8, 7).round()
    rungs = list(range(960, 0, -80))
    alpha_bars, latents = [*schedule.alpha_bars[rungs].tolist(), 1.0], noise
    for t, alpha_bar, following in zip(rungs, alpha_bars, alpha_bars[1:], strict=False):
        latents = ddim_step(latents, predict(latents, t), alpha_bar, following)
        latents = torch.as_tensor(step(latents, clean, noise, hole, following)).float()
    return latents


def _mask() -> Tensor:
    mask = torch.zeros(1, 1, 3, 5)
    mask[..., 1:, 2:4] = 1
    return mask


@lesson.exercise(
    cases=lambda: [
        (
            torch.tensor([3.0, 3.0]),
            torch.tensor([1.0, 1.0]),
            torch.tensor([2.0, 2.0]),
            torch.tensor([1.0, 0.0]),
            0.64,
        ),
        (*several(3, (1, 4, 3, 5)), _mask(), 0.3),
        (*several(3, (2, 4, 3, 5)), torch.cat([_mask(), 1 - _mask()]), 0.5),
        (*several(3, (2, 4, 3, 5)), _mask(), 1.0),
    ],
    picture=lambda answer: _beside_the_page(
        [_inpainted(answer), _inpainted(kept_outside)], ["yours: a yellow cat", "target"]
    ),
    by_hand=lambda drawn, clean, noise, mask, alpha_bar: {
        "√ᾱ": alpha_bar**0.5,
        "√(1 - ᾱ)": (1 - alpha_bar) ** 0.5,
        "the original, noised": alpha_bar**0.5 * clean + (1 - alpha_bar) ** 0.5 * noise,
    },
)
def kept_outside(
    drawn: Tensor, clean: Tensor, noise: Tensor, mask: Tensor, alpha_bar: float
) -> Tensor:
    """What was drawn inside the mask; outside it the original, noised to the same level."""
    original = alpha_bar**0.5 * clean + (1 - alpha_bar) ** 0.5 * noise
    return mask * drawn + (1 - mask) * original


kept_outside.mistakes(
    "the mask is used the wrong way round: 1 is where to *draw*",
    lambda drawn, clean, noise, mask, bar: kept_outside(drawn, clean, noise, 1 - mask, bar),
    "the original is put back without noise; at this rung everything has the noise of this rung",
    lambda drawn, clean, noise, mask, bar: mask * drawn + (1 - mask) * clean,
    "the square roots are missing",
    lambda drawn, clean, noise, mask, bar: (
        mask * drawn + (1 - mask) * (bar * clean + (1 - bar) * noise)
    ),
    "the drawn part is noised too; it has this rung's noise already",
    lambda drawn, clean, noise, mask, bar: (
        bar**0.5 * (mask * drawn + (1 - mask) * clean) + (1 - bar) ** 0.5 * noise
    ),
    "outside the mask there is nothing now: put the original there",
    lambda drawn, clean, noise, mask, bar: mask * drawn,
    "only the original is left",
    lambda drawn, clean, noise, mask, bar: bar**0.5 * clean + (1 - bar) ** 0.5 * noise,
    "the original is added everywhere; outside the mask only: (1 - mask)",
    lambda drawn, clean, noise, mask, bar: (
        mask * drawn + bar**0.5 * clean + (1 - bar) ** 0.5 * noise
    ),
    "swapped: √ᾱ belongs to the picture, √(1 - ᾱ) to the noise",
    lambda drawn, clean, noise, mask, bar: kept_outside(drawn, noise, clean, mask, bar),
    "the noise is missing outside, though the picture is made smaller",
    lambda drawn, clean, noise, mask, bar: mask * drawn + (1 - mask) * bar**0.5 * clean,
    "picture and noise are just added outside; √ᾱ of the one and √(1 - ᾱ) of the other",
    lambda drawn, clean, noise, mask, bar: mask * drawn + (1 - mask) * (clean + noise),
    "nothing was kept: this is what was drawn",
    lambda drawn, clean, noise, mask, bar: drawn,
    "only the noise's root is missing: √(1 - ᾱ)",
    lambda drawn, clean, noise, mask, bar: (
        mask * drawn + (1 - mask) * (bar**0.5 * clean + (1 - bar) * noise)
    ),
)

# --- exercise 4: inversion ------------------------------------------------------------------------


def _climb(
    predict: Predict,
    schedule: Schedule,
    clean: Tensor,
    timesteps: list[int],
    alpha_bars: list[float] | None = None,
    into: Callable = lambda x0, e, x, bar: bar**0.5 * x0 + (1 - bar) ** 0.5 * e,
    asked: list[int] | None = None,
) -> Tensor:
    """The loop upwards with one thing wrong: other ᾱ, another step, or other t for the network."""
    latents = clean
    alpha_bars = alpha_bars or [1.0, *schedule.alpha_bars[timesteps].tolist()]
    for t, alpha_bar, following in zip(
        asked or timesteps, alpha_bars, alpha_bars[1:], strict=False
    ):
        predicted = predict(latents, t)
        estimate = (latents - (1 - alpha_bar) ** 0.5 * predicted) / alpha_bar**0.5
        latents = into(estimate, predicted, latents, following)
    return latents


def _there_and_back(answer: Callable) -> Figure:
    predict, schedule = predictor(tiny(), page().caption, 1.0), _schedule()
    clean, rungs = _encoded(), list(range(20, 1000, 40))
    noise = torch.as_tensor(answer(predict, schedule, clean.clone(), rungs)).float()
    back = _redrawn(predict, schedule, clean, noise, rungs[::-1], noise)
    return _beside_the_page([back], ["your noise, drawn: the same page?"])


@lesson.exercise(
    cases=lambda: [
        (toy_noise, Schedule.named("scaled_linear"), numbers(1, 1, 1, 2), [300, 700]),
        (
            toy_noise,
            Schedule.named("scaled_linear"),
            numbers(1, 4, 3, 5),
            [50, 250, 450, 650, 850],
        ),
        (toy_noise, Schedule.named("cosine"), numbers(2, 4, 6, 5), [100, 500, 900]),
    ],
    picture=_there_and_back,
    asks=calls,
)
def inverted(predict: Predict, schedule: Schedule, clean: Tensor, timesteps: list[int]) -> Tensor:
    """The noise that a picture's latents come from, by DDIM upwards."""
    return ddim_inversion(predict, schedule, clean, timesteps)


inverted.mistakes(
    "the rungs are taken downwards; inversion goes up, from the picture to noise",
    lambda p, s, x, ts: _climb(p, s, x, ts[::-1], [*s.alpha_bars[ts[::-1]].tolist(), 1.0]),
    "the picture is only made smaller; the noise that the U-Net names is missing",
    lambda p, s, x, ts: s.alpha_bars[ts[-1]].sqrt() * x,
    "`predict` is asked about the rung that the step leaves; ask about the one that it goes to",
    lambda p, s, x, ts: _climb(p, s, x, ts, asked=[0, *ts[:-1]]),
    "the first step takes the picture for a noised one; before any step ᾱ is 1",
    lambda p, s, x, ts: _climb(p, s, x, ts, s.alpha_bars[[ts[0], *ts]].tolist()),
    "the predicted noise is simply added up, without x̂₀ and without rescaling",
    lambda p, s, x, ts: _climb(p, s, x, ts, into=lambda x0, e, x, b: x + e),
    "the square roots are missing",
    lambda predict, schedule, clean, ts: _climb(
        predict, schedule, clean, ts, into=lambda x0, e, x, b: b * x0 + (1 - b) * e
    ),
    "the last rung is left out: the loop has to end at timesteps[-1]",
    lambda p, s, x, ts: _climb(p, s, x, ts[:-1]),
    "the first rung is left out: the loop has to begin with a step to timesteps[0]",
    lambda p, s, x, ts: _climb(p, s, x, ts[1:]),
    "`predict` is always asked at t = 0; ask about the rung that the step goes to",
    lambda p, s, x, ts: _climb(p, s, x, ts, asked=[0] * len(ts)),
    "x̂₀ is not made smaller for the next rung: it is multiplied by √ᾱ",
    lambda p, s, x, ts: _climb(p, s, x, ts, into=lambda x0, e, x, b: x0 + (1 - b) ** 0.5 * e),
    "this is the closed form with the noise that is named for the clean picture: one jump",
    lambda p, s, x, ts: _climb(p, s, x, ts[-1:]),
    "what is mixed anew is the latents as they are; it has to be x̂₀",
    lambda p, s, x, ts: _climb(
        p, s, x, ts, into=lambda x0, e, x, b: b**0.5 * x + (1 - b) ** 0.5 * e
    ),
)

# --- exercise 5: another world around the house ---------------------------------------------------

KEPT = 20.0
"""PSNR in dB that the house's own pixels must keep."""


FLAT = 0.1
"""The least spread that the colours of the new world must have, with pixels in [-1, 1]."""


def _as_picture(edited: object) -> Image.Image:
    try:
        picture = to_rgb("picture", edited)
    except TypeError:
        came = type(edited).__name__
    else:
        if picture.size == (512, 512):
            return picture
        came = f"{picture.size}"
    raise Unmet(f"a picture of 512×512 pixels was expected back, got {came}")


def _check_world(setting: str, seen: list[Seen]) -> None:
    if setting == "meadow":
        raise Unmet(
            "the judge still sees a meadow. The world is what should be drawn: is it the world "
            "where your mask is 1, and does the prompt name another one in the book's words, such "
            "as “in the snow”?"
        )
    if not any((thing.kind, thing.colour) == ("house", "red") for thing in seen):
        things = ", ".join(f"{thing.colour} {thing.kind}" for thing in seen) or "nothing"
        raise Unmet(
            f"the house is gone: the judge sees {things}. Where the mask is 1, everything is "
            "drawn anew; on the house it has to be 0"
        )
    if len(seen) != 1:
        things = ", ".join(f"a {thing.colour} {thing.kind}" for thing in seen)
        raise Unmet(
            f"the house should stand alone; the judge sees {things}. Does the prompt name the "
            "house? If it does, try another seed"
        )


def _before_and_after(measured: tuple[Image.Image, str]) -> Figure:
    edited, setting = measured
    titles = ["a red house in a meadow", f"yours: the judge sees it {SETTINGS[setting]}"]
    return plots.strip([draw(page(), 512), edited], titles, columns=4)


@lesson.open_exercise(picture=_before_and_after)
def own_edit(answer: Callable[[Image.Image], Image.Image]) -> tuple[Image.Image, str]:
    """The page with another world around the house, which itself stays as it was."""
    original = draw(page(), 512)
    edited = _as_picture(answer(original.copy()))
    before, after = (to_pixels(np.asarray(picture)[None]) for picture in (original, edited))
    setting, seen = load_judge().read(after)[0]
    _check_world(setting, seen)
    house = torch.from_numpy(masks(page(), 512)[0]) > 0.5
    if after[0][:, ~house].std(dim=1).max() < FLAT:
        raise Unmet("around the house there is one flat colour; a world was asked for")
    same = float(psnr(*(pixels[:, :, None, house] for pixels in (after, before))))
    if same < KEPT:
        mine, least = unlike(same, KEPT, digits=1)
        raise Unmet(
            f"this is another house, or it was painted over: its pixels reach {mine} dB of PSNR, "
            f"at least {least} was asked for. Is the mask 0 on all of the house?"
        )
    return edited, setting
