"""Flow matching: straight lines between picture and noise, and the walk back along them.

x_t = (1 - t) x₀ + t ε, with t from 0 (the picture) to 1 (the noise), as Stable Diffusion 3 counts.
The network predicts the direction of the line, the velocity v = ε - x₀ (Lipman et al. 2022, and Liu
et al. 2022, who both count from the noise to the picture).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from sdlearn._support.arguments import whole_number
from sdlearn._support.checked import checked
from sdlearn.noising import Schedule

Velocity = Callable[[Tensor, float], Tensor]
"""The direction from picture to noise at x and t."""


@checked
def flow(
    velocity: Velocity, noise: Float[Tensor, "*shape"], steps: int
) -> Iterator[Float[Tensor, "*shape"]]:
    """Walk from noise to a picture in equal steps against the velocity; yield start and each step.

    This is Euler's method.
    """
    whole_number("steps", steps, 1, 100_000)
    x = noise
    yield x
    for left in range(steps, 0, -1):
        x = x - velocity(x, left / steps) / steps
        yield x


def _velocity_of(x: Tensor, t: float, noise: Tensor) -> Tensor:
    return noise - (x - t * noise) / (1 - t)


@checked
def as_velocity(
    predict: Callable[[Tensor, int], Tensor],
    schedule: Schedule,
    convert: Callable[[Tensor, float, Tensor], Tensor] = _velocity_of,
) -> Velocity:
    """The velocity that a predictor of noise implies, without any training.

    Diffusion's x = √ᾱ x₀ + √(1 - ᾱ) ε, divided by the sum of its two factors, lies on the straight
    line, at t = √(1 - ᾱ) / (√ᾱ + √(1 - ᾱ)). So the predictor is asked at the timestep whose t is
    nearest, with an x that is scaled to variance 1, as in its training; and x, t and its answer,
    all at that timestep, are converted.

    convert: the velocity for x, t and the noise, where x = (1 - t) · picture + t · noise and t < 1.
    """
    signal, sigma = schedule.sqrt_alpha_bars, schedule.sqrt_one_minus_alpha_bars
    whole = signal + sigma
    times = sigma / whole

    def velocity(x: Tensor, t: float) -> Tensor:
        step = int((times - t).abs().argmin())
        scaled = x / ((1 - t) ** 2 + t**2) ** 0.5
        return convert(scaled / float(whole[step]), float(times[step]), predict(scaled, step))

    return velocity


@checked
def paths_of(
    walk: Sequence[Float[Tensor, "n *shape"]],
) -> Iterator[tuple[Float[Tensor, "steps d"], Float[Tensor, " d"], Float[Tensor, " d"]]]:
    """Of each of the n paths of a walk in equal steps: its velocities, its start and its end.

    walk: all places at the start and after each step, as `flow` yields them.
    """
    if len(walk) < 2:
        raise ValueError(f"walk: a start and at least one step, got {len(walk)} places")
    places = torch.stack(list(walk)).flatten(2)
    velocities = (places[:-1] - places[1:]) * (len(places) - 1)
    yield from zip(velocities.unbind(dim=1), places[0], places[-1], strict=True)


@checked
def from_the_side(
    path: Sequence[Float[Tensor, "*shape"]],
) -> tuple[Float[Tensor, " places"], Float[Tensor, " places"]]:
    """One path, however many dimensions it has, in two: how far along its line, and how far off it.

    The line leads from the first place to the last; both numbers are shares of its length.
    """
    if len(path) < 2:
        raise ValueError(f"path: a start and an end at least, got {len(path)} places")
    places = torch.stack(list(path)).flatten(1)
    places = places - places[0]
    length = places[-1].norm()
    if length == 0:
        raise ValueError("path: it ends where it starts, so there is no line to see it from")
    along = places @ places[-1] / length
    off = (places - along[:, None] * places[-1] / length).norm(dim=1)
    return along / length, off / length
