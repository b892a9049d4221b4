"""Exercises of the lesson on denoising and guidance."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from matplotlib.figure import Figure
from torch import Tensor

from sdlearn import plots
from sdlearn.check import Exercise, Mistake, OpenExercise
from sdlearn.compression import decode
from sdlearn.exercises.given import numbers, tiny
from sdlearn.images import to_pictures
from sdlearn.noising import Schedule
from sdlearn.pipeline import predictor

LESSON = "08_denoising"
PROMPT = "a red house in a meadow"
SIDE = 24
"""Of the latents that the pictures of the exercises are drawn from: 192 pixels, quick."""

# --- one step of DDIM -----------------------------------------------------------------------------


def ddim_step(noisy: Tensor, predicted: Tensor, alpha_bar: float, alpha_bar_next: float) -> Tensor:
    clean = (noisy - (1 - alpha_bar) ** 0.5 * predicted) / alpha_bar**0.5
    return alpha_bar_next**0.5 * clean + (1 - alpha_bar_next) ** 0.5 * predicted


def _clean(noisy: Tensor, predicted: Tensor, alpha_bar: float) -> Tensor:
    return (noisy - (1 - alpha_bar) ** 0.5 * predicted) / alpha_bar**0.5


@cache
def _predict() -> Callable[[Tensor, int], Tensor]:
    """The small model's guided prediction for one sentence."""
    return predictor(tiny(), PROMPT, 3.0)


def _picture(latents: Tensor):
    return to_pictures(decode(tiny().vae, latents.float()))[0]


def _down(step: Callable, stride: int = 100) -> Tensor:
    """From the top of the ladder to its end with somebody's own step, some rungs at a time."""
    rungs = list(range(999, 0, -stride))
    alpha_bars = [*Schedule.of(tiny().scheduler).alpha_bars[rungs].tolist(), 1.0]
    latents = numbers(1, 4, SIDE, SIDE, seed=3)
    for t, now, following in zip(rungs, alpha_bars, alpha_bars[1:], strict=False):
        latents = torch.as_tensor(step(latents, _predict()(latents, t), now, following)).float()
    return latents


DDIM_STEP = Exercise(
    LESSON,
    "ddim_step",
    ddim_step,
    lambda: [
        (torch.tensor([0.7]), torch.tensor([0.5]), 0.25, 0.64),
        (numbers(2, 3), numbers(2, 3, seed=1), 0.1, 0.3),
        (numbers(1, 4, 3, 5), numbers(1, 4, 3, 5, seed=1), 0.8, 1.0),
    ],
    (
        Mistake(
            "the noise is only taken away; that is x̂₀, and the next rung has noise of its own: "
            "put it back",
            lambda x, e, alpha_bar, following: _clean(x, e, alpha_bar),
        ),
        Mistake(
            "x̂₀ is shrunk for the next rung, but the noise of that rung is missing",
            lambda x, e, alpha_bar, following: following**0.5 * _clean(x, e, alpha_bar),
        ),
        Mistake(
            "the division by √ᾱ is missing: the picture was made smaller when it was noised",
            lambda x, e, alpha_bar, following: (
                following**0.5 * (x - (1 - alpha_bar) ** 0.5 * e) + (1 - following) ** 0.5 * e
            ),
        ),
        Mistake(
            "alpha_bar and alpha_bar_next are exchanged",
            lambda x, e, alpha_bar, following: ddim_step(x, e, following, alpha_bar),
        ),
        Mistake(
            "the square roots are missing",
            lambda x, e, alpha_bar, following: (
                following * (x - (1 - alpha_bar) * e) / alpha_bar + (1 - following) * e
            ),
        ),
        Mistake(
            "the noise is put back in the share of the *old* rung; take that of the next",
            lambda x, e, alpha_bar, following: (
                following**0.5 * _clean(x, e, alpha_bar) + (1 - alpha_bar) ** 0.5 * e
            ),
        ),
        Mistake(
            "what is mixed anew is x_t; it has to be x̂₀",
            lambda x, e, alpha_bar, following: following**0.5 * x + (1 - following) ** 0.5 * e,
        ),
        Mistake(
            "just the difference of the two noises is taken away; each step has to rescale the "
            "picture as well",
            lambda x, e, alpha_bar, following: (
                x - ((1 - alpha_bar) ** 0.5 - (1 - following) ** 0.5) * e
            ),
        ),
    ),
    lambda answer: plots.strip(
        [_picture(_down(answer)), _picture(_down(ddim_step))],
        ["ten steps of yours", "target"],
        columns=4,
    ),
)

# --- a step of DDPM -------------------------------------------------------------------------------


def _ddpm(noisy: Tensor, predicted: Tensor, alpha_bar: float, beta: float) -> Tensor:
    """The mean of the step."""
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
        return (
            mean(noisy, predicted, alpha_bar, beta) + added(beta, alpha_bar, alpha_bar_next) * fresh
        )

    return step


ddpm_step = _ddpm_with()


def _wandered(step: Callable) -> Tensor:
    """Twenty steps of DDPM with somebody's own step, always with the same fresh noise."""
    dice = torch.Generator().manual_seed(0)
    return _down(
        lambda x, e, now, following: step(
            x, e, torch.randn(x.shape, generator=dice), now, following
        ),
        50,
    )


DDPM_STEP = Exercise(
    LESSON,
    "ddpm_step",
    ddpm_step,
    lambda: [
        (torch.tensor([1.0]), torch.tensor([0.5]), torch.tensor([1.0]), 0.36, 0.36 / 0.81),
        (numbers(2, 3), numbers(2, 3, seed=1), numbers(2, 3, seed=2), 0.5, 0.6),
        (numbers(1, 4, 3, 5), numbers(1, 4, 3, 5, seed=1), numbers(1, 4, 3, 5, seed=2), 0.8, 1.0),
    ],
    (
        Mistake(
            "the fresh noise is missing: this is the mean alone", _ddpm_with(added=lambda *_: 0.0)
        ),
        Mistake(
            "√β of fresh noise; √β̃ was asked for, which is 0 at the last step, where no noise "
            "may be left",
            _ddpm_with(added=lambda beta, *_: beta**0.5),
        ),
        Mistake(
            "β̃ of fresh noise; β̃ is a variance, so the noise is multiplied by its root",
            _ddpm_with(added=lambda *given: _root_of_spread(*given) ** 2),
        ),
        Mistake(
            "all the noise of the next rung is put back fresh, but a part of the named noise is "
            "still there",
            _ddpm_with(added=lambda beta, bar, following: (1 - following) ** 0.5),
        ),
        Mistake(
            "the *named* noise is put back: that is DDIM; add the fresh one",
            lambda x, e, fresh, bar, following: ddim_step(x, e, bar, following),
        ),
        Mistake(
            "ᾱ is taken for α: it holds all steps together; for the one between the two rungs ᾱ "
            "= α · ᾱ′",
            _ddpm_with(
                lambda x, e, bar, beta: _ddpm(x, e, bar, 1 - bar),
                lambda beta, bar, following: _root_of_spread(1 - bar, bar, following),
            ),
        ),
        Mistake(
            "all of the noise is taken away at once; one step takes away β / √(1 - ᾱ) of it",
            _ddpm_with(lambda x, e, bar, beta: (x - (1 - bar) ** 0.5 * e) / (1 - beta) ** 0.5),
        ),
        Mistake(
            "√β in place of β: that is how much noise a step *adds* on the way up",
            _ddpm_with(
                lambda x, e, bar, beta: (x - beta**0.5 / (1 - bar) ** 0.5 * e) / (1 - beta) ** 0.5
            ),
        ),
        Mistake(
            "the division by √α is missing: each step makes the picture a little larger again",
            _ddpm_with(lambda x, e, bar, beta: x - beta / (1 - bar) ** 0.5 * e),
        ),
        Mistake(
            "the root of 1 - ᾱ is missing",
            _ddpm_with(lambda x, e, bar, beta: (x - beta / (1 - bar) * e) / (1 - beta) ** 0.5),
        ),
        Mistake(
            "divided by α, not by its root",
            _ddpm_with(lambda x, e, bar, beta: (x - beta / (1 - bar) ** 0.5 * e) / (1 - beta)),
        ),
        Mistake(
            "√ᾱ below the β; it is √(1 - ᾱ), the size of the noise",
            _ddpm_with(lambda x, e, bar, beta: (x - beta / bar**0.5 * e) / (1 - beta) ** 0.5),
        ),
        Mistake(
            "divided by √ᾱ, which undoes all steps; one step is undone by √α",
            _ddpm_with(lambda x, e, bar, beta: (x - beta / (1 - bar) ** 0.5 * e) / bar**0.5),
        ),
    ),
    lambda answer: plots.strip(
        [_picture(_wandered(answer)), _picture(_wandered(ddpm_step))],
        ["twenty steps of yours", "target"],
        columns=4,
    ),
)

# --- guidance -------------------------------------------------------------------------------------


def guided(unconditional: Tensor, conditional: Tensor, guidance: float) -> Tensor:
    return unconditional + guidance * (conditional - unconditional)


def _guided_pictures(answer: Callable) -> Figure:
    with_text, without, rungs = (
        predictor(tiny(), PROMPT),
        predictor(tiny(), ""),
        list(range(999, 0, -100)),
    )
    schedule, noise = Schedule.of(tiny().scheduler), numbers(1, 4, SIDE, SIDE, seed=3)
    found = []
    for combine in (answer, guided):

        def predict(latents, t, combine=combine):
            return torch.as_tensor(combine(without(latents, t), with_text(latents, t), 3.0)).float()

        found.append(_picture(draw_latents(predict, schedule, noise, rungs)))
    return plots.strip(found, ["with yours, scale 3", "target"], columns=4)


GUIDED = Exercise(
    LESSON,
    "guided",
    guided,
    lambda: [
        (torch.tensor([1.0]), torch.tensor([3.0]), 2.0),
        (numbers(2, 3), numbers(2, 3, seed=1), 1.0),
        (numbers(2, 4, 3, 5), numbers(2, 4, 3, 5, seed=1), 7.5),
        (numbers(3), numbers(3, seed=2), 0.0),
    ],
    (
        Mistake(
            "one too strong: start from the *unconditional* prediction, so that scale 1 is the "
            "conditional one",
            lambda u, c, s: c + s * (c - u),
        ),
        Mistake("unconditional and conditional are exchanged", lambda u, c, s: c + s * (u - c)),
        Mistake(
            "only the difference is left; it is added to the unconditional prediction",
            lambda u, c, s: s * (c - u),
        ),
        Mistake(
            "the direction is turned round: conditional minus unconditional",
            lambda u, c, s: u + s * (u - c),
        ),
        Mistake("the scale is not used", lambda u, c, s: c),
        Mistake(
            "this is the mean of both; guidance goes *beyond* the conditional one",
            lambda u, c, s: (u + c) / 2,
        ),
        Mistake("the scale multiplies the whole conditional prediction", lambda u, c, s: u + s * c),
        Mistake(
            "one too weak: scale 1 has to give the conditional prediction",
            lambda u, c, s: u + (s - 1) * (c - u),
        ),
    ),
    _guided_pictures,
)

# --- the whole loop -------------------------------------------------------------------------------


def draw_latents(
    predict: Callable, schedule: Schedule, noise: Tensor, timesteps: list[int]
) -> Tensor:
    latents = noise
    alpha_bars = [*schedule.alpha_bars[timesteps].tolist(), 1.0]
    for t, now, following in zip(timesteps, alpha_bars, alpha_bars[1:], strict=False):
        latents = ddim_step(latents, predict(latents, t), now, following)
    return latents


def _toy(latents: Tensor, t: int) -> Tensor:
    """A prediction that depends on both of its arguments."""
    return torch.tanh(latents * (0.5 + t / 1000)) + 0.1


def _loop(
    following: Callable, step: Callable = ddim_step, fed: Callable = lambda latents, noise: latents
) -> Callable:
    """The loop with something wrong in it: which ᾱ comes next, what a step does, or what the
    prediction is fed.
    """

    def run(predict: Callable, schedule: Schedule, noise: Tensor, timesteps: list[int]) -> Tensor:
        latents, alpha_bars = noise, schedule.alpha_bars[timesteps].tolist()
        for index, (t, now) in enumerate(zip(timesteps, alpha_bars, strict=True)):
            latents = step(
                latents, predict(fed(latents, noise), t), now, following(alpha_bars, index)
            )
        return latents

    return run


def _next(alpha_bars: list[float], index: int) -> float:
    return alpha_bars[index + 1] if index + 1 < len(alpha_bars) else 1.0


def _with_alphas(
    predict: Callable, schedule: Schedule, noise: Tensor, timesteps: list[int]
) -> Tensor:
    latents, alpha_bars = noise, [*schedule.alphas[timesteps].tolist(), 1.0]
    for t, now, following in zip(timesteps, alpha_bars, alpha_bars[1:], strict=False):
        latents = ddim_step(latents, predict(latents, t), now, following)
    return latents


DRAW_LATENTS = Exercise(
    LESSON,
    "draw_latents",
    draw_latents,
    lambda: [
        (_toy, Schedule.named("scaled_linear"), numbers(1, 1, 1, 2), [999, 500]),
        (_toy, Schedule.named("scaled_linear"), numbers(1, 4, 3, 5), [900, 600, 300, 0]),
        (_toy, Schedule.named("cosine"), numbers(2, 4, 6, 5), [950, 700, 450, 200, 50]),
    ],
    (
        Mistake(
            "the last step stops at its own rung: after it there is no noise left, so ᾱ is 1 there",
            _loop(
                lambda alpha_bars, i: (
                    alpha_bars[i + 1] if i + 1 < len(alpha_bars) else alpha_bars[i]
                )
            ),
        ),
        Mistake(
            "the prediction is always asked about the noise at the start; ask about the latents "
            "of *this* step",
            _loop(_next, fed=lambda latents, noise: noise),
        ),
        Mistake(
            "every step jumps all the way to x̂₀; go down to the *next* rung",
            _loop(lambda alpha_bars, i: 1.0),
        ),
        Mistake(
            "the noise is not put back: each step has to end with the noise of the next rung",
            _loop(
                _next,
                step=lambda latents, predicted, now, following: (
                    following**0.5 * _clean(latents, predicted, now)
                ),
            ),
        ),
        Mistake(
            "α of one step in place of ᾱ: `schedule.alpha_bars`",
            lambda predict, schedule, noise, timesteps: _with_alphas(
                predict, schedule, noise, timesteps
            ),
        ),
        Mistake(
            "`predict` is asked about the number of the step; ask about its t",
            lambda predict, schedule, noise, timesteps: draw_latents(
                lambda latents, t: predict(latents, timesteps.index(t)), schedule, noise, timesteps
            ),
        ),
        Mistake(
            "the predicted noise is just subtracted at every step",
            _loop(_next, step=lambda latents, predicted, now, following: latents - predicted),
        ),
        Mistake(
            "the timesteps are gone through upwards; drawing goes from much noise to none",
            lambda predict, schedule, noise, timesteps: draw_latents(
                predict, schedule, noise, timesteps[::-1]
            ),
        ),
    ),
    lambda answer: plots.strip(
        [
            _picture(
                run(
                    _predict(),
                    Schedule.of(tiny().scheduler),
                    numbers(1, 4, SIDE, SIDE, seed=3),
                    [*range(999, 0, -100)],
                )
            )
            for run in (answer, draw_latents)
        ],
        ["your loop", "target"],
        columns=4,
    ),
)

# --- guidance of one's own ------------------------------------------------------------------------

WEAK, STRONG = 3.0, 12.0
TOWARDS = 0.05
"""How much more than the conditional prediction the result has to point towards the difference, as
a cosine.
"""
MOST = 1.15
"""How much larger than the conditional prediction's the spread of the result may be."""


def _predictions() -> tuple[Tensor, Tensor]:
    """What the small model predicts without and with a sentence, at t = 800."""
    noise = numbers(1, 4, SIDE, SIDE, seed=5)
    return predictor(tiny(), "")(noise, 800), predictor(tiny(), PROMPT)(noise, 800)


def _measure_guidance(answer: Callable) -> dict:
    answer(torch.zeros(1, 4, 2, 2), torch.ones(1, 4, 2, 2), 1.0)  # a stub says so before any work
    empty, caption = _predictions()
    empty, caption = empty, empty + 4 * (caption - empty)  # a sentence that changes much
    strong, weak = (answer(empty.clone(), caption.clone(), scale) for scale in (STRONG, WEAK))
    one = answer(empty.clone(), caption.clone(), 1.0)
    return {"empty": empty, "caption": caption, "strong": strong, "weak": weak, "one": one}


def _is_a_prediction(measured: dict) -> str | None:
    wanted = measured["empty"].shape
    for name, scale in (("strong", STRONG), ("weak", WEAK), ("one", 1)):
        found = measured[name]
        if not isinstance(found, Tensor) or found.shape != wanted:
            shape = (
                "×".join(map(str, found.shape))
                if isinstance(found, Tensor)
                else type(found).__name__
            )
            wanted_shape = "×".join(map(str, wanted))
            return (
                f"at scale {scale:g}: a prediction of shape {wanted_shape} was expected back, "
                f"got {shape}"
            )
        if not found.isfinite().all():
            return f"at scale {scale:g}: your result holds NaN or infinity"
    return None


def _one_is_none(measured: dict) -> str | None:
    off = (measured["one"] - measured["caption"]).abs().max().item()
    return (
        f"at scale 1 the conditional prediction has to come out; yours is off by {off:.3g}"
        if off > 1e-3
        else None
    )


def _does_not_glare(measured: dict) -> str | None:
    grown = (measured["strong"].std() / measured["caption"].std()).item()
    if grown > MOST:
        return (
            f"at scale {STRONG:g} your result spreads {grown:.2f} times as much as the "
            "conditional prediction; "
            f"at most {MOST} was asked for"
        )
    return None


def _towards(values: Tensor, measured: dict) -> float:
    difference = (measured["caption"] - measured["empty"]).flatten()
    return torch.nn.functional.cosine_similarity(values.flatten(), difference, dim=0).item()


def _still_guides(measured: dict) -> str | None:
    before, after = (_towards(measured[name], measured) for name in ("caption", "strong"))
    if after < before + TOWARDS:
        return (
            f"it does not guide: at scale {STRONG:g} the result's cosine with (conditional - "
            "unconditional) is "
            f"{after:.2f}; at least {before + TOWARDS:.2f} was asked for (without guidance: "
            f"{before:.2f})"
        )
    if after < _towards(measured["weak"], measured) + TOWARDS / 5:
        return f"it does not follow the scale: {STRONG:g} has to guide more than {WEAK:g}"
    return None


def _spreads(measured: dict) -> Figure:
    figure = plots.new_figure(2.6)
    axes = figure.subplots()
    plain = guided(measured["empty"], measured["caption"], STRONG)
    shown = {
        "conditional": measured["caption"],
        f"plain, scale {STRONG:g}": plain,
        "yours": measured["strong"],
    }
    for (name, values), colour in zip(shown.items(), plots.LINES, strict=False):
        axes.hist(values.flatten().numpy(), 60, density=True, alpha=0.5, color=colour, label=name)
    axes.set_yticks([])
    axes.legend(fontsize=8, frameon=False)
    return figure


OWN_GUIDANCE = OpenExercise(
    LESSON,
    "own_guidance",
    _measure_guidance,
    (_is_a_prediction, _one_is_none, _does_not_glare, _still_guides),
    _spreads,
)

EXERCISES = (DDIM_STEP, DDPM_STEP, GUIDED, DRAW_LATENTS, OWN_GUIDANCE)
