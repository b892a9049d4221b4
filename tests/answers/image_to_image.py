"""Answers to the exercises of lesson 10_image_to_image."""

import math
from dataclasses import replace

import numpy as np
import torch
from PIL import Image, ImageFilter, ImageOps

import sdlearn
from answers import on_copies
from answers.denoising import ddim_by_velocity, ddim_in_place, loop_backwards, loop_by_scheduler
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
    kept = schedule.alpha_bars[rungs[0]]
    return loop_by_scheduler(
        predict, schedule, kept.sqrt() * clean + (1 - kept).sqrt() * noise, rungs
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
    latents, kept = clean.double(), [1.0, *schedule.alpha_bars.double()[timesteps].tolist()]
    for index, t in enumerate(timesteps):
        latents = ddim_by_velocity(
            latents, predict(latents.float(), t), kept[index], kept[index + 1]
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


RIGHT = {
    "lower_rungs": (rungs_by_negative_index, rungs_as_tensor, on_copies(rungs_by_popping)),
    "redraw": (redraw_step_by_step, on_copies(redraw_in_place)),
    "kept_outside": (outside_by_where, outside_by_lerp),
    "inverted": (inverted_in_place, inverted_in_double),
    "own_edit": (drawn_around, house_pasted, lambda picture: np.asarray(house_pasted(picture))),
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
    ),
    "inverted": (
        (lambda p, s, clean, ts: loop_backwards(p, s, clean, ts[::-1]), "downwards"),
        (lambda p, s, clean, ts: s.sqrt_alpha_bars[ts[-1]] * clean, "only made smaller"),
        (lambda p, s, clean, ts: clean + p(clean, ts[0]), "was expected, got"),
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
    ),
}
