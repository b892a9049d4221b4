"""Exercises of lesson 01, generated content: GAN, VAE and diffusion."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

from sdlearn import plots
from sdlearn.exercises import pictures
from sdlearn.exercises.engine import Case, Lesson
from sdlearn.exercises.given import numbers, several
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
    scores = numbers(4).requires_grad_()
    return (scores, numbers(3, seed=1)), scores


@lesson.exercise(
    cases=lambda: [
        (torch.tensor([2.0]), torch.tensor([-1.0])),
        several(2, (5,)),
        (3 * numbers(4), 3 * numbers(6, seed=1)),
        (torch.tensor([120.0, -3.0]), torch.tensor([-120.0, 120.0, 1.0])),
    ],
    picture=_against_score,
    learns=_learning,
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
)

# --- exercise 2: why a VAE blurs ------------------------------------------------------------------


def _guessed(answer: Callable) -> Figure:
    """Four pages that fit the same few words equally well, and the answer for them."""
    scenes = [compose([("red", "heart")], "meadow", sizes=("big",), rng=seed) for seed in range(4)]
    pages = [draw_array(scene, 128) for scene in scenes]
    stacked = torch.stack([torch.from_numpy(page).permute(2, 0, 1).float() for page in pages])
    guess = torch.as_tensor(answer(stacked)).clamp(0, 255).byte().permute(1, 2, 0).numpy()
    return plots.strip([*pages, guess], [*["equally likely"] * 4, "your guess"], columns=5)


@lesson.exercise(
    cases=lambda: [
        (torch.tensor([[[[0.0]]], [[[1.0]]], [[[1.0]]]]),),
        (numbers(5, 3, 2, 4),),
        (numbers(4, 1, 3, 2, seed=2),),
    ],
    picture=_guessed,
)
def best_guess(pictures: Tensor) -> Tensor:
    """The one picture with the least mean squared error to all of them."""
    return pictures.mean(dim=0)


best_guess.mistakes(
    "this is the median; it makes the *absolute* errors small, and squares are asked for",
    lambda pictures: pictures.median(dim=0).values,
    "this is one of the pictures; another guess is nearer to all of them",
    lambda pictures: pictures[0],
    "this is the picture nearest to the others; a guess need not be one of them",
    lambda pictures: pictures[torch.cdist(*[pictures.flatten(1)] * 2).square().sum(dim=1).argmin()],
    "the pictures are summed; their values leave the range",
    lambda pictures: pictures.sum(dim=0),
    "the mean over everything is one number; each pixel has its own",
    lambda pictures: pictures.mean(),
    "the mean was taken over the channels; take it over the pictures",
    lambda pictures: pictures.mean(dim=1),
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
        (numbers(12, 3), numbers(7, 3, seed=1), 1.5),
        (numbers(5, 2), numbers(9, 2, seed=2), 0.6),
    ],
    picture=_coverage,
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
    "distances must be compared with the radius, not squared distances",
    lambda r, m, radius: (torch.cdist(r, m).square() <= radius).any(dim=1).float().mean(),
)
