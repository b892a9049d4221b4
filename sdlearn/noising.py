"""Forward noising: from a picture, or its latents, to noise; one step at a time or all at once.

t counts from 0, the first and smallest step, to T - 1. After step t, a share ᾱ_t of the variance
still comes from the picture, and 1 - ᾱ_t is noise. Nothing here is learned: it is arithmetic on
tensors of any shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral

import torch
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from jaxtyping import Float, Int
from torch import Tensor

from sdlearn._support.arguments import number, single, whole_number
from sdlearn._support.checked import checked

SCHEDULES = ("linear", "scaled_linear", "cosine")
Time = int | Int[Tensor, ""] | Int[Tensor, "n"] | Sequence[int]


@checked
@dataclass(frozen=True)
class Schedule:
    """How much noise each step adds: β for every step, and what follows from it."""

    betas: Float[Tensor, "T"]

    @classmethod
    @checked
    def named(
        cls, name: str, steps: int = 1000, start: float = 0.00085, end: float = 0.012
    ) -> Schedule:
        """A schedule by its name. `start` and `end` are Stable Diffusion's; cosine ignores them.

        - linear: Ho et al. 2020, Section 4.
        - scaled_linear: linear in √β, as in Stable Diffusion's configuration.
        - cosine: Nichol and Dhariwal 2021, Eq. 17.
        """
        whole_number("steps", steps, 1, 100_000)
        start = number("start", start, 0, 1)
        end = number("end", end, start, 1)
        if name == "linear":
            return cls(torch.linspace(start, end, steps, dtype=torch.float32))
        if name == "scaled_linear":
            return cls(torch.linspace(start**0.5, end**0.5, steps, dtype=torch.float32) ** 2)
        if name == "cosine":
            # ᾱ(t) = cos²((t/T + s) / (1 + s) · π/2), and β_t = 1 - ᾱ_t / ᾱ_{t-1}
            share = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
            alpha_bars = torch.cos((share + 0.008) / 1.008 * torch.pi / 2) ** 2
            return cls((1 - alpha_bars[1:] / alpha_bars[:-1]).clamp(max=0.999).float())
        raise ValueError(f"name: one of {', '.join(SCHEDULES)}, got {name!r}")

    @classmethod
    @checked
    def of(cls, scheduler: SchedulerMixin) -> Schedule:
        """The schedule that a diffusers scheduler uses."""
        return cls(scheduler.betas)

    @cached_property
    def alphas(self) -> Float[Tensor, "T"]:
        """α = 1 - β: the share of the variance that one step keeps."""
        return 1 - self.betas

    @cached_property
    def alpha_bars(self) -> Float[Tensor, "T"]:
        """ᾱ: the share of the variance that all steps up to t keep."""
        return self.alphas.cumprod(dim=0)

    @cached_property
    def sqrt_alpha_bars(self) -> Float[Tensor, "T"]:
        """√ᾱ: what the picture is multiplied by."""
        return self.alpha_bars.sqrt()

    @cached_property
    def sqrt_one_minus_alpha_bars(self) -> Float[Tensor, "T"]:
        """√(1 - ᾱ): what the noise is multiplied by."""
        return (1 - self.alpha_bars).sqrt()

    @cached_property
    def snr(self) -> Float[Tensor, "T"]:
        """Signal-to-noise ratio ᾱ / (1 - ᾱ)."""
        return self.alpha_bars / (1 - self.alpha_bars)

    def __len__(self) -> int:
        return len(self.betas)

    def __repr__(self) -> str:
        first, last = self.betas[0], self.betas[-1]
        ends = f"β {first:.5f} to {last:.5f}, last ᾱ {self.alpha_bars[-1]:.5f}"
        return f"Schedule of {len(self)} steps, {ends}"

    def at(self, values: Float[Tensor, "T"], t: Time, like: Tensor) -> Tensor:
        """The values at t, shaped to multiply `like` [n, ...]: one t for all n, or one for each.

        Raises:
            TypeError: t is not a whole number.
            ValueError: t is outside [0, T), or is neither a single t nor n of them.
        """
        if isinstance(single(t), Integral):
            whole_number("t", t, 0, len(self) - 1)
        steps = torch.as_tensor(t)
        if steps.is_floating_point() or steps.dtype == torch.bool:
            raise TypeError(f"t: a whole number from 0 to {len(self) - 1}, got {t!r}")
        if steps.numel() == 0 or steps.min() < 0 or steps.max() >= len(self):
            raise ValueError(f"t: a whole number from 0 to {len(self) - 1}, got {t!r}")
        if steps.ndim > 1 or (steps.ndim == 1 and len(steps) != len(like)):
            raise ValueError(
                f"t: one number, or one for each of the {len(like)}, got shape {tuple(steps.shape)}"
            )
        picked = values[steps.to(values.device)].to(device=like.device, dtype=like.dtype)
        return picked.reshape(-1, *[1] * (like.ndim - 1)) if steps.ndim else picked  # [n, 1, 1, …]

    def rates(self, t: Time, like: Tensor) -> tuple[Tensor, Tensor]:
        """√ᾱ_t and √(1 - ᾱ_t), the factors of picture and noise, shaped as in `at`."""
        return (
            self.at(self.sqrt_alpha_bars, t, like),
            self.at(self.sqrt_one_minus_alpha_bars, t, like),
        )


@checked
def add_noise(
    schedule: Schedule, clean: Float[Tensor, "n *rest"], t: Time, noise: Float[Tensor, "n *rest"]
) -> Float[Tensor, "n *rest"]:
    """Take all steps up to t at once (Ho et al. 2020, Eq. 4)."""
    signal, sigma = schedule.rates(t, clean)
    # x_t = √ᾱ_t x_0 + √(1 - ᾱ_t) ε
    return signal * clean + sigma * noise


@checked
def posterior(
    schedule: Schedule, noisy: Float[Tensor, "n *rest"], clean: Float[Tensor, "n *rest"], t: Time
) -> tuple[Float[Tensor, "n *rest"], Tensor]:
    """Mean and variance of q(x_{t-1} | x_t, x_0), for t ≥ 1 (Ho et al. 2020, Eq. 6 and 7)."""
    schedule.at(schedule.betas, t, clean)  # only to check t
    if torch.as_tensor(t).min() < 1:
        raise ValueError(f"t: 1 or more, because step 0 has no step before it, got {t!r}")
    # ᾱ_{t-1}; before step 0 there is no noise, so ᾱ is 1
    before = torch.cat([schedule.alpha_bars.new_ones(1), schedule.alpha_bars[:-1]])
    variance = 1 - schedule.alpha_bars
    _divisor(schedule.at(variance, t, clean), "noise", t)
    # μ̃ = √ᾱ_{t-1} β_t / (1 - ᾱ_t) x_0 + √α_t (1 - ᾱ_{t-1}) / (1 - ᾱ_t) x_t
    of_clean = schedule.at(before.sqrt() * schedule.betas / variance, t, clean)
    of_noisy = schedule.at(schedule.alphas.sqrt() * (1 - before) / variance, t, noisy)
    # β̃ = (1 - ᾱ_{t-1}) / (1 - ᾱ_t) β_t
    spread = schedule.at((1 - before) / variance * schedule.betas, t, noisy)
    return of_clean * clean + of_noisy * noisy, spread


@checked
def clean_from_noise(
    schedule: Schedule, noisy: Float[Tensor, "n *rest"], t: Time, noise: Float[Tensor, "n *rest"]
) -> Float[Tensor, "n *rest"]:
    """x̂₀ from x_t and its noise: the closed form solved for x_0 (Ho et al. 2020, Eq. 15)."""
    signal, sigma = schedule.rates(t, noisy)
    # x̂₀ = (x_t - √(1 - ᾱ_t) ε) / √ᾱ_t
    return (noisy - sigma * noise) / _divisor(signal, "picture", t)


@checked
def velocity(
    schedule: Schedule, clean: Float[Tensor, "n *rest"], t: Time, noise: Float[Tensor, "n *rest"]
) -> Float[Tensor, "n *rest"]:
    """v, which some models predict instead of the noise (Salimans and Ho 2022, Appendix D)."""
    signal, sigma = schedule.rates(t, clean)
    # v = √ᾱ_t ε - √(1 - ᾱ_t) x_0
    return signal * noise - sigma * clean


def _divisor(share: Tensor, what: str, t: Time) -> Tensor:
    if not share.all():
        raise ValueError(f"t: with this schedule there is no {what} at all in x_t, got {t!r}")
    return share
