"""Exercises of lesson 08, denoising and guidance."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from sdlearn import denoising, plots
from sdlearn.denoising import Predict
from sdlearn.exercises.diagnosis import calls
from sdlearn.exercises.engine import Lesson
from sdlearn.exercises.given import numbers, picture_of, several, tiny, toy_noise
from sdlearn.exercises.results import Unmet, tensor_of, unlike
from sdlearn.noising import Schedule
from sdlearn.pipeline import predictor

lesson = Lesson("08_denoising")
PROMPT = "a red house in a meadow"
SIDE = 32
"""The side of the latents in the exercises' pictures: 256 pixels, which is quick."""
RUNGS = list(range(999, 0, -100))


@cache
def _predict() -> Predict:
    """The small model's guided prediction for one sentence."""
    return predictor(tiny(), PROMPT, 3.0)


def _start(seed: int = 3) -> Tensor:
    return numbers(1, 4, SIDE, SIDE, seed=seed)


def _both(answer: Callable, target: Callable, draw: Callable, yours: str) -> Figure:
    """What `draw` makes of the learner's function and of the course's, decoded."""
    shown = [picture_of(draw(answer)), _target(draw, target)]
    return plots.strip(shown, [yours, "target"], columns=4)


@cache
def _target(draw: Callable, target: Callable) -> np.ndarray:
    return picture_of(draw(target))


# --- exercise 1: one step of DDIM -----------------------------------------------------------------


def _clean(noisy: Tensor, predicted: Tensor, alpha_bar: float) -> Tensor:
    return (noisy - (1 - alpha_bar) ** 0.5 * predicted) / alpha_bar**0.5


def _down(step: Callable, stride: int = 100) -> Tensor:
    """Denoise from the top of the ladder with any step function, `stride` timesteps at a time."""
    rungs = list(range(999, 0, -stride))
    alpha_bars = [*Schedule.of(tiny().scheduler).alpha_bars[rungs].tolist(), 1.0]
    latents = _start()
    for t, alpha_bar, following in zip(rungs, alpha_bars, alpha_bars[1:], strict=False):
        stepped = step(latents, _predict()(latents, t), alpha_bar, following)
        latents = torch.as_tensor(stepped).float()
    return latents


@lesson.exercise(
    cases=lambda: [
        (torch.tensor([0.7]), torch.tensor([0.5]), 0.25, 0.64),
        (*several(2, (2, 3)), 0.1, 0.3),
        (*several(2, (1, 4, 3, 5)), 0.8, 1.0),
    ],
    picture=lambda answer: _both(answer, ddim_step, _down, "ten steps of yours"),
    by_hand=lambda noisy, predicted, alpha_bar, alpha_bar_next: {
        "x̂₀": _clean(noisy, predicted, alpha_bar),
        "√ᾱ′": alpha_bar_next**0.5,
        "√(1 - ᾱ′)": (1 - alpha_bar_next) ** 0.5,
    },
)
def ddim_step(noisy: Tensor, predicted: Tensor, alpha_bar: float, alpha_bar_next: float) -> Tensor:
    """One step of DDIM."""
    return denoising.ddim_step(noisy, predicted, alpha_bar, alpha_bar_next)


ddim_step.mistakes(
    "you stop at x̂₀; the next rung has noise of its own: put it back",
    lambda x, e, a, b: _clean(x, e, a),
    "x̂₀ is shrunk for the next rung, but the noise of that rung is missing",
    lambda x, e, a, b: b**0.5 * _clean(x, e, a),
    "the division by √ᾱ is missing: the picture was made smaller when it was noised",
    lambda x, e, a, b: b**0.5 * (x - (1 - a) ** 0.5 * e) + (1 - b) ** 0.5 * e,
    "alpha_bar and alpha_bar_next are exchanged",
    lambda x, e, a, b: ddim_step(x, e, b, a),
    "the square roots are missing",
    lambda x, e, a, b: b * (x - (1 - a) * e) / a + (1 - b) * e,
    "the noise is put back in the share of the *old* rung; take that of the next",
    lambda x, e, a, b: b**0.5 * _clean(x, e, a) + (1 - a) ** 0.5 * e,
    "what is mixed anew is x_t; it has to be x̂₀",
    lambda x, e, a, b: b**0.5 * x + (1 - b) ** 0.5 * e,
    "only the difference of the two noises is taken away; a step rescales the picture as well",
    lambda x, e, a, b: x - ((1 - a) ** 0.5 - (1 - b) ** 0.5) * e,
    "only the noise's factor in x̂₀ lacks its root: √(1 - ᾱ)",
    lambda x, e, a, b: b**0.5 * (x - (1 - a) * e) / a**0.5 + (1 - b) ** 0.5 * e,
    "x̂₀ is right, but mixed without the roots: √ᾱ′ and √(1 - ᾱ′)",
    lambda x, e, a, b: b * _clean(x, e, a) + (1 - b) * e,
    "x̂₀ is mixed back to the *old* rung: this is x_t again",
    lambda x, e, a, b: a**0.5 * _clean(x, e, a) + (1 - a) ** 0.5 * e,
    "the noise of the next rung is √(1 - ᾱ′), not the root of the difference of the two ᾱ",
    lambda x, e, a, b: b**0.5 * _clean(x, e, a) + abs(b - a) ** 0.5 * e,
    "x̂₀ is not made smaller for the next rung: it is multiplied by √ᾱ′",
    lambda x, e, a, b: _clean(x, e, a) + (1 - b) ** 0.5 * e,
    "wrong sign in x̂₀: the noise was added, so it is subtracted",
    lambda x, e, a, b: b**0.5 * (x + (1 - a) ** 0.5 * e) / a**0.5 + (1 - b) ** 0.5 * e,
    "the noise is subtracted at the end; it is put back",
    lambda x, e, a, b: b**0.5 * _clean(x, e, a) - (1 - b) ** 0.5 * e,
    "multiplied by √ᾱ in x̂₀; divide by it",
    lambda x, e, a, b: b**0.5 * (x - (1 - a) ** 0.5 * e) * a**0.5 + (1 - b) ** 0.5 * e,
)

# --- exercise 2: the whole loop -------------------------------------------------------------------


def _loop(
    following: Callable,
    step: Callable = denoising.ddim_step,
    fed: Callable = lambda latents, noise: latents,
    bars: Callable = lambda schedule: schedule.alpha_bars,
) -> Callable:
    """The loop with one thing wrong in it.

    following: gives the next ᾱ. step: goes there. fed: gives what `predict` gets. bars: gives what
    is used as ᾱ.
    """

    def run(predict: Predict, schedule: Schedule, noise: Tensor, timesteps: list[int]) -> Tensor:
        latents, alpha_bars = noise, bars(schedule)[timesteps].tolist()
        for index, (t, alpha_bar) in enumerate(zip(timesteps, alpha_bars, strict=True)):
            predicted = predict(fed(latents, noise), t)
            latents = step(latents, predicted, alpha_bar, following(alpha_bars, index))
        return latents

    return run


def _next(alpha_bars: list[float], index: int) -> float:
    return alpha_bars[index + 1] if index + 1 < len(alpha_bars) else 1.0


def _counted(predict: Predict, schedule: Schedule, noise: Tensor, timesteps: list[int]) -> Tensor:
    """The loop with ᾱ at 0, 1, 2 … in place of the timesteps."""
    latents, bars = noise, [*schedule.alpha_bars[: len(timesteps)].tolist(), 1.0]
    for index, t in enumerate(timesteps):
        latents = denoising.ddim_step(latents, predict(latents, t), bars[index], bars[index + 1])
    return latents


def _looped(run: Callable) -> Tensor:
    return run(_predict(), Schedule.of(tiny().scheduler), _start(), list(RUNGS))


@lesson.exercise(
    cases=lambda: [
        (toy_noise, Schedule.named("scaled_linear"), numbers(1, 1, 1, 2), [999, 500]),
        (toy_noise, Schedule.named("scaled_linear"), numbers(1, 4, 3, 5), [900, 600, 300, 0]),
        (toy_noise, Schedule.named("cosine"), numbers(2, 4, 6, 5), [950, 700, 450, 200, 50]),
    ],
    picture=lambda answer: _both(answer, draw_latents, _looped, "your loop"),
    asks=calls,
)
def draw_latents(
    predict: Predict, schedule: Schedule, noise: Tensor, timesteps: list[int]
) -> Tensor:
    """From noise to latents by DDIM."""
    return denoising.ddim(predict, schedule, noise, timesteps)


draw_latents.mistakes(
    "each step goes only from t to t - 1; the next rung is the next of `timesteps`",
    lambda p, s, x, ts: _loop(lambda bars, i: s.alpha_bars[ts[i] - 1].item())(p, s, x, ts),
    "each step goes from t to t - 1 only; go to the next of `timesteps`",
    lambda p, s, x, ts: _loop(lambda bars, i: s.alpha_bars[ts[i] - 1].item() if ts[i] else 1.0)(
        p, s, x, ts
    ),
    "after the last step ᾱ is 1, all picture; here it is 0, all noise",
    _loop(lambda bars, i: bars[i + 1] if i + 1 < len(bars) else 0.0),
    "ᾱ is taken at the *number* of the step; take it at its t",
    _counted,
    "ᾱ of this rung and of the next are exchanged",
    _loop(_next, step=lambda x, e, a, b: denoising.ddim_step(x, e, b, a)),
    "the last step stops at its own rung: after it there is no noise left, so ᾱ is 1 there",
    _loop(lambda alpha_bars, i: alpha_bars[i + 1] if i + 1 < len(alpha_bars) else alpha_bars[i]),
    "the prediction is always asked about the first noise; ask about *this* step's latents",
    _loop(_next, fed=lambda latents, noise: noise),
    "every step jumps all the way to x̂₀; go down to the *next* rung",
    _loop(lambda alpha_bars, i: 1.0),
    "the noise is not put back: each step has to end with the noise of the next rung",
    _loop(_next, step=lambda x, e, a, b: b**0.5 * _clean(x, e, a)),
    "α of one step in place of ᾱ: `schedule.alpha_bars`",
    _loop(_next, bars=lambda schedule: schedule.alphas),
    "`predict` is asked about the number of the step; ask about its t",
    lambda p, s, x, ts: draw_latents(lambda z, t: p(z, ts.index(t)), s, x, ts),
    "the predicted noise is simply subtracted at every step",
    _loop(_next, step=lambda x, e, a, b: x - e),
    "the timesteps are taken in ascending order; drawing goes from much noise to none",
    lambda p, schedule, noise, ts: draw_latents(p, schedule, noise, ts[::-1]),
    "the first rung is left out: the loop has to begin at timesteps[0]",
    lambda p, s, x, ts: draw_latents(p, s, x, ts[1:]),
    "the network is told the t of the *next* rung; the latents are at this one",
    lambda p, s, x, ts: draw_latents(
        lambda z, t: p(z, ts[min(ts.index(t) + 1, len(ts) - 1)]), s, x, ts
    ),
    "the walk ends at ᾱ of t = 0, where a little noise is left; after the last step ᾱ is 1",
    lambda p, s, x, ts: _loop(
        lambda bars, i: bars[i + 1] if i + 1 < len(bars) else s.alpha_bars[0].item()
    )(p, s, x, ts),
    "all of the way is walked in one jump, from the first rung to x̂₀; go rung by rung",
    lambda p, s, x, ts: _clean(x, p(x, ts[0]), s.alpha_bars[ts[0]].item()),
)

# --- exercise 3: a step of DDPM -------------------------------------------------------------------


def _ddpm(noisy: Tensor, predicted: Tensor, alpha_bar: float, beta: float) -> Tensor:
    """The mean of the step (Ho et al. 2020, Eq. 11)."""
    return (noisy - beta / (1 - alpha_bar) ** 0.5 * predicted) / (1 - beta) ** 0.5


def _root_of_spread(beta: float, alpha_bar: float, alpha_bar_next: float) -> float:
    """√β̃: what the fresh noise is multiplied by."""
    return ((1 - alpha_bar_next) / (1 - alpha_bar) * beta) ** 0.5


def _ddpm_with(mean: Callable = _ddpm, added: Callable = _root_of_spread) -> Callable:
    """The step, with a mean or an amount of fresh noise that may be wrong."""

    def step(
        noisy: Tensor, predicted: Tensor, fresh: Tensor, alpha_bar: float, alpha_bar_next: float
    ) -> Tensor:
        beta = 1 - alpha_bar / alpha_bar_next
        spread = added(beta, alpha_bar, alpha_bar_next)
        return mean(noisy, predicted, alpha_bar, beta) + spread * fresh

    return step


def _wandered(step: Callable) -> Tensor:
    """Twenty steps of DDPM with any step function, and always the same fresh noise."""
    dice = torch.Generator().manual_seed(0)
    return _down(lambda x, e, *bars: step(x, e, torch.randn(x.shape, generator=dice), *bars), 50)


@lesson.exercise(
    cases=lambda: [
        (torch.tensor([1.0]), torch.tensor([0.5]), torch.tensor([1.0]), 0.36, 0.36 / 0.81),
        (*several(3, (2, 3)), 0.5, 0.6),
        (*several(3, (3,)), 0.5, 0.51),
        (*several(3, (1, 4, 3, 5)), 0.8, 1.0),
    ],
    picture=lambda answer: _both(answer, ddpm_step, _wandered, "twenty steps of yours"),
    by_hand=lambda noisy, predicted, fresh, alpha_bar, alpha_bar_next: {
        "α = ᾱ / ᾱ′": alpha_bar / alpha_bar_next,
        "β = 1 - α": 1 - alpha_bar / alpha_bar_next,
        "mean": _ddpm(noisy, predicted, alpha_bar, 1 - alpha_bar / alpha_bar_next),
        "√β̃": _root_of_spread(1 - alpha_bar / alpha_bar_next, alpha_bar, alpha_bar_next),
    },
)
def ddpm_step(
    noisy: Tensor, predicted: Tensor, fresh: Tensor, alpha_bar: float, alpha_bar_next: float
) -> Tensor:
    """One step of DDPM: its mean, and fresh noise."""
    return _ddpm_with()(noisy, predicted, fresh, alpha_bar, alpha_bar_next)


ddpm_step.mistakes(
    "the fresh noise is missing: this is the mean alone",
    _ddpm_with(added=lambda *_: 0.0),
    "the fresh noise is multiplied by √β; it has to be √β̃, which is 0 at the last step",
    _ddpm_with(added=lambda beta, *_: beta**0.5),
    "the fresh noise is multiplied by β̃; that is a variance, so multiply by its root",
    _ddpm_with(added=lambda *given: _root_of_spread(*given) ** 2),
    "all noise of the next rung is put back fresh, but some of the predicted noise is still there",
    _ddpm_with(added=lambda beta, bar, following: (1 - following) ** 0.5),
    "the *predicted* noise is put back: that is DDIM; add the fresh one",
    lambda x, e, fresh, bar, following: ddim_step(x, e, bar, following),
    "ᾱ is taken for α: it holds all steps together; for the one between the two rungs ᾱ = α · ᾱ′",
    _ddpm_with(
        lambda x, e, bar, beta: _ddpm(x, e, bar, 1 - bar),
        lambda beta, bar, following: _root_of_spread(1 - bar, bar, following),
    ),
    "all of the noise is taken away at once; one step takes away β / √(1 - ᾱ) of it",
    _ddpm_with(lambda x, e, bar, beta: (x - (1 - bar) ** 0.5 * e) / (1 - beta) ** 0.5),
    "√β stands before ε̂ where β belongs; √β is the size of the noise that a step *adds*",
    _ddpm_with(lambda x, e, bar, beta: (x - beta**0.5 / (1 - bar) ** 0.5 * e) / (1 - beta) ** 0.5),
    "the division by √α is missing: each step makes the picture a little larger again",
    _ddpm_with(lambda x, e, bar, beta: x - beta / (1 - bar) ** 0.5 * e),
    "the root of 1 - ᾱ is missing",
    _ddpm_with(lambda x, e, bar, beta: (x - beta / (1 - bar) * e) / (1 - beta) ** 0.5),
    "this divides by α; divide by √α",
    _ddpm_with(lambda x, e, bar, beta: (x - beta / (1 - bar) ** 0.5 * e) / (1 - beta)),
    "√ᾱ below the β; it is √(1 - ᾱ), the size of the noise",
    _ddpm_with(lambda x, e, bar, beta: (x - beta / bar**0.5 * e) / (1 - beta) ** 0.5),
    "divided by √ᾱ, which undoes all steps; one step is undone by √α",
    _ddpm_with(lambda x, e, bar, beta: (x - beta / (1 - bar) ** 0.5 * e) / bar**0.5),
    "β is divided by √(1 - ᾱ′); divide by √(1 - ᾱ), the size of the noise that is there *now*",
    lambda x, e, fresh, bar, after: (
        _ddpm(x, e, after, 1 - bar / after) + _root_of_spread(1 - bar / after, bar, after) * fresh
    ),
    "the ratio in β̃ is upside down: (1 - ᾱ′) / (1 - ᾱ)",
    _ddpm_with(added=lambda beta, bar, after: ((1 - bar) / (1 - after) * beta) ** 0.5),
    "the fresh noise is subtracted; add it",
    _ddpm_with(added=lambda *given: -_root_of_spread(*given)),
    "the predicted noise is added; it has to be taken away",
    _ddpm_with(lambda x, e, bar, beta: _ddpm(x, -e, bar, beta)),
    "fresh noise at full size: multiply it by √β̃",
    _ddpm_with(added=lambda *_: 1.0),
    "√(1 - ᾱ) of fresh noise, all that is there now; only √β̃ is put back",
    _ddpm_with(added=lambda beta, bar, after: (1 - bar) ** 0.5),
)

# --- exercise 4: guidance -------------------------------------------------------------------------


def _guided_down(combine: Callable, scale: float = 3.0) -> Tensor:
    with_text, without = predictor(tiny(), PROMPT), predictor(tiny(), "")

    def predict(latents: Tensor, t: int) -> Tensor:
        return torch.as_tensor(combine(without(latents, t), with_text(latents, t), scale)).float()

    return draw_latents(predict, Schedule.of(tiny().scheduler), _start(), RUNGS)


@lesson.exercise(
    cases=lambda: [
        (torch.tensor([1.0]), torch.tensor([3.0]), 2.0),
        (*several(2, (2, 3)), 1.0),
        (*several(2, (2, 4, 3, 5)), 7.5),
        (*several(2, (4,)), 0.5),
        (numbers(3), numbers(3, seed=2), 0.0),
    ],
    picture=lambda answer: _both(answer, guided, _guided_down, "with yours, scale 3"),
    by_hand=lambda unconditional, conditional, guidance: {
        "conditional - unconditional": conditional - unconditional,
        "guidance times that": guidance * (conditional - unconditional),
    },
)
def guided(unconditional: Tensor, conditional: Tensor, guidance: float) -> Tensor:
    """Classifier-free guidance."""
    return denoising.guided(unconditional, conditional, guidance)


guided.mistakes(
    "one too strong: start from the *unconditional* one, so that scale 1 is the conditional one",
    lambda u, c, s: c + s * (c - u),
    "unconditional and conditional are exchanged",
    lambda u, c, s: c + s * (u - c),
    "only the difference is left; it is added to the unconditional prediction",
    lambda u, c, s: s * (c - u),
    "the direction is reversed: it is conditional minus unconditional",
    lambda u, c, s: u + s * (u - c),
    "the scale is not used",
    lambda u, c, s: c,
    "this is the mean of both; guidance goes *beyond* the conditional one",
    lambda u, c, s: (u + c) / 2,
    "the scale multiplies the whole conditional prediction; it multiplies the *difference*",
    lambda u, c, s: u + s * c,
    "one too weak: scale 1 has to give the conditional prediction",
    lambda u, c, s: u + (s - 1) * (c - u),
    "both are added: the *difference* is what guidance exaggerates",
    lambda u, c, s: u + c,
    "a weighted mean never gets beyond the conditional one; start at the unconditional, and walk "
    "`guidance` times the difference",
    lambda u, c, s: (u + s * c) / (1 + s),
    "this is scale · conditional; guidance multiplies the *difference* of the two",
    lambda u, c, s: s * c,
    "the scale divides the difference; it multiplies it",
    lambda u, c, s: u + (c - u) / s if s else c,
    "the *absolute* difference is taken; keep its sign",
    lambda u, c, s: u + s * (c - u).abs(),
)

# --- exercise 5: guidance of your own ------------------------------------------------------------

WEAK, STRONG, GLARING = 3.0, 12.0, 30.0
TOWARDS = 0.05
"""By how much the cosine with (conditional - unconditional) has to grow."""
LEAST, MOST = 0.85, 1.15
"""The allowed spread of the result, as multiples of the conditional prediction's."""


def _predictions() -> tuple[Tensor, Tensor]:
    """The small model's two predictions at t = 800, with their difference enlarged."""
    unconditional, conditional = (predictor(tiny(), text)(_start(5), 800) for text in ("", PROMPT))
    return unconditional, unconditional + 4 * (conditional - unconditional)


def _drawn_strongly(combine: Callable) -> Figure:
    """Pictures by plain guidance and by the learner's, from the same noise."""
    scales = (WEAK, STRONG, GLARING)
    yours = [picture_of(_guided_down(combine, scale)) for scale in scales]
    titles = [f"{whose}, scale {scale:g}" for whose in ("plain", "yours") for scale in scales]
    return plots.strip([*map(_plainly, scales), *yours], titles, columns=3)


@cache
def _plainly(scale: float) -> np.ndarray:
    return picture_of(_guided_down(denoising.guided, scale))


@lesson.open_exercise(picture=_drawn_strongly)
def own_guidance(answer: Callable[[Tensor, Tensor, float], Tensor]) -> Callable:
    """Guidance that follows the scale and keeps the spread of its result where it was."""
    answer(torch.zeros(1, 4, 2, 2), torch.ones(1, 4, 2, 2), 1.0)  # a stub says so before any work
    unconditional, conditional = _predictions()
    stronger, strong, weak, one = (
        tensor_of(
            answer(unconditional.clone(), conditional.clone(), scale),
            tuple(unconditional.shape),
            f"at scale {scale:g}: ",
        )
        for scale in (GLARING, STRONG, WEAK, 1.0)
    )
    if (off := (one - conditional).abs().max().item()) > 1e-3:
        times = (one * conditional).sum() / conditional.square().sum()
        how = f"some of its numbers are off, by up to {off:.3g}"
        if torch.allclose(one, times * conditional, atol=1e-3):
            how = f"yours is {times:.3g} times as large"
        raise Unmet(f"at scale 1 the conditional prediction has to come out as it is; {how}")
    _check_spread((strong.std() / conditional.std()).item())
    if abs(mean := (strong.mean() / strong.std()).item()) > 0.5:
        raise Unmet(
            f"at scale {STRONG:g} the mean of your result is {mean:.1f} times its spread: the mean "
            "grows with the scale, too, so make all of the result smaller, not only its spread"
        )
    before, of_weak, of_strong, of_stronger = (
        torch.cosine_similarity(x.flatten(), (conditional - unconditional).flatten(), dim=0).item()
        for x in (conditional, weak, strong, stronger)
    )
    if of_strong < (least := before + TOWARDS):
        mine, bound = unlike(of_strong, least)
        raise Unmet(
            f"it does not guide: at scale {STRONG:g} the result's cosine with (conditional - "
            f"unconditional) is {mine}. Without guidance it is {before:.2f}; at least {TOWARDS} "
            f"more was asked for, {bound}"
        )
    if of_strong < of_weak + TOWARDS / 5 or of_stronger < of_strong - 1e-4:
        raise Unmet(
            f"it does not follow the scale: the cosine with (conditional - unconditional) has to "
            f"grow; at {WEAK:g} it is {of_weak:.3f}, at {STRONG:g} {of_strong:.3f} (0.01 more was "
            f"asked for), at {GLARING:g} {of_stronger:.3f}"
        )
    return answer


def _check_spread(times: float) -> None:
    """Raise Unmet if the result spreads much more, or less, than the conditional prediction."""
    mine, most = unlike(times, MOST)
    if times > MOST:
        raise Unmet(
            f"at scale {STRONG:g} your result spreads {mine} times as much as the conditional "
            f"prediction; at most {most} was asked for"
        )
    mine, least = unlike(times, LEAST)
    if times < LEAST:
        raise Unmet(
            f"at scale {STRONG:g} your result spreads only {mine} times as much as the conditional "
            f"prediction; at least {least} was asked for. If too little noise is predicted, too "
            "much of it stays in the picture"
        )
