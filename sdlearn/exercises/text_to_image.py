"""Exercises of the lesson on text to image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from diffusers import EulerDiscreteScheduler
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from sdlearn import pipeline, plots
from sdlearn.check import Exercise, Mistake, OpenExercise
from sdlearn.compression import decode
from sdlearn.exercises.given import judge, numbers, tiny
from sdlearn.images import to_pictures
from sdlearn.judge import judge_picture
from sdlearn.loading import Components
from sdlearn.picturebook import Scene
from sdlearn.text import encode_text

LESSON = "09_text_to_image"
PROMPT = "a red house in a meadow"

# --- the noise to start from ----------------------------------------------------------------------


def start_noise(model: Components, height: int, width: int, seed: int) -> Tensor:
    shape = (1, model.unet.config.in_channels, height // model.factor, width // model.factor)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _seeded(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


START_NOISE = Exercise(
    LESSON,
    "start_noise",
    start_noise,
    lambda: [(tiny(), 128, 192, 0), (tiny(), 512, 512, 7), (tiny(), 64, 320, 3)],
    (
        Mistake(
            "that is the size in pixels; the U-Net works on latents, a number of times smaller: "
            "`model.factor`",
            lambda model, h, w, seed: _seeded(1, 4, h, w, seed=seed),
        ),
        Mistake(
            "height and width are exchanged: tensors are n×channels×height×width",
            lambda model, h, w, seed: _seeded(1, 4, w // 8, h // 8, seed=seed),
        ),
        Mistake(
            "three channels are a picture's; latents have `model.unet.config.in_channels`",
            lambda model, h, w, seed: _seeded(1, 3, h // 8, w // 8, seed=seed),
        ),
        Mistake(
            "each latent place stands for 8×8 = 64 pixels, but a *side* is only 8 times shorter",
            lambda model, h, w, seed: _seeded(1, 4, h // 64, w // 64, seed=seed),
        ),
        Mistake(
            "these are evenly spread numbers from 0 to 1; noise is normal: `torch.randn`",
            lambda model, h, w, seed: torch.rand(
                1, 4, h // 8, w // 8, generator=torch.Generator().manual_seed(seed)
            ),
        ),
        Mistake(
            "the batch is missing: 1×4×h×w",
            lambda model, h, w, seed: _seeded(4, h // 8, w // 8, seed=seed),
        ),
    ),
    lambda answer: plots.latent_channels(answer(tiny(), 256, 384, 0)[0]),
)

# --- back to a picture ----------------------------------------------------------------------------


@cache
def _latents(height: int, width: int) -> Tensor:
    """Latents that the small model drew."""
    found = pipeline.text_to_latents(
        tiny(), PROMPT, size=(height, width), steps=6, guidance=3, seed=3
    )
    return list(found)[-1].latents


def to_picture(model: Components, latents: Tensor) -> np.ndarray:
    return to_pictures(decode(model.vae, latents))[0]


def _decoded(model: Components, z: Tensor) -> Tensor:
    with torch.no_grad():
        return model.vae.decode(z).sample[0]


def _eight_bit(pixels: Tensor) -> Tensor:
    return (pixels.clamp(0, 1) * 255).round().permute(1, 2, 0)


def _near(value: object, expected: np.ndarray) -> bool:
    """Equal to within one step of 8 bits, which is rounding."""
    try:
        value = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        return False
    return value.shape == expected.shape and bool(np.abs(value - np.asarray(expected)).max() <= 1)


TO_PICTURE = Exercise(
    LESSON,
    "to_picture",
    to_picture,
    lambda: [(tiny(), _latents(64, 128)), (tiny(), 0.5 * _latents(128, 64))],
    (
        Mistake(
            "the scaling is not undone: divide by `model.vae.config.scaling_factor` before "
            "decoding",
            lambda model, z: _eight_bit(_decoded(model, z) / 2 + 0.5),
        ),
        Mistake(
            "the latents are multiplied by the scaling factor once more; divide",
            lambda model, z: _eight_bit(
                _decoded(model, z * model.vae.config.scaling_factor) / 2 + 0.5
            ),
        ),
        Mistake(
            "pixels come in [-1, 1]; halve them and add 0.5 before you go to 8 bits",
            lambda model, z: _eight_bit(_decoded(model, z / model.vae.config.scaling_factor)),
        ),
        Mistake(
            "what lies outside [-1, 1] is not clipped: `.clamp(0, 1)` before you go to 8 bits",
            lambda model, z: (
                ((_decoded(model, z / model.vae.config.scaling_factor) / 2 + 0.5) * 255)
                .round()
                .permute(1, 2, 0)
            ),
        ),
        Mistake(
            "the channels come first; a picture is height×width×3",
            lambda model, z: _eight_bit(
                _decoded(model, z / model.vae.config.scaling_factor) / 2 + 0.5
            ).permute(2, 0, 1),
        ),
        Mistake(
            "these are numbers from 0 to 1; 8 bits go to 255",
            lambda model, z: (
                (_decoded(model, z / model.vae.config.scaling_factor) / 2 + 0.5)
                .clamp(0, 1)
                .permute(1, 2, 0)
            ),
        ),
    ),
    lambda answer: plots.strip(
        [_as_picture(answer(tiny(), _latents(192, 192))), to_picture(tiny(), _latents(192, 192))],
        ["yours", "target"],
        columns=4,
    ),
    near=_near,
)


def _as_picture(values: object) -> Image.Image:
    return Image.fromarray(np.asarray(values).astype(np.uint8))


# --- the whole pipeline ---------------------------------------------------------------------------


def text_to_latents(
    model: Components, prompt: str, noise: Tensor, steps: int, guidance: float
) -> Tensor:
    return _drawn(model, prompt, noise, steps, guidance)


def _drawn(
    model: Components,
    prompt: str,
    noise: Tensor,
    steps: int,
    guidance: float,
    *,
    swapped: bool = False,
    scaled: bool = True,
    sized: bool = True,
    unguided: bool = False,
    overwritten: bool = False,
    zeros: bool = False,
    offset: float = 0.0,
) -> Tensor:
    """The pipeline, or one with something wrong in it."""
    scheduler = type(model.scheduler).from_config(model.scheduler.config)
    scheduler.set_timesteps(steps)
    states, empty = (
        encode_text(model.tokenizer, model.text_encoder, text) for text in (prompt, "")
    )
    empty = torch.zeros_like(empty) if zeros else empty
    latents = noise * scheduler.init_noise_sigma if sized else noise
    for t in scheduler.timesteps:
        seen = scheduler.scale_model_input(latents, t) if scaled else latents
        with torch.no_grad():
            conditional, unconditional = (
                model.unet(seen, t, read).sample for read in (states, empty)
            )
        if swapped:
            conditional, unconditional = unconditional, conditional
        said = (
            conditional
            if unguided
            else unconditional + (guidance + offset) * (conditional - unconditional)
        )
        latents = scheduler.step(said, t, seen if overwritten else latents).prev_sample
    return latents


@cache
def _other_scheduler() -> Components:
    """The small model with a scheduler that scales what the U-Net sees."""
    return replace(tiny(), scheduler=EulerDiscreteScheduler.from_config(tiny().scheduler.config))


def _wrong(**what) -> Callable:
    return lambda *case: _drawn(*case, **what)


TEXT_TO_LATENTS = Exercise(
    LESSON,
    "text_to_latents",
    text_to_latents,
    lambda: [
        (tiny(), PROMPT, numbers(1, 4, 8, 16), 2, 3.0),
        (_other_scheduler(), "a blue fish on the beach", numbers(1, 4, 16, 8, seed=1), 3, 5.0),
    ],
    (
        Mistake(
            "unconditional and conditional are exchanged: this draws everything but the prompt",
            _wrong(swapped=True),
        ),
        Mistake("the guidance is one too strong", _wrong(offset=1.0)),
        Mistake(
            "the scheduler's step is given the latents that were scaled for the U-Net; give it "
            "the latents themselves",
            _wrong(overwritten=True),
        ),
        Mistake(
            'zeros in place of the states of the empty prompt; encode the text ""',
            _wrong(zeros=True),
        ),
        Mistake("there is no guidance in it", _wrong(unguided=True)),
        Mistake(
            "`scheduler.scale_model_input(latents, t)` is missing: some schedulers keep latents "
            "larger than the U-Net "
            "has learned",
            _wrong(scaled=False),
        ),
        Mistake(
            "the noise is not multiplied by `scheduler.init_noise_sigma`: 1 for many schedulers, "
            "but not for all",
            _wrong(sized=False),
        ),
        Mistake(
            "`scale_model_input` and `init_noise_sigma` are both missing: right for some "
            "schedulers only",
            _wrong(scaled=False, sized=False),
        ),
    ),
    lambda answer: plots.strip(
        [
            to_picture(
                tiny(),
                torch.as_tensor(
                    run(tiny(), PROMPT, numbers(1, 4, 32, 32, seed=3), 12, 3.0)
                ).float(),
            )
            for run in (answer, text_to_latents)
        ],
        ["yours", "target"],
        columns=4,
    ),
    near=lambda value, expected: (
        isinstance(value, Tensor)
        and value.shape == expected.shape
        and torch.allclose(value.float(), expected, rtol=1e-3, atol=1e-3)
    ),
)

# --- from one noise to another --------------------------------------------------------------------


SAME = 0.9999
"""The cosine from which on two directions are one: the arc between them is a straight line."""


def slerp(first: Tensor, second: Tensor, share: float) -> Tensor:
    cosine = (first * second).sum() / (first.norm() * second.norm())
    return (
        torch.lerp(first, second, share)
        if cosine > SAME
        else _along(first, second, share, torch.acos(cosine))
    )


def _along(first: Tensor, second: Tensor, share: float, angle: Tensor) -> Tensor:
    return (torch.sin((1 - share) * angle) * first + torch.sin(share * angle) * second) / torch.sin(
        angle
    )


def _longer(mixed: Tensor, first: Tensor, second: Tensor, share: float) -> Tensor:
    """A mixture, at the length that lies between the two lengths."""
    return mixed / mixed.norm() * ((1 - share) * first.norm() + share * second.norm())


def _sizes(answer: Callable) -> Figure:
    figure, shares = plots.new_figure(2.6), torch.linspace(0, 1, 21)
    first, second = numbers(4, 16, 16), numbers(4, 16, 16, seed=1)
    axes = figure.subplots()
    lines = {
        "target": slerp,
        "yours": answer,
        "straight line": lambda a, b, share: (1 - share) * a + share * b,
    }
    for (name, walk), colour in zip(lines.items(), plots.LINES, strict=False):
        sizes = [
            float(torch.as_tensor(walk(first.clone(), second.clone(), float(s))).std())
            for s in shares
        ]
        axes.plot(shares, sizes, "--" if name == "yours" else "-", color=colour, label=name)
    axes.set(ylim=(0.6, 1.1), xlabel="share of the second noise", ylabel="standard deviation")
    axes.legend(fontsize=8, frameon=False)
    return figure


SLERP = Exercise(
    LESSON,
    "slerp",
    slerp,
    lambda: [
        (torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), 0.5),
        (torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), 0.25),
        (numbers(3, 5), numbers(3, 5, seed=1), 0.3),
        (2 * numbers(1, 4, 6, 5), numbers(1, 4, 6, 5, seed=1), 0.8),
        (torch.tensor([3.0, 4.0]), torch.tensor([6.0, 8.0]), 0.5),
    ],
    (
        Mistake(
            "this is the straight line: in its middle the noise is too small; go along the arc",
            lambda a, b, share: (1 - share) * a + share * b,
        ),
        Mistake(
            "right but where both point the same way: there the angle is 0, and 0/0 is not a "
            "number",
            lambda a, b, share: _along(
                a, b, share, torch.acos((a * b).sum() / (a.norm() * b.norm()))
            ),
        ),
        Mistake(
            "the two are exchanged: a share of 0 is the first",
            lambda a, b, share: slerp(b, a, share),
        ),
        Mistake(
            "the straight line, made longer again: right in size, but it does not move evenly "
            "along the arc",
            lambda a, b, share: _longer((1 - share) * a + share * b, a, b, share),
        ),
        Mistake(
            "the division by sin(angle) is missing",
            lambda a, b, share: (
                slerp(a, b, share) * torch.sin(torch.acos((a * b).sum() / (a.norm() * b.norm())))
            ),
        ),
        Mistake(
            "the variances add up to 1, but the angle between the two is taken for 90°",
            lambda a, b, share: np.cos(share * np.pi / 2) * a + np.sin(share * np.pi / 2) * b,
        ),
        Mistake(
            "the square roots of the shares keep the size only for a right angle, and do not "
            "move evenly",
            lambda a, b, share: (1 - share) ** 0.5 * a + share**0.5 * b,
        ),
    ),
    _sizes,
)

# --- a failure of one's own -----------------------------------------------------------------------

SEEDS = (0, 1, 2)


def _measure_failure(answer: Callable) -> dict:
    scene = answer()
    if not isinstance(scene, Scene):
        return {"scene": scene}
    model = tiny()
    steps = pipeline.text_to_latents(
        model, [scene.caption] * len(SEEDS), steps=12, guidance=3, seed=SEEDS[0]
    )
    pixels = decode(model.vae, list(steps)[-1].latents).float()
    read = [judge_picture(scene, *seen) for seen in judge().read(pixels)]
    return {"scene": scene, "pictures": to_pictures(pixels), "verdicts": read}


def _is_a_scene(measured: dict) -> str | None:
    if not isinstance(measured["scene"], Scene):
        return (
            "a scene was expected, as `sdlearn.compose(…)` gives it; got "
            f"{type(measured['scene']).__name__}"
        )
    return None


def _is_simple(measured: dict) -> str | None:
    count = len(measured["scene"].things)
    return (
        f"three things are too easy to get wrong; at most two, got {count}" if count > 2 else None
    )


def _fails(measured: dict) -> str | None:
    right = sum(verdict.whole for verdict in measured["verdicts"])
    if right > 1:
        return (
            f"{right} of {len(SEEDS)} pictures of {measured['scene'].caption!r} are right; "
            "find something harder"
        )
    return None


OWN_FAILURE = OpenExercise(
    LESSON,
    "own_failure",
    _measure_failure,
    (_is_a_scene, _is_simple, _fails),
    lambda measured: plots.strip(
        measured["pictures"],
        ["right" if v.whole else "wrong" for v in measured["verdicts"]],
        columns=4,
    ),
)

EXERCISES = (START_NOISE, TO_PICTURE, TEXT_TO_LATENTS, SLERP, OWN_FAILURE)
