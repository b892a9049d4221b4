"""Exercises of the lesson on forward noising."""

from __future__ import annotations

from collections.abc import Callable

import torch
from matplotlib.figure import Figure
from torch import Tensor

from sdlearn import noising, plots
from sdlearn.check import Exercise, Mistake, OpenExercise
from sdlearn.drawing import draw_array
from sdlearn.exercises.given import numbers
from sdlearn.images import to_pictures, to_pixels
from sdlearn.noising import Schedule
from sdlearn.picturebook import compose

LESSON = "04_forward_noising"
SHOWN = (0, 200, 400, 600, 800, 999)
T = 1000


def _stable_diffusions() -> Schedule:
    return Schedule.named("scaled_linear")


def _page() -> Tensor:
    """A page of the picture book as pixels [1, 3, 96, 96]."""
    return to_pixels(draw_array(compose([("red", "house")], "meadow", rng=1), 96)[None])


# --- one step -------------------------------------------------------------------------------------


def one_step(before: Tensor, beta: float, noise: Tensor) -> Tensor:
    return (1 - beta) ** 0.5 * before + beta**0.5 * noise


def _steps() -> list[tuple]:
    return [
        (torch.tensor([1.0]), 0.19, torch.tensor([0.5])),
        (numbers(2, 3), 0.02, numbers(2, 3, seed=1)),
        (numbers(1, 4, 3, 5), 0.5, numbers(1, 4, 3, 5, seed=1)),
    ]


def _beside(yours: list[Tensor], targets: list[Tensor], titles: list[str]) -> Figure:
    """The learner's pictures in one row, the course's below them."""
    pictures = [to_pictures(frame)[0] for frame in (*yours, *targets)]
    captions = [f"yours, {title}" for title in titles] + [f"target, {title}" for title in titles]
    return plots.strip(pictures, captions, columns=len(titles))


def _draw_steps(answer: Callable) -> Figure:
    """Thirty steps of β = 0.1, every sixth shown."""
    rows = []
    for step in (answer, one_step):
        frames = [_page()]
        for number in range(30):
            frames.append(step(frames[-1].clone(), 0.1, numbers(*frames[0].shape, seed=number)))
        rows.append(frames[::6])
    return _beside(*rows, [f"{6 * i} steps" for i in range(len(rows[0]))])


ONE_STEP = Exercise(
    LESSON,
    "one_step",
    one_step,
    _steps,
    (
        Mistake(
            "the square roots are missing: β is a share of the *variance*, and a factor of √β "
            "gives a variance of β",
            lambda before, beta, noise: (1 - beta) * before + beta * noise,
        ),
        Mistake(
            "the picture is not made smaller: without the factor √(1 - β) the variance grows "
            "with every step",
            lambda before, beta, noise: before + beta**0.5 * noise,
        ),
        Mistake(
            "swapped: β, the small number, belongs to the noise, and 1 - β to the picture",
            lambda before, beta, noise: beta**0.5 * before + (1 - beta) ** 0.5 * noise,
        ),
        Mistake(
            "the root of the noise's factor is missing: it is √β, not β",
            lambda before, beta, noise: (1 - beta) ** 0.5 * before + beta * noise,
        ),
        Mistake(
            "the root of the picture's factor is missing: it is √(1 - β), not 1 - β",
            lambda before, beta, noise: (1 - beta) * before + beta**0.5 * noise,
        ),
        Mistake(
            "the noise is subtracted; forward noising adds it",
            lambda before, beta, noise: (1 - beta) ** 0.5 * before - beta**0.5 * noise,
        ),
    ),
    _draw_steps,
)

# --- ᾱ --------------------------------------------------------------------------------------------


def alpha_bars(betas: Tensor) -> Tensor:
    return (1 - betas).cumprod(dim=0)


def _shifted(betas: Tensor) -> Tensor:
    return torch.cat([torch.ones(1), alpha_bars(betas)[:-1]])


def _draw_alpha_bars(answer: Callable) -> Figure:
    figure = plots.new_figure(2.6)
    axes = figure.subplots()
    betas = _stable_diffusions().betas
    axes.plot(alpha_bars(betas), lw=6, alpha=0.35, label="ᾱ of Stable Diffusion")
    axes.plot(answer(betas.clone()), lw=1.5, label="yours")
    axes.set(xlabel="t", ylabel="ᾱ")
    axes.legend(frameon=False)
    return figure


ALPHA_BARS = Exercise(
    LESSON,
    "alpha_bars",
    alpha_bars,
    lambda: [
        (torch.tensor([0.5, 0.2]),),
        (torch.tensor([0.1, 0.2, 0.3]),),
        (_stable_diffusions().betas,),
    ],
    (
        Mistake("this multiplies β; a step *keeps* 1 - β", lambda betas: betas.cumprod(dim=0)),
        Mistake(
            "first 1 - β, then the product of them; this is 1 minus the product",
            lambda b: 1 - b.cumprod(dim=0),
        ),
        Mistake(
            "this subtracts what every step takes; a step takes its share of what is *left*, so "
            "shares multiply",
            lambda betas: 1 - betas.cumsum(dim=0),
        ),
        Mistake(
            "this is α, what one step keeps; ᾱ multiplies all steps up to t",
            lambda betas: 1 - betas,
        ),
        Mistake(
            "one step off: ᾱ at t counts step t too, so the first number is 1 - β₀, not 1", _shifted
        ),
        Mistake(
            "this is √ᾱ, the factor of the picture; asked is ᾱ, its share of the variance",
            lambda betas: alpha_bars(betas).sqrt(),
        ),
    ),
    _draw_alpha_bars,
)

# --- the closed form ------------------------------------------------------------------------------


def _mixed(
    share: Callable[[Schedule], Tensor], roots: bool = True, swapped: bool = False
) -> Callable:
    """A closed form with something in ᾱ's place, without roots, or with its factors exchanged."""

    def wrong(schedule: Schedule, clean: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        kept = schedule.at(share(schedule), t, clean)
        kept, added = (1 - kept, kept) if swapped else (kept, 1 - kept)
        return kept**0.5 * clean + added**0.5 * noise if roots else kept * clean + added * noise

    return wrong


def _four(values: Tensor) -> tuple[int, ...]:
    """The shape that torch gives to values when it lines them up with n×1×1×1."""
    return (1,) * (4 - values.ndim) + tuple(values.shape)


def _noisings() -> list[tuple]:
    schedule = _stable_diffusions()
    return [
        (schedule, numbers(1, 2), torch.tensor([500]), numbers(1, 2, seed=1)),
        (schedule, numbers(2, 3, 4, 6), torch.tensor([0, 999]), numbers(2, 3, 4, 6, seed=1)),
        (
            Schedule.named("cosine", 50),
            numbers(3, 4, 3, 5),
            torch.tensor([7, 30, 49]),
            numbers(3, 4, 3, 5, seed=1),
        ),
    ]


def _draw_noisings(answer: Callable) -> Figure:
    schedule, clean = _stable_diffusions(), _page()
    noise = numbers(*clean.shape, seed=3)
    rows = [
        [way(schedule, clean.clone(), torch.tensor([t]), noise.clone()) for t in SHOWN]
        for way in (answer, noising.add_noise)
    ]
    return _beside(*rows, [f"t = {t}" for t in SHOWN])


NOISED = Exercise(
    LESSON,
    "noised",
    noising.add_noise,
    _noisings,
    (
        Mistake(
            "the square roots are missing: ᾱ and 1 - ᾱ are shares of the variance",
            _mixed(lambda s: s.alpha_bars, roots=False),
        ),
        Mistake(
            "swapped: ᾱ is the picture's share, 1 - ᾱ the noise's",
            _mixed(lambda s: s.alpha_bars, swapped=True),
        ),
        Mistake("this is β where ᾱ belongs: β is what one step adds", _mixed(lambda s: s.betas)),
        Mistake(
            "this is α where ᾱ belongs: α is what *one* step keeps, ᾱ what all steps up to t keep",
            _mixed(lambda s: s.alphas),
        ),
        Mistake(
            "one step off: ᾱ at t counts step t too",
            _mixed(lambda s: torch.cat([torch.ones(1), s.alpha_bars[:-1]])),
        ),
        Mistake(
            "1 - √ᾱ is not √(1 - ᾱ): the two factors have *squares* that add up to 1",
            lambda s, x, t, e: s.at(s.kept, t, x) * x + (1 - s.at(s.kept, t, x)) * e,
        ),
        Mistake(
            "every picture has a t of its own; this takes the first one for all",
            lambda s, x, t, e: noising.add_noise(s, x, int(t[0]), e),
        ),
        Mistake(
            "three ones fit pictures only; make as many as there are dimensions after the first: "
            "`clean.ndim - 1`",
            lambda s, x, t, e: (
                s.kept[t].reshape(-1, 1, 1, 1) * x.reshape(_four(x))
                + s.added[t].reshape(-1, 1, 1, 1) * e.reshape(_four(e))
            ),
        ),
    ),
    _draw_noisings,
)

# --- and back -------------------------------------------------------------------------------------


def _back(undo: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> Callable:
    """A way back from x_t, given √ᾱ and √(1 - ᾱ) shaped to multiply it."""

    def wrong(schedule: Schedule, noisy: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        kept, added = schedule.at(schedule.kept, t, noisy), schedule.at(schedule.added, t, noisy)
        return undo(noisy, noise, kept, added)

    return wrong


def _draw_backs(answer: Callable) -> Figure:
    schedule, clean = _stable_diffusions(), _page()
    noise = numbers(*clean.shape, seed=3)
    noisy = [noising.add_noise(schedule, clean, t, noise) for t in SHOWN]
    yours = [
        answer(schedule, x.clone(), torch.tensor([t]), noise.clone())
        for x, t in zip(noisy, SHOWN, strict=True)
    ]
    return _beside(yours, [clean] * len(SHOWN), [f"from t = {t}" for t in SHOWN])


ESTIMATE_CLEAN = Exercise(
    LESSON,
    "estimate_clean",
    noising.clean_from_noise,
    _noisings,
    (
        Mistake(
            "the last division is missing: the picture was made smaller by √ᾱ, so make it larger "
            "again",
            _back(lambda noisy, noise, kept, added: noisy - added * noise),
        ),
        Mistake(
            "wrong sign: the noise was added, so it has to be subtracted",
            _back(lambda noisy, noise, kept, added: (noisy + added * noise) / kept),
        ),
        Mistake(
            "the noise was made smaller by √(1 - ᾱ) before it was added; subtract that much, not "
            "all of it",
            _back(lambda noisy, noise, kept, added: (noisy - noise) / kept),
        ),
        Mistake(
            "the square roots are missing: the picture was multiplied by √ᾱ, the noise by √(1 - ᾱ)",
            _back(lambda noisy, noise, kept, added: (noisy - added**2 * noise) / kept**2),
        ),
        Mistake(
            "this is α where ᾱ belongs: α is what *one* step keeps, ᾱ what all steps up to t keep",
            lambda s, x, t, e: (x - s.at(s.betas, t, x) ** 0.5 * e) / s.at(s.alphas, t, x) ** 0.5,
        ),
        Mistake(
            "the brackets are wrong: the noise is divided by √ᾱ too",
            _back(lambda noisy, noise, kept, added: noisy / kept - added * noise),
        ),
        Mistake(
            "this divides by ᾱ; the picture's factor was its square root",
            _back(lambda noisy, noise, kept, added: (noisy - added * noise) / kept**2),
        ),
        Mistake(
            "the brackets are missing: *everything* is divided by √ᾱ, the noisy picture too",
            _back(lambda noisy, noise, kept, added: noisy - added * noise / kept),
        ),
    ),
    _draw_backs,
)

# --- a schedule of one's own ----------------------------------------------------------------------


def _measure_schedule(answer: Callable[[int], Tensor]) -> Tensor | str:
    """The learner's β for T steps; or, where there are none, what is wrong with them."""
    for steps in (20, T):
        betas = answer(steps)
        if betas is None:
            return "your function returned None; does it end with `return`?"
        betas = torch.as_tensor(betas).double()
        if betas.shape != (steps,):
            return (
                f"one β for each step was expected: for steps={steps} shape {steps}, got "
                f"{tuple(betas.shape)}"
            )
    return betas


def _has_a_number_a_step(betas: Tensor | str) -> str | None:
    return betas if isinstance(betas, str) else None


def _are_shares(betas: Tensor) -> str | None:
    if not betas.isfinite().all() or betas.min() <= 0 or betas.max() >= 1:
        return (
            f"every β is a share above 0 and below 1; yours go from {betas.min():.3g} to "
            f"{betas.max():.3g}"
        )
    return None


def _begins_gently(betas: Tensor) -> str | None:
    lost = 1 - alpha_bars(betas)[T // 20]
    if lost > 0.05:
        return (
            f"after a twentieth of the steps {lost:.0%} of the picture's variance is gone; at "
            "most 5 % was asked for"
        )
    return None


def _ends_in_noise(betas: Tensor) -> str | None:
    left = alpha_bars(betas)[-1]
    if left > 1e-3:
        return (
            f"at the end {left:.2%} of the variance is still picture; at most 0.1 % was asked for"
        )
    return None


def _wastes_no_steps(betas: Tensor) -> str | None:
    spent = (alpha_bars(betas) < 1e-3).double().mean()
    if spent > 0.2:
        return (
            f"{spent:.0%} of your steps add noise to what is noise already; at most 20 % was "
            "asked for"
        )
    return None


OWN_SCHEDULE = OpenExercise(
    LESSON,
    "own_schedule",
    _measure_schedule,
    (_has_a_number_a_step, _are_shares, _begins_gently, _ends_in_noise, _wastes_no_steps),
    lambda betas: plots.schedules(
        {"yours": Schedule(betas.float()), "Stable Diffusion": _stable_diffusions()}
    ),
)

EXERCISES = (ONE_STEP, ALPHA_BARS, NOISED, ESTIMATE_CLEAN, OWN_SCHEDULE)
