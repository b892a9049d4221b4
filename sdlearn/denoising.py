"""Denoising: from noise to a picture's latents, a step at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from diffusers import UNet2DConditionModel
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from jaxtyping import Float
from torch import Tensor

from sdlearn.arguments import number, whole_number
from sdlearn.noising import Schedule, clean_from_noise, clean_from_velocity


@dataclass(frozen=True, repr=False)
class Step:
    """One step of denoising. Every tensor is [n, c, h, w]; `unconditional` is None without guidance."""

    index: int
    count: int
    t: int
    latents: Tensor
    """After the step."""
    unconditional: Tensor | None
    conditional: Tensor
    noise: Tensor
    """The guided prediction, which the scheduler was given."""
    clean: Tensor
    """x̂₀: the latents as they would be if the prediction were exact."""

    def __repr__(self) -> str:
        return f"Step {self.index + 1} of {self.count}: t={self.t}, latents {'×'.join(map(str, self.latents.shape))}"


def check_denoising(scheduler: SchedulerMixin, steps: int, guidance: float) -> None:
    whole_number("steps", steps, 1, scheduler.config.num_train_timesteps)
    number("guidance", guidance, 0, 100)


def draw_noise(shape: tuple[int, ...], seed: int, like: Tensor) -> Tensor:
    """Standard normal noise, the same for a seed on every device: drawn on the CPU in float32, then moved."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(like)


@torch.no_grad()
def denoise(
    unet: UNet2DConditionModel,
    scheduler: SchedulerMixin,
    noise: Float[Tensor, "n c h w"],
    states: Float[Tensor, "n places width"],
    empty_states: Float[Tensor, "n places width"],
    steps: int = 25,
    guidance: float = 7.5,
) -> Iterator[Step]:
    """Yield every step from noise to latents.

    Guidance is `eps_uncond + guidance * (eps_text - eps_uncond)` (Ho and Salimans 2022, with w = guidance - 1);
    at 1 the caption is followed as it is, and the U-Net runs once a step in place of twice.
    """
    check_denoising(scheduler, steps, guidance)
    scheduler = type(scheduler).from_config(scheduler.config)
    scheduler.set_timesteps(steps, device=noise.device)
    latents = noise * scheduler.init_noise_sigma
    for index, t in enumerate(scheduler.timesteps):
        seen = scheduler.scale_model_input(latents, t)
        if guidance == 1:
            unconditional, conditional = None, unet(seen, t, states).sample
            predicted = conditional
        else:
            both = unet(torch.cat([seen, seen]), t, torch.cat([empty_states, states])).sample
            unconditional, conditional = both.chunk(2)
            predicted = unconditional + guidance * (conditional - unconditional)
        clean = predict_clean(scheduler, seen, predicted, t)
        latents = scheduler.step(predicted, t, latents).prev_sample
        yield Step(index, len(scheduler.timesteps), int(t), latents, unconditional, conditional, predicted, clean)


def predict_clean(scheduler: SchedulerMixin, seen: Tensor, predicted: Tensor, t: Tensor) -> Tensor:
    """x̂₀ from what the U-Net saw and said, for models that predict the noise and for those that predict v."""
    undo = clean_from_velocity if scheduler.config.prediction_type == "v_prediction" else clean_from_noise
    return undo(Schedule.of(scheduler), seen, int(t), predicted)
