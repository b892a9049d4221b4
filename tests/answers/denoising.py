"""Answers to the exercises of lesson 08_denoising."""

import math
from itertools import pairwise

import numpy as np
import torch

from answers import on_copies


def ddim_by_velocity(noisy, noise, alpha_bar, alpha_bar_next):
    clean = noisy.double() / alpha_bar**0.5 - math.sqrt(1 / alpha_bar - 1) * noise.double()
    return clean * alpha_bar_next**0.5 + noise * (1 - alpha_bar_next) ** 0.5


def ddim_in_place(noisy, noise, alpha_bar, alpha_bar_next):
    noisy -= (1 - alpha_bar) ** 0.5 * noise
    noisy *= (alpha_bar_next / alpha_bar) ** 0.5
    noisy += (1 - alpha_bar_next) ** 0.5 * noise
    return noisy


def ddpm_mean(noisy, noise, alpha_bar, beta):
    return (1 - beta) ** -0.5 * (noisy.double() - noise * beta * (1 - alpha_bar) ** -0.5)


def ddpm_by_posterior(noisy, noise, fresh, alpha_bar, before):
    """Eq. 7 of Ho et al. 2020, with x₀ put in."""
    alpha = alpha_bar / before
    clean = (noisy - (1 - alpha_bar) ** 0.5 * noise) / alpha_bar**0.5
    mean = (before**0.5 * (1 - alpha) * clean + alpha**0.5 * (1 - before) * noisy) / (1 - alpha_bar)
    return mean + math.sqrt((1 - before) * (1 - alpha) / (1 - alpha_bar)) * fresh


def ddpm_in_double(noisy, noise, fresh, alpha_bar, after):
    beta = 1 - alpha_bar / after
    fresh *= math.sqrt(beta * (1 - after) / (1 - alpha_bar))
    return ddpm_mean(noisy, noise, alpha_bar, beta) + fresh


def guided_from_the_caption(unconditional, conditional, scale):
    return conditional + (scale - 1) * (conditional - unconditional)


def guided_by_weights(unconditional, conditional, scale):
    return torch.lerp(unconditional.double(), conditional.double(), scale)


def loop_by_scheduler(predict, schedule, noise, timesteps):
    latents = noise.double()
    for index, t in enumerate(timesteps):
        said = predict(latents.float(), t)
        latents = ddim_by_velocity(
            latents, said, schedule.alpha_bars[t].item(), next_bar(schedule, timesteps, index)
        )
    return latents


def next_bar(schedule, timesteps, index):
    return schedule.alpha_bars[timesteps[index + 1]].item() if index + 1 < len(timesteps) else 1.0


def loop_backwards(predict, schedule, noise, timesteps):
    remaining = list(timesteps)[::-1]
    while remaining:
        t = remaining.pop()
        following = schedule.alpha_bars[remaining[-1]].item() if remaining else 1.0
        noise = ddim_in_place(
            noise.clone(), predict(noise, t), schedule.alpha_bars[t].item(), following
        )
    return noise


def guidance_rescaled(unconditional, conditional, scale):
    """Lin et al. 2023, Eq. 15."""
    plain = unconditional + scale * (conditional - unconditional)
    return plain * (conditional.std() / plain.std())


def guidance_limited(unconditional, conditional, scale):
    strength = min(scale, 1 + 0.08 * (scale - 1))
    plain = unconditional + strength * (conditional - unconditional)
    return plain / max(1.0, float(plain.std() / conditional.std()))


def loop_without_rungs(predict, schedule, noise, timesteps):
    for t in timesteps:
        noise = noise - predict(noise, t)
    return noise


def loop_that_stops_early(predict, schedule, noise, timesteps):
    for now, following in pairwise(timesteps):
        bars = schedule.alpha_bars[[now, following]].tolist()
        noise = ddim_by_velocity(noise, predict(noise, now).double(), *bars).float()
    last = schedule.alpha_bars[timesteps[-1]].item()
    return ddim_by_velocity(noise, predict(noise, timesteps[-1]), last, last)


def clean_of(noisy, noise, alpha_bar):
    return (noisy - (1 - alpha_bar) ** 0.5 * noise) / alpha_bar**0.5


def mixed(clean, noise, alpha_bar):
    return alpha_bar**0.5 * clean + (1 - alpha_bar) ** 0.5 * noise


def ddim_by_numpy(noisy, predicted, alpha_bar, alpha_bar_next):
    noisy, predicted = (np.asarray(given, dtype=np.float64) for given in (noisy, predicted))
    return mixed(clean_of(noisy, predicted, alpha_bar), predicted, alpha_bar_next)


def ddim_by_angles(noisy, predicted, alpha_bar, alpha_bar_next):
    here, there = (math.acos(bar**0.5) for bar in (alpha_bar, alpha_bar_next))
    clean = (noisy - math.sin(here) * predicted) / math.cos(here)
    return math.cos(there) * clean + math.sin(there) * predicted


def ddim_number_by_number(noisy, predicted, alpha_bar, alpha_bar_next):
    numbers = zip(noisy.flatten().tolist(), predicted.flatten().tolist(), strict=True)
    mine = [mixed(clean_of(x, e, alpha_bar), e, alpha_bar_next) for x, e in numbers]
    return torch.tensor(mine).reshape(noisy.shape)


def ddpm_with(
    alpha=lambda bar, after: bar / after,
    mean=lambda x, e, bar, alpha: (x - (1 - alpha) / (1 - bar) ** 0.5 * e) / alpha**0.5,
    spread=lambda alpha, bar, after: ((1 - after) / (1 - bar) * (1 - alpha)) ** 0.5,
):
    """A step of DDPM with an α, a mean or a root of the variance that may be wrong."""

    def step(noisy, predicted, fresh, alpha_bar, alpha_bar_next):
        one = alpha(alpha_bar, alpha_bar_next)
        return (
            mean(noisy, predicted, alpha_bar, one) + spread(one, alpha_bar, alpha_bar_next) * fresh
        )

    return step


def ddpm_by_ddim(noisy, predicted, fresh, alpha_bar, alpha_bar_next):
    """Eq. 12 of Song et al. 2020, with the σ that gives DDPM."""
    variance = (1 - alpha_bar_next) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_next)
    rest = max(1 - alpha_bar_next - variance, 0) ** 0.5
    clean = clean_of(noisy, predicted, alpha_bar)
    return alpha_bar_next**0.5 * clean + rest * predicted + variance**0.5 * fresh


def ddpm_by_einsum(noisy, predicted, fresh, alpha_bar, alpha_bar_next):
    alpha = alpha_bar / alpha_bar_next
    beta = 1 - alpha
    weights = (
        alpha**-0.5,
        -beta / (alpha * (1 - alpha_bar)) ** 0.5,
        (beta * (1 - alpha_bar_next) / (1 - alpha_bar)) ** 0.5,
    )
    given = torch.stack([noisy, predicted, fresh])
    return torch.einsum("k,k...->...", torch.tensor(weights), given)


def guided_by_numpy(unconditional, conditional, guidance):
    unconditional, conditional = np.asarray(unconditional), np.asarray(conditional)
    return (1 - guidance) * unconditional + guidance * conditional


def bars_of(schedule, timesteps):
    return [schedule.alpha_bars[t].item() for t in timesteps]


def loop_with(
    step=lambda x, e, bar, after: mixed(clean_of(x, e, bar), e, after),
    bars=lambda schedule, timesteps: [*bars_of(schedule, timesteps), 1.0],
    asked=lambda t, index, timesteps: t,
):
    """The loop, with a step, a list of ᾱ or a t to ask about that may be wrong."""

    def run(predict, schedule, noise, timesteps):
        latents, alpha_bars = noise, bars(schedule, timesteps)
        for index, t in enumerate(timesteps):
            predicted = predict(latents, asked(t, index, timesteps))
            latents = step(latents, predicted, alpha_bars[index], alpha_bars[index + 1])
        return latents

    return run


def loop_by_recursion(predict, schedule, noise, timesteps):
    if not timesteps:
        return noise
    t, *rest = timesteps
    lower = next_bar(schedule, timesteps, 0)
    predicted = predict(noise, t)
    mine = mixed(clean_of(noise, predicted, schedule.alpha_bars[t].item()), predicted, lower)
    return loop_by_recursion(predict, schedule, mine, rest)


def loop_of_sigmas(predict, schedule, noise, timesteps):
    """Euler's way: x / √ᾱ moves by the change of σ = √(1/ᾱ - 1)."""
    bars = bars_of(schedule, timesteps)
    sigmas = [(1 / bar - 1) ** 0.5 for bar in bars] + [0.0]
    scaled = noise / bars[0] ** 0.5
    for t, bar, (here, there) in zip(timesteps, bars, pairwise(sigmas), strict=True):
        scaled = scaled + (there - here) * predict(scaled * bar**0.5, t)
    return scaled


def loop_of_one_prediction(predict, schedule, noise, timesteps):
    first = predict(noise, timesteps[0])
    return loop_with()(lambda latents, t: first, schedule, noise, timesteps)


def loop_without_the_first_rung(predict, schedule, noise, timesteps):
    return loop_with()(predict, schedule, noise, timesteps[1:])


def loop_that_returns_nothing(predict, schedule, noise, timesteps):
    loop_with()(predict, schedule, noise, timesteps)


def loop_with_own_noise(predict, schedule, noise, timesteps):
    return loop_with(lambda x, e, bar, after: mixed(clean_of(x, e, bar), noise, after))(
        predict, schedule, noise, timesteps
    )


def guidance_by_root_mean_square(unconditional, conditional, guidance):
    plain = unconditional + guidance * (conditional - unconditional)
    return plain * (conditional.square().mean() / plain.square().mean()).sqrt()


def guidance_with_slow_scale(unconditional, conditional, guidance):
    return unconditional + (1 + 0.03 * (guidance - 1)) * (conditional - unconditional)


def guidance_with_logarithm(unconditional, conditional, guidance):
    slow = 1 + math.log(max(guidance, 1)) / 8
    return unconditional + slow * (conditional - unconditional)


def guidance_centred(unconditional, conditional, guidance):
    plain = unconditional + guidance * (conditional - unconditional)
    return (plain - plain.mean()) / plain.std() * conditional.std()


RIGHT = {
    "ddim_step": (
        ddim_by_velocity,
        on_copies(ddim_in_place),
        ddim_by_numpy,
        ddim_by_angles,
        ddim_number_by_number,
    ),
    "ddpm_step": (
        ddpm_by_posterior,
        on_copies(ddpm_in_double),
        ddpm_by_ddim,
        ddpm_by_einsum,
    ),
    "guided": (
        guided_from_the_caption,
        guided_by_weights,
        guided_by_numpy,
        lambda u, c, s: torch.add(u, c - u, alpha=s),
        lambda u, c, s: s * c - (s - 1) * u,
    ),
    "draw_latents": (
        loop_by_scheduler,
        loop_backwards,
        loop_by_recursion,
        loop_of_sigmas,
    ),
    "own_guidance": (
        guidance_rescaled,
        guidance_limited,
        guidance_by_root_mean_square,
        guidance_with_slow_scale,
        guidance_with_logarithm,
    ),
}

WRONG = {
    "ddim_step": (
        (ddim_in_place, "changes its argument"),
        (lambda x, e, bar, after: (x - math.sqrt(1 - bar) * e) / math.sqrt(bar), "put it back"),
        (lambda x, e, bar, after: ddim_by_velocity(x, e, after, bar), "exchanged"),
        (
            lambda x, e, bar, after: after * (x - (1 - bar) * e) / bar + (1 - after) * e,
            "square roots are missing",
        ),
        (
            lambda x, e, bar, after: x - (math.sqrt(1 - bar) - math.sqrt(1 - after)) * e,
            "rescales the picture",
        ),
        (
            lambda x, e, bar, after: after**0.5 * clean_of(x, e, bar),
            "noise of that rung is missing",
        ),
        (lambda x, e, bar, after: mixed(x, e, after), "mixed anew is x_t"),
        (
            lambda x, e, bar, after: after**0.5 * clean_of(x, e, bar) + (1 - bar) ** 0.5 * e,
            "share of the *old* rung",
        ),
        (
            lambda x, e, bar, after: mixed(x - (1 - bar) ** 0.5 * e, e, after),
            "division by √ᾱ is missing",
        ),
        (
            lambda x, e, bar, after: mixed(clean_of(x, e, bar), torch.randn_like(x), after),
            "changes from call to call",
        ),
        (lambda x, e, bar, after: torch.sqrt(bar) * x, "must be Tensor, not float"),
        (lambda x, e, bar, after: None, "does it end with `return`"),
        (
            lambda x, e, bar, after: after * clean_of(x, e, bar) + (1 - after) * e,
            "x̂₀ is right, but mixed without",
        ),
        (
            lambda x, e, bar, after: mixed((x + (1 - bar) ** 0.5 * e) / bar**0.5, e, after),
            "wrong sign in x̂₀: the noise",
        ),
    ),
    "ddpm_step": (
        (ddpm_in_double, "changes its argument"),
        (
            lambda x, e, fresh, bar, after: ddpm_mean(x, e, bar, 1 - bar / after),
            "fresh noise is missing",
        ),
        (
            lambda x, e, fresh, bar, after: (
                ddpm_mean(x, e, bar, 1 - bar / after) + math.sqrt(1 - bar / after) * fresh
            ),
            "it has to be √β̃",
        ),
        (lambda x, e, fresh, bar, after: ddim_by_velocity(x, e, bar, after), "that is DDIM"),
        (
            lambda x, e, fresh, bar, after: (
                ddpm_mean(x, e, bar, 1 - bar)
                + math.sqrt((1 - bar) * (1 - after) / (1 - bar)) * fresh
            ),
            "ᾱ is taken for α",
        ),
        (
            lambda x, e, fresh, bar, after: (
                ddpm_mean(x, e, bar, 1 - after / bar) + (1 - after / bar) ** 0.5 * fresh
            ),
            "your result is complex",
        ),
        (
            lambda x, e, fresh, bar, after: (
                ddpm_by_posterior(x, e, fresh, bar, after) * math.sqrt(bar / after)
            ),
            "was expected, got",
        ),
        (
            lambda x, e, fresh, bar, after: (
                ddpm_by_posterior(x, e, fresh, bar, after)
                - ddpm_mean(x, e, bar, 1 - bar / after)
                + ddpm_mean(x, e, bar, 1 - bar)
            ),
            "was expected, got",
        ),
        (
            ddpm_with(spread=lambda alpha, bar, after: (1 - after) / (1 - bar) * (1 - alpha)),
            "multiply by its root",
        ),
        (
            ddpm_with(mean=lambda x, e, bar, alpha: x - (1 - alpha) / (1 - bar) ** 0.5 * e),
            "division by √α is missing",
        ),
        (
            ddpm_with(
                mean=lambda x, e, bar, alpha: (x - (1 - alpha) / (1 - bar) ** 0.5 * e) / alpha
            ),
            "this divides by α",
        ),
        (
            ddpm_with(mean=lambda x, e, bar, alpha: (x - (1 - alpha) / (1 - bar) * e) / alpha**0.5),
            "the root of 1 - ᾱ",
        ),
        (
            ddpm_with(
                mean=lambda x, e, bar, alpha: (
                    (x - ((1 - alpha) / (1 - bar)) ** 0.5 * e) / alpha**0.5
                )
            ),
            "√β stands before ε̂",
        ),
        (
            lambda x, e, fresh, bar, after: ddpm_by_ddim(x, e, torch.randn_like(x), bar, after),
            "changes from call to call",
        ),
        (
            ddpm_with(
                mean=lambda x, e, bar, alpha: (x + (1 - alpha) / (1 - bar) ** 0.5 * e) / alpha**0.5
            ),
            "the predicted noise is added",
        ),
        (
            ddpm_with(
                spread=lambda alpha, bar, after: (
                    (1 - alpha if alpha > 0.95 else (1 - after) / (1 - bar) * (1 - alpha)) ** 0.5
                )
            ),
            "the numbers are nearly right, but",
        ),
    ),
    "guided": (
        (lambda u, c, s: c + s * (c - u), "one too strong"),
        (lambda u, c, s: (1 - s) * c + s * u, "exchanged"),
        (lambda u, c, s: s * c - s * u, "only the difference"),
        (lambda u, c, s: u - s * (c - u), "direction is reversed"),
        (lambda u, c, s: c, "scale is not used"),
        (lambda u, c, s: u + s * c, "multiplies the whole conditional prediction"),
        (lambda u, c, s: u + (s - 1) * (c - u), "one too weak"),
        (lambda u, c, s: (1 + s) * c - s * u, "one too strong"),
        (lambda u, c, s: u + min(s, 1) * (c - u), "[5] was expected, got [3]"),
        (lambda u, c, s: u, "[5] was expected, got [1]"),
        (lambda u, c, s: (u + s * (c - u)).mean(), "shape 1 was expected"),
    ),
    "draw_latents": (
        (loop_that_stops_early, "the last step stops"),
        (
            lambda p, s, noise, ts: loop_backwards(lambda x, t: p(x, ts.index(t)), s, noise, ts),
            "about its t",
        ),
        (loop_without_rungs, "simply subtracted"),
        (
            lambda p, s, noise, ts: loop_backwards(lambda _, t: p(noise, t), s, noise, ts),
            "*this* step's latents",
        ),
        (lambda p, s, noise, ts: loop_backwards(p, s, noise, ts[::-1]), "in ascending order"),
        (loop_with(lambda x, e, bar, after: clean_of(x, e, bar)), "jumps all the way"),
        (
            loop_with(lambda x, e, bar, after: after**0.5 * clean_of(x, e, bar)),
            "noise is not put back",
        ),
        (loop_with(bars=lambda s, ts: [*s.alphas[ts].tolist(), 1.0]), "α of one step"),
        (loop_with(bars=bars_of), "list index out of range"),
        (loop_that_returns_nothing, "does it end with `return`"),
        (
            loop_with(bars=lambda s, ts: [*bars_of(s, ts), s.alpha_bars[0].item()]),
            "the walk ends at ᾱ of",
        ),
        (loop_of_one_prediction, "all of the way is walked"),
        (loop_without_the_first_rung, "the first rung is left out:"),
    ),
    "own_guidance": (
        (guided_from_the_caption, "at scale 12 your result spreads"),
        (lambda u, c, s: c, "it does not guide"),
        (lambda u, c, s: guidance_rescaled(u, c, min(s, 3)), "does not follow the scale"),
        (lambda u, c, s: u + s * (c - u) / 10, "at scale 1 the conditional"),
        (
            lambda u, c, s: (u + c).mean(),
            "shape 1×4×32×32 was expected, got a single number, -0.2111",
        ),
        (lambda u, c, s: (c - u) / 0, "NaN or infinity"),
        (
            lambda u, c, s: guidance_rescaled(u, c, s) if s > 1 else None,
            "at scale 1: your function returned None",
        ),
        (lambda u, c, s: u + s * (c - u) / s**0.5, "at most 1.15 was asked for"),
        (lambda u, c, s: (u + s * (c - u)) / s, "too little noise is predicted"),
        (guidance_centred, "at scale 1 the conditional prediction"),
        (lambda u, c, s: guidance_rescaled(u, c, s)[0], "expected, got 4×32×32"),
    ),
}

SHOWN = {
    "ddim_step": (
        (
            lambda x, e, bar, after: mixed((x - (1 - bar) * e) / bar, e, after),
            "the roots are missing in the estimate of x̂₀ alone",
        ),
        (
            lambda x, e, bar, after: mixed(x - (1 - bar) ** 0.5 * e / bar**0.5, e, after),
            "brackets are missing: only the noise is divided by √ᾱ",
        ),
        (
            lambda x, e, bar, after: after**0.5 * clean_of(x, e, bar) + e,
            "the noise is put back whole, without √(1 - ᾱ′)",
        ),
        (
            lambda x, e, bar, after: mixed(clean_of(x, e, bar).clamp(-1, 1), e, after),
            "x̂₀ is cut off at -1 and 1",
        ),
    ),
    "ddpm_step": (
        (
            ddpm_with(
                spread=lambda alpha, bar, after: (
                    (1 - alpha) ** 0.5
                    if after == 1
                    else ((1 - after) / (1 - bar) * (1 - alpha)) ** 0.5
                )
            ),
            "the last step adds √β of fresh noise, where none may be left",
        ),
        (
            ddpm_with(
                spread=lambda alpha, bar, after: ((1 - after) / (1 - bar)) ** 0.5 * (1 - alpha)
            ),
            "the root reaches over the quotient only, not over β",
        ),
        (
            lambda x, e, fresh, bar, after: ddpm_by_ddim(x, fresh, e, bar, after),
            "predicted and fresh noise are exchanged",
        ),
        (ddpm_with(alpha=lambda bar, after: after), "ᾱ′ is taken for α"),
    ),
    "guided": (
        (lambda u, c, s: u + int(s) * (c - u), "the scale is cut off to a whole number"),
        (lambda u, c, s: (u + s * (c - u)).clamp(-5, 5), "the result is cut off at -5 and 5"),
        (lambda u, c, s: 2 * c - u, "the scale is taken to be 2 always, as in the example"),
        (lambda u, c, s: u if s < 1 else u + s * (c - u), "scales between 0 and 1 are taken for 0"),
        (
            lambda u, c, s: u if s == 0 else u + max(s, 1) * (c - u),
            "scales between 0 and 1 are taken for 1",
        ),
    ),
    "draw_latents": (
        (
            loop_with(bars=lambda s, ts: [*bars_of(s, ts), 0.0]),
            "the last ᾱ is 0: all noise, not none",
        ),
        (
            loop_with(asked=lambda t, index, ts: [*ts, 0][index + 1]),
            "`predict` is asked about the next rung's t",
        ),
        (
            loop_with(bars=lambda s, ts: [*s.alpha_bars[: len(ts)].tolist(), 1.0]),
            "ᾱ is looked up by the number of the step, not by t",
        ),
        (
            loop_with(bars=lambda s, ts: [1.0, *bars_of(s, ts)]),
            "the 1.0 stands at the beginning of the list, not at its end",
        ),
        (loop_with_own_noise, "the first noise is put back, not the predicted one"),
    ),
}
