"""Exercises of the lesson on image to image."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from sdlearn import plots
from sdlearn.check import Exercise, Mistake, OpenExercise
from sdlearn.compression import decode, encode, scale
from sdlearn.drawing import draw, masks
from sdlearn.exercises.denoising import ddim_step
from sdlearn.exercises.given import judge, numbers, tiny
from sdlearn.images import psnr, to_pictures, to_pixels, to_rgb
from sdlearn.noising import Schedule, add_noise
from sdlearn.picturebook import Scene, compose
from sdlearn.pipeline import predictor

LESSON = "10_image_to_image"
SIDE = 256


@cache
def page() -> Scene:
    """A red house in a meadow."""
    return compose([("red", "house")], "meadow", sizes=("big",), rng=4)


def _encoded(picture: Image.Image) -> Tensor:
    return scale(tiny().vae, encode(tiny().vae, to_pixels(np.asarray(picture)[None])).mean)


def _shown(latents: object) -> np.ndarray:
    return to_pictures(decode(tiny().vae, torch.as_tensor(latents).float()))[0]


# --- where to begin -------------------------------------------------------------------------------


def lower_rungs(timesteps: list[int], strength: float) -> list[int]:
    return timesteps[len(timesteps) - int(strength * len(timesteps)) :]


def _bars(answer: Callable) -> Figure:
    figure, timesteps = plots.new_figure(2.4), list(range(981, 0, -20))
    axes = figure.subplots()
    for row, (run, colour) in enumerate(((answer, plots.LINES[0]), (lower_rungs, plots.LINES[1]))):
        for column, strength in enumerate((0.2, 0.5, 0.8, 1.0)):
            rungs = list(run(list(timesteps), strength))
            axes.plot([column + 0.12 * row] * len(rungs), rungs, "_", color=colour, ms=14)
    axes.set_xticks(range(4), ["strength 0.2", "0.5", "0.8", "1"])
    axes.set(ylabel="t", ylim=(0, 1000), title="rungs that are done: yours (blue), target (orange)")
    return figure


LOWER_RUNGS = Exercise(
    LESSON,
    "lower_rungs",
    lower_rungs,
    lambda: [
        ([900, 700, 500, 300, 100], 0.4),
        ([900, 700, 500, 300, 100], 1.0),
        ([900, 700, 500, 300, 100], 0.1),
        (list(range(975, 0, -25)), 0.3),
        (list(range(980, 0, -20)), 0.75),
    ],
    (
        Mistake(
            "these are the *upper* rungs, with the most noise; little strength means little "
            "noise: the lower part",
            lambda ts, strength: ts[: int(strength * len(ts))],
        ),
        Mistake(
            "right but where no rung is done: `timesteps[-0:]` is all of them, since -0 is 0; "
            "count from the front",
            lambda ts, strength: ts[-int(strength * len(ts)) :],
        ),
        Mistake(
            "upside down: a strength of 1 does all rungs, and a small one only a few",
            lambda ts, strength: ts[int(strength * len(ts)) :],
        ),
        Mistake(
            "rounded the other way: int(strength · steps) rungs are done, `int` cuts off",
            lambda ts, strength: ts[len(ts) - int(np.ceil(strength * len(ts))) :],
        ),
        Mistake(
            "the rungs are turned round: drawing goes from much noise to little",
            lambda ts, strength: lower_rungs(ts, strength)[::-1],
        ),
        Mistake(
            "this is the number of rungs; the rungs themselves were asked for",
            lambda ts, s: int(s * len(ts)),
        ),
    ),
    _bars,
)

# --- the whole of image to image ------------------------------------------------------------------


def redraw(
    predict: Callable,
    schedule: Schedule,
    clean: Tensor,
    noise: Tensor,
    timesteps: list[int],
    strength: float,
) -> Tensor:
    return _redrawn(predict, schedule, clean, noise, lower_rungs(timesteps, strength))


def _redrawn(
    predict: Callable,
    schedule: Schedule,
    clean: Tensor,
    noise: Tensor,
    rungs: list[int],
    start: Tensor | None = None,
    end: float = 1.0,
) -> Tensor:
    latents = add_noise(schedule, clean, rungs[0], noise) if start is None else start
    kept = [*schedule.alpha_bars[rungs].tolist(), end]
    for t, now, following in zip(rungs, kept, kept[1:], strict=False):
        latents = ddim_step(latents, predict(latents, t), now, following)
    return latents


def _toy(latents: Tensor, t: int) -> Tensor:
    """A prediction that depends on both of its arguments."""
    return torch.tanh(latents * (0.5 + t / 1000)) + 0.1


def _case(shape: tuple[int, ...], timesteps: list[int], strength: float) -> tuple:
    return (
        _toy,
        Schedule.named("scaled_linear"),
        numbers(*shape),
        numbers(*shape, seed=1),
        timesteps,
        strength,
    )


def _two_houses(answer: Callable) -> Figure:
    predict, schedule = (
        predictor(tiny(), "a blue house in a meadow", 3.0),
        Schedule.of(tiny().scheduler),
    )
    clean = _encoded(draw(page(), SIDE))
    given = (
        predict,
        schedule,
        clean,
        torch.randn(clean.shape, generator=torch.Generator().manual_seed(0)),
    )
    drawn = [_shown(run(*given, list(range(960, 0, -80)), 0.8)) for run in (answer, redraw)]
    titles = ["a page", "yours: a blue house, strength 0.8", "target"]
    return plots.strip([draw(page(), SIDE), *drawn], titles, columns=4)


REDRAW = Exercise(
    LESSON,
    "redraw",
    redraw,
    lambda: [
        _case((1, 1, 1, 2), [900, 500], 1.0),
        _case((1, 4, 3, 5), [900, 700, 500, 300, 100], 0.6),
        _case((2, 4, 6, 5), list(range(950, 0, -100)), 0.35),
    ],
    (
        Mistake(
            "it starts from pure noise, so the picture is not in it: noise the picture to the "
            "first rung",
            lambda p, s, clean, noise, ts, strength: _redrawn(
                p, s, clean, noise, lower_rungs(ts, strength), noise
            ),
        ),
        Mistake(
            "it starts from the picture without noise; at the first rung the U-Net expects that "
            "rung's noise",
            lambda p, s, clean, noise, ts, strength: _redrawn(
                p, s, clean, noise, lower_rungs(ts, strength), clean
            ),
        ),
        Mistake(
            "the picture is noised to the top of the *whole* ladder, not to the first rung that "
            "is done",
            lambda p, s, clean, noise, ts, strength: _redrawn(
                p, s, clean, noise, lower_rungs(ts, strength), add_noise(s, clean, ts[0], noise)
            ),
        ),
        Mistake(
            "the last step ends at its own rung; after it ᾱ is 1",
            lambda p, s, clean, noise, ts, strength: _redrawn(
                p, s, clean, noise, lower_rungs(ts, strength), end=s.alpha_bars[ts[-1]].item()
            ),
        ),
        Mistake(
            "all rungs are done, whatever the strength",
            lambda p, s, clean, noise, ts, strength: _redrawn(p, s, clean, noise, ts),
        ),
        Mistake(
            "the picture and the noise are just added; √ᾱ of the one and √(1 - ᾱ) of the other",
            lambda p, s, clean, noise, ts, strength: _redrawn(
                p, s, clean, noise, lower_rungs(ts, strength), clean + noise
            ),
        ),
    ),
    _two_houses,
)

# --- inpainting -----------------------------------------------------------------------------------


def kept_outside(
    drawn: Tensor, clean: Tensor, noise: Tensor, mask: Tensor, alpha_bar: float
) -> Tensor:
    original = alpha_bar**0.5 * clean + (1 - alpha_bar) ** 0.5 * noise
    return mask * drawn + (1 - mask) * original


def _inpainted(step: Callable) -> np.ndarray:
    """The page with its house's place drawn anew, with somebody's way to keep the rest."""
    predict, schedule = (
        predictor(tiny(), "a yellow cat in a meadow", 3.0),
        Schedule.of(tiny().scheduler),
    )
    clean = _encoded(draw(page(), SIDE))
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    hole = torch.nn.functional.max_pool2d(
        torch.from_numpy(masks(page(), SIDE))[None], 15, 8, 7
    ).round()
    rungs = list(range(960, 0, -80))
    kept, latents = [*schedule.alpha_bars[rungs].tolist(), 1.0], noise
    for t, now, following in zip(rungs, kept, kept[1:], strict=False):
        latents = ddim_step(latents, predict(latents, t), now, following)
        latents = torch.as_tensor(step(latents, clean, noise, hole, following)).float()
    return _shown(latents)


def _mask() -> Tensor:
    mask = torch.zeros(1, 1, 3, 5)
    mask[..., 1:, 2:4] = 1
    return mask


KEPT_OUTSIDE = Exercise(
    LESSON,
    "kept_outside",
    kept_outside,
    lambda: [
        (
            torch.tensor([3.0, 3.0]),
            torch.tensor([1.0, 1.0]),
            torch.tensor([0.5, 0.5]),
            torch.tensor([1.0, 0.0]),
            0.64,
        ),
        (
            numbers(1, 4, 3, 5),
            numbers(1, 4, 3, 5, seed=1),
            numbers(1, 4, 3, 5, seed=2),
            _mask(),
            0.3,
        ),
        (
            numbers(2, 4, 3, 5),
            numbers(2, 4, 3, 5, seed=1),
            numbers(2, 4, 3, 5, seed=2),
            _mask(),
            1.0,
        ),
    ],
    (
        Mistake(
            "the mask is used the wrong way round: 1 is where to *draw*",
            lambda drawn, clean, noise, mask, bar: kept_outside(drawn, clean, noise, 1 - mask, bar),
        ),
        Mistake(
            "the original is put back without noise; at this rung everything has the noise of "
            "this rung",
            lambda drawn, clean, noise, mask, bar: mask * drawn + (1 - mask) * clean,
        ),
        Mistake(
            "the square roots are missing",
            lambda drawn, clean, noise, mask, bar: (
                mask * drawn + (1 - mask) * (bar * clean + (1 - bar) * noise)
            ),
        ),
        Mistake(
            "the drawn part is noised too; it has this rung's noise already",
            lambda drawn, clean, noise, mask, bar: (
                bar**0.5 * (mask * drawn + (1 - mask) * clean) + (1 - bar) ** 0.5 * noise
            ),
        ),
        Mistake(
            "outside the mask there is nothing now: put the original there",
            lambda drawn, clean, noise, mask, bar: mask * drawn,
        ),
        Mistake(
            "only the original is left",
            lambda drawn, clean, noise, mask, bar: bar**0.5 * clean + (1 - bar) ** 0.5 * noise,
        ),
    ),
    lambda answer: plots.strip(
        [draw(page(), SIDE), _inpainted(answer), _inpainted(kept_outside)],
        ["a page", "yours: a yellow cat", "target"],
        4,
    ),
)

# --- inversion ------------------------------------------------------------------------------------


def inverted(predict: Callable, schedule: Schedule, clean: Tensor, timesteps: list[int]) -> Tensor:
    latents = clean
    kept = [1.0, *schedule.alpha_bars[timesteps].tolist()]
    for t, now, following in zip(timesteps, kept, kept[1:], strict=False):
        latents = ddim_step(latents, predict(latents, t), now, following)
    return latents


def _climb(
    predict, schedule, clean, timesteps, kept=None, into: Callable | None = None, asked=None
) -> Tensor:
    """The way up with something wrong in it: other ᾱ, another way to take a step, or other t to ask
    about.
    """
    latents, kept = clean, kept or [1.0, *schedule.alpha_bars[timesteps].tolist()]
    for t, now, following in zip(asked or timesteps, kept, kept[1:], strict=False):
        said = predict(latents, t)
        estimate = (latents - (1 - now) ** 0.5 * said) / now**0.5
        latents = (into or (lambda x0, e, x, b: b**0.5 * x0 + (1 - b) ** 0.5 * e))(
            estimate, said, latents, following
        )
    return latents


def _there_and_back(answer: Callable) -> Figure:
    predict, schedule = predictor(tiny(), page().caption, 1.0), Schedule.of(tiny().scheduler)
    clean, rungs = _encoded(draw(page(), SIDE)), list(range(20, 1000, 40))
    noise = torch.as_tensor(answer(predict, schedule, clean.clone(), rungs)).float()
    back = _redrawn(predict, schedule, clean, noise, rungs[::-1], noise)
    titles = ["a page", "your noise, drawn: the same page?"]
    return plots.strip([draw(page(), SIDE), _shown(back)], titles, columns=4)


INVERTED = Exercise(
    LESSON,
    "inverted",
    inverted,
    lambda: [
        (_toy, Schedule.named("scaled_linear"), numbers(1, 1, 1, 2), [300, 700]),
        (_toy, Schedule.named("scaled_linear"), numbers(1, 4, 3, 5), [50, 250, 450, 650, 850]),
        (_toy, Schedule.named("cosine"), numbers(2, 4, 6, 5), [100, 500, 900]),
    ],
    (
        Mistake(
            "the rungs are gone through downwards; inversion goes up, from the picture to noise",
            lambda predict, schedule, clean, ts: _climb(
                predict, schedule, clean, ts[::-1], [*schedule.alpha_bars[ts[::-1]].tolist(), 1.0]
            ),
        ),
        Mistake(
            "the picture is only made smaller; the noise that the U-Net names is missing",
            lambda predict, schedule, clean, ts: schedule.alpha_bars[ts[-1]].sqrt() * clean,
        ),
        Mistake(
            "`predict` is asked about the rung where the latents are; ask about the one that the "
            "step goes to",
            lambda predict, schedule, clean, ts: _climb(
                predict, schedule, clean, ts, asked=[0, *ts[:-1]]
            ),
        ),
        Mistake(
            "the first step takes the picture for a noised one; before any step ᾱ is 1",
            lambda predict, schedule, clean, ts: _climb(
                predict,
                schedule,
                clean,
                ts,
                [schedule.alpha_bars[ts[0]].item(), *schedule.alpha_bars[ts].tolist()],
            ),
        ),
        Mistake(
            "the named noise is just added up, without x̂₀ and without rescaling",
            lambda predict, schedule, clean, ts: _climb(
                predict, schedule, clean, ts, into=lambda x0, e, x, b: x + e
            ),
        ),
        Mistake(
            "the square roots are missing",
            lambda predict, schedule, clean, ts: _climb(
                predict, schedule, clean, ts, into=lambda x0, e, x, b: b * x0 + (1 - b) * e
            ),
        ),
    ),
    _there_and_back,
)

# --- an edit of one's own -------------------------------------------------------------------------

KEPT = 24.0
"""PSNR in dB that the picture must keep where the house and its surroundings are not."""
DRAWN = ("cat", "mushroom")
"""Kinds that the lesson puts into the house's place itself."""


def _measure_edit(answer: Callable) -> dict:
    original = draw(page(), 512)
    edited = answer(original.copy())
    try:
        picture = to_rgb("picture", edited)
    except TypeError:
        return {"edited": edited}
    if picture.size != original.size:
        return {"edited": picture}
    outside = torch.from_numpy(masks(page(), 512)[:1, None]) < 0.5
    outside = -torch.nn.functional.max_pool2d(-outside.float(), 65, 1, 32) > 0.5
    before, after = (to_pixels(np.asarray(p)[None]) for p in (original, picture))
    same = psnr(torch.where(outside, after, 0.0), torch.where(outside, before, 0.0))
    place, seen = judge().read(after)[0]
    return {"edited": picture, "place": place, "seen": seen, "same": same, "original": original}


def _is_a_picture(measured: dict) -> str | None:
    edited = measured["edited"]
    if "seen" in measured:
        return None
    came = f"{edited.size}" if isinstance(edited, Image.Image) else type(edited).__name__
    return f"a picture of 512×512 pixels was expected back, got {came}"


def _is_another_thing(measured: dict) -> str | None:
    if any((thing.kind, thing.colour) == ("house", "red") for thing in measured["seen"]):
        return "the judge still sees a red house; make something else of it"
    if any(thing.kind == "house" for thing in measured["seen"]):
        return "there still is a house, of another colour; another *kind* of thing was asked for"
    if drawn := [thing.kind for thing in measured["seen"] if thing.kind in DRAWN]:
        return f"a {drawn[0]} was drawn in the lesson already; make something that was not"
    if len(measured["seen"]) != 1:
        found = ", ".join(f"{thing.colour} {thing.kind}" for thing in measured["seen"]) or "nothing"
        return f"one thing should stand in the house's place; the judge sees {found}"
    return None


def _is_the_same_elsewhere(measured: dict) -> str | None:
    if measured["same"] < KEPT:
        return (
            f"away from the house the picture changed: {measured['same']:.1f} dB, at least "
            f"{KEPT:g} was asked for"
        )
    return None


def _before_and_after(measured: dict) -> Figure:
    (thing,) = measured["seen"]
    titles = ["a red house in a meadow", f"yours: the judge sees a {thing.colour} {thing.kind}"]
    return plots.strip([measured["original"], measured["edited"]], titles, columns=4)


OWN_EDIT = OpenExercise(
    LESSON,
    "own_edit",
    _measure_edit,
    (_is_a_picture, _is_another_thing, _is_the_same_elsewhere),
    _before_and_after,
)

EXERCISES = (LOWER_RUNGS, REDRAW, KEPT_OUTSIDE, INVERTED, OWN_EDIT)
