"""Exercises of lesson 04, forward noising."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from sdlearn import plots
from sdlearn.exercises import pictures
from sdlearn.exercises.engine import Lesson
from sdlearn.exercises.given import numbers, pixels_of
from sdlearn.exercises.results import Case, Unmet, tensor_of, unlike
from sdlearn.images import to_pictures
from sdlearn.noising import Schedule, add_noise, clean_from_noise
from sdlearn.picturebook.scenes import compose

lesson = Lesson("04_forward_noising")
SHOWN = (0, 200, 400, 600, 800, 999)
T = 1000


def _stable_diffusions() -> Schedule:
    return Schedule.named("scaled_linear")


def _page() -> Tensor:
    return pixels_of(compose([("red", "house")], "meadow", rng=1), 96)


def _shown(frames: list[Tensor]) -> list[np.ndarray]:
    return [to_pictures(frame)[0] for frame in frames]


# --- exercise 1: one step -------------------------------------------------------------------------


def _draw_steps(answer: Callable) -> Figure:
    """Thirty steps of β = 0.1, every sixth shown."""
    rows = []
    for step in (answer, one_step):
        frames = [_page()]
        for seed in range(30):
            frames.append(step(frames[-1].clone(), 0.1, numbers(*frames[0].shape, seed=seed)))
        rows.append(_shown(frames[::6]))
    return pictures.in_two_rows(*rows, [f"{6 * i} steps" for i in range(len(rows[0]))])


@lesson.exercise(
    cases=lambda: [
        (torch.tensor([2.0]), 0.19, torch.tensor([0.5])),
        (numbers(2, 3), 0.02, numbers(2, 3, seed=1)),
        (numbers(1, 4, 3, 5), 0.8, numbers(1, 4, 3, 5, seed=1)),
    ],
    picture=_draw_steps,
    by_hand=lambda before, beta, noise: {
        "√(1 - β)": (1 - beta) ** 0.5,
        "√β": beta**0.5,
        "√(1 - β) · before": (1 - beta) ** 0.5 * before,
        "√β · noise": beta**0.5 * noise,
    },
)
def one_step(before: Tensor, beta: float, noise: Tensor) -> Tensor:
    """One step: x_t = √(1 - β) x_{t-1} + √β ε (Ho et al. 2020, Eq. 2)."""
    return (1 - beta) ** 0.5 * before + beta**0.5 * noise


one_step.mistakes(
    "the square roots are missing: β is a share of the *variance*",
    lambda before, beta, noise: (1 - beta) * before + beta * noise,
    "the picture is not made smaller: without √(1 - β) the variance grows with every step",
    lambda before, beta, noise: before + beta**0.5 * noise,
    "swapped: β, the small number, belongs to the noise, and 1 - β to the picture",
    lambda before, beta, noise: beta**0.5 * before + (1 - beta) ** 0.5 * noise,
    "the root of the noise's factor is missing: it is √β, not β",
    lambda before, beta, noise: (1 - beta) ** 0.5 * before + beta * noise,
    "the root of the picture's factor is missing: it is √(1 - β), not 1 - β",
    lambda before, beta, noise: (1 - beta) * before + beta**0.5 * noise,
    "the noise is subtracted; forward noising adds it",
    lambda before, beta, noise: (1 - beta) ** 0.5 * before - beta**0.5 * noise,
    "the noise is not made smaller: it is multiplied by √β",
    lambda before, beta, noise: (1 - beta) ** 0.5 * before + noise,
    "the noise is missing",
    lambda before, beta, noise: (1 - beta) ** 0.5 * before,
    "β is squared; the *roots* of β and 1 - β are meant",
    lambda before, beta, noise: (1 - beta**2) ** 0.5 * before + beta * noise,
    "1 - √β is not √(1 - β): the two factors have *squares* that add up to 1",
    lambda before, beta, noise: (1 - beta**0.5) * before + beta**0.5 * noise,
    "√β multiplies picture and noise alike",
    lambda before, beta, noise: beta**0.5 * (before + noise),
    "√(1 - β) multiplies picture and noise alike; the noise has √β",
    lambda before, beta, noise: (1 - beta) ** 0.5 * (before + noise),
)

# --- exercise 2: ᾱ --------------------------------------------------------------------------------


def _shifted(betas: Tensor) -> Tensor:
    return torch.cat([torch.ones(1), alpha_bars(betas)[:-1]])


def _draw_alpha_bars(answer: Callable) -> Figure:
    betas = _stable_diffusions().betas
    lines = {"target": alpha_bars(betas), "yours": answer(betas.clone())}
    return pictures.curves(range(T), lines, "t", "ᾱ of Stable Diffusion")


@lesson.exercise(
    cases=lambda: [
        (torch.tensor([0.5, 0.2]),),
        (torch.tensor([0.5, 0.9, 0.99]),),
        (_stable_diffusions().betas,),
    ],
    picture=_draw_alpha_bars,
    by_hand=lambda betas: {"1 - β of every step": 1 - betas},
)
def alpha_bars(betas: Tensor) -> Tensor:
    """ᾱ of every step: what all steps up to it leave of the variance."""
    return (1 - betas).cumprod(dim=0)


alpha_bars.mistakes(
    "this multiplies β; a step *keeps* 1 - β",
    lambda betas: betas.cumprod(dim=0),
    "first 1 - β, then the product of them; this is 1 minus the product",
    lambda b: 1 - b.cumprod(dim=0),
    "this subtracts what every step takes; but a step takes its share of what is *left*",
    lambda betas: 1 - betas.cumsum(dim=0),
    "this is α, what one step keeps; ᾱ multiplies all steps up to t",
    lambda betas: 1 - betas,
    "one step off: ᾱ at t counts step t too, so the first number is 1 - β₀, not 1",
    _shifted,
    "this is √ᾱ, the factor of the picture; the exercise asks for ᾱ, its share of the variance",
    lambda betas: alpha_bars(betas).sqrt(),
    "the 1 - β are added up; multiply them",
    lambda betas: (1 - betas).cumsum(dim=0),
    "multiplied from the end; step t has gone through the steps *before* it",
    lambda betas: (1 - betas).flip(0).cumprod(dim=0).flip(0),
    "exp(-sum of β) is close for small β, but not equal",
    lambda betas: torch.exp(-betas.cumsum(dim=0)),
    "this is ᾱ of all steps together; every step has its own",
    lambda betas: (1 - betas).prod(),
    "this is 1 - ᾱ, the noise's share",
    lambda betas: 1 - alpha_bars(betas),
)

# --- exercise 3: the closed form ------------------------------------------------------------------


def _mixed(
    share: Callable[[Schedule], Tensor], roots: bool = True, swapped: bool = False
) -> Callable:
    """A closed form with something else for ᾱ, without roots, or with its factors exchanged."""

    def wrong(schedule: Schedule, clean: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        of_clean = schedule.at(share(schedule), t, clean)
        of_clean, of_noise = (1 - of_clean, of_clean) if swapped else (of_clean, 1 - of_clean)
        power = 0.5 if roots else 1
        return of_clean**power * clean + of_noise**power * noise

    return wrong


def _four(values: Tensor) -> tuple[int, ...]:
    """The shape that torch gives to values when it lines them up with n×1×1×1."""
    return (1,) * (4 - values.ndim) + tuple(values.shape)


def _noisings() -> list[Case]:
    schedule, other = _stable_diffusions(), Schedule.named("cosine", 50)
    return [
        (
            Schedule(torch.tensor([0.1, 0.6])),  # ᾱ = 0.36, whose roots are 0.6 and 0.8
            torch.tensor([[1.0, -1.0]]),
            torch.tensor([1]),
            torch.tensor([[0.5, 1.0]]),
        ),
        (schedule, numbers(1, 2), torch.tensor([500]), numbers(1, 2, seed=1)),
        (schedule, numbers(3, 3, 4, 6), torch.tensor([999, 0, 999]), numbers(3, 3, 4, 6, seed=1)),
        (other, numbers(3, 4, 3, 5), torch.tensor([30, 7, 49]), numbers(3, 4, 3, 5, seed=1)),
    ]


def _draw_noisings(answer: Callable) -> Figure:
    schedule, clean = _stable_diffusions(), _page()
    noise = numbers(*clean.shape, seed=3)
    rows = [
        _shown([way(schedule, clean.clone(), torch.tensor([t]), noise.clone()) for t in SHOWN])
        for way in (answer, noised)
    ]
    return pictures.in_two_rows(*rows, [f"t = {t}" for t in SHOWN])


@lesson.exercise(
    cases=_noisings,
    picture=_draw_noisings,
    by_hand=lambda schedule, clean, t, noise: {
        "ᾱ": schedule.alpha_bars[t],
        "√ᾱ": schedule.sqrt_alpha_bars[t],
        "√(1 - ᾱ)": schedule.sqrt_one_minus_alpha_bars[t],
    },
)
def noised(schedule: Schedule, clean: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    """All steps up to t at once."""
    return add_noise(schedule, clean, t, noise)


noised.mistakes(
    "the square roots are missing: ᾱ and 1 - ᾱ are shares of the variance",
    _mixed(lambda s: s.alpha_bars, roots=False),
    "swapped: ᾱ is the picture's share, 1 - ᾱ the noise's",
    _mixed(lambda s: s.alpha_bars, swapped=True),
    "this is β where ᾱ belongs: β is what one step adds",
    _mixed(lambda s: s.betas),
    "this is α where ᾱ belongs: α is what *one* step keeps, ᾱ what all steps up to t keep",
    _mixed(lambda s: s.alphas),
    "one step off: ᾱ at t counts step t too",
    _mixed(lambda s: torch.cat([torch.ones(1), s.alpha_bars[:-1]])),
    "1 - √ᾱ is not √(1 - ᾱ): the two factors have *squares* that add up to 1",
    lambda s, x, t, e: s.at(s.sqrt_alpha_bars, t, x) * x + (1 - s.at(s.sqrt_alpha_bars, t, x)) * e,
    "every picture has a t of its own; this takes the first one for all",
    lambda s, x, t, e: add_noise(s, x, int(t[0]), e),
    "three ones only fit pictures; you need as many as `clean.ndim - 1`",
    lambda s, x, t, e: (
        s.sqrt_alpha_bars[t].reshape(-1, 1, 1, 1) * x.reshape(_four(x))
        + s.sqrt_one_minus_alpha_bars[t].reshape(-1, 1, 1, 1) * e.reshape(_four(e))
    ),
    "the root of the noise's factor is missing: √(1 - ᾱ), not 1 - ᾱ",
    lambda s, x, t, e: s.at(s.alpha_bars, t, x) ** 0.5 * x + (1 - s.at(s.alpha_bars, t, x)) * e,
    "the root of the picture's factor is missing: √ᾱ, not ᾱ",
    lambda s, x, t, e: s.at(s.alpha_bars, t, x) * x + (1 - s.at(s.alpha_bars, t, x)) ** 0.5 * e,
    "√(1 - √ᾱ) for the noise: the root is taken twice; it is √(1 - ᾱ)",
    lambda s, x, t, e: (
        s.at(s.sqrt_alpha_bars, t, x) * x + (1 - s.at(s.sqrt_alpha_bars, t, x)) ** 0.5 * e
    ),
    "one step off: this is ᾱ of the next t",
    lambda s, x, t, e: add_noise(s, x, (t + 1).clamp(max=len(s) - 1), e),
    "the noise is missing",
    lambda s, x, t, e: s.at(s.sqrt_alpha_bars, t, x) * x,
    "one step off: this is ᾱ of the previous t; t counts from 0, as the tensor does",
    lambda s, x, t, e: add_noise(s, x, t - 1 + len(s) * (t == 0), e),
    "the root is taken twice: `sqrt_alpha_bars` is √ᾱ already",
    lambda s, x, t, e: (
        s.at(s.sqrt_alpha_bars, t, x) ** 0.5 * x
        + s.at(s.sqrt_one_minus_alpha_bars, t, x) ** 0.5 * e
    ),
    "every picture has a t of its own; this takes the mean of all ᾱ",
    lambda s, x, t, e: s.alpha_bars[t].mean() ** 0.5 * x + (1 - s.alpha_bars[t].mean()) ** 0.5 * e,
    "the noise is not made smaller: it is multiplied by √(1 - ᾱ)",
    lambda s, x, t, e: s.at(s.sqrt_alpha_bars, t, x) * x + e,
    "the picture is not made smaller: it is multiplied by √ᾱ",
    lambda s, x, t, e: x + s.at(s.sqrt_one_minus_alpha_bars, t, x) * e,
    "the noise is subtracted; forward noising adds it",
    lambda s, x, t, e: add_noise(s, x, t, -e),
)

# --- exercise 4: and back -------------------------------------------------------------------------


def _back(undo: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> Callable:
    """A way back from x_t, given √ᾱ and √(1 - ᾱ) shaped to multiply it."""

    def wrong(schedule: Schedule, noisy: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        return undo(noisy, noise, *schedule.rates(t, noisy))

    return wrong


def _draw_backs(answer: Callable) -> Figure:
    schedule, clean = _stable_diffusions(), _page()
    noise = numbers(*clean.shape, seed=3)
    yours = [
        answer(schedule, add_noise(schedule, clean, t, noise), torch.tensor([t]), noise.clone())
        for t in SHOWN
    ]
    titles = [f"from t = {t}" for t in SHOWN]
    return pictures.in_two_rows(_shown(yours), _shown([clean] * len(SHOWN)), titles)


@lesson.exercise(
    cases=_noisings,
    picture=_draw_backs,
    by_hand=lambda schedule, noisy, t, noise: {
        "ᾱ": schedule.alpha_bars[t],
        "√ᾱ": schedule.sqrt_alpha_bars[t],
        "√(1 - ᾱ)": schedule.sqrt_one_minus_alpha_bars[t],
        "noisy - √(1 - ᾱ) · noise": noisy
        - schedule.at(schedule.sqrt_one_minus_alpha_bars, t, noisy) * noise,
    },
)
def estimate_clean(schedule: Schedule, noisy: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    """x̂₀ from x_t and its noise."""
    return clean_from_noise(schedule, noisy, t, noise)


estimate_clean.mistakes(
    "the last division is missing: the picture was made smaller by √ᾱ, so make it larger again",
    _back(lambda noisy, noise, signal, sigma: noisy - sigma * noise),
    "wrong sign: the noise was added, so it has to be subtracted",
    _back(lambda noisy, noise, signal, sigma: (noisy + sigma * noise) / signal),
    "the noise was made smaller by √(1 - ᾱ) before it was added; subtract that much, not all of it",
    _back(lambda noisy, noise, signal, sigma: (noisy - noise) / signal),
    "the square roots are missing: the picture was multiplied by √ᾱ, the noise by √(1 - ᾱ)",
    _back(lambda noisy, noise, signal, sigma: (noisy - sigma**2 * noise) / signal**2),
    "this is α where ᾱ belongs: α is what *one* step keeps, ᾱ what all steps up to t keep",
    lambda s, x, t, e: (x - s.at(s.betas, t, x) ** 0.5 * e) / s.at(s.alphas, t, x) ** 0.5,
    "the brackets are wrong: the noise has to be divided by √ᾱ, too",
    _back(lambda noisy, noise, signal, sigma: noisy / signal - sigma * noise),
    "this divides by ᾱ; the picture's factor was its square root",
    _back(lambda noisy, noise, signal, sigma: (noisy - sigma * noise) / signal**2),
    "the brackets are missing: *everything* has to be divided by √ᾱ, the noisy picture, too",
    _back(lambda noisy, noise, signal, sigma: noisy - sigma * noise / signal),
    "this multiplies by √ᾱ; divide by it instead",
    _back(lambda noisy, noise, signal, sigma: (noisy - sigma * noise) * signal),
    "swapped: √(1 - ᾱ) belongs to the noise, √ᾱ to the picture",
    _back(lambda noisy, noise, signal, sigma: (noisy - signal * noise) / sigma),
    "the noise was made smaller by √(1 - ᾱ) before it was added, and everything is divided by √ᾱ",
    _back(lambda noisy, noise, signal, sigma: noisy / signal - noise),
    "the root of the noise's factor is missing: √(1 - ᾱ), not 1 - ᾱ",
    _back(lambda noisy, noise, signal, sigma: (noisy - sigma**2 * noise) / signal),
    "this noises once more; solve the closed form for x₀",
    _back(lambda noisy, noise, signal, sigma: signal * noisy + sigma * noise),
    "three ones only fit pictures; you need as many as `noisy.ndim - 1`",
    lambda s, x, t, e: (
        (
            x.reshape(_four(x))
            - s.sqrt_one_minus_alpha_bars[t].reshape(-1, 1, 1, 1) * e.reshape(_four(e))
        )
        / s.sqrt_alpha_bars[t].reshape(-1, 1, 1, 1)
    ),
    "1 - √ᾱ is not √(1 - ᾱ)",
    _back(lambda noisy, noise, signal, sigma: (noisy - (1 - signal) * noise) / signal),
    "divided by √(1 - ᾱ); the picture was multiplied by √ᾱ",
    _back(lambda noisy, noise, signal, sigma: (noisy - sigma * noise) / sigma),
    "every picture has a t of its own; this takes the first one for all",
    lambda s, x, t, e: clean_from_noise(s, x, int(t[0]), e),
)

# --- exercise 5: a schedule of your own ----------------------------------------------------------


GONE, LEFT, STEEPEST, IDLE = 5.0, 0.1, 0.5, 15.0
"""In percent: how much of a picture's variance may be gone after a twentieth of the steps, may be
left at the end, and may go in one step; and how many steps may be idle.
"""


@lesson.open_exercise(
    picture=lambda betas: plots.schedules(
        {"yours": Schedule(betas.float()), "Stable Diffusion": _stable_diffusions()}
    )
)
def own_schedule(answer: Callable[[int], Tensor]) -> Tensor:
    """β for any number of steps: begins gently, ends in noise, has no cliff, and wastes little."""
    for steps in (20, T):
        betas = tensor_of(answer(steps), (steps,), f"for steps={steps}: ").double()
        _check_shares(betas)
    if broken := list(_broken(alpha_bars(betas))):
        raise Unmet("; ".join(broken))
    return betas


def _check_shares(betas: Tensor) -> None:
    """Raise Unmet for what cannot be β."""
    first, last = betas[[0, -1]].tolist()
    where = f"for steps={len(betas)} yours begin at {first:.3g} and end at {last:.3g}"
    if first > 0.9 and last < first and (betas.diff() <= 0).all():
        raise Unmet(
            f"{where}: these look like ᾱ, or α. The exercise asks for β, the share that a step "
            "takes: 1 - ᾱ of this step / ᾱ of the step before"
        )
    if betas.min() <= 0 or betas.max() >= 1:
        raise Unmet(
            f"every β is a share above 0 and below 1; {where}, and the smallest is "
            f"{betas.min():.3g}, the largest {betas.max():.3g}"
        )


def _broken(bars: Tensor) -> Iterator[str]:
    """The demands that a schedule breaks, each with what to do."""
    falls = -bars.diff(prepend=torch.ones(1))
    early, late = (100 * x.double().mean().item() for x in (bars > 0.99, bars < 0.001))
    more_idle = "at the beginning: let the first β be larger"
    if late > early:
        more_idle = "at the end: let the last β be smaller"
    for percent, most, says in (
        (
            100 * (1 - bars[T // 20 - 1].item()),
            GONE,
            "after a twentieth of the steps {} of the picture's variance is gone, and at most {} "
            "is allowed: begin with smaller β",
        ),
        (
            100 * bars[-1].item(),
            LEFT,
            "at the end {} of the picture's variance is left, and at most {} is allowed: the β add "
            "up to too little",
        ),
        (
            100 * falls.max().item(),
            STEEPEST,
            f"in step {int(falls.argmax())} alone ᾱ falls by {{}}, and at most {{}} is allowed: "
            "spread the fall over more steps",
        ),
        (
            early + late,
            IDLE,
            f"{{}} of the steps are idle, and at most {{}} is allowed. {early:.1f}% are so at the "
            f"beginning (ᾱ above 0.99) and {late:.1f}% at the end (ᾱ below 0.001). There are more "
            f"{more_idle}",
        ),
    ):
        if percent > most:
            mine, bound = unlike(percent, most, digits=1)
            yield says.format(f"{mine}%", f"{bound}%")
