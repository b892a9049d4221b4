"""What made pictures are worth beside real ones: are they like them, are all sorts there, are they
sharp?
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

NEIGHBOUR = 3
"""The radius of a point's neighbourhood is the distance to its third nearest neighbour, as in the
paper.
"""
EDGES = 0.98


def fidelity(real: Float[Tensor, "n d"], made: Float[Tensor, "m d"]) -> float:
    """The share of made pictures that lie among the real ones ("precision").

    Both are vectors of pictures. Kynkäänniemi et al. 2019, *Improved Precision and Recall Metric
    for Assessing Generative Models*, Eq. 1 and 2.
    """
    return _share_within(made, real)


def diversity(real: Float[Tensor, "n d"], made: Float[Tensor, "m d"]) -> float:
    """The share of real pictures that lie among the made ones ("recall"): what is missing counts.
    Same source.
    """
    return _share_within(real, made)


def sharpness(pixels: Float[Tensor, "n 3 h w"]) -> float:
    """How strong a picture's strongest edges are: of all steps in brightness from one pixel to the
    next, the one that 98 % do not exceed; the mean over the pictures. A blur makes it small, and a
    faint grain everywhere does not make it large, as it would a mean over all steps.
    """
    light = pixels.mean(dim=1)
    steps = torch.cat([light.diff(dim=dim).abs().flatten(1) for dim in (1, 2)], dim=1)
    return steps.quantile(EDGES, dim=1).mean().item()


def _share_within(points: Float[Tensor, "n d"], others: Float[Tensor, "m d"]) -> float:
    """How many points lie nearer to one of the others than that one's neighbour number
    NEIGHBOUR.
    """
    if len(others) <= NEIGHBOUR:
        raise ValueError(
            f"at least {NEIGHBOUR + 1} pictures on each side are needed, got {len(others)}"
        )
    radius = (
        torch.cdist(others, others).kthvalue(NEIGHBOUR + 1, dim=1).values
    )  # the nearest is the point itself
    return (torch.cdist(points, others) <= radius).any(dim=1).float().mean().item()
