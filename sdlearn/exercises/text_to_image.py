"""Exercises of lesson 09, text to image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from diffusers import EulerDiscreteScheduler
from matplotlib.figure import Figure
from torch import Tensor

from sdlearn import denoising, pipeline, plots
from sdlearn.compression import decode
from sdlearn.evaluate.judge import Verdict, load_judge, verdict_on
from sdlearn.exercises import pictures
from sdlearn.exercises.diagnosis import Call
from sdlearn.exercises.engine import Lesson
from sdlearn.exercises.given import numbers, picture_of, several, tiny
from sdlearn.exercises.results import Case, Unmet
from sdlearn.images import to_pictures
from sdlearn.loading import Components
from sdlearn.picturebook.scenes import SETTINGS, Scene
from sdlearn.text import encode_text

lesson = Lesson("09_text_to_image")
PROMPT = "a red house in a meadow"

# --- exercise 1: the noise to start from ----------------------------------------------------------


def _with_euler() -> Components:
    """The small model with a scheduler that starts from larger noise, and scales the latents."""
    euler = EulerDiscreteScheduler.from_config(tiny().scheduler.config)
    return replace(tiny(), scheduler=euler)


@lesson.exercise(
    cases=lambda: [
        (tiny(), 128, 192, 0),
        (tiny(), 512, 512, 7),
        (tiny(), 64, 320, 3),
        (_with_euler(), 64, 128, 1),
    ],
    picture=lambda answer: plots.latent_channels(answer(tiny(), 256, 384, 0)[0]),
    by_hand=lambda model, height, width, seed: {
        "channels": model.unet.config.in_channels,
        "height and width of the latents": [height // model.factor, width // model.factor],
    },
)
def start_noise(model: Components, height: int, width: int, seed: int) -> Tensor:
    """Noise for one picture, in the size of its latents."""
    channels, factor = model.unet.config.in_channels, model.factor
    return numbers(1, channels, height // factor, width // factor, seed=seed)


start_noise.mistakes(
    "drawn in float64, which gives other numbers; leave `dtype` as it is",
    lambda model, h, w, seed: torch.randn(
        1,
        4,
        h // 8,
        w // 8,
        generator=torch.Generator().manual_seed(seed),
        dtype=torch.float64,
    ),
    "the seed is not used: the same noise comes for every seed",
    lambda model, h, w, seed: numbers(1, 4, h // 8, w // 8, seed=0),
    "all channels hold the same noise; draw 1×4×h×w numbers at once",
    lambda model, h, w, seed: numbers(1, 1, h // 8, w // 8, seed=seed).expand(1, 4, -1, -1),
    "all numbers are 0; noise is drawn",
    lambda model, h, w, seed: torch.zeros(1, 4, h // 8, w // 8),
    "this noise is scaled already; it is scaled when the drawing begins, and would be twice",
    lambda model, h, w, seed: (
        numbers(1, 4, h // 8, w // 8, seed=seed) * model.scheduler.init_noise_sigma
    ),
    "that is the size in pixels; latents are a number of times smaller: `model.factor`",
    lambda model, h, w, seed: numbers(1, 4, h, w, seed=seed),
    "height and width are exchanged: tensors are n×channels×height×width",
    lambda model, h, w, seed: numbers(1, 4, w // 8, h // 8, seed=seed),
    "three channels are a picture's; latents have `model.unet.config.in_channels`",
    lambda model, h, w, seed: numbers(1, 3, h // 8, w // 8, seed=seed),
    "each latent stands for 8×8 = 64 pixels, but a *side* is only 8 times shorter",
    lambda model, h, w, seed: numbers(1, 4, h // 64, w // 64, seed=seed),
    "these are evenly spread numbers from 0 to 1; noise is normal: `torch.randn`",
    lambda model, h, w, seed: torch.rand(
        1, 4, h // 8, w // 8, generator=torch.Generator().manual_seed(seed)
    ),
    "the batch is missing: 1×4×h×w",
    lambda model, h, w, seed: numbers(4, h // 8, w // 8, seed=seed),
)

# --- exercise 2: back to a picture ----------------------------------------------------------------


@cache
def _latents(height: int, width: int) -> Tensor:
    """Latents that the small model drew."""
    size = (height, width)
    *_, last = pipeline.text_to_latents(tiny(), PROMPT, size=size, steps=6, guidance=3, seed=3)
    return last.latents


def _decoded(model: Components, z: Tensor) -> Tensor:
    with torch.no_grad():
        return model.vae.decode(z).sample[0]


def _unscaled(model: Components, latents: Tensor) -> Tensor:
    """Decoded as it should be, moved to about [0, 1]: [3, H, W]."""
    return _decoded(model, latents / model.vae.config.scaling_factor) / 2 + 0.5


def _upper_left(model: Components, latents: Tensor) -> dict[str, object]:
    pixel = _decoded(model, latents / model.vae.config.scaling_factor)[:, 0, 0]
    return {
        "the upper left pixel, as it is decoded": pixel,
        "moved to [0, 1] and clipped": (pixel / 2 + 0.5).clamp(0, 1),
        "times 255": (pixel / 2 + 0.5).clamp(0, 1) * 255,
    }


def _stretched(pixels: Tensor) -> Tensor:
    return (pixels - pixels.min()) / (pixels.max() - pixels.min())


def _eight_bit(pixels: Tensor) -> Tensor:
    return (pixels.clamp(0, 1) * 255).round().permute(1, 2, 0)


def _near(value: object, expected: object) -> bool:
    """Equal to within one step of 8 bits, which is rounding."""
    try:
        value, expected = (np.asarray(v, dtype=np.float64) for v in (value, expected))
    except (TypeError, ValueError):
        return False
    return (
        value.shape == expected.shape
        and bool(value.max() <= max(expected.max(), 255))
        and bool(np.abs(value - expected).max() <= 1)
    )


def _both_decoded(answer: Callable) -> Figure:
    given = tiny(), _latents(192, 192)
    yours = np.asarray(answer(*given)).astype(np.uint8)
    return plots.strip([yours, to_picture(*given)], ["yours", "target"], columns=4)


@lesson.exercise(
    cases=lambda: [
        (tiny(), _latents(64, 128)),
        (tiny(), torch.cat([0.5 * _latents(128, 64), -_latents(128, 64)])),
    ],
    picture=_both_decoded,
    near=_near,
    by_hand=_upper_left,
)
def to_picture(model: Components, latents: Tensor) -> np.ndarray:
    """Latents of one picture to 8 bits, height×width×3."""
    return to_pictures(decode(model.vae, latents))[0]


to_picture.mistakes(
    "the scaling is not undone: divide by `model.vae.config.scaling_factor` before decoding",
    lambda model, z: _eight_bit(_decoded(model, z) / 2 + 0.5),
    "the latents are multiplied by the scaling factor once more; divide",
    lambda model, z: _eight_bit(_decoded(model, z * model.vae.config.scaling_factor) / 2 + 0.5),
    "pixels come in [-1, 1]; halve them and add 0.5 before you go to 8 bits",
    lambda model, z: _eight_bit(_decoded(model, z / model.vae.config.scaling_factor)),
    "what lies outside [-1, 1] is not clipped: `.clamp(0, 1)` before you go to 8 bits",
    lambda model, z: (_unscaled(model, z) * 255).round().permute(1, 2, 0),
    "the channels come first; a picture is height×width×3",
    lambda model, z: _eight_bit(_unscaled(model, z)).permute(2, 0, 1),
    "the *last* picture of the latents; the first was asked for",
    lambda model, z: _eight_bit(_unscaled(model, z[-1:])),
    "this is multiplied by 256; 8 bits end at 255",
    lambda model, z: (_unscaled(model, z).clamp(0, 1) * 256).round().permute(1, 2, 0),
    "0.5 is added, but the numbers are not halved: x / 2 + 0.5",
    lambda model, z: _eight_bit(2 * _unscaled(model, z) - 0.5),
    "light and dark are exchanged",
    lambda model, z: _eight_bit(1 - _unscaled(model, z)),
    "these are still numbers up to 1; 8 bits go from 0 to 255",
    lambda model, z: _unscaled(model, z).clamp(0, 1).permute(1, 2, 0),
    "what lies outside 0 to 255 begins again at the other end: clip before you go to uint8",
    lambda model, z: ((_unscaled(model, z) * 255).long() % 256).permute(1, 2, 0),
    "stretched so that the smallest number becomes 0 and the largest 255; -1 is 0, and 1 is 255",
    lambda model, z: _eight_bit(_stretched(_unscaled(model, z))),
    "moved to [0, 2]: pixels in [-1, 1] go to [0, 1] by (x + 1) / 2",
    lambda model, z: _eight_bit(_unscaled(model, z) * 2),
    "height and width are exchanged: `.permute(1, 2, 0)` puts the channels last",
    lambda model, z: _eight_bit(_unscaled(model, z).transpose(1, 2)),
    "the channels are in reverse order: red comes first",
    lambda model, z: _eight_bit(_unscaled(model, z).flip(0)),
)

# --- exercise 3: the whole pipeline ---------------------------------------------------------------


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
    """The pipeline, or one with one thing wrong in it."""
    scheduler = type(model.scheduler).from_config(model.scheduler.config)
    scheduler.set_timesteps(steps)
    states, negative = (encode_text(model.tokenizer, model.text_encoder, x) for x in (prompt, ""))
    negative = torch.zeros_like(negative) if zeros else negative
    latents = noise * scheduler.init_noise_sigma if sized else noise
    for t in scheduler.timesteps:
        seen = scheduler.scale_model_input(latents, t) if scaled else latents
        with torch.no_grad():
            conditional, unconditional = (model.unet(seen, t, c).sample for c in (states, negative))
        if swapped:
            conditional, unconditional = unconditional, conditional
        predicted = conditional
        if not unguided:
            predicted = denoising.guided(unconditional, conditional, guidance + offset)
        latents = scheduler.step(predicted, t, seen if overwritten else latents).prev_sample
    return latents


def _wrong(**what) -> Callable:
    return lambda *case: _drawn(*case, **what)


def _about_equal(value: object, expected: Tensor) -> bool:
    try:
        value = torch.as_tensor(value).float()
    except (TypeError, ValueError, RuntimeError):
        return False
    return value.shape == expected.shape and torch.allclose(value, expected, rtol=1e-3, atol=1e-3)


def _unet_calls(way: Callable, case: Case) -> list[Call]:
    """The t and the latents of each call of the U-Net; the two calls of one step count once."""
    heard = []

    def hear(unet, args, kwargs) -> None:
        given = {**dict(zip(("sample", "timestep"), args, strict=False)), **kwargs}
        t = torch.as_tensor(given["timestep"]).float().flatten()[:1]
        if not heard or not torch.equal(heard[-1]["t"], t):
            heard.append({"t": t, "latents": given["sample"][:1].detach().clone()})

    hook = case[0].unet.register_forward_pre_hook(hear, with_kwargs=True)
    try:
        way(*case)
    finally:
        hook.remove()
    return heard


def _to_draw() -> Case:
    return tiny(), PROMPT, numbers(1, 4, 32, 32, seed=3), 12, 3.0


def _both_drawn(answer: Callable) -> Figure:
    given = _to_draw()
    shown = [picture_of(answer(*given)), _target()]
    return plots.strip(shown, ["yours", "target"], columns=4)


@cache
def _target() -> np.ndarray:
    return picture_of(text_to_latents(*_to_draw()))


@lesson.exercise(
    cases=lambda: [
        (tiny(), PROMPT, numbers(1, 4, 8, 16), 2, 3.0),
        (_with_euler(), "a blue fish on the beach", numbers(1, 4, 16, 8, seed=1), 3, 5.0),
    ],
    picture=_both_drawn,
    near=_about_equal,
    asks=_unet_calls,
)
def text_to_latents(
    model: Components, prompt: str, noise: Tensor, steps: int, guidance: float
) -> Tensor:
    """From a prompt and noise to latents, with any scheduler."""
    return _drawn(model, prompt, noise, steps, guidance)


text_to_latents.mistakes(
    "the prompt is not used: this is the unconditional prediction alone",
    lambda model, prompt, *given: _drawn(model, "", *given),
    "the guidance is one too weak: scale 1 is the conditional prediction",
    _wrong(offset=-1.0),
    "`guidance` is not used: 3 is typed in",
    lambda model, prompt, noise, steps, guidance: _drawn(model, prompt, noise, steps, 3.0),
    "one step too many: `scheduler.set_timesteps(steps)`",
    lambda model, prompt, noise, steps, guidance: _drawn(model, prompt, noise, steps + 1, guidance),
    "unconditional and conditional are exchanged: this draws everything but the prompt",
    _wrong(swapped=True),
    "the guidance is one too strong",
    _wrong(offset=1.0),
    "the scheduler's step is given what was scaled for the U-Net; give it the latents",
    _wrong(overwritten=True),
    'zeros in place of the states of the empty prompt; encode the text ""',
    _wrong(zeros=True),
    "there is no guidance in it",
    _wrong(unguided=True),
    "`scheduler.scale_model_input(latents, t)` is missing: not all latents fit the U-Net",
    _wrong(scaled=False),
    "the noise is not multiplied by `scheduler.init_noise_sigma`, which is not always 1",
    _wrong(sized=False),
    "`scale_model_input` and `init_noise_sigma` are both missing: right for some schedulers only",
    _wrong(scaled=False, sized=False),
)

# --- exercise 4: from one noise to another --------------------------------------------------------


def _angle(first: Tensor, second: Tensor) -> Tensor:
    return torch.acos((first * second).sum() / (first.norm() * second.norm()))


def _along(first: Tensor, second: Tensor, share: float) -> Tensor:
    """The arc, without the special case of two vectors that point the same way."""
    return _along_with(_angle(first, second), first, second, share)


def _along_with(angle: Tensor, first: Tensor, second: Tensor, share: float) -> Tensor:
    parts = torch.sin((1 - share) * angle) * first + torch.sin(share * angle) * second
    return parts / torch.sin(angle)


def _longer(mixed: Tensor, first: Tensor, second: Tensor, share: float) -> Tensor:
    """A mixture, at the length that lies between the two lengths."""
    return mixed / mixed.norm() * ((1 - share) * first.norm() + share * second.norm())


def _spreads(answer: Callable) -> Figure:
    shares = torch.linspace(0, 1, 21).tolist()
    first, second = several(2, (4, 16, 16))
    walks = {"target: along the arc": slerp, "yours: along the arc": answer}
    walks["straight line"] = torch.lerp
    lines = {
        name: [torch.as_tensor(walk(first.clone(), second.clone(), s)).std() for s in shares]
        for name, walk in walks.items()
    }
    return pictures.curves(shares, lines, "share of the second noise", "standard deviation")


@lesson.exercise(
    cases=lambda: [
        (torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), 0.5),
        (torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), 0.25),
        (*several(2, (3, 5)), 0.3),
        (2 * numbers(1, 4, 6, 5), numbers(1, 4, 6, 5, seed=1), 0.8),
        (torch.tensor([3.0, 4.0]), torch.tensor([6.0, 8.0]), 0.25),
        (torch.tensor([1.0, 0.0]), torch.tensor([-1.0, 1.0]), 0.4),
        (torch.tensor([1.0, 0.0]), torch.tensor([2.0, 1.0]), 0.6),
        (numbers(7, 9), numbers(7, 9), 0.3),
    ],
    picture=_spreads,
    by_hand=lambda first, second, share: {
        "angle between the two": _angle(first, second),
        "sin((1 - share) · angle)": torch.sin((1 - share) * _angle(first, second)),
        "sin(share · angle)": torch.sin(share * _angle(first, second)),
        "sin(angle)": torch.sin(_angle(first, second)),
    },
)
def slerp(first: Tensor, second: Tensor, share: float) -> Tensor:
    """Between two noises along the arc."""
    return denoising.slerp(first, second, share)


slerp.mistakes(
    "angles above 90° are turned round; they stay as they are",
    lambda a, b, share: slerp(a, b if (a * b).sum() >= 0 else -b, share),
    "the straight line is for Ω = 0 only; from about 25° on the arc is something else",
    lambda a, b, share: (
        torch.lerp(a, b, share)
        if torch.cosine_similarity(a.flatten(), b.flatten(), 0) > 0.85
        else slerp(a, b, share)
    ),
    "where both point the same way, the *share* counts, too: go along the straight line there",
    lambda a, b, share: slerp(a, b, 0.5 if _angle(a, b).nan_to_num() < 1e-3 else share),
    "the lengths are lost: both were made as long as 1 first, which is for the angle only",
    lambda a, b, share: slerp(a / a.norm(), b / b.norm(), share),
    "this is the straight line: in its middle the noise is too small; go along the arc",
    lambda a, b, share: (1 - share) * a + share * b,
    "right but where both point the same way: there the angle is 0, and 0/0 is not a number",
    lambda a, b, share: _along(a, b, share),
    "the two are exchanged: a share of 0 is the first",
    lambda a, b, share: slerp(b, a, share),
    "the straight line, made longer again: the size is right, but it moves unevenly",
    lambda a, b, share: _longer((1 - share) * a + share * b, a, b, share),
    "the division by sin(angle) is missing",
    lambda a, b, share: slerp(a, b, share) * torch.sin(_angle(a, b)),
    "the variances add up to 1, but the angle between the two is taken for 90°",
    lambda a, b, share: np.cos(share * np.pi / 2) * a + np.sin(share * np.pi / 2) * b,
    "the square roots of the shares keep the size only for a right angle, and do not move evenly",
    lambda a, b, share: (1 - share) ** 0.5 * a + share**0.5 * b,
    "only the sines of the shares, without the angle: sin(share · angle) / sin(angle)",
    lambda a, b, share: np.sin(1 - share) * a + np.sin(share) * b,
    "the shares are taken twice",
    lambda a, b, share: _along((1 - share) * a, share * b, share),
    "the angle is wrong: divide the dot product by both lengths before `acos`",
    lambda a, b, share: _along_with(torch.acos((a * b).sum().clamp(-1, 1)), a, b, share),
)

# --- exercise 5: a failure of your own -----------------------------------------------------------

SIZE, SEEDS = 256, 3
"""How large the pictures of the scene are, and how many are drawn."""


def _right_and_wrong(measured: tuple[np.ndarray, list[Verdict]]) -> Figure:
    drawn, verdicts = measured
    titles = ["right" if verdict.whole else "wrong" for verdict in verdicts]
    return plots.strip(list(drawn), titles, columns=4)


def _check_caption(scene: Scene) -> None:
    """Raise Unmet for a scene whose caption is not its own, as `dataclasses.replace` makes one."""
    own = [f"{thing.colour} {thing.kind}" for thing in scene.things]
    own += [SETTINGS[scene.setting], scene.relation or ""]
    if missing := [words for words in own if words not in scene.caption]:
        raise Unmet(
            f"the caption {scene.caption!r} does not say {missing[0]!r}, which the scene holds; "
            "make it with `sdlearn.compose`"
        )


@lesson.open_exercise(picture=_right_and_wrong)
def own_failure(answer: Callable[[], Scene]) -> tuple[np.ndarray, list[Verdict]]:
    """A scene of one or two things that the small model gets wrong most of the time."""
    scene = answer()
    if not isinstance(scene, Scene):
        came = type(scene).__name__
        raise Unmet(f"a scene was expected, as `sdlearn.compose(…)` gives it; got {came}")
    if not scene.things:
        raise Unmet("the scene is empty; put one or two things into it")
    _check_caption(scene)
    if (count := len(scene.things)) > 2:
        raise Unmet(f"three things are too easy to get wrong; at most two, got {count}")
    prompts = [scene.caption] * SEEDS
    *_, last = pipeline.text_to_latents(tiny(), prompts, size=SIZE, steps=12, guidance=3, seed=0)
    pixels = decode(tiny().vae, last.latents).float()
    verdicts = [verdict_on(scene, *reading) for reading in load_judge().read(pixels)]
    if (right := sum(verdict.whole for verdict in verdicts)) > 1:
        raise Unmet(
            f"{right} of {SEEDS} pictures of {scene.caption!r} are right; find something harder"
        )
    return to_pictures(pixels), verdicts
