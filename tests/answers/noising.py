"""Answers to the exercises of lesson 04_forward_noising."""

import math
from itertools import accumulate
from operator import mul

import numpy as np
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


def one_step_number_by_number(before, beta, noise):
    pairs = zip(before.flatten().tolist(), noise.flatten().tolist(), strict=True)
    after = [math.sqrt(1 - beta) * x + math.sqrt(beta) * e for x, e in pairs]
    return torch.tensor(after).reshape(before.shape)


def one_step_by_numpy(before, beta, noise):
    return np.sqrt(beta) * noise.numpy() + np.sqrt(1 - beta) * before.numpy()


def one_step_by_an_angle(before, beta, noise):
    angle = math.asin(math.sqrt(beta))
    return math.cos(angle) * before + math.sin(angle) * noise


def one_step_turned_around(before, beta, noise):
    shrunk = before.transpose(0, -1) * (1 - beta) ** 0.5
    return torch.add(shrunk, noise.transpose(0, -1), alpha=beta**0.5).transpose(0, -1)


def alpha_bars_by_hand(betas):
    found, alpha_bar = [], 1.0
    for beta in betas.tolist():
        alpha_bar *= 1 - beta
        found.append(alpha_bar)
    return torch.tensor(found)


def alpha_bars_by_logarithms(betas):
    return torch.log1p(-betas.double()).cumsum(0).exp()


def alpha_bars_accumulated(betas):
    return list(accumulate((1 - betas).tolist(), mul))


def alpha_bars_by_numpy(betas):
    return np.cumprod(1 - betas.double().numpy())


def alpha_bars_product_by_product(betas):
    return torch.stack([(1 - betas[: t + 1]).prod() for t in range(len(betas))])


def alpha_bars_taken_away(betas):
    found, alpha_bar = torch.empty_like(betas), 1.0
    for t, beta in enumerate(betas):
        alpha_bar = alpha_bar - beta * alpha_bar
        found[t] = alpha_bar
    return found


def noised_one_by_one(schedule, clean, t, noise):
    rows = []
    for x, at, e in zip(clean, t, noise, strict=True):
        alpha_bar = schedule.alpha_bars[at]
        rows.append(alpha_bar.sqrt() * x + (1 - alpha_bar).sqrt() * e)
    return torch.stack(rows)


def noised_by_einsum(schedule, clean, t, noise):
    alpha_bar = schedule.alpha_bars.double()[t]
    scaled = torch.einsum("n,n...->n...", alpha_bar.sqrt(), clean.double())
    return torch.einsum("n,n...->n...", (1 - alpha_bar).sqrt(), noise.double()) + scaled


def noised_by_snr(schedule, clean, t, noise):
    snr = schedule.snr[t].view(-1, *[1] * (clean.ndim - 1))
    return (snr / (1 + snr)).sqrt() * clean + (1 / (1 + snr)).sqrt() * noise


def noised_flat(schedule, clean, t, noise):
    alpha_bar = schedule.alpha_bars[t][:, None]
    return (
        alpha_bar.sqrt() * clean.flatten(1) + (1 - alpha_bar).sqrt() * noise.flatten(1)
    ).view_as(clean)


def noised_from_betas(schedule, clean, t, noise):
    alpha_bar = (1 - schedule.betas.double()).cumprod(0)[t]
    while alpha_bar.ndim < clean.ndim:
        alpha_bar = alpha_bar.unsqueeze(-1)
    return torch.sqrt(1 - alpha_bar) * noise + torch.sqrt(alpha_bar) * clean


def noised_pictures_last(schedule, clean, t, noise):
    alpha_bar = schedule.alpha_bars[t]
    clean, noise = clean.movedim(0, -1), noise.movedim(0, -1)
    return (alpha_bar.sqrt() * clean + (1 - alpha_bar).sqrt() * noise).movedim(-1, 0)


def estimate_one_by_one(schedule, noisy, t, noise):
    alpha_bar = schedule.alpha_bars[t]
    rows = [
        (x - (1 - k) ** 0.5 * e) / k**0.5 for x, k, e in zip(noisy, alpha_bar, noise, strict=True)
    ]
    return torch.stack(rows)


def estimate_in_place(schedule, noisy, t, noise):
    alpha_bar = schedule.alpha_bars[t].view(-1, *[1] * (noisy.ndim - 1))
    noise *= (1 - alpha_bar).sqrt()
    noisy -= noise
    return noisy / alpha_bar.sqrt()


def estimate_by_snr(schedule, noisy, t, noise):
    snr = schedule.snr[t].double().view(-1, *[1] * (noisy.ndim - 1))
    return noisy * (1 + 1 / snr).sqrt() - noise / snr.sqrt()


def estimate_by_numpy(schedule, noisy, t, noise):
    alpha_bar = schedule.alpha_bars.double().numpy()[t.numpy()]
    alpha_bar = np.expand_dims(alpha_bar, tuple(range(1, noisy.ndim)))
    return (noisy.numpy() - np.sqrt(1 - alpha_bar) * noise.numpy()) / np.sqrt(alpha_bar)


def estimate_by_einsum(schedule, noisy, t, noise):
    alpha_bar = schedule.alpha_bars[t]
    rest = noisy - torch.einsum("n,n...->n...", (1 - alpha_bar).sqrt(), noise)
    return torch.einsum("n...,n->n...", rest, alpha_bar.rsqrt())


def estimate_pictures_last(schedule, noisy, t, noise):
    alpha_bar = schedule.alpha_bars[t]
    rest = noisy.movedim(0, -1) - (1 - alpha_bar).sqrt() * noise.movedim(0, -1)
    return (rest / alpha_bar.sqrt()).movedim(-1, 0)


def linear_schedule(steps):
    return torch.linspace(1e-4, 0.016, steps)


def cosine_schedule(steps):
    return Schedule.named("cosine", steps).betas


def schedule_as_a_list(steps):
    return [1e-4 + 0.0151 * t / (steps - 1) for t in range(steps)]


def schedule_linear_in_the_root(steps):
    return np.linspace(0.02, 0.135, steps) ** 2


def schedule_of_even_losses(steps):
    bars = torch.linspace(1, 5e-4, steps + 1, dtype=torch.float64)
    return 1 - bars[1:] / bars[:-1]


def schedule_by_sigmoid(steps):
    bars = torch.sigmoid(torch.linspace(4, -4, steps + 1, dtype=torch.float64))
    bars = 8e-4 + (1 - 8e-4) * (bars - bars[-1]) / (bars[0] - bars[-1])
    return 1 - bars[1:] / bars[:-1]


def _wide(share, t, x, noise, swap=False):
    """A closed form with another share in ᾱ's stead."""
    signal = share[t].view(-1, *[1] * (x.ndim - 1))
    signal, variance = (1 - signal, signal) if swap else (signal, 1 - signal)
    return signal**0.5 * x + variance**0.5 * noise


def root(schedule, t):
    return schedule.alpha_bars[t].sqrt()


def rest(schedule, t):
    return (1 - schedule.alpha_bars[t]).sqrt()


def mixed(signal, sigma):
    """A closed form whose two factors are these functions of a schedule and t."""

    def noised(schedule, clean, t, noise):
        shape = (-1, *[1] * (clean.ndim - 1))
        signals, sigmas = signal(schedule, t), sigma(schedule, t)
        return signals.reshape(shape) * clean + sigmas.reshape(shape) * noise

    return noised


def unmixed(taken, divisor):
    """The way back: first `taken` of the noise is subtracted, then divided by `divisor`."""

    def estimate_clean(schedule, noisy, t, noise):
        shape = (-1, *[1] * (noisy.ndim - 1))
        taken_of, divisor_of = taken(schedule, t), divisor(schedule, t)
        return (noisy - taken_of.reshape(shape) * noise) / divisor_of.reshape(shape)

    return estimate_clean


def at(move, answer):
    """The same answer with another t."""
    return lambda schedule, x, t, noise: answer(schedule, x, move(t), noise)


def noised_step_by_step(schedule, clean, t, noise):
    rows = []
    for x, last, e in zip(clean, t, noise, strict=True):
        for beta in schedule.betas[: last + 1]:
            x = (1 - beta).sqrt() * x + beta.sqrt() * e
        rows.append(x)
    return torch.stack(rows)


def noised_without_reshape(schedule, clean, t, noise):
    return root(schedule, t) * clean + rest(schedule, t) * noise


def noised_in_place(schedule, clean, t, noise):
    alpha_bar = schedule.alpha_bars[t].view(-1, *[1] * (clean.ndim - 1))
    return clean.mul_(alpha_bar.sqrt()).add_((1 - alpha_bar).sqrt() * noise)


def estimate_without_reshape(schedule, noisy, t, noise):
    return (noisy - rest(schedule, t) * noise) / root(schedule, t)


def estimate_with_three_ones(schedule, noisy, t, noise):
    alpha_bar = schedule.alpha_bars[t][:, None, None, None]
    return (noisy - (1 - alpha_bar).sqrt() * noise) / alpha_bar.sqrt()


def estimate_with_the_first_t(schedule, noisy, t, noise):
    return estimate_without_reshape(schedule, noisy, t[0], noise)


def estimate_with_brackets_missing(schedule, noisy, t, noise):
    alpha_bar = schedule.alpha_bars[t].view(-1, *[1] * (noisy.ndim - 1))
    return noisy - (1 - alpha_bar).sqrt() * noise / alpha_bar.sqrt()


def estimate_with_noise_outside(schedule, noisy, t, noise):
    alpha_bar = schedule.alpha_bars[t].view(-1, *[1] * (noisy.ndim - 1))
    return noisy / alpha_bar.sqrt() - (1 - alpha_bar).sqrt() * noise


def powers(share, steps):
    return share ** torch.arange(1, steps + 1)


RIGHT = {
    "one_step": (
        on_copies(one_step_in_place),
        one_step_in_double,
        one_step_number_by_number,
        one_step_by_numpy,
        one_step_by_an_angle,
        one_step_turned_around,
    ),
    "alpha_bars": (
        alpha_bars_by_hand,
        alpha_bars_by_logarithms,
        alpha_bars_accumulated,
        alpha_bars_by_numpy,
        alpha_bars_product_by_product,
        alpha_bars_taken_away,
    ),
    "noised": (
        noised_one_by_one,
        noised_by_einsum,
        noised_by_snr,
        noised_flat,
        noised_from_betas,
        noised_pictures_last,
    ),
    "estimate_clean": (
        estimate_one_by_one,
        on_copies(estimate_in_place),
        estimate_by_snr,
        estimate_by_numpy,
        estimate_by_einsum,
        estimate_pictures_last,
    ),
    "own_schedule": (
        linear_schedule,
        cosine_schedule,
        schedule_as_a_list,
        schedule_linear_in_the_root,
        schedule_of_even_losses,
        schedule_by_sigmoid,
    ),
}

WRONG = {
    "one_step": (
        (one_step_in_place, "changes its argument"),
        (lambda x, b, e: (1 - b) * x + b * e, "square roots are missing"),
        (lambda x, b, e: x + b**0.5 * e, "not made smaller"),
        (lambda x, b, e: (b**0.5) * x + (1 - b) ** 0.5 * e, "belongs to the noise"),
        (lambda x, b, e: (1 - b) * x + b**0.5 * e, "the picture's factor is missing"),
        (lambda x, b, e: (1 - b) ** 0.5 * x + b * e, "the noise's factor is missing"),
        (lambda x, b, e: (1 - b) ** 0.5 * x - b**0.5 * e, "the noise is subtracted"),
        (lambda x, b, e: torch.lerp(x, e, b), "square roots are missing"),
        (
            lambda x, b, e: (1 - b) ** 0.5 * x + b**0.5 * torch.randn_like(x),
            "changes from call to call",
        ),
        (lambda x, b, e: torch.sqrt(1 - b) * x + torch.sqrt(b) * e, "must be Tensor, not float"),
        (lambda x, b, e: ((1 - b) ** 0.5 * x, b**0.5 * e), "shape 1 was expected"),
        (lambda x, b, e: ((1 - b) ** 0.5 * x + b**0.5 * e).sum(), "shape 1 was expected"),
        (lambda x, b, e: (1 - b) ** 0.5 * x + b**0.5 * e[0], "only the first of the batch"),
        (lambda x, b, e: None, "your function returned None"),
        (lambda x, b, e: (1 - b**0.5) * x + b**0.5 * e, "1 - √β is not √(1"),
        (lambda x, b, e: (1 - b) ** 0.5 * x + e, "the noise is not made smaller:"),
        (lambda x, b, e: (1 - b) ** 0.5 * (x + e), "√(1 - β) multiplies picture and"),
        (lambda x, b, e: b**0.5 * (x + e), "√β multiplies picture and noise alike"),
        (lambda x, b, e: (1 - b) ** 0.5 * x, "the noise is missing"),
        (
            lambda x, b, e: (1 - b) ** 0.5 * x + b**0.5 * (e - e.mean()) / e.std(),
            "std()",
        ),
    ),
    "alpha_bars": (
        (lambda b: torch.cumprod(b, 0), "this multiplies β"),
        (lambda b: 1 - torch.cumsum(b, 0), "its share of what is *left*"),
        (lambda b: 1.0 - b, "this is α"),
        (lambda b: 1 - b.cumprod(0), "1 minus the product"),
        (lambda b: 1 - (1 - b).cumprod(0), "this is 1 - ᾱ, the noise's share"),
        (lambda b: (1 - b).sqrt().cumprod(0), "the factor of the picture"),
        (lambda b: ((1 - b) ** 2).cumprod(0), "the square of what was asked"),
        (lambda b: torch.cat([torch.ones(1), (1 - b).cumprod(0)[:-1]]), "one step off"),
        (lambda b: torch.cat([torch.ones(1), (1 - b).cumprod(0)]), "shape 2 was expected, got 3"),
        (lambda b: (1 - b).log().cumsum(0), "the logarithm of what was asked"),
        (lambda b: (1 - b[1:]).cumprod(0), "shape 2 was expected, got 1"),
        (lambda b: (1 - b).prod(), "ᾱ of all steps together"),
        (lambda b: (1 - b).cumprod(0)[:, None], "got 2×1"),
        (lambda b: b.neg_().add_(1).cumprod(0), "changes its argument"),
        (lambda b: (1 - b).cumprod(), "missing 1 required"),
        (lambda b: None, "your function returned None"),
        (lambda b: (1 - b).cumsum(0), "the 1 - β are added up; multiply them"),
        (lambda b: (-b.cumsum(0)).exp(), "exp(-sum of β) is close for"),
        (lambda b: (1 - b).flip(0).cumprod(0).flip(0), "multiplied from the end; step t"),
        (lambda b: (1 - b).cumprod(0).round(decimals=3), "the numbers are nearly right, but"),
        (lambda b: (1 - b).cumprod(0).clamp(min=1e-3), "the numbers are nearly right, but"),
    ),
    "noised": (
        (lambda s, x, t, e: _wide(s.betas, t, x, e), "this is β where ᾱ belongs"),
        (lambda s, x, t, e: _wide(s.alphas, t, x, e), "this is α where ᾱ belongs"),
        (lambda s, x, t, e: _wide(s.alpha_bars, t, x, e, swap=True), "is the picture's share"),
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
        (
            mixed(lambda s, t: s.alpha_bars[t], lambda s, t: 1 - s.alpha_bars[t]),
            "square roots are missing",
        ),
        (mixed(root, lambda s, t: 1 - root(s, t)), "is not √(1 - ᾱ)"),
        (noised_without_reshape, "must match the size"),
        (noised_in_place, "changes its argument `clean`"),
        (
            lambda s, x, t, e: mixed(root, rest)(s, x, t, torch.randn_like(e)),
            "changes from call to call",
        ),
        (lambda s, x, t, e: mixed(root, rest)(s, x, t, e).mean(0), "shape 1×2 was expected"),
        (lambda s, x, t, e: _wide(s.alpha_bars, t, x, e[:1]), "only the first of the batch"),
        (lambda s, x, t, e: None, "your function returned None"),
        (mixed(root, lambda s, t: 1 - s.alpha_bars[t]), "the root of the noise's factor"),
        (mixed(lambda s, t: s.alpha_bars[t], rest), "the root of the picture's factor"),
        (mixed(root, lambda s, t: -rest(s, t)), "the noise is subtracted; forward noising"),
        (mixed(root, lambda s, t: torch.ones(len(t))), "the noise is not made smaller:"),
        (mixed(lambda s, t: torch.ones(len(t)), rest), "the picture is not made smaller:"),
        (at(torch.unique, mixed(root, rest)), "RuntimeError: The size of tensor a"),
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
        (
            unmixed(lambda s, t: 1 - s.alpha_bars[t], lambda s, t: s.alpha_bars[t]),
            "square roots are missing",
        ),
        (unmixed(rest, lambda s, t: s.alpha_bars[t]), "this divides by ᾱ"),
        (
            unmixed(lambda s, t: s.betas[t].sqrt(), lambda s, t: s.alphas[t].sqrt()),
            "α where ᾱ belongs",
        ),
        (estimate_with_brackets_missing, "the brackets are missing"),
        (estimate_with_noise_outside, "the brackets are wrong"),
        (unmixed(rest, lambda s, t: -root(s, t)), "the sign is wrong"),
        (estimate_without_reshape, "must match the size"),
        (estimate_with_the_first_t, "every picture has a t of"),
        (
            lambda s, x, t, e: unmixed(rest, root)(s, x, t, torch.randn_like(e)),
            "changes from call to call",
        ),
        (lambda s, x, t, e: (unmixed(rest, root)(s, x, t, e), e), "for noisy = [[1, -1]], t"),
        (lambda s, x, t, e: None, "your function returned None"),
        (unmixed(lambda s, t: 1 - s.alpha_bars[t], root), "the root of the noise's factor"),
        (unmixed(rest, lambda s, t: 1 / root(s, t)), "multiplies by √ᾱ; divide by it"),
        (unmixed(root, rest), "swapped: √(1 - ᾱ) belongs to"),
        (unmixed(lambda s, t: 1 - root(s, t), root), "1 - √ᾱ is not √(1 - ᾱ)"),
        (unmixed(rest, rest), "divided by √(1 - ᾱ); the"),
        (mixed(root, rest), "this noises once more; solve the"),
        (at(torch.unique, unmixed(rest, root)), "RuntimeError: The size of tensor a"),
    ),
    "own_schedule": (
        (lambda steps: torch.linspace(1e-4, 0.02, steps - 1), "shape 20 was expected, got 19"),
        (lambda steps: torch.linspace(1e-4, 0.02, 1000), "shape 20 was expected, got 1000"),
        (lambda steps: None, "your function returned None"),
        (lambda steps: torch.linspace(-0.1, 0.02, steps), "a share above 0 and below"),
        (lambda steps: torch.linspace(1e-4, 0.02, steps), "20.2% of the steps are"),
        (lambda steps: torch.full((steps,), 0.02), "of the picture's variance is gone"),
        (lambda steps: torch.full((steps,), 1e-4), "variance is left"),
        (
            lambda steps: torch.cat(
                [torch.full((steps // 10,), 1e-4), torch.full((steps - steps // 10,), 0.1)]
            ),
            "in step 100 alone ᾱ falls",
        ),
        (lambda steps: torch.linspace(0, 0.015, steps), "yours begin at 0 and end"),
        (lambda steps: torch.linspace(0.01, 1.5, steps), "end at 1.5"),
        (lambda steps: torch.linspace(0.015, 1e-4, steps), "begin with smaller β"),
        (lambda steps: torch.linspace(1e-4, 0.01, steps), "add up to too little"),
        (
            lambda steps: torch.linspace(0.00085**0.5, 0.012**0.5, steps) ** 2,
            "0.5% of the picture's variance",
        ),
        (lambda steps: torch.linspace(1e-4, steps, 0.015), "received an invalid combination"),
        (lambda steps: torch.linspace(1e-4, 0.015, steps)[:, None], "got 20×1"),
        (lambda steps: 0.007, "shape 20 was expected"),
        (lambda steps: Schedule.named("cosine"), "for steps=20: numbers were expected, got"),
    ),
}

SHOWN = {
    "one_step": (
        (lambda x, b, e: (1 - b) / 2 * x + b / 2 * e, "halved where a root is asked for"),
        (
            lambda x, b, e: (1 - b) ** 1 / 2 * x + b**1 / 2 * e,
            "the brackets of the power are missing: ** 1 / 2 halves",
        ),
        (lambda x, b, e: (1 - b) ** 2 * x + b**2 * e, "squares in place of roots"),
        (
            lambda x, b, e: x + b * e,
            "the picture is not made smaller, and the root of β is missing",
        ),
        (lambda x, b, e: ((1 - b) * x + b * e).abs() ** 0.5, "one root over the whole sum"),
        (lambda x, b, e: (x - b**0.5 * e) / (1 - b) ** 0.5, "a step back, not forward"),
        (lambda x, b, e: ((1 - b) ** 0.5 * x + b**0.5 * e).clamp(-1, 1), "clamped to [-1, 1]"),
        (lambda x, b, e: (1 - b / 2) * x + b**0.5 * e, "the root is approximated for small β"),
        (lambda x, b, e: 0.9 * x + 0.19**0.5 * e, "the β of the example is typed in"),
        (
            lambda x, b, e: max(b, 1 - b) ** 0.5 * x + min(b, 1 - b) ** 0.5 * e,
            "the picture always gets the larger factor: wrong for β above ½",
        ),
    ),
    "alpha_bars": (
        (
            lambda b: powers(1 - b, len(b)),
            "each α to the power of its own step, not the product of different α",
        ),
        (lambda b: powers(1 - b.mean(), len(b)), "the mean α to the power of the step"),
        (
            lambda b: torch.cat([1 - b[:1], (1 - b[1:]) * (1 - b[:-1])]),
            "only the last two α are multiplied",
        ),
        (lambda b: (1 - b).cumsum(0) / torch.arange(1, len(b) + 1), "the mean of the α so far"),
        (lambda b: (1 - b).flip(0).cumprod(0), "the product starts at the last step"),
        (
            lambda b: torch.cat([torch.ones(1), (1 - b[1:]).cumprod(0)]),
            "the first step is left out",
        ),
        (lambda b: (1 + b).cumprod(0), "1 + β in place of 1 - β"),
        (lambda b: b, "the β themselves"),
        (lambda b: (1 - b).cumprod(0) / (1 - (1 - b).cumprod(0)), "the signal-to-noise ratio"),
        (lambda b: (1 - b.sort(descending=True).values).cumprod(0), "the β are sorted first"),
    ),
    "noised": (
        (mixed(root, lambda s, t: s.betas[t].sqrt()), "β where 1 - ᾱ belongs"),
        (mixed(lambda s, t: s.alphas[t].sqrt(), rest), "α where ᾱ belongs, for the picture only"),
        (at(lambda t: (t - 1).clamp(min=0), mixed(root, rest)), "one step too early"),
        (at(lambda t: t.max().expand(len(t)), mixed(root, rest)), "the largest t for all pictures"),
        (at(lambda t: t.flip(0), mixed(root, rest)), "the pictures get each other's t"),
        (
            noised_step_by_step,
            "t steps with one and the same noise, whose shares do not add up as variances",
        ),
        (
            lambda s, x, t, e: mixed(root, rest)(Schedule.named("scaled_linear"), x, t, e),
            "Stable Diffusion's schedule in place of the one that is given",
        ),
        (lambda s, x, t, e: mixed(root, rest)(s, x, t, e).clamp(-1, 1), "clamped to [-1, 1]"),
        (
            at(lambda t: t.sort().values, mixed(root, rest)),
            "the t are sorted, the pictures are not",
        ),
    ),
    "estimate_clean": (
        (
            unmixed(lambda s, t: s.betas[t] / rest(s, t), lambda s, t: s.alphas[t].sqrt()),
            "the mean of one step back, not the way to x₀",
        ),
        (
            unmixed(rest, lambda s, t: s.alphas[t].sqrt()),
            "divided by √α of one step, where √ᾱ belongs",
        ),
        (lambda s, x, t, e: x - e, "the noise is subtracted whole, and nothing divided"),
        (unmixed(lambda s, t: torch.zeros(len(t)), root), "the noise is not subtracted"),
        (at(lambda t: (t - 1).clamp(min=0), unmixed(rest, root)), "one step too early"),
        (lambda s, x, t, e: unmixed(rest, root)(s, x, t, e).clamp(-1, 1), "clamped to [-1, 1]"),
        (
            lambda s, x, t, e: unmixed(rest, root)(s, x, t, e).clamp(-5, 5),
            "clamped to [-5, 5], which only touches the last steps",
        ),
        (unmixed(rest, lambda s, t: root(s, t).clamp(min=0.1)), "the divisor is kept above 0.1"),
        (estimate_with_three_ones, "three ones, which fit pictures only"),
        (
            lambda s, x, t, e: unmixed(rest, root)(Schedule.named("scaled_linear"), x, t, e),
            "Stable Diffusion's schedule in place of the one that is given",
        ),
        (
            at(lambda t: t.sort().values, unmixed(rest, root)),
            "the t are sorted, the pictures are not",
        ),
    ),
}
