"""Exercises of lesson 01, generated content: GAN, VAE and diffusion."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

from sdlearn import plots
from sdlearn.exercises import pictures
from sdlearn.exercises.engine import Lesson
from sdlearn.exercises.given import numbers, several
from sdlearn.exercises.results import Case
from sdlearn.picturebook.drawing import draw_array
from sdlearn.picturebook.scenes import compose

lesson = Lesson("01_generated_content")

# --- exercise 1: the critic -----------------------------------------------------------------------


def _against_score(answer: Callable) -> Figure:
    """The loss against the score of one picture, beside another that the critic gets wrong."""
    scores, wrong = torch.linspace(-4, 4, 81), torch.tensor([4.0])
    lines = {}
    for whose, loss in (("target", critic_loss), ("yours", answer)):
        lines[f"{whose}: a real page"] = [loss(s[None], -wrong) for s in scores]
        lines[f"{whose}: a forged one"] = [loss(wrong, s[None]) for s in scores]
    return pictures.curves(scores, lines, "score", "loss, beside one wrong answer")


def _learning() -> tuple[Case, Tensor]:
    weight = torch.tensor(1.0, requires_grad=True)
    return (weight * numbers(4), weight * numbers(3, seed=1)), weight


@lesson.exercise(
    cases=lambda: [
        (torch.tensor([2.0]), torch.tensor([-1.0])),
        several(2, (5,)),
        (3 * numbers(4), 3 * numbers(6, seed=1)),
        (torch.tensor([120.0, -120.0, -3.0]), torch.tensor([-120.0, 120.0, 1.0, 2.0])),
    ],
    picture=_against_score,
    learns=_learning,
    by_hand=lambda real, forged: {
        "D(x)": real.sigmoid(),
        "-log D(x)": F.softplus(-real),
        "D(G(z))": forged.sigmoid(),
        "-log(1 - D(G(z)))": F.softplus(forged),
    },
)
def critic_loss(real: Tensor, forged: Tensor) -> Tensor:
    """-log D(x) - log(1 - D(G(z))) from scores, the mean of each kind (Goodfellow et al. 2014)."""
    return F.softplus(-real).mean() + F.softplus(forged).mean()


critic_loss.mistakes(
    "for large scores the sigmoid is exactly 0 or 1, and its logarithm minus infinity; "
    "`F.logsigmoid` or `F.softplus` computes both in one go",
    lambda r, f: -r.sigmoid().log().mean() - (1 - f.sigmoid()).log().mean(),
    "real and forged are exchanged: this critic would learn to praise forgeries",
    lambda real, forged: critic_loss(forged, real),
    "only the real pages count; the critic must also say no to the forged ones",
    lambda real, forged: F.softplus(-real).mean(),
    "only the forged pages count; the critic must also say yes to the real ones",
    lambda real, forged: F.softplus(forged).mean(),
    "the sign is wrong: this is what the critic should make *large*",
    lambda real, forged: -critic_loss(real, forged),
    "log D(G(z)) is the generator's loss; the critic's has log(1 − D(G(z)))",
    lambda real, forged: F.softplus(-real).mean() + F.softplus(-forged).mean(),
    "the logarithms are missing: probabilities were added",
    lambda real, forged: (1 - real.sigmoid()).mean() + forged.sigmoid().mean(),
    "scores are no probabilities yet: put them through a sigmoid first",
    lambda real, forged: -(real.log()).mean() - (1 - forged).log().mean(),
    "the losses of the pages are summed; take the mean of each kind",
    lambda real, forged: F.softplus(-real).sum() + F.softplus(forged).sum(),
    "the mean is taken over all pages together; take the mean of each kind, and add the two",
    lambda real, forged: torch.cat([F.softplus(-real), F.softplus(forged)]).mean(),
    "the sigmoid is taken twice: `binary_cross_entropy_with_logits` takes it by itself",
    lambda real, forged: F.softplus(-real.sigmoid()).mean() + F.softplus(forged.sigmoid()).mean(),
    "the logarithm is taken after the mean; every page has a logarithm of its own",
    lambda real, forged: -real.sigmoid().mean().log() - (1 - forged.sigmoid()).mean().log(),
    "these are squared errors; this loss takes logarithms",
    lambda real, forged: (1 - real.sigmoid()).square().mean() + forged.sigmoid().square().mean(),
)

# --- exercise 2: why a VAE blurs ------------------------------------------------------------------


def _guessed(answer: Callable) -> Figure:
    """Five pages that fit the same few words equally well, and the answers for them."""
    scenes = [compose([("red", "heart")], "meadow", sizes=("big",), rng=seed) for seed in range(5)]
    pages = [draw_array(scene, 128) for scene in scenes]
    stacked = torch.stack([torch.from_numpy(page).permute(2, 0, 1).float() for page in pages])
    guesses = [
        torch.as_tensor(answer(stacked.clone(), error)).clamp(0, 255).byte().permute(1, 2, 0)
        for error in ERRORS
    ]
    titles = [*["equally likely"] * 5, *(f"yours, {error}" for error in ERRORS)]
    return plots.strip([*pages, *(guess.numpy() for guess in guesses)], titles, columns=5)


ERRORS = ("squared", "absolute")
"""Ways to measure how far a guess is from a picture."""


def _both_ways(squared: Callable, absolute: Callable) -> Callable:
    """A way to guess for each error."""
    return lambda pictures, error: (squared if error == "squared" else absolute)(pictures)


def _mean(pictures: Tensor) -> Tensor:
    return pictures.mean(dim=0)


def _median(pictures: Tensor) -> Tensor:
    return pictures.median(dim=0).values


def _nearest(pictures: Tensor) -> Tensor:
    """The picture with the least squared error to the others."""
    apart = torch.cdist(*[pictures.flatten(1)] * 2).square()
    return pictures[apart.sum(dim=1).argmin()]


def _at_first(pictures: Tensor, error: str) -> dict[str, object]:
    values, guess = pictures[:, 0, 0, 0], best_guess(pictures, error)[0, 0, 0]
    apart = (values - guess).square() if error == "squared" else (values - guess).abs()
    return {
        "the first pixel of every picture": values,
        f"least mean {error} error that a guess can have there": apart.mean(),
    }


@lesson.exercise(
    cases=lambda: [
        (torch.tensor([[[[0.0]]], [[[1.0]]], [[[4.0]]]]), "squared"),
        (torch.tensor([[[[0.0]]], [[[1.0]]], [[[4.0]]]]), "absolute"),
        (torch.tensor([0.0, 0.0, 0.0, 1.0, 4.0]).reshape(5, 1, 1, 1), "absolute"),
        (torch.tensor([0.0, 0.0, 0.0, 1.0, 4.0]).reshape(5, 1, 1, 1), "squared"),
        (numbers(5, 3, 2, 4), "squared"),
        (numbers(3, 1, 3, 2, seed=2), "absolute"),
        (numbers(7, 3, 2, 3, seed=3), "absolute"),
    ],
    picture=_guessed,
    by_hand=_at_first,
)
def best_guess(pictures: Tensor, error: str) -> Tensor:
    """The one picture with the least mean error to all of an odd number of pictures."""
    return _both_ways(_mean, _median)(pictures, error)


best_guess.mistakes(
    "the two are exchanged: try it with one pixel that is 0, 1 or 4, and some guesses",
    _both_ways(_median, _mean),
    "right for the squared error; but the mean does not have the smallest *absolute* error: for a "
    "pixel that is 0, 1 or 4 compare the guesses 1 and 5/3",
    _both_ways(_mean, _mean),
    "right for the absolute error; but the median does not have the smallest *squared* error: for "
    "a pixel that is 0, 1 or 4 compare the guesses 1 and 5/3",
    _both_ways(_median, _median),
    "this is one of the pictures; another guess is nearer to all of them",
    _both_ways(*[lambda pictures: pictures[0]] * 2),
    "this is the picture nearest to the others; a guess need not be one of them",
    _both_ways(_nearest, _nearest),
    "the pictures are summed; their values leave the range",
    _both_ways(*[lambda pictures: pictures.sum(dim=0)] * 2),
    "the mean over everything is one number; each pixel has its own",
    _both_ways(*[lambda pictures: pictures.mean()] * 2),
    "the mean was taken over the channels; take it over the pictures",
    _both_ways(*[lambda pictures: pictures.mean(dim=1)] * 2),
)

# --- exercise 3: a measure of diversity -----------------------------------------------------------


def _coverage(answer: Callable) -> Figure:
    """Made points spread over more and more of the real ones."""
    angle = torch.linspace(0, 2 * torch.pi, 41)[:-1]
    real = torch.stack([angle.cos(), angle.sin()], dim=1)
    counts = range(4, 41, 4)
    lines = {
        name: [run(real, real[:count], 0.01) for count in counts]
        for name, run in (("target", covered), ("yours", answer))
    }
    shares = [count / 40 for count in counts]
    return pictures.curves(shares, lines, "part of a circle that a family paints", "diversity")


@lesson.exercise(
    cases=lambda: [
        (torch.tensor([[0.0], [1.0], [2.0], [3.0]]), torch.tensor([[0.1], [0.2]]), 0.5),
        (torch.tensor([[0.0, 0.0], [9.0, 9.0]]), torch.tensor([[3.0, 4.0], [9.0, 8.0]]), 4.5),
        (torch.tensor([[0.0], [2.0], [9.0]]), torch.tensor([[0.5], [8.0]]), 1.0),
        (numbers(12, 3), numbers(7, 3, seed=1), 1.5),
        (numbers(5, 2), numbers(9, 2, seed=2), 0.6),
    ],
    picture=_coverage,
    by_hand=lambda real, made, radius: {
        "distances (a row for each real one)": torch.cdist(real, made),
        "covered": (torch.cdist(real, made) <= radius).any(dim=1),
    },
)
def covered(real: Tensor, made: Tensor, radius: float) -> Tensor:
    """The share of real pictures that have a made one within the radius."""
    return (torch.cdist(real, made) <= radius).any(dim=1).float().mean()


covered.mistakes(
    "this asks which *made* pictures are near a real one, which is fidelity; ask the real ones",
    lambda real, made, radius: covered(made, real, radius),
    "these are all near pairs; ask for each real picture whether *any* made one is near",
    lambda real, made, radius: (torch.cdist(real, made) <= radius).float().mean(),
    "a real picture would need *every* made one near it; one is enough",
    lambda real, made, radius: (torch.cdist(real, made) <= radius).all(dim=1).float().mean(),
    "this is the number of covered pictures; divide by how many there are",
    lambda real, made, radius: (torch.cdist(real, made) <= radius).any(dim=1).float().sum(),
    "the share of those that are missed; diversity is the share of those that are covered",
    lambda real, made, radius: 1 - covered(real, made, radius),
    "a point at just the radius counts, too: `<=`",
    lambda r, m, radius: (torch.cdist(r, m) < radius).any(dim=1).float().mean(),
    "distances are Euclidean: the root of the sum of squares, not the sum of differences",
    lambda r, m, radius: (torch.cdist(r, m, p=1) <= radius).any(dim=1).float().mean(),
    "distances are Euclidean: the root of the sum of squares, not the largest difference",
    lambda r, m, radius: (torch.cdist(r, m, p=torch.inf) <= radius).any(dim=1).float().mean(),
    "this is divided by all pairs; divide by how many real ones there are",
    lambda r, m, radius: (torch.cdist(r, m) <= radius).any(dim=1).sum() / (len(r) * len(m)),
    "divided by how many *made* ones there are; it is a share of the real ones",
    lambda r, m, radius: (torch.cdist(r, m) <= radius).any(dim=1).sum() / len(m),
    "distances must be compared with the radius, not squared distances",
    lambda r, m, radius: (torch.cdist(r, m).square() <= radius).any(dim=1).float().mean(),
)
