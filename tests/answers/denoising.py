"""Answers to the exercises of lesson 08_denoising."""

import math
from itertools import pairwise

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
            latents, said, schedule.alpha_bars[t].item(), next_kept(schedule, timesteps, index)
        )
    return latents


def next_kept(schedule, timesteps, index):
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
        kept = schedule.alpha_bars[[now, following]].tolist()
        noise = ddim_by_velocity(noise, predict(noise, now).double(), *kept).float()
    last = schedule.alpha_bars[timesteps[-1]].item()
    return ddim_by_velocity(noise, predict(noise, timesteps[-1]), last, last)


RIGHT = {
    "ddim_step": (ddim_by_velocity, on_copies(ddim_in_place)),
    "ddpm_step": (ddpm_by_posterior, on_copies(ddpm_in_double)),
    "guided": (guided_from_the_caption, guided_by_weights),
    "draw_latents": (loop_by_scheduler, loop_backwards),
    "own_guidance": (guidance_rescaled, guidance_limited),
}

WRONG = {
    "ddim_step": (
        (ddim_in_place, "changes its argument"),
        (lambda x, e, kept, after: (x - math.sqrt(1 - kept) * e) / math.sqrt(kept), "put it back"),
        (lambda x, e, kept, after: ddim_by_velocity(x, e, after, kept), "exchanged"),
        (
            lambda x, e, kept, after: after * (x - (1 - kept) * e) / kept + (1 - after) * e,
            "square roots are missing",
        ),
        (
            lambda x, e, kept, after: x - (math.sqrt(1 - kept) - math.sqrt(1 - after)) * e,
            "rescales the picture",
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
            "√β̃ was asked for",
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
    ),
    "guided": (
        (lambda u, c, s: c + s * (c - u), "one too strong"),
        (lambda u, c, s: (1 - s) * c + s * u, "exchanged"),
        (lambda u, c, s: s * c - s * u, "only the difference"),
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
        (lambda p, s, noise, ts: loop_backwards(p, s, noise, ts[::-1]), "upwards"),
    ),
    "own_guidance": (
        (guided_from_the_caption, "at scale 12 your result spreads"),
        (lambda u, c, s: c, "it does not guide"),
        (lambda u, c, s: guidance_rescaled(u, c, min(s, 3)), "does not follow the scale"),
        (lambda u, c, s: u + s * (c - u) / 10, "at scale 1 the conditional"),
        (lambda u, c, s: (u + c).mean(), "shape 1×4×32×32 was expected, got ()"),
        (lambda u, c, s: (c - u) / 0, "NaN or infinity"),
        (
            lambda u, c, s: guidance_rescaled(u, c, s) if s > 1 else None,
            "at scale 1: your function returned None",
        ),
    ),
}
