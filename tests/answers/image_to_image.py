"""Answers to the exercises of lesson 10_image_to_image."""

import math
from dataclasses import replace

import numpy as np
import torch
from PIL import Image, ImageFilter, ImageOps

import sdlearn
from answers import on_copies
from answers.denoising import (
    ddim_by_velocity,
    ddim_in_place,
    loop_backwards,
    loop_by_recursion,
    loop_by_scheduler,
    loop_of_sigmas,
    loop_that_stops_early,
    loop_with,
)
from sdlearn.exercises.image_to_image import page
from sdlearn.picturebook import compose


def rungs_by_negative_index(timesteps, strength):
    count = int(strength * len(timesteps))
    return timesteps[-count:] if count else []


def rungs_by_popping(timesteps, strength):
    for _ in range(len(timesteps) - int(len(timesteps) * strength)):
        timesteps.pop(0)
    return timesteps


def rungs_as_tensor(timesteps, strength):
    return torch.tensor(timesteps)[len(timesteps) - int(len(timesteps) * strength) :]


def redraw_step_by_step(predict, schedule, clean, noise, timesteps, strength):
    rungs = rungs_by_negative_index(timesteps, strength)
    if not rungs:
        return clean
    alpha_bar = schedule.alpha_bars[rungs[0]]
    return loop_by_scheduler(
        predict, schedule, alpha_bar.sqrt() * clean + (1 - alpha_bar).sqrt() * noise, rungs
    )


def redraw_in_place(predict, schedule, clean, noise, timesteps, strength):
    rungs = rungs_by_negative_index(timesteps, strength)
    if not rungs:
        return clean
    clean *= schedule.sqrt_alpha_bars[rungs[0]]
    clean += schedule.sqrt_one_minus_alpha_bars[rungs[0]] * noise
    return loop_backwards(predict, schedule, clean, rungs)


def outside_by_where(drawn, clean, noise, mask, alpha_bar):
    original = math.sqrt(alpha_bar) * clean.double() + math.sqrt(1 - alpha_bar) * noise.double()
    return torch.where(mask.bool(), drawn.double(), original)


def outside_by_lerp(drawn, clean, noise, mask, alpha_bar):
    return torch.lerp(alpha_bar**0.5 * clean + (1 - alpha_bar) ** 0.5 * noise, drawn, mask)


def inverted_in_place(predict, schedule, clean, timesteps):
    before = 1.0
    for t in timesteps:
        after = schedule.alpha_bars[t].item()
        clean = ddim_in_place(clean.clone(), predict(clean, t), before, after)
        before = after
    return clean


def inverted_in_double(predict, schedule, clean, timesteps):
    latents, bars = clean.double(), [1.0, *schedule.alpha_bars.double()[timesteps].tolist()]
    for index, t in enumerate(timesteps):
        latents = ddim_by_velocity(
            latents, predict(latents.float(), t), bars[index], bars[index + 1]
        )
    return latents


def house_pasted(picture, setting="snow"):
    """The house, cut out and put on a page drawn without a model."""
    world = sdlearn.draw(replace(page(), setting=setting, things=()), 512)
    house = Image.fromarray(255 * (sdlearn.masks(page(), 512)[0] > 0.5).astype(np.uint8))
    return Image.composite(picture, world, house)


def drawn_around(picture, world="a red house on the beach", invert=True, seed=0):
    house = Image.fromarray(255 * (sdlearn.masks(page(), 512)[0] > 0.5).astype(np.uint8))
    mask = house.filter(ImageFilter.MaxFilter(9))
    mask = ImageOps.invert(mask) if invert else mask
    options = {"steps": 12, "guidance": 3, "seed": seed}
    return sdlearn.inpaint(sdlearn.load("tiny"), picture, mask, world, **options)


def redraw_from(start):
    def run(predict, schedule, clean, noise, timesteps, strength):
        rungs = rungs_by_negative_index(timesteps, strength)
        if not rungs:
            return clean
        return loop_by_scheduler(predict, schedule, start(schedule, clean, noise, timesteps), rungs)

    return run


def rungs_from_the_end(timesteps, strength):
    return list(reversed(timesteps))[: int(strength * len(timesteps))][::-1]


def rungs_by_condition(timesteps, strength):
    left_out = len(timesteps) - int(strength * len(timesteps))
    return [t for index, t in enumerate(timesteps) if index >= left_out]


def rungs_below_a_share(timesteps, strength):
    """Wrong: a share of t in place of a share of the rungs."""
    return [t for t in timesteps if t <= strength * max(timesteps)]


def noised(clean, noise, alpha_bar):
    return alpha_bar**0.5 * clean + (1 - alpha_bar) ** 0.5 * noise


def redraw_with(
    start=lambda clean, noise, alpha_bar, strength: noised(clean, noise, alpha_bar),
    rungs=rungs_by_negative_index,
    draw=loop_backwards,
):
    """Image to image with a start, a choice of rungs or a loop that may be wrong."""

    def run(predict, schedule, clean, noise, timesteps, strength):
        done = rungs(timesteps, strength)
        if not done:
            return clean
        alpha_bar = schedule.alpha_bars[done[0]].item()
        return draw(predict, schedule, start(clean, noise, alpha_bar, strength), done)

    return run


def redraw_with_fresh_noise(predict, schedule, clean, noise, timesteps, strength):
    fresh = torch.randn_like(clean)
    return redraw_step_by_step(predict, schedule, clean, fresh, timesteps, strength)


def redraw_that_needs_a_rung(predict, schedule, clean, noise, timesteps, strength):
    rungs = timesteps[len(timesteps) - int(strength * len(timesteps)) :]
    start = noised(clean, noise, schedule.alpha_bars[rungs[0]].item())
    return loop_backwards(predict, schedule, start, rungs)


def outside_by_addition(drawn, clean, noise, mask, alpha_bar):
    original = noised(clean, noise, alpha_bar)
    return original + mask * (drawn - original)


def outside_by_numpy(drawn, clean, noise, mask, alpha_bar):
    drawn, clean, noise, mask = map(np.asarray, (drawn, clean, noise, mask))
    return mask * drawn + (1 - mask) * noised(clean, noise, alpha_bar)


def outside_with(original):
    """The original put back in a way that may be wrong."""

    def run(drawn, clean, noise, mask, alpha_bar):
        return mask * drawn + (1 - mask) * original(clean, noise, alpha_bar)

    return run


def outside_in_place(drawn, clean, noise, mask, alpha_bar):
    drawn *= mask
    drawn += (1 - mask) * noised(clean, noise, alpha_bar)
    return drawn


def inverted_with(
    step=ddim_by_velocity,
    bars=lambda schedule, timesteps: [1.0, *schedule.alpha_bars[timesteps].tolist()],
    asked=lambda timesteps: timesteps,
    fed=lambda latents, clean: latents,
):
    """The way up with a step, a list of ᾱ, a t or latents that may be wrong."""

    def run(predict, schedule, clean, timesteps):
        latents, alpha_bars = clean, bars(schedule, timesteps)
        for index, t in enumerate(asked(timesteps)):
            said = predict(fed(latents, clean), t)
            latents = step(latents, said, alpha_bars[index], alpha_bars[index + 1]).float()
        return latents

    return run


def inverted_by_recursion(predict, schedule, clean, timesteps):
    if not timesteps:
        return clean
    *lower, t = timesteps
    latents = inverted_by_recursion(predict, schedule, clean, lower)
    before = schedule.alpha_bars[lower[-1]].item() if lower else 1.0
    return ddim_by_velocity(
        latents, predict(latents.float(), t), before, schedule.alpha_bars[t].item()
    )


def inverted_of_sigmas(predict, schedule, clean, timesteps):
    """Euler's way: x / √ᾱ moves by the change of σ = √(1/ᾱ - 1)."""
    scaled, here = clean, 0.0
    for t in timesteps:
        there = (1 / schedule.alpha_bars[t].item() - 1) ** 0.5
        scaled = scaled + (there - here) * predict(scaled / (1 + here**2) ** 0.5, t)
        here = there
    return scaled / (1 + here**2) ** 0.5


def inverted_without_the_first_step(predict, schedule, clean, timesteps):
    bars = schedule.alpha_bars[timesteps].tolist()
    for t, before, after in zip(timesteps[1:], bars, bars[1:], strict=False):
        clean = ddim_by_velocity(clean, predict(clean, t), before, after).float()
    return clean


def inverted_with_one_prediction(predict, schedule, clean, timesteps):
    first = predict(clean, timesteps[0])
    return inverted_with()(lambda latents, t: first, schedule, clean, timesteps)


def noised_at_random(predict, schedule, clean, timesteps):
    return noised(clean, torch.randn_like(clean), schedule.alpha_bars[timesteps[-1]].item())


def house_on(page_around):
    """The house cut out and put on any picture, which is made of the page."""

    def edit(picture):
        house = Image.fromarray(255 * (sdlearn.masks(page(), 512)[0] > 0.5).astype(np.uint8))
        return Image.composite(picture, page_around(picture), house)

    return edit


def plain_colour(colour):
    return lambda picture: Image.new("RGB", picture.size, colour)


RIGHT = {
    "lower_rungs": (
        rungs_by_negative_index,
        rungs_as_tensor,
        on_copies(rungs_by_popping),
        rungs_from_the_end,
        rungs_by_condition,
        lambda timesteps, strength: timesteps[math.ceil(len(timesteps) * (1 - strength) - 1e-9) :],
    ),
    "redraw": (
        redraw_step_by_step,
        on_copies(redraw_in_place),
        redraw_with(draw=loop_of_sigmas),
        redraw_with(rungs=rungs_from_the_end, draw=loop_by_recursion),
    ),
    "kept_outside": (
        outside_by_where,
        outside_by_lerp,
        outside_by_addition,
        outside_by_numpy,
    ),
    "inverted": (
        inverted_in_place,
        inverted_in_double,
        inverted_by_recursion,
        inverted_of_sigmas,
    ),
    "own_edit": (
        drawn_around,
        house_pasted,
        lambda picture: np.asarray(house_pasted(picture)),
        lambda picture: house_on(drawn_around)(picture),
    ),
}

WRONG = {
    "lower_rungs": (
        (lambda ts, strength: ts[: int(strength * len(ts))], "the *upper* rungs"),
        (lambda ts, strength: ts[int(strength * len(ts)) :], "upside down"),
        (
            lambda ts, strength: ts[len(ts) - math.ceil(strength * len(ts)) :],
            "rounded the other way",
        ),
        (lambda ts, strength: int(strength * len(ts)), "the number of rungs"),
        (rungs_by_popping, "changes its argument"),
        (lambda ts, strength: ts[-int(strength * len(ts)) :], "`timesteps[-0:]` is all"),
        (lambda ts, strength: ts[int((1 - strength) * len(ts)) :], "rounded the other way"),
        (lambda ts, strength: ts[::-1][: int(strength * len(ts))], "rungs are turned round"),
        (lambda ts, strength: ts[len(ts) - strength * len(ts) :], "slice indices must be integers"),
        (lambda ts, strength: None, "does it end with `return`"),
        (lambda ts, strength: ts, "shape 2 was expected, got 5"),
        (
            lambda ts, strength: ts[len(ts) - int(strength * len(ts)) - 1 :],
            "shape 2 was expected, got 3",
        ),
        (
            lambda ts, strength: ts[len(ts) - max(1, int(strength * len(ts))) :],
            "shape 0 was expected, got 1",
        ),
        (
            lambda ts, strength: [t for t in ts if t <= strength * 1000],
            "the lower part by the *value*",
        ),
    ),
    "redraw": (
        (redraw_in_place, "changes its argument"),
        (redraw_from(lambda schedule, clean, noise, ts: noise), "pure noise"),
        (redraw_from(lambda schedule, clean, noise, ts: clean), "without noise"),
        (
            redraw_from(
                lambda s, clean, noise, ts: (
                    s.sqrt_alpha_bars[ts[0]] * clean + s.sqrt_one_minus_alpha_bars[ts[0]] * noise
                )
            ),
            "*whole* ladder",
        ),
        (
            lambda p, s, clean, noise, ts, strength: redraw_from(lambda *_: clean + noise)(
                p, s, clean, noise, ts, strength
            ),
            "just added",
        ),
        (redraw_with(rungs=lambda ts, strength: ts), "all rungs are done"),
        (redraw_with(draw=loop_that_stops_early), "after it ᾱ is 1"),
        (redraw_with_fresh_noise, "changes from call to call"),
        (redraw_that_needs_a_rung, "list index out of range"),
        (lambda p, s, clean, noise, ts, strength: None, "does it end with `return`"),
        (
            redraw_with(
                lambda clean, noise, alpha_bar, strength: (
                    alpha_bar * clean + (1 - alpha_bar) * noise
                )
            ),
            "the square roots are missing where",
        ),
        (
            redraw_with(rungs=lambda ts, strength: ts[: int(strength * len(ts))]),
            "the *upper* rungs are done, with",
        ),
        (
            redraw_with(rungs=lambda ts, strength: ts[len(ts) - round(strength * len(ts)) :]),
            "rounded to the nearest; int(strength ·",
        ),
    ),
    "kept_outside": (
        (
            lambda drawn, clean, noise, mask, bar: outside_by_where(
                drawn, clean, noise, 1 - mask, bar
            ),
            "wrong way round",
        ),
        (
            lambda drawn, clean, noise, mask, bar: torch.where(mask.bool(), drawn, clean),
            "without noise",
        ),
        (lambda drawn, clean, noise, mask, bar: drawn * mask, "nothing now"),
        (
            outside_with(lambda clean, noise, bar: bar * clean + (1 - bar) * noise),
            "square roots are missing",
        ),
        (
            lambda drawn, clean, noise, mask, bar: noised(
                mask * drawn + (1 - mask) * clean, noise, bar
            ),
            "drawn part is noised too",
        ),
        (
            lambda drawn, clean, noise, mask, bar: noised(clean, noise, bar),
            "only the original is left",
        ),
        (outside_in_place, "changes its argument"),
        (outside_with(lambda clean, *_: torch.randn_like(clean)), "changes from call to call"),
        (lambda drawn, clean, noise, mask, bar: drawn, "nothing was kept: this is what was drawn"),
        (
            lambda drawn, clean, noise, mask, bar: mask * drawn + noised(clean, noise, bar),
            "the original is added everywhere; outside",
        ),
        (
            outside_with(lambda clean, noise, bar: bar**0.5 * clean),
            "the noise is missing outside, though",
        ),
        (
            outside_with(lambda clean, noise, bar: bar**0.5 * clean + (1 - bar) * noise),
            "only the noise's root is missing: √(1 - ᾱ)",
        ),
        (
            outside_with(lambda clean, noise, bar: noised(noise, clean, bar)),
            "swapped: √ᾱ belongs to the picture,",
        ),
    ),
    "inverted": (
        (lambda p, s, clean, ts: loop_backwards(p, s, clean, ts[::-1]), "downwards"),
        (lambda p, s, clean, ts: s.sqrt_alpha_bars[ts[-1]] * clean, "only made smaller"),
        (lambda p, s, clean, ts: clean + p(clean, ts[0]), "was expected, got"),
        (inverted_with(asked=lambda ts: [0, *ts[:-1]]), "the rung that the step leaves"),
        (inverted_without_the_first_step, "before any step ᾱ is 1"),
        (noised_at_random, "changes from call to call"),
        (inverted_with(bars=lambda s, ts: s.alpha_bars[ts].tolist()), "list index out of range"),
        (lambda p, s, clean, ts: None, "does it end with `return`"),
        (lambda p, s, clean, ts: [clean], "for clean = [[[[1.541, -0.2934]]]], timesteps"),
        (inverted_with(asked=lambda ts: ts[:-1]), "the last rung is left out:"),
    ),
    "own_edit": (
        (lambda picture: picture, "still sees a meadow"),
        (lambda picture: drawn_around(picture, invert=False), "still sees a meadow"),
        (lambda picture: sdlearn.draw(compose([("blue", "boat")], "night")), "the house is gone"),
        (
            lambda picture: sdlearn.draw(compose([("red", "house")], "night", rng=9), 512),
            "another house",
        ),
        (lambda picture: 3, "was expected back, got int"),
        (lambda picture: picture.resize((64, 64)), "got (64, 64)"),
        (lambda picture: Image.new("RGB", (512, 512)), "the judge sees nothing"),
        (house_on(plain_colour("black")), "the house is gone"),
        (lambda picture: None, "was expected back, got NoneType"),
        (lambda picture: drawn_around(picture, "a red house in a meadow"), "still sees a meadow"),
        (
            lambda picture: drawn_around(picture, "a red house and a blue tree in the snow"),
            "the house should stand alone",
        ),
    ),
}

SHOWN = {
    "lower_rungs": (
        (
            lambda ts, strength: ts[len(ts) - round(strength * len(ts)) :],
            "rounded to the nearest number, not cut off",
        ),
        (rungs_below_a_share, "a share of the largest t in place of a share of the rungs"),
    ),
    "redraw": (
        (
            redraw_with(lambda clean, noise, alpha_bar, strength: noised(noise, clean, alpha_bar)),
            "picture and noise are exchanged at the start",
        ),
        (
            redraw_with(
                lambda clean, noise, alpha_bar, strength: noised(clean, noise, 1 - strength)
            ),
            "the strength is taken for the share of the noise",
        ),
        (
            redraw_with(draw=loop_with(lambda x, e, bar, after: x - e)),
            "the predicted noise is simply subtracted",
        ),
        (
            redraw_with(draw=loop_with(asked=lambda t, index, ts: index)),
            "`predict` is asked about the number of the step",
        ),
        (
            redraw_with(rungs=rungs_below_a_share),
            "a share of the largest t in place of a share of the rungs",
        ),
    ),
    "kept_outside": (
        (
            outside_with(lambda clean, noise, bar: clean + (1 - bar) ** 0.5 * noise),
            "noise is added, but the original is not made smaller",
        ),
        (
            lambda drawn, clean, noise, mask, bar: outside_by_addition(
                drawn, clean, noise, mask if mask.ndim < 2 else mask[:1], bar
            ),
            "the first picture's mask for all pictures",
        ),
        (
            lambda drawn, clean, noise, mask, bar: outside_by_addition(
                drawn, clean, noise if noise.ndim < 2 else noise[:1], mask, bar
            ),
            "the first picture's noise for all pictures",
        ),
    ),
    "inverted": (
        (
            inverted_with(bars=lambda s, ts: [*s.alpha_bars[ts].tolist(), 1.0]),
            "the 1.0 stands at the end of the list, as on the way down",
        ),
        (
            inverted_with(bars=lambda s, ts: s.alpha_bars[[0, *ts]].tolist()),
            "it begins with the ᾱ of t = 0, not with 1",
        ),
        (
            inverted_with(asked=lambda ts: range(len(ts))),
            "`predict` is asked about the number of the step",
        ),
        (
            inverted_with(fed=lambda latents, clean: clean),
            "`predict` is always asked about the picture",
        ),
        (inverted_with_one_prediction, "the noise is predicted only once"),
    ),
}
