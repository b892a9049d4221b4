"""Denoising: from noise to a picture's latents, a step at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from inspect import signature

import torch
from diffusers import UNet2DConditionModel
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from jaxtyping import Float, Real
from torch import Tensor

from sdlearn._support.arguments import check_finite, number, whole_number
from sdlearn._support.checked import checked
from sdlearn._support.reading import check_scheduler
from sdlearn.noising import Schedule

SAME_DIRECTION = 0.9999
"""Above this cosine, two vectors count as one direction: the arc between them is straight."""

Predict = Callable[[Tensor, int], Tensor]
"""The noise in latents [n, c, h, w] at a timestep."""


@dataclass(frozen=True, repr=False)
class Step:
    """One step of denoising: tensors [n, c, h, w]. Without guidance, `unconditional` is None."""

    index: int
    count: int
    t: int
    latents: Tensor
    """After the step."""
    unconditional: Tensor | None
    conditional: Tensor
    noise: Tensor
    """The guided noise. This and the two above are noise even if the U-Net predicts v or x̂₀."""
    clean: Tensor
    """x̂₀: the clean latents if the prediction were exact, as the scheduler computes them."""

    def __repr__(self) -> str:
        shape = "×".join(map(str, self.latents.shape))
        return f"Step {self.index + 1} of {self.count}: t={self.t}, latents {shape}"


@checked
def check_denoising(
    scheduler: SchedulerMixin, steps: int, guidance: float, strength: float = 1.0
) -> None:
    """Raise TypeError or ValueError, naming the argument, if these numbers cannot be used."""
    whole_number("steps", steps, 1, scheduler.config.num_train_timesteps)
    number("guidance", guidance, 0, 100)
    number("strength", strength, 0, 1)
    if int(strength * steps) < 1:
        raise ValueError(
            f"strength: no step of {steps} is left; strength · steps must be at least 1, got "
            f"{strength}"
        )


def seeded(seed: int) -> torch.Generator:
    """A generator on the CPU, so that a seed gives the same numbers on every device."""
    return torch.Generator().manual_seed(whole_number("seed", seed, 0, 2**63 - 1))


@checked
def draw_noise(shape: tuple[int, ...], seed: int | torch.Generator, like: Tensor) -> Tensor:
    """Standard normal noise from a seed, or the next from a generator, moved to `like`'s device.

    It is drawn in float32 on the generator's own device, so that a seed means the same everywhere.
    """
    shape = tuple(whole_number("shape", side, 1, 2**31) for side in shape)
    generator = seed if isinstance(seed, torch.Generator) else seeded(seed)
    drawn = torch.randn(shape, generator=generator, device=generator.device, dtype=torch.float32)
    return drawn.to(like)


@checked
def slerp(
    first: Float[Tensor, "*shape"], second: Float[Tensor, "*shape"], share: float
) -> Float[Tensor, "*shape"]:
    """Interpolate between two noises along an arc, so that the result has the size of noise.

    Each noise is treated as one long vector. Share 0 gives the first noise, 1 the second (Shoemake
    1985).
    """
    number("share", share, 0, 1)
    dtype = first.dtype
    first, second = first.float(), second.float()  # half precision cannot hold the sums
    lengths = first.norm() * second.norm()
    cosine = (first * second).sum() / lengths
    if lengths == 0 or cosine < -SAME_DIRECTION:
        raise ValueError("second: no arc leads there: it is opposite to the first, or one is zero")
    if cosine > SAME_DIRECTION:
        return torch.lerp(first, second, share).to(dtype)
    angle = torch.acos(cosine)
    # (sin((1 - s) φ) a + sin(s φ) b) / sin φ
    first_part, second_part = torch.sin((1 - share) * angle), torch.sin(share * angle)
    return ((first_part * first + second_part * second) / torch.sin(angle)).to(dtype)


@checked
def guided(
    unconditional: Float[Tensor, "*shape"],
    conditional: Float[Tensor, "*shape"],
    guidance: float | Float[Tensor, "..."],
) -> Float[Tensor, "*shape"]:
    """Classifier-free guidance (Ho and Salimans 2022, Eq. 6, with w = guidance - 1).

    At 1 this is the conditional prediction; above 1 it moves further away from the unconditional
    prediction.
    """
    _check_factor("guidance", guidance, unconditional)
    # ε̂ = ε_u + s (ε_c - ε_u), where s is the guidance
    return unconditional + guidance * (conditional - unconditional)


def _check_factor(name: str, factor: float | Tensor, like: Tensor) -> None:
    """Raise ValueError unless the factor is a number, or a tensor that broadcasts to `like`."""
    if not isinstance(factor, Tensor):
        return
    sides = (1,) * (like.ndim - factor.ndim) + tuple(factor.shape)
    if factor.ndim > like.ndim or any(
        side not in (1, whole) for side, whole in zip(sides, like.shape, strict=True)
    ):
        raise ValueError(
            f"{name}: a number, or a tensor that multiplies {list(like.shape)}, got one of shape "
            f"{list(factor.shape)}"
        )


@checked
def ddim_step(
    noisy: Float[Tensor, "*shape"],
    predicted: Float[Tensor, "*shape"],
    alpha_bar: float | Float[Tensor, "..."],
    alpha_bar_next: float | Float[Tensor, "..."],
) -> Float[Tensor, "*shape"]:
    """One step of DDIM without fresh noise, from one ᾱ to another (Song et al. 2021, Eq. 12)."""
    _check_factor("alpha_bar", alpha_bar, noisy)
    _check_factor("alpha_bar_next", alpha_bar_next, noisy)
    # x̂₀ = (x_t - √(1 - ᾱ) ε̂) / √ᾱ
    clean = (noisy - (1 - alpha_bar) ** 0.5 * predicted) / alpha_bar**0.5
    # x′ = √ᾱ′ x̂₀ + √(1 - ᾱ′) ε̂
    return alpha_bar_next**0.5 * clean + (1 - alpha_bar_next) ** 0.5 * predicted


@checked
def ddim(
    predict: Predict,
    schedule: Schedule,
    noisy: Float[Tensor, "*shape"],
    timesteps: Sequence[int],
) -> Float[Tensor, "*shape"]:
    """Follow DDIM down the timesteps, from noisy latents at the first timestep to clean latents.

    predict: returns the noise in latents [n, c, h, w] at t; `sdlearn.pipeline.predictor` makes one.
    """
    alpha_bars = [*_alpha_bars(schedule, timesteps), 1.0]  # 1: no noise after the last step
    for t, alpha_bar, following in zip(timesteps, alpha_bars, alpha_bars[1:], strict=False):
        noisy = ddim_step(noisy, predict(noisy, t), alpha_bar, following)
    return noisy


@checked
def ddim_inversion(
    predict: Predict,
    schedule: Schedule,
    clean: Float[Tensor, "*shape"],
    timesteps: Sequence[int],
) -> Float[Tensor, "*shape"]:
    """Follow DDIM up the timesteps, from clean latents to the noise that they come from.

    The latents at the next timestep are not known yet. We predict their noise from the current
    latents, as if little changed in between (Song et al. 2021, Section 5.4).
    """
    alpha_bars = [1.0, *_alpha_bars(schedule, timesteps)]
    for t, alpha_bar, following in zip(timesteps, alpha_bars, alpha_bars[1:], strict=False):
        clean = ddim_step(clean, predict(clean, t), alpha_bar, following)
    return clean


def _alpha_bars(schedule: Schedule, timesteps: Sequence[int]) -> list[float]:
    last = len(schedule) - 1
    chosen = [whole_number("timesteps", t, 0, last) for t in timesteps]
    return schedule.alpha_bars[chosen].tolist()


@checked
def denoise(
    unet: UNet2DConditionModel,
    scheduler: SchedulerMixin,
    noise: Float[Tensor, "n c h w"],
    states: Float[Tensor, "n positions width"],
    negative_states: Float[Tensor, "n positions width"],
    steps: int,
    guidance: float,
    start: Float[Tensor, "n c h w"] | None = None,
    strength: float = 1.0,
    mask: Float[Tensor, "#n 1 h w"] | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[Step]:
    """Yield every step from noise to latents; with `start`, from a picture's noised latents.

    With guidance the U-Net runs on a batch twice as large (`guided` needs both predictions); at
    guidance 1 this is not necessary.

    Args:
        states: the prompts' states, from `sdlearn.text.encode_text`.
        negative_states: the states of what to steer away from: the empty text, or a negative
            prompt.
        start: scaled latents of a picture.
        strength: the part of the steps that is run from `start` (Meng et al. 2022); 1 is all steps.
        mask: 1 where to draw; elsewhere `start` is put back after every step.
        generator: for the noise that some schedulers add in every step.

    Raises:
        TypeError, ValueError: naming the argument, before the U-Net runs.
    """
    check_denoising(scheduler, steps, guidance, strength)
    if mask is not None and start is None:
        raise ValueError("mask: needs a start, the picture that is kept where nothing is drawn")
    tensors = {"noise": noise, "states": states, "negative_states": negative_states}
    _check_tensors(unet, {**tensors, "start": start, "mask": mask})
    if mask is not None and scheduler.config.get("skip_prk_steps") is False:
        # as diffusers' inpainting does: Runge-Kutta steps would have to apply the mask within one
        scheduler = type(scheduler).from_config(scheduler.config, skip_prk_steps=True)
    scheduler, timesteps = ladder(
        scheduler, steps, strength if start is not None else 1.0, noise.device
    )
    kind, extras = scheduler.config.prediction_type, _step_extras(scheduler, generator)
    latents = noise * scheduler.init_noise_sigma
    # inpainting at strength 1 starts from pure noise, with nothing of `start` where we draw
    if start is not None and not (mask is not None and strength == 1):
        latents = scheduler.add_noise(start, noise, timesteps[:1])
    for index, t in enumerate(timesteps):
        seen = scheduler.scale_model_input(latents, t)
        rates = _rates(scheduler, t, like=latents)
        unconditional, conditional = _predict(unet, seen, t, states, negative_states, guidance)
        predicted = conditional
        if unconditional is not None:
            predicted = guided(unconditional, conditional, guidance)
        stepped = scheduler.step(predicted, t, latents, **extras)
        clean = _clean(scheduler, stepped, seen, rates, predicted)
        latents = stepped.prev_sample
        _check_step(scheduler, t, predicted, latents)
        if mask is not None:
            # the known part is noised to the timestep that the latents have just reached
            following = timesteps[index + 1 : index + 2]
            known = scheduler.add_noise(start, noise, following) if len(following) else start
            latents = mask * latents + (1 - mask) * known
        noises = (
            None if said is None else noise_from(kind, seen, *rates, said)
            for said in (unconditional, conditional, predicted)
        )
        yield Step(index, len(timesteps), int(t), latents, *noises, clean)


@checked
def ladder(
    scheduler: SchedulerMixin, steps: int, strength: float = 1.0, device: torch.device | str = "cpu"
) -> tuple[SchedulerMixin, Real[Tensor, "count"]]:
    """A new scheduler of the same class, and its timesteps: below strength 1, only the last."""
    check_scheduler(scheduler)
    check_denoising(scheduler, steps, 1.0, strength)
    fresh = type(scheduler).from_config(scheduler.config)
    try:
        fresh.set_timesteps(steps, device=device)
    except (ValueError, IndexError, AssertionError, RuntimeError) as error:
        raise ValueError(
            f"steps: {type(scheduler).__name__} cannot take {steps} with its settings: {error}"
        ) from error
    last = fresh.config.num_train_timesteps - 1
    if fresh.timesteps.max() > last:
        raise ValueError(
            f"steps: {steps} are too many for this scheduler, whose ladder would go beyond t = "
            f"{last}"
        )
    # a scheduler of second order lists two timesteps for each step
    skipped = (steps - int(strength * steps)) * fresh.order
    if skipped and hasattr(fresh, "set_begin_index"):
        fresh.set_begin_index(skipped)
    return fresh, fresh.timesteps[skipped:]


@torch.no_grad()
def _predict(unet, seen, t, states, negative_states, guidance) -> tuple[Tensor | None, Tensor]:
    """The unconditional and the conditional prediction, in this order, from one doubled batch."""
    if guidance == 1:
        return None, unet(seen, t, states).sample
    both = unet(torch.cat([seen, seen]), t, torch.cat([negative_states, states])).sample
    return tuple(both.chunk(2))


def _check_tensors(unet: UNet2DConditionModel, given: dict[str, Tensor | None]) -> None:
    """Raise ValueError unless all are finite and fit the U-Net's channels, width, device and dtype.

    The annotations check that their sizes agree.
    """
    given = {name: tensor for name, tensor in given.items() if tensor is not None}
    channels, width = unet.config.in_channels, unet.config.cross_attention_dim
    if given["noise"].shape[1] != channels:
        raise ValueError(f"noise: shape [n, {channels}, h, w], got {tuple(given['noise'].shape)}")
    if given["states"].shape[2] != width:
        raise ValueError(
            f"states: shape [n, positions, {width}], got {tuple(given['states'].shape)}"
        )
    for name, tensor in given.items():
        if tensor.device != unet.device or tensor.dtype != unet.dtype:
            raise ValueError(
                f"{name}: {unet.dtype} on {unet.device} like the U-Net, got {tensor.dtype} on "
                f"{tensor.device}"
            )
        if not tensor.isfinite().all():
            raise ValueError(f"{name}: finite numbers, got NaN or infinity")
    if "mask" in given and (given["mask"].min() < 0 or given["mask"].max() > 1):
        raise ValueError("mask: numbers from 0 to 1, got others")


@checked
def noise_from(
    kind: str, noisy: Tensor, signal: Tensor, sigma: Tensor, predicted: Tensor
) -> Tensor:
    """The noise in x_t = `signal` · x_0 + `sigma` · ε, from what a U-Net predicts.

    Args:
        kind: "epsilon", the noise itself; "v_prediction", v; or "sample", x̂₀.
    """
    if kind == "v_prediction":
        # ε = √ᾱ v + √(1 - ᾱ) x_t (Salimans and Ho 2022, Appendix D)
        return signal * predicted + sigma * noisy
    if kind == "sample":
        return (noisy - signal * predicted) / sigma
    return predicted


def _rates(scheduler: SchedulerMixin, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """The factors of picture and noise in the U-Net's input at this step, as the scheduler mixes.

    Some schedulers choose levels of noise between those of the schedule.
    """
    one = torch.ones(1, 1, 1, 1, device=like.device, dtype=torch.float32)
    signal = scheduler.scale_model_input(one, t)
    sigma = (1 - signal**2).sqrt()
    if signal == 1:  # a scheduler that keeps the variance at 1, so it has nothing to scale
        signal = scheduler.add_noise(one, 0 * one, t[None])
        sigma = scheduler.add_noise(0 * one, one, t[None])
    return signal.to(like), sigma.to(like)


def _check_step(scheduler: SchedulerMixin, t: Tensor, predicted: Tensor, latents: Tensor) -> None:
    check_finite("unet", predicted)
    if not latents.isfinite().all():
        raise FloatingPointError(
            f"scheduler: {type(scheduler).__name__} gave NaN or infinity at t={int(t)}; its "
            "settings do not fit this model"
        )


def _step_extras(scheduler: SchedulerMixin, generator: torch.Generator | None) -> dict:
    """What diffusers' pipelines pass to a scheduler's step: eta, its share of fresh noise, is 0."""
    known = signature(scheduler.step).parameters
    given = {"generator": generator, "eta": 0.0}
    return {name: value for name, value in given.items() if name in known}


def _clean(
    scheduler: SchedulerMixin,
    stepped,
    seen: Tensor,
    rates: tuple[Tensor, Tensor],
    predicted: Tensor,
) -> Tensor:
    """x̂₀ as the scheduler has just computed it, with its thresholding; else from the formula."""
    told = getattr(stepped, "pred_original_sample", None)
    if told is not None:
        return told.to(seen)
    config, (signal, sigma) = scheduler.config, rates
    outputs = getattr(scheduler, "model_outputs", None)
    # multistep solvers remember x̂₀, or the noise, of their last steps
    if outputs and (config.get("predict_x0") or "++" in config.get("algorithm_type", "")):
        return outputs[-1]
    noise = outputs[-1] if outputs else noise_from(config.prediction_type, seen, *rates, predicted)
    return (seen - sigma * noise) / signal
