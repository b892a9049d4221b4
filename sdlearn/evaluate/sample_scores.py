"""Compare two sets of pictures: lesson 01's fidelity, diversity and sharpness."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from sdlearn._support.checked import checked

NEIGHBOUR = 3
"""A point's neighbourhood reaches to its third nearest neighbour, as in the paper."""
EDGES = 0.98


@checked
def fidelity(real: Float[Tensor, "n d"], made: Float[Tensor, "m d"]) -> float:
    """The share of made pictures that lie among the real ones ("precision").

    Both are vectors of pictures. Kynkäänniemi et al. 2019, *Improved Precision and Recall Metric
    for Assessing Generative Models*, Eq. 1 and 2.
    """
    _check_enough("real", real)
    return _share_within(made, real)


@checked
def diversity(real: Float[Tensor, "n d"], made: Float[Tensor, "m d"]) -> float:
    """The share of real pictures that lie among the made ones ("recall").

    It is low if some sorts of pictures are never made. The source is the same as for `fidelity`.
    """
    _check_enough("made", made)
    return _share_within(real, made)


@checked
def sharpness(pixels: Float[Tensor, "n 3 h w"]) -> float:
    """How strong the strongest edges of a picture are, averaged over the pictures.

    We take all steps in brightness from one pixel to the next, and of these the step that 98% do
    not exceed. A blur makes it small. A faint grain everywhere does not make it large, although it
    would raise the mean of all steps.
    """
    light = pixels.float().mean(dim=1)
    steps = torch.cat([light.diff(dim=dim).abs().flatten(1) for dim in (1, 2)], dim=1)
    return steps.quantile(EDGES, dim=1).mean().item()


def _check_enough(name: str, vectors: Float[Tensor, "n d"]) -> None:
    if len(vectors) <= NEIGHBOUR:
        raise ValueError(f"{name}: at least {NEIGHBOUR + 1} pictures, got {len(vectors)}")


def _share_within(points: Float[Tensor, "n d"], others: Float[Tensor, "m d"]) -> float:
    """The share of points that lie in the neighbourhood of at least one of the others."""
    # NEIGHBOUR + 1, because the nearest is the point itself
    points, others = points.float(), others.float()
    radius = torch.cdist(others, others).kthvalue(NEIGHBOUR + 1, dim=1).values
    return (torch.cdist(points, others) <= radius).any(dim=1).float().mean().item()
