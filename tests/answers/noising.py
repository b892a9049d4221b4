"""Answers to the exercises of lesson 04_forward_noising."""

import torch

from answers import on_copies
from sdlearn.noising import Schedule


def one_step_in_place(before, beta, noise):
    before *= (1 - beta) ** 0.5
    before += beta**0.5 * noise
    return before


def one_step_in_double(before, beta, noise):
    beta = torch.tensor(beta, dtype=torch.float64)
    return (before.double() ** 2 * (1 - beta)).sqrt() * before.sign() + noise.double() * beta.sqrt()


def alpha_bars_by_hand(betas):
    found, kept = [], 1.0
    for beta in betas.tolist():
        kept *= 1 - beta
        found.append(kept)
    return torch.tensor(found)


def alpha_bars_by_logarithms(betas):
    return torch.log1p(-betas.double()).cumsum(0).exp()


def noised_one_by_one(schedule, clean, t, noise):
    rows = []
    for x, at, e in zip(clean, t, noise, strict=True):
        kept = schedule.alpha_bars[at]
        rows.append(kept.sqrt() * x + (1 - kept).sqrt() * e)
    return torch.stack(rows)


def noised_by_einsum(schedule, clean, t, noise):
    kept = schedule.alpha_bars.double()[t]
    scaled = torch.einsum("n,n...->n...", kept.sqrt(), clean.double())
    return torch.einsum("n,n...->n...", (1 - kept).sqrt(), noise.double()) + scaled


def estimate_one_by_one(schedule, noisy, t, noise):
    kept = schedule.alpha_bars[t]
    rows = [(x - (1 - k) ** 0.5 * e) / k**0.5 for x, k, e in zip(noisy, kept, noise, strict=True)]
    return torch.stack(rows)


def estimate_in_place(schedule, noisy, t, noise):
    kept = schedule.alpha_bars[t].view(-1, *[1] * (noisy.ndim - 1))
    noise *= (1 - kept).sqrt()
    noisy -= noise
    return noisy / kept.sqrt()


def linear_schedule(steps):
    return torch.linspace(1e-4, 0.016, steps)


def cosine_schedule(steps):
    return Schedule.named("cosine", steps).betas


def _wide(share, t, x, noise, swap=False):
    """A closed form with another share in ᾱ's stead."""
    kept = share[t].view(-1, *[1] * (x.ndim - 1))
    kept, added = (1 - kept, kept) if swap else (kept, 1 - kept)
    return kept**0.5 * x + added**0.5 * noise


RIGHT = {
    "one_step": (on_copies(one_step_in_place), one_step_in_double),
    "alpha_bars": (alpha_bars_by_hand, alpha_bars_by_logarithms),
    "noised": (noised_one_by_one, noised_by_einsum),
    "estimate_clean": (estimate_one_by_one, on_copies(estimate_in_place)),
    "own_schedule": (linear_schedule, cosine_schedule),
}

WRONG = {
    "one_step": (
        (one_step_in_place, "changes its argument"),
        (lambda x, b, e: (1 - b) * x + b * e, "square roots are missing"),
        (lambda x, b, e: x + b**0.5 * e, "not made smaller"),
        (lambda x, b, e: (b**0.5) * x + (1 - b) ** 0.5 * e, "swapped"),
    ),
    "alpha_bars": (
        (lambda b: torch.cumprod(b, 0), "this multiplies β"),
        (lambda b: 1 - torch.cumsum(b, 0), "its share of what is *left*"),
        (lambda b: 1.0 - b, "this is α"),
    ),
    "noised": (
        (lambda s, x, t, e: _wide(s.betas, t, x, e), "this is β where ᾱ belongs"),
        (lambda s, x, t, e: _wide(s.alphas, t, x, e), "this is α where ᾱ belongs"),
        (lambda s, x, t, e: _wide(s.alpha_bars, t, x, e, swap=True), "swapped"),
        (
            lambda s, x, t, e: (
                s.sqrt_alpha_bars[t].view(-1, 1, 1, 1) * x
                + s.sqrt_one_minus_alpha_bars[t].view(-1, 1, 1, 1) * e
            ),
            "three ones only fit",
        ),
        (
            lambda s, x, t, e: s.sqrt_alpha_bars[t[0]] * x + s.sqrt_one_minus_alpha_bars[t[0]] * e,
            "takes the first one for all",
        ),
    ),
    "estimate_clean": (
        (estimate_in_place, "changes its argument"),
        (
            lambda s, x, t, e: x - s.at(s.sqrt_one_minus_alpha_bars, t, x) * e,
            "last division is missing",
        ),
        (
            lambda s, x, t, e: (
                (x + s.at(s.sqrt_one_minus_alpha_bars, t, x) * e) / s.at(s.sqrt_alpha_bars, t, x)
            ),
            "wrong sign",
        ),
        (lambda s, x, t, e: (x - e) / s.at(s.sqrt_alpha_bars, t, x), "subtract that much"),
    ),
    "own_schedule": (
        (lambda steps: torch.linspace(1e-4, 0.02, steps - 1), "got 19"),
        (
            lambda steps: torch.linspace(1e-4, 0.02, 1000),
            "for steps=20: shape 20 was expected, got 1000",
        ),
        (lambda steps: None, "your function returned None"),
        (lambda steps: torch.linspace(-0.1, 0.02, steps), "a share above 0 and below 1"),
        (lambda steps: torch.linspace(1e-4, 0.02, steps), "20.2 % of your steps are idle"),
        (lambda steps: torch.full((steps,), 0.02), "of the picture's variance is gone"),
        (lambda steps: torch.full((steps,), 1e-4), "still picture"),
        (
            lambda steps: torch.cat(
                [torch.full((steps // 10,), 1e-4), torch.full((steps - steps // 10,), 0.1)]
            ),
            "alone takes",
        ),
    ),
}
