"""Exercises of lesson 03, the VAE."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import torch
from matplotlib.figure import Figure
from torch import Tensor

from sdlearn import plots
from sdlearn.compression import decode, encode, scale
from sdlearn.exercises import pictures
from sdlearn.exercises.engine import Lesson
from sdlearn.exercises.given import latents_of, numbers, picture_of, pixels_of, several, tiny
from sdlearn.exercises.results import Unmet, tensor_of, unlike
from sdlearn.images import to_pictures
from sdlearn.picturebook.scenes import compose

lesson = Lesson("03_vae")
SIDE = 256


@cache
def _page() -> Tensor:
    scene = compose([("red", "house"), ("blue", "tree")], "meadow", "left of", rng=1)
    return pixels_of(scene, SIDE)


# --- exercise 1: PSNR -----------------------------------------------------------------------------


def _draw_psnr(answer: Callable) -> Figure:
    page = _page()
    levels = (0.02, 0.05, 0.1, 0.2, 0.4)
    worse = [(page + level * numbers(*page.shape, seed=1)).clamp(-1, 1) for level in levels]
    titles = [f"yours: {float(answer(page.clone(), x.clone())):.1f} dB" for x in worse]
    return plots.strip([to_pictures(x)[0] for x in worse], titles)


def _each(pixels: Tensor) -> Tensor:
    return pixels.flatten(1) if pixels.ndim > 1 else pixels[None]


def _unequal() -> Tensor:
    """Errors of two pictures, one ten times as large as the other."""
    return torch.tensor([0.01, 0.1]).reshape(2, 1, 1, 1)


@lesson.exercise(
    cases=lambda: [
        (torch.tensor([1.0, -1.0]), torch.tensor([0.9, -1.0])),
        (numbers(1, 3, 4, 6).tanh(), numbers(1, 3, 4, 6, seed=1).tanh()),
        (numbers(2, 3, 5, 2).tanh(), numbers(2, 3, 5, 2).tanh() + _unequal()),
    ],
    picture=_draw_psnr,
    by_hand=lambda first, second: {
        "differences": first - second,
        "MSE": (first - second).square().mean(),
        "peak² / MSE": 4 / (first - second).square().mean(),
    },
)
def peak_signal_to_noise(first: Tensor, second: Tensor) -> Tensor:
    """10 log₁₀(peak² / MSE) in dB; pixels in [-1, 1] can differ by 2."""
    return 10 * torch.log10(2**2 / (first - second).square().mean())


peak_signal_to_noise.mistakes(
    "every picture gets a PSNR of its own, and these are averaged; take one MSE over all numbers",
    lambda a, b: (10 * torch.log10(4 / _each(a - b).square().mean(dim=1))).mean(),
    "a logarithm to the base of 2; decibels take log10",
    lambda a, b: 10 * torch.log2(4 / (a - b).square().mean()),
    "this is the ratio peak² / MSE; its logarithm is missing, and the factor 10",
    lambda a, b: 4 / (a - b).square().mean(),
    "the mean is taken before the square: errors with different signs cancel",
    lambda a, b: 10 * torch.log10(4 / (a - b).mean().square()),
    "the peak is 1 here; pixels in [-1, 1] can differ by 2",
    lambda a, b: 10 * torch.log10(1 / (a - b).square().mean()),
    "this is the natural logarithm; decibels take log10",
    lambda a, b: 10 * torch.log(4 / (a - b).square().mean()),
    "20 belongs to *amplitudes*; of squares it is 10",
    lambda a, b: 20 * torch.log10(4 / (a - b).square().mean()),
    "the peak is not squared: peak² / MSE",
    lambda a, b: 10 * torch.log10(2 / (a - b).square().mean()),
    "the squared differences are added up; the MSE is their mean",
    lambda a, b: 10 * torch.log10(4 / (a - b).square().sum()),
    "the peak is 255 here; that is for 8-bit numbers, and these are in [-1, 1]",
    lambda a, b: 10 * torch.log10(255**2 / (a - b).square().mean()),
    "upside down: a small error has to give a large number",
    lambda a, b: 10 * torch.log10((a - b).square().mean() / 4),
    "the differences are not squared before the mean",
    lambda a, b: 10 * torch.log10(4 / (a - b).abs().mean()),
    "the 10 is missing: decibels are ten times the logarithm",
    lambda a, b: torch.log10(4 / (a - b).square().mean()),
    "peak² is divided by the *root* of the MSE; divide it by the MSE itself",
    lambda a, b: 10 * torch.log10(4 / (a - b).square().mean().sqrt()),
    "peak / √MSE is a ratio of amplitudes, which takes 20 log10; 10 belongs to peak² / MSE",
    lambda a, b: 10 * torch.log10(2 / (a - b).square().mean().sqrt()),
    "the peak is not this picture's largest number; it is the largest *possible* difference, 2",
    lambda a, b: 10 * torch.log10(a.max() ** 2 / (a - b).square().mean()),
)

# --- exercise 2: sampling -------------------------------------------------------------------------


def _draw_sampled(answer: Callable) -> Figure:
    """The learner's sample, decoded, beside the course's; the spread is enlarged to be seen."""
    posterior = encode(tiny().vae, _page())
    wide, noise = posterior.logvar + 7, numbers(*posterior.mean.shape, seed=2)
    views = [
        picture_of(scale(tiny().vae, way(posterior.mean.clone(), wide.clone(), noise.clone())))
        for way in (answer, sampled)
    ]
    return plots.strip(views, ["yours, spread enlarged", "target"], columns=4)


@lesson.exercise(
    cases=lambda: [
        (torch.tensor([1.0]), torch.tensor([-1.4]), torch.tensor([0.5])),
        (torch.tensor([0.0, 0.0]), torch.tensor([5.0, -20.0]), torch.tensor([1.0, -1.0])),
        several(3, (2, 3)),
        several(3, (1, 4, 3, 5)),
    ],
    picture=_draw_sampled,
    by_hand=lambda mean, log_variance, noise: {
        "variance": log_variance.exp(),
        "σ": (log_variance / 2).exp(),
        "σ · noise": (log_variance / 2).exp() * noise,
    },
)
def sampled(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """A sample of the posterior: μ + σ ε, with σ = exp(½ log σ²)."""
    return mean + (log_variance / 2).exp() * noise


sampled.mistakes(
    "you multiplied the noise by the variance; multiply it by the root of that: exp(½ log σ²)",
    lambda mean, log_variance, noise: mean + log_variance.exp() * noise,
    "the logarithm is not undone: log_variance is log σ², so exp gives the variance back",
    lambda mean, log_variance, noise: mean + log_variance * noise,
    "this is half of the logarithm itself; it still needs exp",
    lambda mean, log_variance, noise: mean + log_variance / 2 * noise,
    "this takes the root of the *logarithm*; take exp first, then the root",
    lambda mean, log_variance, noise: mean + log_variance.sqrt() * noise,
    "this is the mean; nothing was sampled",
    lambda mean, log_variance, noise: mean,
    "the mean is scaled too; only the noise is",
    lambda mean, log_variance, noise: (log_variance / 2).exp() * (mean + noise),
    "you halved the *variance*; halve its logarithm, and then take exp: exp(½ log σ²)",
    lambda mean, log_variance, noise: mean + log_variance.exp() / 2 * noise,
    "the noise is not scaled: multiply it by σ = exp(½ log σ²)",
    lambda mean, log_variance, noise: mean + noise,
    "the noise is missing: σ alone is added to the mean",
    lambda mean, log_variance, noise: mean + (log_variance / 2).exp(),
    "the noise is divided by σ, or the exponent's sign is wrong: σ = exp(+½ log σ²) multiplies it",
    lambda mean, log_variance, noise: mean + (-log_variance / 2).exp() * noise,
    "mean and noise are swapped: σ multiplies the noise",
    lambda mean, log_variance, noise: noise + (log_variance / 2).exp() * mean,
    "the mean is missing: this is the noise at its right size",
    lambda mean, log_variance, noise: (log_variance / 2).exp() * noise,
)

# --- exercise 3: KL -------------------------------------------------------------------------------


def _draw_divergence(answer: Callable) -> Figure:
    """KL of one number against its mean and against its variance."""
    steps, zeros = torch.linspace(-2, 2, 41)[:, None], torch.zeros(41, 1)
    lines = {
        "yours: mean moves, variance 1": answer(steps.clone(), zeros.clone()),
        "yours: mean 0, log variance moves": answer(zeros.clone(), steps.clone()),
    }
    return pictures.curves(steps, lines, "mean, or log variance", "KL")


@lesson.exercise(
    cases=lambda: [
        (torch.tensor([[2.0]]), torch.tensor([[0.5]])),
        (torch.tensor([[0.0, 1.0]]), torch.tensor([[-12.0, -80.0]])),
        several(2, (3, 4)),
        several(2, (2, 4, 3, 5)),
    ],
    picture=_draw_divergence,
    by_hand=lambda mean, log_variance: {
        "μ²": mean**2,
        "σ²": log_variance.exp(),
        "log σ²": log_variance,
        "½ (μ² + σ² - 1 - log σ²)": _kl(mean, log_variance),
    },
)
def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL divergence from the standard normal distribution, one number for each picture."""
    return _kl(mean, log_variance).sum(dim=1)


def _kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """½ (μ² + σ² - 1 - log σ²) for each number: [n, numbers]."""
    return 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).flatten(1)


divergence.mistakes(
    "this takes log10 of the variance; log σ² is the natural logarithm already, take it as it is",
    lambda mean, v: 0.5 * (mean**2 + v.exp() - 1 - v / math.log(10)).flatten(1).sum(dim=1),
    "the variance is missing its exp: log_variance is its logarithm",
    lambda mean, v: 0.5 * (mean**2 - 1).flatten(1).sum(dim=1),
    "the factor ½ is missing",
    lambda mean, log_variance: 2 * divergence(mean, log_variance),
    "the -1 is missing: a standard normal distribution must have a KL of 0 to itself",
    lambda mean, v: (_kl(mean, v) + 0.5).sum(dim=1),
    "the sign is wrong: KL is never negative",
    lambda mean, log_variance: -divergence(mean, log_variance),
    "the mean is not squared",
    lambda mean, v: (_kl(0 * mean, v) + mean.flatten(1) / 2).sum(dim=1),
    "this is the mean over the numbers of a picture; the KL of independent numbers is their *sum*",
    lambda mean, v: _kl(mean, v).mean(dim=1),
    "this adds up all pictures; one number for each picture is asked for",
    lambda mean, log_variance: divergence(mean, log_variance).sum(),
    "σ in place of σ²: log_variance is log σ², so exp gives σ² at once, without the half",
    lambda mean, v: 0.5 * (mean**2 + (v / 2).exp() - 1 - v).flatten(1).sum(dim=1),
    "the variance is squared: exp(log_variance) is σ² already",
    lambda mean, v: 0.5 * (mean**2 + v.exp() ** 2 - 1 - v).flatten(1).sum(dim=1),
    "the - log σ² is missing",
    lambda mean, v: 0.5 * (mean**2 + v.exp() - 1).flatten(1).sum(dim=1),
    "the sign of log σ² is wrong: it is subtracted",
    lambda mean, v: 0.5 * (mean**2 + v.exp() - 1 + v).flatten(1).sum(dim=1),
    "the variance itself is missing: μ² + σ² - 1 - log σ²",
    lambda mean, v: 0.5 * (mean**2 - 1 - v).flatten(1).sum(dim=1),
    "the mean's part is missing: μ² + σ² - 1 - log σ²",
    lambda mean, v: 0.5 * (v.exp() - 1 - v).flatten(1).sum(dim=1),
    "the 1 is added; it is subtracted",
    lambda mean, v: 0.5 * (mean**2 + v.exp() + 1 - v).flatten(1).sum(dim=1),
    "this is the mean over everything; the *sum* for each picture of the batch was asked for",
    lambda mean, v: _kl(mean, v).mean(),
)

# --- exercise 4: scaling --------------------------------------------------------------------------


def _draw_scaling(answer: Callable) -> Figure:
    z = latents_of(_page()) / tiny().vae.config.scaling_factor
    scaled = z * float(answer(z.clone()))
    names = ("z, as the encoder gives it", "times your factor")
    named = {f"{n}: std {x.std():.2f}": x for n, x in zip(names, (z, scaled), strict=True)}
    return pictures.histograms(named)


@lesson.exercise(
    cases=lambda: [
        (2 * numbers(2, 4, 60, 40),),
        (3 * numbers(2, 4, 40, 64) + 1,),
        (0.2 * numbers(3, 4, 50, 50, seed=1),),
        (
            numbers(2, 4, 40, 50)
            * torch.tensor([1.0, 4.0]).reshape(2, 1, 1, 1)
            * torch.tensor([1.0, 2.0, 0.2, 3.0]).reshape(4, 1, 1)
            + torch.tensor([-3.0, 0.0, 2.0, 5.0]).reshape(4, 1, 1)
            + torch.tensor([0.0, 6.0]).reshape(2, 1, 1, 1),
        ),
    ],
    picture=_draw_scaling,
    by_hand=lambda z: {"mean": z.mean(), "variance": z.var(), "spread": z.std()},
)
def scaling(z: Tensor) -> Tensor:
    """The scaling factor: one over the standard deviation of all numbers."""
    return 1 / z.std()


scaling.mistakes(
    "the mean of each picture is taken off first; the spread of *all* numbers counts it",
    lambda z: 1 / (z - z.mean(dim=(1, 2, 3), keepdim=True)).std(),
    "you averaged the spreads of the positions; take one spread of *all* numbers",
    lambda z: 1 / z.std(dim=0).mean(),
    "only the first picture is used; take the spread of all of them",
    lambda z: 1 / z[0].std(),
    "each picture gets a spread of its own, and these are averaged; take that of *all* numbers",
    lambda z: 1 / z.flatten(1).std(dim=1).mean(),
    "each channel gets a spread of its own, and these are averaged; take that of *all* numbers",
    lambda z: 1 / z.transpose(0, 1).flatten(1).std(dim=1).mean(),
    "the mean of each channel is taken off first; the spread of *all* numbers counts it",
    lambda z: 1 / (z - z.mean(dim=(0, 2, 3), keepdim=True)).std(),
    "upside down: this is the spread; the factor has to *undo* it",
    lambda z: z.std(),
    "this divides by the variance; the spread is its square root",
    lambda z: 1 / z.var(),
    "one factor for all numbers is asked for, not one for each position",
    lambda z: 1 / z.std(dim=0),
    "one factor for all numbers is asked for, not one for each channel",
    lambda z: 1 / z.std(dim=(0, 2, 3)),
    "one factor for all numbers is asked for, not one for each picture",
    lambda z: 1 / z.std(dim=(1, 2, 3)),
    "the mean is not subtracted before squaring: this is the root mean square",
    lambda z: 1 / z.square().mean().sqrt(),
    "this is one over the *range*; the spread is the standard deviation",
    lambda z: 1 / (z.max() - z.min()),
    "this is one over the largest number; the spread is the standard deviation",
    lambda z: 1 / z.abs().max(),
    "this is the mean distance from zero, not the standard deviation",
    lambda z: 1 / z.abs().mean(),
    "this is Stable Diffusion's own number; it comes from its latents, and yours from those given",
    lambda z: torch.tensor(0.18215),
)

# --- exercise 5: an edit of your own -------------------------------------------------------------


def _draw_edit(both: tuple[Tensor, Tensor]) -> Figure:
    shown = [to_pictures(pixels)[0] for pixels in both]
    return plots.strip(shown, ["before", "after your edit"], columns=4)


@lesson.open_exercise(picture=_draw_edit)
def edited(answer: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """Latents changed so that the left half of the picture changes and the right third does not."""
    latents = latents_of(_page())
    changed = tensor_of(answer(latents.clone()), tuple(latents.shape)).float()
    before, after = decode(tiny().vae, latents), decode(tiny().vae, changed)
    change = (after - before).abs().mean(dim=(0, 1, 2))
    left, right = change[: SIDE // 2].mean(), change[-SIDE // 3 :].mean()
    columns, half = (changed - latents).abs().amax(dim=(0, 1, 2)).nonzero(), latents.shape[3] // 2
    if len(columns) and columns.min() >= half:
        raise Unmet(
            f"You changed columns {int(columns.min())} to {int(columns.max())}; the left half is "
            f"columns 0 to {half - 1}"
        )
    if left < 0.05:
        mine, least = unlike(left.item(), 0.05, digits=3)
        raise Unmet(f"the left half changes by {mine} on average; at least {least} was asked for")
    if right > 0.03:
        last, (mine, most) = columns.max().item(), unlike(right.item(), 0.03, digits=3)
        why = f"You changed columns up to {last}; the left half ends at {half - 1}"
        if last < half:
            why = (
                "Your columns are right, but the decoder normalises over the whole picture, so "
                "new numbers on the left also show on the right: rearrange the numbers that are "
                "there, or edit fewer columns"
            )
        raise Unmet(
            f"the right third changes by {mine} on average; at most {most} was asked for. {why}"
        )
    return before, after
