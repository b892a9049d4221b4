"""Exercises of the lesson on generated content and the four families."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

from sdlearn import plots
from sdlearn.check import Exercise, Mistake
from sdlearn.drawing import draw_array
from sdlearn.exercises.given import numbers
from sdlearn.picturebook import compose

LESSON = "01_generated_content"

# --- the critic -----------------------------------------------------------------------------------


def critic_loss(real: Tensor, forged: Tensor) -> Tensor:
    return F.softplus(-real).mean() + F.softplus(forged).mean()


def _against_score(answer: Callable) -> Figure:
    figure = plots.new_figure(2.6)
    axes, scores = figure.subplots(), torch.linspace(-4, 4, 81)
    for name, colour, swap in (
        ("a real page", plots.LINES[0], False),
        ("a forged one", plots.LINES[1], True),
    ):
        for loss, style, whose in ((critic_loss, "-", "target"), (answer, "--", "yours")):
            sure = torch.tensor([-4.0 if not swap else 4.0])
            values = [float(loss(*((sure, s[None]) if swap else (s[None], sure)))) for s in scores]
            axes.plot(
                scores,
                values,
                style,
                color=colour,
                lw=3 if style == "-" else 1.5,
                label=f"{whose}: {name}",
            )
    axes.set(xlabel="score", ylabel="loss, beside one wrong answer")
    axes.legend(fontsize=8, frameon=False)
    return figure


CRITIC_LOSS = Exercise(
    LESSON,
    "critic_loss",
    critic_loss,
    lambda: [
        (torch.tensor([2.0]), torch.tensor([-1.0])),
        (numbers(5), numbers(5, seed=1)),
        (3 * numbers(4), 3 * numbers(6, seed=1)),
    ],
    (
        Mistake(
            "real and forged are exchanged: this critic would learn to praise forgeries",
            lambda real, forged: critic_loss(forged, real),
        ),
        Mistake(
            "only the real pages count; the critic must also say no to the forged ones",
            lambda real, forged: F.softplus(-real).mean(),
        ),
        Mistake(
            "only the forged pages count; the critic must also say yes to the real ones",
            lambda real, forged: F.softplus(forged).mean(),
        ),
        Mistake(
            "the sign is wrong: this is what the critic should make *large*",
            lambda real, forged: -critic_loss(real, forged),
        ),
        Mistake(
            "log D(G(z)) is the painter's loss; the critic's has log(1 − D(G(z)))",
            lambda real, forged: F.softplus(-real).mean() + F.softplus(-forged).mean(),
        ),
        Mistake(
            "the logarithms are missing: probabilities were added",
            lambda real, forged: (1 - real.sigmoid()).mean() + forged.sigmoid().mean(),
        ),
        Mistake(
            "scores are no probabilities yet: put them through a sigmoid first",
            lambda real, forged: -(real.log()).mean() - (1 - forged).log().mean(),
        ),
        Mistake(
            "the losses of the pages are summed; take the mean of each kind",
            lambda real, forged: F.softplus(-real).sum() + F.softplus(forged).sum(),
        ),
    ),
    _against_score,
)

# --- why a VAE blurs ------------------------------------------------------------------------------


def best_guess(pictures: Tensor) -> Tensor:
    return pictures.mean(dim=0)


def _guessed(answer: Callable) -> Figure:
    """Four pages that fit the same few words equally well, and the answer for them."""
    pages = [
        draw_array(compose([("red", "heart")], "meadow", sizes=("big",), rng=seed), 128)
        for seed in range(4)
    ]
    stacked = torch.stack([torch.from_numpy(page).permute(2, 0, 1).float() for page in pages])
    guess = torch.as_tensor(answer(stacked)).clamp(0, 255).byte().permute(1, 2, 0).numpy()
    return plots.strip([*pages, guess], [*["equally likely"] * 4, "your guess"], columns=5)


BEST_GUESS = Exercise(
    LESSON,
    "best_guess",
    best_guess,
    lambda: [
        (torch.tensor([[[[0.0]]], [[[1.0]]], [[[1.0]]]]),),
        (numbers(5, 3, 2, 4),),
        (numbers(4, 1, 3, 2, seed=2),),
    ],
    (
        Mistake(
            "this is the median; it makes the *absolute* errors small, and squares are asked for",
            lambda pictures: pictures.median(dim=0).values,
        ),
        Mistake(
            "this is one of the pictures; another guess is nearer to all of them",
            lambda pictures: pictures[0],
        ),
        Mistake(
            "this is the one of the pictures that is nearest to the others; a guess need not be "
            "one of them",
            lambda pictures: pictures[
                torch.cdist(*[pictures.flatten(1)] * 2).square().sum(dim=1).argmin()
            ],
        ),
        Mistake(
            "the pictures are summed; their values leave the range",
            lambda pictures: pictures.sum(dim=0),
        ),
        Mistake(
            "the mean over everything is one number; each pixel has its own",
            lambda pictures: pictures.mean(),
        ),
        Mistake(
            "the mean was taken over the channels; take it over the pictures",
            lambda pictures: pictures.mean(dim=1),
        ),
    ),
    _guessed,
)

# --- a measure of diversity -----------------------------------------------------------------------


def covered(real: Tensor, made: Tensor, radius: float) -> Tensor:
    return (torch.cdist(real, made) <= radius).any(dim=1).float().mean()


def _coverage(answer: Callable) -> Figure:
    """Made points spread over more and more of the real ones."""
    angle = torch.linspace(0, 2 * torch.pi, 41)[:-1]
    real = torch.stack([angle.cos(), angle.sin()], dim=1)
    shares = [count / 40 for count in range(4, 41, 4)]
    figure = plots.new_figure(2.6)
    axes = figure.subplots()
    for run, style, name in ((covered, "-", "target"), (answer, "--", "yours")):
        values = [float(run(real, real[: round(40 * share)], 0.01)) for share in shares]
        axes.plot(
            shares, values, style, color=plots.LINES[1], lw=3 if style == "-" else 1.5, label=name
        )
    axes.set(xlabel="part of a circle that a family paints", ylabel="diversity")
    axes.legend(fontsize=8, frameon=False)
    return figure


COVERED = Exercise(
    LESSON,
    "covered",
    covered,
    lambda: [
        (torch.tensor([[0.0], [1.0], [2.0], [3.0]]), torch.tensor([[0.1], [0.2]]), 0.5),
        (numbers(12, 3), numbers(7, 3, seed=1), 1.5),
        (numbers(5, 2), numbers(9, 2, seed=2), 0.6),
    ],
    (
        Mistake(
            "this asks which *made* pictures are near a real one: that is fidelity; diversity "
            "asks it of the real ones",
            lambda real, made, radius: covered(made, real, radius),
        ),
        Mistake(
            "these are all near pairs; ask for each real picture whether *any* made one is near",
            lambda real, made, radius: (torch.cdist(real, made) <= radius).float().mean(),
        ),
        Mistake(
            "a real picture would need *every* made one near it; one is enough",
            lambda real, made, radius: (
                (torch.cdist(real, made) <= radius).all(dim=1).float().mean()
            ),
        ),
        Mistake(
            "this is the number of covered pictures; divide by how many there are",
            lambda real, made, radius: (torch.cdist(real, made) <= radius).any(dim=1).float().sum(),
        ),
        Mistake(
            "the share of those that are missed; diversity is the share of those that are covered",
            lambda real, made, radius: 1 - covered(real, made, radius),
        ),
        Mistake(
            "distances must be compared with the radius, not squared distances",
            lambda real, made, radius: (
                (torch.cdist(real, made).square() <= radius).any(dim=1).float().mean()
            ),
        ),
    ),
    _coverage,
)

EXERCISES = (CRITIC_LOSS, BEST_GUESS, COVERED)
