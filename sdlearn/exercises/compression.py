"""Exercises of the lesson on the VAE."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import torch
from matplotlib.figure import Figure
from torch import Tensor

from sdlearn import plots
from sdlearn.check import Exercise, Mistake, OpenExercise
from sdlearn.compression import decode, encode, scale
from sdlearn.drawing import draw_array
from sdlearn.exercises.given import numbers, tiny
from sdlearn.images import to_pictures, to_pixels
from sdlearn.picturebook import compose

LESSON = "03_vae"
SIDE = 256


@cache
def _page() -> Tensor:
    """A page as pixels [1, 3, 256, 256]."""
    return to_pixels(
        draw_array(compose([("red", "house"), ("blue", "tree")], "meadow", "left of", rng=1), SIDE)[
            None
        ]
    )


# --- sampling -------------------------------------------------------------------------------------


def sampled(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    return mean + (log_variance / 2).exp() * noise


def _draw_sampled(answer: Callable) -> Figure:
    """What the decoder makes of the learner's sample, beside the course's; the spread is enlarged
    to be seen.
    """
    found = encode(tiny().vae, _page())
    wide, noise = found.logvar + 7, numbers(*found.mean.shape, seed=2)
    views = [
        to_pictures(
            decode(
                tiny().vae, scale(tiny().vae, way(found.mean.clone(), wide.clone(), noise.clone()))
            )
        )[0]
        for way in (answer, sampled)
    ]
    return plots.strip(views, ["yours, spread enlarged", "target"], columns=4)


SAMPLED = Exercise(
    LESSON,
    "sampled",
    sampled,
    lambda: [
        (torch.tensor([1.0]), torch.tensor([-1.4]), torch.tensor([0.5])),
        (numbers(2, 3), numbers(2, 3, seed=1), numbers(2, 3, seed=2)),
        (numbers(1, 4, 3, 5), numbers(1, 4, 3, 5, seed=1), numbers(1, 4, 3, 5, seed=2)),
    ],
    (
        Mistake(
            "the noise is multiplied by the variance; it takes its root, the standard deviation: "
            "exp(½ log σ²)",
            lambda mean, log_variance, noise: mean + log_variance.exp() * noise,
        ),
        Mistake(
            "the logarithm is not undone: log_variance is log σ², so exp gives the variance back",
            lambda mean, log_variance, noise: mean + log_variance * noise,
        ),
        Mistake(
            "this is half of the logarithm itself; it still needs exp",
            lambda mean, log_variance, noise: mean + log_variance / 2 * noise,
        ),
        Mistake(
            "this takes the root of the *logarithm*; first exp, then the root (or half of it, "
            "then exp)",
            lambda mean, log_variance, noise: mean + log_variance.sqrt() * noise,
        ),
        Mistake("this is the mean; nothing was sampled", lambda mean, log_variance, noise: mean),
        Mistake(
            "the mean is scaled too; only the noise is",
            lambda mean, log_variance, noise: (log_variance / 2).exp() * (mean + noise),
        ),
    ),
    _draw_sampled,
)

# --- KL -------------------------------------------------------------------------------------------


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    return 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).flatten(1).sum(dim=1)


def _draw_divergence(answer: Callable) -> Figure:
    """KL of one number against its mean and against its variance."""
    steps = torch.linspace(-2, 2, 41)
    zeros = torch.zeros(41, 1)
    lines = {
        "yours, mean moves, variance 1": answer(steps[:, None].clone(), zeros.clone()),
        "yours, mean 0, log variance moves": answer(zeros.clone(), steps[:, None].clone()),
    }
    figure = plots.losses(steps.tolist(), {name: line.tolist() for name, line in lines.items()})
    figure.axes[0].set(xlabel="mean, or log variance", ylabel="KL")
    return figure


DIVERGENCE = Exercise(
    LESSON,
    "divergence",
    divergence,
    lambda: [
        (torch.tensor([[2.0]]), torch.tensor([[0.5]])),
        (numbers(3, 4), numbers(3, 4, seed=1)),
        (numbers(2, 4, 3, 5), numbers(2, 4, 3, 5, seed=1)),
    ],
    (
        Mistake(
            "this takes log10 of the variance; log σ² is the natural logarithm already, take it "
            "as it is",
            lambda mean, v: 0.5 * (mean**2 + v.exp() - 1 - v / math.log(10)).flatten(1).sum(dim=1),
        ),
        Mistake(
            "the variance is missing its exp: log_variance is its logarithm",
            lambda mean, v: 0.5 * (mean**2 + v - 1 - v).flatten(1).sum(dim=1),
        ),
        Mistake(
            "the factor ½ is missing", lambda mean, log_variance: 2 * divergence(mean, log_variance)
        ),
        Mistake(
            "the -1 is missing: a standard normal distribution must have a KL of 0 to itself",
            lambda mean, log_variance: (
                0.5 * (mean**2 + log_variance.exp() - log_variance).flatten(1).sum(dim=1)
            ),
        ),
        Mistake(
            "the sign is wrong: KL is never negative",
            lambda mean, log_variance: -divergence(mean, log_variance),
        ),
        Mistake(
            "the mean is not squared",
            lambda mean, log_variance: (
                0.5 * (mean + log_variance.exp() - 1 - log_variance).flatten(1).sum(dim=1)
            ),
        ),
        Mistake(
            "this is the mean over the numbers of a picture; the KL of independent numbers is "
            "their *sum*",
            lambda mean, log_variance: (
                0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).flatten(1).mean(dim=1)
            ),
        ),
        Mistake(
            "this adds up all pictures; one number for each picture is asked for",
            lambda mean, log_variance: divergence(mean, log_variance).sum(),
        ),
    ),
    _draw_divergence,
)

# --- scaling --------------------------------------------------------------------------------------


def scaling_factor(z: Tensor) -> Tensor:
    return 1 / z.std()


def _draw_scaling(answer: Callable) -> Figure:
    z = encode(tiny().vae, _page()).mean
    figure = plots.new_figure(2.4)
    axes = figure.subplots()
    for values, name in (
        (z, "z, as the encoder gives it"),
        (z * float(answer(z.clone())), "times your factor"),
    ):
        axes.hist(
            values.flatten().numpy(),
            80,
            density=True,
            alpha=0.5,
            label=f"{name}: std {values.std():.2f}",
        )
    axes.set(yticks=[])
    axes.legend(frameon=False)
    return figure


SCALING = Exercise(
    LESSON,
    "scaling",
    scaling_factor,
    lambda: [
        (2 * numbers(2, 4, 60, 40),),
        (3 * numbers(2, 4, 40, 64) + 1,),
        (0.2 * numbers(3, 4, 50, 50, seed=1),),
    ],
    (
        Mistake("upside down: this is the spread; the factor has to *undo* it", lambda z: z.std()),
        Mistake(
            "this divides by the variance; the spread is its square root", lambda z: 1 / z.var()
        ),
        Mistake(
            "one factor for all numbers is asked for, not one for each place",
            lambda z: 1 / z.std(dim=0),
        ),
        Mistake(
            "one factor for all numbers is asked for, not one for each channel",
            lambda z: 1 / z.std(dim=(0, 2, 3)),
        ),
        Mistake(
            "one factor for all numbers is asked for, not one for each picture",
            lambda z: 1 / z.std(dim=(1, 2, 3)),
        ),
        Mistake(
            "the mean is not taken off before squaring: this is the root mean square, not the "
            "standard deviation",
            lambda z: 1 / z.square().mean().sqrt(),
        ),
    ),
    _draw_scaling,
)

# --- PSNR -----------------------------------------------------------------------------------------


def peak_signal_to_noise(first: Tensor, second: Tensor) -> Tensor:
    return 10 * torch.log10(2**2 / (first - second).square().mean())


def _draw_psnr(answer: Callable) -> Figure:
    page = _page()
    levels = (0.02, 0.05, 0.1, 0.2, 0.4)
    worse = [(page + level * numbers(*page.shape, seed=1)).clamp(-1, 1) for level in levels]
    titles = [f"yours: {float(answer(page.clone(), x.clone())):.1f} dB" for x in worse]
    return plots.strip([to_pictures(x)[0] for x in worse], titles)


PSNR = Exercise(
    LESSON,
    "peak_signal_to_noise",
    peak_signal_to_noise,
    lambda: [
        (torch.tensor([1.0, -1.0]), torch.tensor([0.9, -1.0])),
        (numbers(1, 3, 4, 6).tanh(), numbers(1, 3, 4, 6, seed=1).tanh()),
        (numbers(2, 3, 5, 2).tanh(), numbers(2, 3, 5, 2).tanh() + 0.01),
    ],
    (
        Mistake(
            "the peak is 1 here; pixels in [-1, 1] can differ by 2",
            lambda a, b: 10 * torch.log10(1 / (a - b).square().mean()),
        ),
        Mistake(
            "this is the natural logarithm; decibels take log10",
            lambda a, b: 10 * torch.log(4 / (a - b).square().mean()),
        ),
        Mistake(
            "20 belongs to *amplitudes*; of squares it is 10",
            lambda a, b: 20 * torch.log10(4 / (a - b).square().mean()),
        ),
        Mistake(
            "the peak is not squared: peak² / MSE",
            lambda a, b: 10 * torch.log10(2 / (a - b).square().mean()),
        ),
        Mistake(
            "the squared differences are added up; the MSE is their mean",
            lambda a, b: 10 * torch.log10(4 / (a - b).square().sum()),
        ),
        Mistake(
            "the peak is 255 here; that is for 8-bit numbers, and these are in [-1, 1]",
            lambda a, b: 10 * torch.log10(255**2 / (a - b).square().mean()),
        ),
        Mistake(
            "upside down: a small error has to give a large number",
            lambda a, b: 10 * torch.log10((a - b).square().mean() / 4),
        ),
        Mistake(
            "the differences are not squared before the mean",
            lambda a, b: 10 * torch.log10(4 / (a - b).abs().mean()),
        ),
    ),
    _draw_psnr,
)

# --- an edit of one's own -------------------------------------------------------------------------


def _measure_edit(answer: Callable[[Tensor], Tensor]) -> dict | str:
    vae, latents = tiny().vae, scale(tiny().vae, encode(tiny().vae, _page()).mean)
    edited = answer(latents.clone())
    if edited is None:
        return "your function returned None; does it end with `return`?"
    edited = torch.as_tensor(edited).float()
    if edited.shape != latents.shape:
        return (
            f"latents of shape {tuple(latents.shape)} were expected back, got {tuple(edited.shape)}"
        )
    if not edited.isfinite().all():
        return "your latents hold NaN or infinity"
    before, after = decode(vae, latents), decode(vae, edited)
    change = (after - before).abs().mean(dim=(0, 1, 2))
    columns = (edited - latents).abs().amax(dim=(0, 1, 2)).nonzero().flatten().tolist()
    return {
        "columns": columns,
        "width": latents.shape[3],
        "before": before,
        "after": after,
        "left": change[: SIDE // 2].mean(),
        "right": change[-SIDE // 3 :].mean(),
    }


def _is_latents(measured: dict | str) -> str | None:
    return measured if isinstance(measured, str) else None


def _changes_the_left(measured: dict) -> str | None:
    if measured["left"] < 0.05:
        return (
            f"the left half changes by {measured['left']:.3f} on average; at least 0.05 was "
            "asked for"
        )
    return None


def _spares_the_right(measured: dict) -> str | None:
    if measured["right"] <= 0.03:
        return None
    found = (
        f"the right third changes by {measured['right']:.3f} on average; at most 0.03 was "
        "asked for. "
    )
    last, half = max(measured["columns"]), measured["width"] // 2
    if last >= half:
        return f"{found}You changed columns up to {last}; the left half ends at {half - 1}"
    return (
        f"{found}Your columns are right, but the decoder normalises over the whole picture, so "
        "other numbers on one "
        "side show on the other too: use the numbers that are there, or edit less of it"
    )


EDITED = OpenExercise(
    LESSON,
    "edited",
    _measure_edit,
    (_is_latents, _changes_the_left, _spares_the_right),
    lambda m: plots.strip(
        [to_pictures(m[k])[0] for k in ("before", "after")],
        ["before", "after your edit"],
        columns=4,
    ),
)

EXERCISES = (SAMPLED, DIVERGENCE, SCALING, PSNR, EDITED)
