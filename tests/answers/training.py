"""Answers to the exercises of lesson 07_training."""

import math
from copy import deepcopy
from functools import reduce
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F

from sdlearn.noising import add_noise


def loss_by_hand(predict, schedule, clean, t, noise):
    return ((predict(loss_input(schedule, clean, t, noise), t) - noise) ** 2).mean()


def loss_input(schedule, clean, t, noise):
    alpha_bar = schedule.alpha_bars[t].reshape(-1, *[1] * (clean.ndim - 1))
    return alpha_bar.sqrt() * clean + (1 - alpha_bar).sqrt() * noise


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
            if "scaled" in wrong:
                target = schedule.at(schedule.sqrt_one_minus_alpha_bars, t, noise) * noise
            loss = F.mse_loss(unet(noisy, told, states).sample, target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return run


def train_without_steps(unet, schedule, batch_at, steps):
    for step in range(steps):
        clean, states = batch_at(step)
        unet(clean, 500, states).sample.square().mean().backward()


def loss_by_course(predict, schedule, clean, t, noise):
    return F.mse_loss(predict(add_noise(schedule, clean, t, noise), t), noise)


def loss_in_float64(predict, schedule, clean, t, noise):
    noisy = loss_input(schedule, clean.double(), t, noise.double()).to(clean)
    return (predict(noisy, t).double() - noise.double()).pow(2).mean()


def loss_by_einsum(predict, schedule, clean, t, noise):
    alpha_bar = schedule.alpha_bars[t]
    picture = torch.einsum("n,n...->n...", alpha_bar.sqrt(), clean)
    noisy = picture + torch.einsum("n,n...->n...", (1 - alpha_bar).sqrt(), noise)
    return (noise - predict(noisy, t)).square().sum() / noise.numel()


def loss_with_batch_last(predict, schedule, clean, t, noise):
    alpha_bar = schedule.alpha_bars[t]
    noisy = alpha_bar.sqrt() * clean.movedim(0, -1) + (1 - alpha_bar).sqrt() * noise.movedim(0, -1)
    return (predict(noisy.movedim(-1, 0), t) - noise).flatten().square().mean()


def loss_from_prepared_roots(predict, schedule, clean, t, noise):
    ones = [1] * (clean.ndim - 1)
    noisy = schedule.sqrt_alpha_bars[t].reshape(-1, *ones) * clean
    noisy = noisy + schedule.sqrt_one_minus_alpha_bars[t].reshape(-1, *ones) * noise
    return (predict(noisy, t) - noise).norm() ** 2 / noise.numel()


def bars_of_each(schedule, t, clean):
    return schedule.alpha_bars[t].reshape(-1, *[1] * (clean.ndim - 1))


def bar_of_first(schedule, t, clean):
    return schedule.alpha_bars[t[0]]


def with_roots(alpha_bar, clean, noise):
    return alpha_bar.sqrt() * clean + (1 - alpha_bar).sqrt() * noise


def without_roots(alpha_bar, clean, noise):
    return alpha_bar * clean + (1 - alpha_bar) * noise


def own_noise(clean, noise, noisy, alpha_bar):
    return noise


def fresh_noise(clean, noise, noisy, alpha_bar):
    return torch.randn_like(clean)


def loss_of(bars=bars_of_each, noised=with_roots, target=own_noise, reduced=None):
    """The loss with any of its parts exchanged."""

    def run(predict, schedule, clean, t, noise):
        alpha_bar = bars(schedule, t, clean)
        noisy = noised(alpha_bar, clean, noise)
        error = predict(noisy, t) - target(clean, noise, noisy, alpha_bar)
        return reduced(error) if reduced else error.square().mean()

    return run


def loss_of_sorted_steps(predict, schedule, clean, t, noise):
    return loss_by_hand(predict, schedule, clean, t.sort().values, noise)


def loss_of_fresh_steps(predict, schedule, clean, t, noise):
    return loss_by_hand(predict, schedule, clean, torch.randint(1000, (len(clean),)), noise)


def loss_of_first_picture(predict, schedule, clean, t, noise):
    return loss_by_hand(predict, schedule, clean[:1], t[:1], noise[:1])


def loss_that_tells_first_step(predict, schedule, clean, t, noise):
    return (predict(loss_input(schedule, clean, t, noise), t[0]) - noise).square().mean()


def loss_that_tells_share(predict, schedule, clean, t, noise):
    noisy = loss_input(schedule, clean, t, noise)
    return (predict(noisy, schedule.alpha_bars[t]) - noise).square().mean()


def loss_of_picture(predict, schedule, clean, t, noise):
    """The squared error of the noise, weighted as that of the picture."""
    alpha_bar = bars_of_each(schedule, t, clean)
    error = predict(loss_input(schedule, clean, t, noise), t) - noise
    return (error.square() * (1 - alpha_bar) / alpha_bar).mean()


def loss_that_overwrites(predict, schedule, clean, t, noise):
    alpha_bar = bars_of_each(schedule, t, clean)
    clean.mul_(alpha_bar.sqrt()).add_((1 - alpha_bar).sqrt() * noise)
    return (predict(clean, t) - noise).square().mean()


def loss_without_return(*given):
    loss_by_hand(*given)


def lazy(bars, factor):
    return factor**2 * bars + (factor * (1 - bars).sqrt() - 1) ** 2


def lazy_by_norm(bars, factor):
    parts = torch.stack([factor * bars.sqrt(), factor * (1 - bars).sqrt() - 1], dim=-1)
    return parts.norm(dim=-1) ** 2


def lazy_by_all_signs(bars, factor):
    """The mean over the four pairs of +1 and -1, which have mean 0 and variance 1."""
    clean, noise = torch.tensor([1.0, 1, -1, -1]), torch.tensor([1.0, -1, 1, -1])
    noisy = with_roots(bars[:, None], clean, noise)
    return (factor * noisy - noise).square().mean(dim=1)


def lazy_by_chance(bars, factor, count=100_000):
    draw = torch.Generator().manual_seed(0)
    clean, noise = torch.randn(2, count, generator=draw)
    errors = [factor * with_roots(bar, clean, noise) - noise for bar in bars]
    return torch.stack([error.square().mean() for error in errors])


def min_snr_by_mask(snr, most):
    weight, above = torch.ones_like(snr), snr > most
    weight[above] = most / snr[above]
    return weight


def halving(half_life):
    """The decay of this half-life."""
    return 0.5 ** (1 / half_life)


def toward(average, weights, decay):
    return decay * average + (1 - decay) * weights


def ema_by_reduce(history, half_life):
    return reduce(lambda a, w: toward(a, w, halving(half_life)), history)


def ema_by_recursion(history, half_life):
    if len(history) == 1:
        return history[0]
    return toward(ema_by_recursion(history[:-1], half_life), history[-1], halving(half_life))


def ema_by_difference(history, half_life):
    average = history[0]
    for index in range(1, len(history)):
        average = average + (1 - halving(half_life)) * (history[index] - average)
    return average


def ema_in_numpy(history, half_life):
    average, *others = history.numpy()
    for weights in others:
        average = toward(average, weights, halving(half_life))
    return average


def ema_of(decay=halving, step=toward, start=0, first=1, last=None):
    """The average with another decay, another step, or other ends of the loop."""

    def run(history, half_life):
        average = history[start]
        for weights in history[first:last]:
            average = step(average, weights, decay(half_life))
        return average

    return run


def ema_in_place(history, half_life):
    average = history[0]
    for weights in history[1:]:
        average.lerp_(weights, 1 - halving(half_life))
    return average


def ema_from_zero(history, half_life):
    return reduce(
        lambda a, w: toward(a, w, halving(half_life)), history, torch.zeros_like(history[0])
    )


def ema_as_in_adam(history, half_life):
    return ema_from_zero(history, half_life) / (1 - halving(half_life) ** len(history))


def ema_that_returns_early(history, half_life):
    average = history[0]
    for weights in history[1:]:
        average = toward(average, weights, halving(half_life))
        return average  # inside the loop


def ema_of_neighbours(history, half_life):
    average = history[0]
    for before, weights in pairwise(history):
        average = toward(before, weights, halving(half_life))
    return average


def ema_of_half_life_only(history, half_life):
    """As if everything were over after so many steps."""
    return ema_of()(history[: int(half_life) + 1], half_life)


def adamw(parameters):
    return torch.optim.AdamW(parameters, lr=2e-3)


def steps_of(batch):
    return torch.randint(1000, (batch,))


def train(
    optimizer=adamw,
    steps=range,
    batch=lambda batch_at, step: batch_at(step),
    t=steps_of,
    noise=torch.randn_like,
    noisy=add_noise,
    told=lambda t: t,
    target=lambda clean, noise, noisy: noise,
    loss=F.mse_loss,
    order=("zero_grad", "backward", "step"),
):
    """A training loop with any of its parts exchanged."""

    def run(unet, schedule, batch_at, count):
        chosen = optimizer(unet.parameters())
        for step in steps(count):
            clean, states = batch(batch_at, step)
            at, added = t(len(clean)), noise(clean)
            shown = noisy(schedule, clean, at, added)
            error = loss(unet(shown, told(at), states).sample, target(clean, added, shown))
            deeds = {
                "zero_grad": chosen.zero_grad,
                "backward": error.backward,
                "step": chosen.step,
            }
            for deed in order:
                deeds[deed]()

    return run


def train_with_falling_rate(unet, schedule, batch_at, steps):
    optimizer = torch.optim.Adam(unet.parameters(), lr=3e-3)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        clean, states = batch_at(step)
        t, noise = steps_of(len(clean)), torch.randn(clean.shape)
        answer = unet(loss_input(schedule, clean, t, noise), t, encoder_hidden_states=states)[0]
        (noise - answer).pow(2).mean().backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)
        falling.step()


def train_by_own_adam(unet, schedule, batch_at, steps):
    parameters = list(unet.parameters())
    means, squares = ([torch.zeros_like(p) for p in parameters] for _ in range(2))
    for step in range(steps):
        clean, states = batch_at(step)
        t, noise = steps_of(len(clean)), torch.randn_like(clean)
        answer = unet(add_noise(schedule, clean, t, noise), t, states).sample
        gradients = torch.autograd.grad(F.mse_loss(answer, noise), parameters)
        with torch.no_grad():
            for p, g, mean, square in zip(parameters, gradients, means, squares, strict=True):
                mean.lerp_(g, 0.1)
                square.lerp_(g * g, 0.01)
                size = (square / (1 - 0.99 ** (step + 1))).sqrt() + 1e-8
                p -= 2e-3 * mean / (1 - 0.9 ** (step + 1)) / size


def train_and_keep_average(unet, schedule, batch_at, steps):
    averages = [p.detach().clone() for p in unet.parameters()]

    def adam_and_average(parameters):
        optimizer = torch.optim.AdamW(parameters, lr=3e-3)
        optimizer.register_step_post_hook(
            lambda *_: [
                a.lerp_(p.detach(), 0.1) for a, p in zip(averages, unet.parameters(), strict=True)
            ]
        )
        return optimizer

    train(adam_and_average)(unet, schedule, batch_at, steps)
    unet.load_state_dict(
        dict(zip([name for name, _ in unet.named_parameters()], averages, strict=True))
    )


def train_a_copy(unet, schedule, batch_at, steps):
    train()(deepcopy(unet), schedule, batch_at, steps)


def train_without_sample(unet, schedule, batch_at, steps):
    for step in range(steps):
        clean, states = batch_at(step)
        (unet(clean, 0, states) - clean).square().mean().backward()


def swapped_roots(schedule, clean, t, noise):
    return loss_input(schedule, noise, t, clean)


ONLY_FIRST = "only the first of the batch is right; each has its own numbers"
AMBIGUOUS = "RuntimeError: Boolean value of Tensor with more than one value is ambiguous"


RIGHT = {
    "noise_loss": (
        loss_by_hand,
        loss_one_by_one,
        loss_by_course,
        loss_in_float64,
        loss_by_einsum,
        loss_with_batch_last,
        loss_from_prepared_roots,
    ),
    "lazy_loss": (
        lambda bars, factor: factor**2 - 2 * factor * (1 - bars).sqrt() + 1,
        lambda bars, factor: torch.tensor(
            [factor**2 * b + (factor * math.sqrt(1 - b) - 1) ** 2 for b in bars.tolist()]
        ),
        lambda bars, factor: [lazy(b, factor).item() for b in bars],
        lambda alpha_bars, factor: lazy(alpha_bars.double(), factor),
        lambda bars, factor: (
            factor**2 * bars.numpy() + (factor * np.sqrt(1 - bars.numpy()) - 1) ** 2
        ),
        lazy_by_norm,
        lazy_by_all_signs,
    ),
    "ema": (
        ema_by_shares,
        ema_by_logarithm,
        ema_by_reduce,
        ema_by_recursion,
        ema_by_difference,
        ema_in_numpy,
        ema_of(first=0),
        lambda history, half_life: ema_of()(history, half_life).tolist(),
    ),
    "min_snr": (
        lambda snr, most: torch.minimum(torch.ones_like(snr), most / snr),
        lambda snr, most: torch.tensor([min(float(s), most) / float(s) for s in snr]),
        lambda snr, most: [min(s, most) / s for s in snr.tolist()],
        lambda snr, most: np.minimum(1, most / snr.numpy()),
        lambda snr, most: torch.where(snr >= most, most / snr, 1.0),
        lambda snr, most: most / snr.clamp(min=most),
        lambda snr, most: (snr.double() / most).clamp(min=1).reciprocal(),
        min_snr_by_mask,
    ),
    "own_training": (
        train_with(torch.optim.AdamW, 2e-3),
        train_with(torch.optim.Adam, 1e-3, betas=(0.9, 0.99)),
        train(lambda parameters: torch.optim.AdamW(parameters)),
        train(order=("backward", "step", "zero_grad")),
        train_with_falling_rate,
        train_by_own_adam,
        train_and_keep_average,
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
        (
            lambda p, s, x, t, e: ((p(loss_input(s, x, t, e), t) - e) ** 2).sum(),
            "squares are summed",
        ),
        (loss_of(bar_of_first, without_roots, fresh_noise), "changes from call to call"),
        (loss_of(target=fresh_noise), "changes from call to call"),
        (loss_of(bar_of_first, target=fresh_noise), "changes from call to call"),
        (loss_of(noised=without_roots, target=fresh_noise), "changes from call to call"),
        (loss_of_fresh_steps, "changes from call to call"),
        (loss_of(bar_of_first), "noised to the same t"),
        (loss_of(noised=without_roots), "square roots of lesson 04's"),
        (loss_of(noised=lambda a, x, e: with_roots(a, e, x)), "swapped: √ᾱ belongs to the picture"),
        (
            loss_of(lambda s, t, x: s.alphas[t].reshape(-1, 1, 1, 1)),
            "0.505 was expected, got 0.6335. The first thing",
        ),
        (loss_of(reduced=lambda e: e.square().mean().sqrt()), "root is one too many"),
        (loss_of(reduced=lambda e: e.square().mean() / 2), "factor ½ is one too many"),
        (loss_of(reduced=lambda e: -e.square().mean()), "sign is wrong"),
        (
            loss_of(reduced=lambda e: e.square().flatten(1).mean(1)),
            "a single number was expected, got shape 1",
        ),
        (
            loss_of(reduced=lambda e: e.square().flatten(1).sum(1).mean()),
            "where a mean was asked for",
        ),
        (loss_of(reduced=lambda e: e), "a single number was expected, got shape 1×2"),
        (loss_of(lambda s, t, x: s.alpha_bars[t]), "size of tensor a (3)"),
        (
            loss_of(reduced=lambda e: 2 * e.square().mean().detach() - e.square().mean()),
            "its gradient is not",
        ),
        (loss_that_overwrites, "changes its argument `clean`"),
        (loss_without_return, "your function returned None"),
        (loss_of(reduced=lambda e: e.square().sum(1).mean()), "these are 2, 1, 4, 6"),
    ),
    "lazy_loss": (
        (lambda bars, f: (f * (1 - bars).sqrt() - 1) ** 2, "picture's part is missing"),
        (lambda bars, f: f**2 + 0 * bars, "not subtracted"),
        (lambda bars, f: f**2 * bars**2 + (f * (1 - bars) - 1) ** 2, "square roots are missing"),
        (lambda bars, f: f**2 * bars + f**2 * (1 - bars) - 1, "subtract first, then square"),
        (lambda bars, f: f**2 * bars + f**2 * (1 - bars) + 1, "noise of its own"),
        (lambda bars, f: f * bars + (f * (1 - bars).sqrt() - 1) ** 2, "is not squared"),
        (
            lambda bars, f: (f * bars.sqrt() + f * (1 - bars).sqrt() - 1) ** 2,
            "their *squares* add up",
        ),
        (lambda bars, f: lazy(bars, 1), "`factor` is not used"),
        (lambda bars, f: lazy(1 - bars, f), "swapped: √ᾱ belongs to the picture"),
        (lambda bars, f: lazy(bars, f).sqrt(), "root is one too many"),
        (lambda bars, f: lazy(bars, f) / 2, "0.5 times what was asked for"),
        (lambda bars, f: lazy(bars, f).mean(), "shape 2 was expected"),
        (lambda bars, f: lazy(bars, f)[:, None], "shape 2 was expected, got 2×1"),
        (lambda bars, f: lazy(bars.flip(0), f), "in reverse order"),
        (
            lambda bars, f: bars.mul_(f**2).add_((f * (1 - bars).sqrt() - 1) ** 2),
            "changes its argument `alpha_bars`",
        ),
        (
            lambda bars, f: f**2 * bars + (f * math.sqrt(1 - bars) - 1) ** 2,
            "only one element tensors",
        ),
        (
            lambda bars, f: (f**2 * bars, (f * (1 - bars).sqrt() - 1) ** 2),
            "for alpha_bars = [0.64, 0.19], factor",
        ),
        (
            lambda bars, f: f**2 * bars + (f * (1 - bars).sqrt() + 1) ** 2,
            "[0.8, 0.2] was expected, got",
        ),
        (lambda bars, f: f**2 * bars + (f * (1 - bars) - 1) ** 2, "[0.8, 0.2] was expected, got"),
        (
            lambda bars, f: f**2 * bars.sqrt() + (f * (1 - bars).sqrt() - 1) ** 2,
            "[0.8, 0.2] was expected, got",
        ),
        (lambda bars, f: f**2 * bars, "[0.8, 0.2] was expected, got"),
        (lambda bars, f: 1 + f**2 - f * (1 - bars).sqrt(), "[0.8, 0.2] was expected, got"),
        (lambda bars, f: f**2 * bars + (f - 1) ** 2 * (1 - bars), "[0.8, 0.2] was expected, got"),
        (lambda bars, f: torch.ones_like(bars), "[0.8, 0.2] was expected, got"),
        (lambda bars, f: None, "your function returned None"),
        (lambda bars, f: lazy(bars, f).round(decimals=3), "the numbers are nearly right, but"),
    ),
    "ema": (
        (lambda history, half_life: ema_of_decay(history, 1 - 2 ** (-1 / half_life)), "wrong one"),
        (lambda history, half_life: ema_of_decay(history, 1 - 1 / half_life), "more than half"),
        (lambda history, half_life: ema_of_decay(history, math.exp(-1 / half_life)), "only 37%"),
        (lambda history, half_life: ema_of_decay(history, 0.5), "at *every* step"),
        (lambda history, half_life: torch.stack(list(history)).mean(0), "plain mean"),
        (lambda history, half_life: history[0], "never moves"),
        (ema_of(step=lambda a, w, decay: toward(w, a, decay)), "wrong one"),
        (ema_of(lambda half_life: 0.5**half_life), "upside down"),
        (ema_of(step=lambda a, w, decay: decay * a + w), "added at full size"),
        (ema_of(step=lambda a, w, decay: w), "nothing of the average is kept"),
        (ema_from_zero, "begins as the first weights"),
        (ema_in_place, "changes its argument `history`"),
        (lambda history, half_life: halving(half_life), "2 was expected, got 0.5"),
        (lambda history, half_life: ema_of()(history, half_life).mean(), "shape 3 was expected"),
        (lambda history, half_life: None, "your function returned None"),
        (ema_of(lambda half_life: half_life), "2 was expected, got 1"),
        (ema_of(lambda half_life: 2 ** (1 / half_life)), "2 ** (1 / half_life) is"),
        (ema_of(lambda half_life: math.log(0.5) / half_life), "2 was expected, got 4.386"),
        (ema_of(lambda half_life: 0.5 ** (1 / (half_life + 1))), "2 was expected, got 1.586"),
        (ema_of(step=lambda a, w, decay: a + (1 - decay) * w), "2 was expected, got 2.5"),
        (ema_of(step=lambda a, w, decay: a - (1 - decay) * (w - a)), "2 was expected, got 0"),
        (ema_of(start=-1), "2 was expected, got 3"),
        (ema_of(last=-1), "the last step is missing"),
        (
            lambda history, half_life: ema_of()(history.flip(0), half_life),
            "the steps are taken in reverse order:",
        ),
    ),
    "min_snr": (
        (
            lambda snr, most: torch.minimum(snr, torch.tensor(most)),
            "division by the SNR is missing",
        ),
        (lambda snr, most: torch.maximum(snr, torch.tensor(most)) / snr, "take the smaller"),
        (lambda snr, most: most / snr, "every weight is"),
        (lambda snr, most: snr.clamp(max=most) * snr, "*divided* by the SNR, not multiplied"),
        (lambda snr, most: snr / snr.clamp(max=most), "upside down"),
        (lambda snr, most: (1 / snr).clamp(max=most), "the weight is cut off"),
        (lambda snr, most: snr.clamp(max=5) / snr, "use `most`"),
        (lambda snr, most: 1 - snr.clamp(max=most) / snr, "1 minus what was asked for"),
        (lambda snr, most: (snr.clamp(max=most) / snr) ** 2, "square of what was asked for"),
        (lambda snr, most: (snr.clamp(max=most) / snr).sqrt(), "the square root of what was"),
        (lambda snr, most: (snr.clamp(max=most) / snr).mean(), "shape 3 was expected"),
        (lambda snr, most: snr.clamp_(max=most) / snr, "changes its argument `snr`"),
        (lambda snr, most: torch.minimum(snr, most) / snr, "must be Tensor, not float"),
        (lambda snr, most: min(snr, most) / snr, "more than one value is ambiguous"),
        (lambda snr, most: None, "your function returned None"),
        (lambda snr, most: snr.clamp(min=most), "[0.25, 1, 1] was expected, got"),
        (lambda snr, most: snr.clamp(max=most) / most, "[0.25, 1, 1] was expected, got"),
        (lambda snr, most: torch.ones_like(snr), "SNR / SNR makes every weight 1"),
        (lambda snr, most: 1 / snr, "[0.25, 1, 1] was expected, got"),
        (lambda snr, most: (snr <= most).float(), "[0.25, 1, 1] was expected, got"),
        (lambda snr, most: snr.clamp(max=most) // snr, "[0.25, 1, 1] was expected, got"),
        (lambda snr, most: 1 / snr.clamp(min=most), "this cuts the *error's* factor 1"),
        (
            lambda snr, most: (snr.clamp(max=most) / snr).sort().values,
            "the numbers are right, but they",
        ),
    ),
    "own_training": (
        (lambda unet, schedule, batch_at, steps: None, "0 different steps"),
        (train_without_steps, "no parameter changed"),
        (train_with(torch.optim.SGD, 1e-5), "the loss on fresh noise is"),
        (train_with(torch.optim.SGD, 1e9), "weights became NaN"),
        (train_wrongly(no_data=True), "not shown this step's latents"),
        (train_wrongly(one_batch=True), "not shown this step's latents"),
        (train_wrongly(told_0=True), "has to learn every t"),
        (train_wrongly(t=500), "has to learn every t"),
        (train_wrongly(no_captions=True), "not shown the text states"),
        (train_wrongly(new_optimizer=True), "makes a new optimizer"),
        (train_wrongly(repeats=True), "the target is not the noise:"),
        (train_with(torch.optim.AdamW, 2e-3, forget=False), "gradients of 0"),
        (train(order=("zero_grad", "backward")), "does it step"),
        (train(order=("zero_grad", "step")), "after `loss.backward()`"),
        (train(order=("backward", "zero_grad", "step")), "no parameter changed"),
        (train(order=("zero_grad", "step", "backward")), "no parameter changed"),
        (train_a_copy, "no parameter changed"),
        (
            train(lambda parameters: torch.optim.AdamW(parameters, lr=1e-5)),
            "neither too small nor too large",
        ),
        (train(target=lambda clean, noise, noisy: clean), "the target is not the noise:"),
        (
            train_wrongly(scaled=True),
            "the target is the noise as it was made smaller",
        ),
        (
            train(target=lambda clean, noise, noisy: torch.randn_like(clean)),
            "the target is not the noise:",
        ),
        (train(t=lambda batch: torch.randint(500, 1000, (batch,))), "has to learn every t"),
        (train(t=lambda batch: torch.randint(200, (batch,))), "has to learn every t"),
        (train(told=lambda t: 999 - t), "with the same t in both"),
        (train(noisy=lambda schedule, clean, t, noise: clean + noise), "closed form of lesson 04"),
        (train(noisy=swapped_roots), "closed form of lesson 04"),
        (train(steps=lambda steps: range(1)), "called for 1 different steps"),
        (train(steps=lambda steps: range(steps // 2)), "called for 30 different steps"),
        (train(batch=lambda batch_at, step: batch_at(0)), "called for 1 different steps"),
        (train_without_sample, "'UNet2DConditionOutput' and 'Tensor'"),
        (
            train(loss=lambda answer, noise: F.mse_loss(answer, noise).item()),
            "object has no attribute 'backward'",
        ),
    ),
}

SHOWN = {
    "noise_loss": (
        (
            loss_of(bar_of_first, without_roots),
            "only the target is mended; each picture's own t and the roots are not",
        ),
        (loss_of(noised=lambda a, x, e: a * x + (1 - a).sqrt() * e), "only the noise has its root"),
        (
            loss_of(noised=lambda a, x, e: a.sqrt() * x + (1 - a) * e),
            "only the picture has its root",
        ),
        (
            loss_of(noised=lambda a, x, e: a.sqrt() * x + (1 - a.sqrt()) * e),
            "1 - √ᾱ in place of √(1 - ᾱ)",
        ),
        (
            loss_of(noised=lambda a, x, e: a.sqrt() * x - (1 - a).sqrt() * e),
            "the noise is subtracted",
        ),
        (loss_of(noised=lambda a, x, e: a**2 * x + (1 - a) ** 2 * e), "squares in place of roots"),
        (loss_of(noised=lambda a, x, e: e), "the network is shown the noise alone"),
        (loss_of(target=lambda x, e, noisy, a: noisy), "the target is the noisy latents"),
        (
            loss_of(target=lambda x, e, noisy, a: noisy - x),
            "the target is what changed, noisy - clean",
        ),
        (
            loss_of(target=lambda x, e, noisy, a: (1 - a).sqrt() * e),
            "the target is the noise at its size in the mixture",
        ),
        (
            loss_of(target=lambda x, e, noisy, a: a.sqrt() * e - (1 - a).sqrt() * x),
            "the target is v",
        ),
        (loss_of(target=lambda x, e, noisy, a: 0 * e), "nothing is subtracted from the prediction"),
        (loss_of(target=lambda x, e, noisy, a: -e), "the noise is added to the prediction"),
        (loss_of(reduced=lambda e: e.mean().square()), "the mean is squared, not the errors"),
        (loss_of(reduced=lambda e: e.mean()), "nothing is squared"),
        (loss_of(reduced=lambda e: e.var()), "the variance: the errors' mean is taken away"),
        (loss_of(reduced=lambda e: e.square().median()), "the median of the squares"),
        (loss_of(lambda s, t, x: bars_of_each(s, t - 1, x)), "ᾱ of one step too early"),
        (loss_of(lambda s, t, x: s.alpha_bars[t].mean()), "the mean of all ᾱ for each picture"),
        (loss_of(lambda s, t, x: s.alpha_bars[t[-1]]), "the last picture's t for all"),
        (loss_of_first_picture, "only the first picture counts"),
        (loss_that_tells_first_step, "the network is told the first t for all"),
        (loss_that_tells_share, "the network is told ᾱ in place of t"),
        (loss_of_picture, "weighted as the error of x̂₀"),
        (loss_of_sorted_steps, "t is sorted, so that pictures get the t of others"),
        (
            loss_of(lambda s, t, x: s.alpha_bars[t].view(-1, 1, 1, 1)),
            "only for latents of four axes; the text says n×…",
        ),
    ),
    "lazy_loss": (
        (
            lambda bars, f: f**2 * bars + ((1 - bars).sqrt() - 1) ** 2,
            "the factor is missing in the noise's part",
        ),
        (
            lambda bars, f: bars + (f * (1 - bars).sqrt() - 1) ** 2,
            "the factor is missing in the picture's part",
        ),
        (lambda bars, f: f**2 * bars + ((1 - bars).sqrt() - f) ** 2, "the factor is on the target"),
        (lambda bars, f: f**2 * lazy(bars, 1), "the factor multiplies the whole error"),
        (lambda bars, f: lazy(bars, abs(f)), "the sign of the factor is lost"),
        (lambda bars, f: lazy(bars, f).clamp(max=1), "the loss is cut off at 1"),
        (lazy_by_chance, "a mean of drawn numbers in place of the exact one"),
        (lambda bars, f: lazy(bars, min(f, 1)), "a factor above 1 is taken for 1"),
    ),
    "ema": (
        (ema_of(lambda half_life: 0.5 / half_life), "0.5 / half_life in place of its root"),
        (ema_of(lambda half_life: 1 - 0.5 / half_life), "half is spread evenly over the steps"),
        (
            ema_of(lambda half_life: half_life / (half_life + 1)),
            "half_life / (half_life + 1), as from step to step",
        ),
        (
            ema_of(lambda half_life: 0.5 ** (1 // half_life)),
            "a whole-number division in the exponent",
        ),
        (
            ema_of(lambda half_life: round(halving(half_life), 2)),
            "the decay is rounded to two digits",
        ),
        (ema_of(lambda half_life: 0.933), "the decay of the text's question, typed in"),
        (ema_of(step=lambda a, w, decay: decay * (a + w)), "decay on both"),
        (ema_that_returns_early, "returns within the loop"),
        (ema_of_neighbours, "the weights before in place of the average"),
        (
            lambda history, half_life: (history[0] + history[-1]) / 2,
            "half the first, half the last",
        ),
        (ema_of_half_life_only, "stops after half_life steps"),
        (ema_as_in_adam, "begins at zero and is divided by 1 - decayⁿ, as in Adam"),
        (
            ema_of(lambda half_life: halving(int(half_life))),
            "the half-life is cut to a whole number",
        ),
    ),
    "min_snr": (
        (
            lambda snr, most: torch.where(snr > most, most / snr, 0.0),
            "0 below the cap in place of 1",
        ),
        (
            lambda snr, most: torch.where(snr > most, most / snr, snr),
            "the SNR itself below the cap",
        ),
        (
            lambda snr, most: torch.where(snr > most, most / snr, snr / most),
            "SNR / most below the cap",
        ),
        (lambda snr, most: snr.clamp(max=most) / snr.max(), "divided by the largest SNR"),
        (lambda snr, most: torch.where(snr == 20, 0.25, 1.0), "the example of the text, typed in"),
        (lambda snr, most: snr.clamp(0.01, most) / snr, "a lower bound; the SNR falls to 0.005"),
    ),
}
