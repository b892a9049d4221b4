"""Diffusion in the plane, where a picture is a point and the perfect denoiser is a formula.

A finite set of points takes the place of the data. The average clean point under a noisy one is
then a weighted mean of the set, which can be computed: no network has to learn it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from sdlearn import flow as straight
from sdlearn._support.arguments import number, whole_number
from sdlearn._support.checked import checked
from sdlearn.noising import Schedule

SHAPES = ("heart", "star")


@checked
def shapes(count: int = 200) -> dict[str, Float[Tensor, "n 2"]]:
    """Points on the outline of a heart, at the top left, and of a star, at the bottom right.

    Together they have mean 0 and variance 1 along both axes.

    Args:
        count: the number of points of each shape.
    """
    whole_number("count", count, 3, 100_000)
    turn = torch.linspace(0, 2 * math.pi, count + 1)[:-1]
    heart = torch.stack(
        [
            16 * turn.sin() ** 3,
            13 * turn.cos() - 5 * (2 * turn).cos() - 2 * (3 * turn).cos() - (4 * turn).cos(),
        ],
        dim=1,
    )
    angles = torch.arange(11) * math.pi / 5
    radii = torch.tensor([16.0, 7.0]).repeat(6)[:11]
    corners = torch.stack([radii * angles.sin(), radii * angles.cos()], dim=1)
    along = torch.arange(count) * 10 / count
    corner, share = along.long(), (along % 1)[:, None]
    star = (1 - share) * corners[corner] + share * corners[corner + 1]
    both = torch.cat([heart + torch.tensor([-17.0, 9.0]), star + torch.tensor([17.0, -9.0])])
    both = (both - both.mean(dim=0)) / both.std(dim=0, correction=0)
    return dict(zip(SHAPES, both.split(count), strict=True))


@checked
def average_clean(
    points: Float[Tensor, "n 2"], noisy: Float[Tensor, "m 2"], alpha_bar: float | Float[Tensor, ""]
) -> Float[Tensor, "m 2"]:
    """E[x₀ | x_t]: the average clean point, if every point of the set is equally likely.

    A point counts more the nearer its noised mean √ᾱ x₀ is to the noisy point: its weight is the
    density at x_t of a normal distribution with mean √ᾱ x₀ and variance 1 - ᾱ.

    Args:
        alpha_bar: ᾱ of the noise step, at least 0 and less than 1.
    """
    share = number("alpha_bar", float(alpha_bar), 0, 1 - 1e-7)
    # the weights are ∝ exp(-‖x_t - √ᾱ x₀‖² / (2 (1 - ᾱ)))
    points = points.to(noisy)
    squared = torch.cdist(noisy, share**0.5 * points).square()
    return (-squared / (2 * (1 - share))).softmax(dim=1) @ points


@checked
def predicted_noise(
    points: Float[Tensor, "n 2"], noisy: Float[Tensor, "m 2"], alpha_bar: float | Float[Tensor, ""]
) -> Float[Tensor, "m 2"]:
    """What a perfect U-Net would answer: the noise that goes with `average_clean`."""
    share = float(alpha_bar)
    clean = average_clean(points, noisy, alpha_bar)
    return (noisy - share**0.5 * clean) / (1 - share) ** 0.5


@checked
def ddim(
    points: Float[Tensor, "n 2"], start: Float[Tensor, "m 2"], schedule: Schedule, steps: int
) -> Iterator[Float[Tensor, "m 2"]]:
    """Walk from noise to the set with the perfect denoiser; yield the start and every step.

    Song et al. 2020, *Denoising Diffusion Implicit Models*, Eq. 12 with σ = 0.
    """
    whole_number("steps", steps, 1, len(schedule))
    rungs = [len(schedule) * left // steps - 1 for left in range(steps, 0, -1)]
    shares = [*schedule.alpha_bars[rungs].tolist(), 1.0]
    x = start
    yield x
    for share, lower in pairwise(shares):
        clean, noise = average_clean(points, x, share), predicted_noise(points, x, share)
        x = lower**0.5 * clean + (1 - lower) ** 0.5 * noise
        yield x


@checked
def flow(
    points: Float[Tensor, "n 2"], start: Float[Tensor, "m 2"], steps: int
) -> Iterator[Float[Tensor, "m 2"]]:
    """Walk from noise to the set along the perfect velocity; yield the start and every step.

    Lipman et al. 2022, *Flow Matching for Generative Modeling*; here with noise at t = 1, so that
    x_t = (1 - t) x₀ + t ε and the velocity is E[ε - x₀ | x_t].
    """

    def velocity(x: Tensor, t: float) -> Tensor:
        # divided by its size, x_t is a step of diffusion with ᾱ = (1 - t)² / size²
        size = ((1 - t) ** 2 + t**2) ** 0.5
        clean = average_clean(points, x / size, ((1 - t) / size) ** 2)
        return (x - clean) / t  # ε - x₀, with ε = (x_t - (1 - t) x₀) / t

    return straight.flow(velocity, start, steps)
