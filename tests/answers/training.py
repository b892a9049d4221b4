"""Answers to the exercises of lesson 07_training."""

import math

import torch
import torch.nn.functional as F


def loss_by_hand(predict, schedule, clean, t, noise):
    return ((predict(loss_input(schedule, clean, t, noise), t) - noise) ** 2).mean()


def loss_input(schedule, clean, t, noise):
    kept = schedule.alpha_bars[t].reshape(-1, *[1] * (clean.ndim - 1))
    return kept.sqrt() * clean + (1 - kept).sqrt() * noise


def loss_one_by_one(predict, schedule, clean, t, noise):
    losses = [
        loss_by_hand(predict, schedule, x[None], at[None], e[None]).double()
        for x, at, e in zip(clean, t, noise, strict=True)
    ]
    return sum(losses) / len(losses)


def ema_of_decay(history, decay):
    average = history[0].clone()
    for weights in history[1:]:
        average.lerp_(weights, 1 - decay)
    return average


def ema_by_shares(history, half_life):
    """What every step counts in the end, all at once."""
    ages = torch.arange(len(history) - 1, -1, -1).double()
    shares = (1 - 0.5 ** (1 / half_life)) * 0.5 ** (ages / half_life)
    shares[0] = 0.5 ** (ages[0] / half_life)
    return torch.einsum("n,n...->...", shares, history.double())


def ema_by_logarithm(history, half_life):
    return ema_of_decay(history, math.exp(-math.log(2) / half_life))


def train_with(optimizer, rate, forget=True, **options):
    """A training loop with any optimizer, which is right if it forgets the gradients of the step
    before.
    """

    def run(unet, schedule, batch_at, steps):
        chosen = optimizer(unet.parameters(), lr=rate, **options)
        for step in range(steps):
            clean, states = batch_at(step)
            t, noise = torch.randint(1000, (len(clean),)), torch.randn_like(clean)
            loss = loss_by_hand(
                lambda x, at, states=states: unet(x, at, states).sample, schedule, clean, t, noise
            )
            if forget:
                chosen.zero_grad()
            loss.backward()
            chosen.step()

    return run


def train_wrongly(**wrong):
    """A training loop with one thing wrong."""

    def run(unet, schedule, batch_at, steps):
        optimizer = torch.optim.AdamW(unet.parameters(), lr=3e-3)
        first = batch_at(0)
        for step in range(steps):
            clean, states = first if "one_batch" in wrong else batch_at(step)
            if "one_batch" in wrong:
                batch_at(step)
            t, noise = torch.randint(1000, (len(clean),)), torch.randn_like(clean)
            t = torch.full_like(t, wrong.get("t", 0)) if "t" in wrong else t
            noisy = noise if "no_data" in wrong else loss_input(schedule, clean, t, noise)
            states = torch.zeros_like(states) if "no_captions" in wrong else states
            told = torch.zeros_like(t) if "told_0" in wrong else t
            if "new_optimizer" in wrong:
                optimizer = torch.optim.AdamW(unet.parameters(), lr=3e-3)
            target = noisy if "repeats" in wrong else noise
            loss = F.mse_loss(unet(noisy, told, states).sample, target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return run


def train_without_steps(unet, schedule, batch_at, steps):
    for step in range(steps):
        clean, states = batch_at(step)
        unet(clean, 500, states).sample.square().mean().backward()


RIGHT = {
    "noise_loss": (loss_by_hand, loss_one_by_one),
    "lazy_loss": (
        lambda bars, factor: factor**2 - 2 * factor * (1 - bars).sqrt() + 1,
        lambda bars, factor: torch.tensor(
            [factor**2 * b + (factor * math.sqrt(1 - b) - 1) ** 2 for b in bars.tolist()]
        ),
    ),
    "ema": (ema_by_shares, ema_by_logarithm),
    "min_snr": (
        lambda snr, most: torch.minimum(torch.ones_like(snr), most / snr),
        lambda snr, most: torch.tensor([min(float(s), most) / float(s) for s in snr]),
    ),
    "own_training": (
        train_with(torch.optim.AdamW, 2e-3),
        train_with(torch.optim.Adam, 1e-3, betas=(0.9, 0.99)),
    ),
}

WRONG = {
    "noise_loss": (
        (lambda *given: loss_by_hand(*given).item(), "its gradient was cut"),
        (lambda *given: loss_by_hand(*given).detach(), "its gradient was cut"),
        (torch.no_grad()(loss_by_hand), "its gradient was cut"),
        (lambda p, *given: loss_by_hand(lambda x, t: p(x, t).detach(), *given), "gradient was cut"),
        (lambda p, s, x, t, e: F.mse_loss(p(loss_input(s, x, t, e), t), x), "predicts the *noise*"),
        (lambda p, s, x, t, e: ((p(x, t) - e) ** 2).mean(), "shown the clean latents"),
        (lambda p, s, x, t, e: ((p(x + e, t) - e) ** 2).mean(), "just added"),
        (lambda p, s, x, t, e: (p(loss_input(s, x, t, e), t) - e).abs().mean(), "absolute errors"),
        (lambda p, s, x, t, e: ((p(loss_input(s, x, t, e), t) - e) ** 2).sum(), "summed"),
    ),
    "lazy_loss": (
        (lambda bars, f: (f * (1 - bars).sqrt() - 1) ** 2, "picture's part is missing"),
        (lambda bars, f: f**2 + 0 * bars, "not subtracted"),
        (lambda bars, f: f**2 * bars**2 + (f * (1 - bars) - 1) ** 2, "square roots are missing"),
    ),
    "ema": (
        (lambda history, half_life: ema_of_decay(history, 1 - 2 ** (-1 / half_life)), "wrong one"),
        (lambda history, half_life: ema_of_decay(history, 1 - 1 / half_life), "more than half"),
        (lambda history, half_life: ema_of_decay(history, math.exp(-1 / half_life)), "only 37 %"),
        (lambda history, half_life: ema_of_decay(history, 0.5), "at *every* step"),
        (lambda history, half_life: torch.stack(list(history)).mean(0), "plain mean"),
        (lambda history, half_life: history[0], "never moves"),
    ),
    "min_snr": (
        (
            lambda snr, most: torch.minimum(snr, torch.tensor(most)),
            "division by the SNR is missing",
        ),
        (lambda snr, most: torch.maximum(snr, torch.tensor(most)) / snr, "take the smaller"),
        (lambda snr, most: most / snr, "every weight is"),
    ),
    "own_training": (
        (lambda unet, schedule, batch_at, steps: None, "0 different steps"),
        (train_without_steps, "no parameter changed"),
        (train_with(torch.optim.SGD, 1e-5), "the loss on fresh noise is"),
        (train_with(torch.optim.SGD, 1e9), "NaN"),
        (train_wrongly(no_data=True), "not shown this step's latents"),
        (train_wrongly(one_batch=True), "not shown this step's latents"),
        (train_wrongly(told_0=True), "has to learn every t"),
        (train_wrongly(t=500), "has to learn every t"),
        (train_wrongly(no_captions=True), "not shown the text states"),
        (train_wrongly(new_optimizer=True), "makes a new optimizer"),
        (train_wrongly(repeats=True), "Is the *noise* the target"),
        (train_with(torch.optim.AdamW, 2e-3, forget=False), "gradients of 0"),
    ),
}
