"""Exercises of lesson 14, fewer and straighter: bent paths, flow matching, consistency."""

from __future__ import annotations

from collections.abc import Callable

import torch
from matplotlib.figure import Figure
from torch import Tensor

from sdlearn.exercises import choices, pictures
from sdlearn.exercises.choices import Wish
from sdlearn.exercises.engine import Lesson
from sdlearn.exercises.given import numbers, toy_noise
from sdlearn.exercises.results import Case

lesson = Lesson("14_fewer_and_straighter")

# --- exercise 1: how much a path bends ------------------------------------------------------------


def _path(steps: int, wide: int, wobble: float) -> Case:
    """Velocities around the straight one, and the ends of the path."""
    start, end = numbers(wide), numbers(wide, seed=1)
    return start - end + wobble * numbers(steps, wide, seed=2), start, end


def _bends(answer: Callable) -> Figure:
    """How the number grows as the velocities scatter more around the straight one."""
    wobbles = (0.0, 0.25, 0.5, 0.75, 1.0)
    lines = {
        whose: [float(run(*_path(8, 6, wobble))) for wobble in wobbles]
        for whose, run in (("target", bend), ("yours", answer))
    }
    return pictures.curves(wobbles, lines, "how far the velocities scatter", "bend")


@lesson.exercise(
    cases=lambda: [
        (
            torch.tensor([[2.0, 1.0], [2.0, -1.0]]),
            torch.tensor([2.0, 0.0]),
            torch.tensor([0.0, 0.0]),
        ),
        _path(3, 4, 0.0),
        _path(5, 3, 0.7),
        _path(2, 6, 2.0),
    ],
    picture=_bends,
    by_hand=lambda velocities, start, end: {
        "the straight velocity": start - end,
        "squared distances from it": (velocities - (start - end)).square().sum(dim=1),
        "its own squared length": (start - end).square().sum(),
    },
)
def bend(velocities: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """The mean squared distance from the straight velocity, as a part of its squared length."""
    straight = start - end
    return (velocities - straight).square().sum(dim=1).mean() / straight.square().sum()


bend.mistakes(
    "the straight velocity points from the end to the start: x is noise at the start, and v points "
    "from the picture to the noise",
    lambda v, start, end: bend(-v, start, end),
    "it is not divided by the squared length of the straight velocity, so a long path counts more",
    lambda v, start, end: (v - (start - end)).square().sum(dim=1).mean(),
    "the squared distances are added up; take their mean over the steps",
    lambda v, start, end: len(v) * bend(v, start, end),
    "it is divided by the length, not by the *squared* length",
    lambda v, start, end: bend(v, start, end) * (start - end).norm(),
    "this is the root; the exercise asks for the squared distances themselves",
    lambda v, start, end: bend(v, start, end).sqrt(),
    "this compares the *mean* velocity with the straight one: what points left in one step and "
    "right in another cancels",
    lambda v, start, end: bend(v.mean(dim=0, keepdim=True), start, end),
    "the distances are averaged before they are squared",
    lambda v, start, end: (
        (v - (start - end)).norm(dim=1).mean().square() / (start - end).square().sum()
    ),
    "the mean was taken over the numbers of a vector as well; a squared length is their *sum*",
    lambda v, start, end: (v - (start - end)).square().mean() / (start - end).square().sum(),
    "each velocity is compared with the one before it, not with the straight one",
    lambda v, start, end: (
        (v[1:] - v[:-1]).square().sum(dim=1).mean() / (start - end).square().sum()
        if len(v) > 1
        else torch.tensor(0.0)
    ),
    "only the first velocity was used",
    lambda v, start, end: bend(v[:1], start, end),
)

# --- exercise 2: a velocity from predicted noise --------------------------------------------------


def _mixed(shape: tuple[int, ...], t: float) -> Case:
    return numbers(*shape), t, numbers(*shape, seed=1)


def _velocities(answer: Callable) -> Figure:
    times = (0.1, 0.3, 0.5, 0.7, 0.9)
    lines = {
        whose: [float(torch.as_tensor(run(*_mixed((4,), t)))[0]) for t in times]
        for whose, run in (("target", velocity), ("yours", answer))
    }
    return pictures.curves(times, lines, "t", "the first number of v")


def _clean(x: Tensor, t: float, noise: Tensor) -> Tensor:
    return (x - t * noise) / (1 - t)


@lesson.exercise(
    cases=lambda: [
        (torch.tensor([1.0]), 0.75, torch.tensor([2.0])),
        _mixed((4,), 0.5),
        _mixed((2, 3), 0.1),
        _mixed((1, 2, 4, 2), 0.9),
    ],
    picture=_velocities,
    by_hand=lambda x, t, noise: {"x̂₀": _clean(x, t, noise)},
)
def velocity(x: Tensor, t: float, noise: Tensor) -> Tensor:
    """v = ε̂ - x̂₀, for x = (1 - t) x̂₀ + t ε̂."""
    return noise - _clean(x, t, noise)


velocity.mistakes(
    "one mistake is left: x - t · noise is still (1 - t) times the picture; divide by 1 - t",
    lambda x, t, noise: noise - (x - t * noise),
    "one mistake is left: v points from the picture to the noise, and this points the other way",
    lambda x, t, noise: _clean(x, t, noise) - noise,
    "both mistakes are still there: what is x - t · noise, exactly? And where does v point?",
    lambda x, t, noise: x - t * noise - noise,
    "t and 1 - t are swapped: at t = 1 there is only noise",
    lambda x, t, noise: noise - (x - (1 - t) * noise) / t,
    "these are the factors of diffusion, √(1 - t) and √t; on a straight line there are no roots",
    lambda x, t, noise: noise - (x - t**0.5 * noise) / (1 - t) ** 0.5,
    "this is the picture, x̂₀; subtract it from the noise",
    _clean,
    "this divides by t; that is right when the *picture* is known, and here it is the noise",
    lambda x, t, noise: (x - noise) / t,
    "noise - x: but x is a mixture, and not the picture",
    lambda x, t, noise: noise - x,
    "this is the sum of the two; v is their difference",
    lambda x, t, noise: noise + _clean(x, t, noise),
    "multiplied by 1 - t where it should be divided",
    lambda x, t, noise: noise - (x - t * noise) * (1 - t),
)

# --- exercise 3: mend a consistency loss ----------------------------------------------------------


def toy_student(noisy: Tensor, t: int) -> Tensor:
    """A stand-in for a student: its x̂₀. Without noise it was never trained, so it says nonsense."""
    return toy_noise(noisy, t) + 0.3


def toy_teacher(noisy: Tensor, t: int, before: int) -> Tensor:
    """A stand-in for a teacher's step from t to the timestep before it."""
    return 0.8 * noisy + 0.0002 * (t - before) * noisy.flip(-1)


def squared(one: Tensor, other: Tensor) -> Tensor:
    """A distance between two pictures."""
    return (one - other).square().mean()


def absolute(one: Tensor, other: Tensor) -> Tensor:
    """Another distance."""
    return (one - other).abs().mean()


def _link(
    shape: tuple[int, ...], t: int, before: int, distance: Callable[..., Tensor] = squared
) -> Case:
    return toy_student, toy_teacher, numbers(*shape), t, before, distance


def _losses(answer: Callable) -> Figure:
    times = (99, 199, 399, 599, 799, 999)
    lines = {
        whose: [float(run(*_link((2, 4, 4, 4), t, t - 100))) for t in times]
        for whose, run in (("target", consistency_loss), ("yours", answer))
    }
    return pictures.curves(times, lines, "t", "loss")


def _learning() -> tuple[Case, Tensor]:
    weight = torch.tensor(0.7, requires_grad=True)

    def student(noisy: Tensor, t: int) -> Tensor:
        return weight * toy_student(noisy, t)

    return (student, toy_teacher, numbers(2, 3, 4, 4), 400, 300, squared), weight


@lesson.exercise(
    cases=lambda: [
        _link((1, 1, 1, 2), 99, -1),
        _link((2, 3, 4, 4), 499, 399),
        _link((1, 4, 2, 6), 999, 899, absolute),
        _link((3, 2, 4, 2), 49, -1, absolute),
    ],
    picture=_losses,
    learns=_learning,
)
def consistency_loss(
    student: Callable,
    teacher_step: Callable,
    noisy: Tensor,
    t: int,
    before: int,
    distance: Callable,
) -> Tensor:
    """Both ends of the teacher's step must lead the student to the same picture."""
    target = _target(student, teacher_step(noisy, t, before), before)
    return distance(student(noisy, t), target)


def _target(student: Callable, nearer: Tensor, before: int) -> Tensor:
    return nearer if before < 0 else student(nearer, before).detach()


consistency_loss.mistakes(
    "one mistake is left: at the picture itself (before < 0) the student is asked, so nothing ties "
    "it to a picture. An all-grey answer would have no loss",
    lambda student, step, x, t, b, d: d(student(x, t), student(step(x, t, b), b).detach()),
    "one mistake is left: the target starts from the same noisy latents; it should start from "
    "where the teacher's step ends",
    lambda student, step, x, t, b, d: d(
        student(x, t), step(x, t, b) if b < 0 else student(x, b).detach()
    ),
    "both mistakes are still there: where does the target start, and what if no noise is left?",
    lambda student, step, x, t, b, d: d(student(x, t), student(x, b).detach()),
    "the target is always the teacher's step; it is the picture only if `before` is below 0",
    lambda student, step, x, t, b, d: d(student(x, t), step(x, t, b)),
    "the student is told the wrong time: the latents after the step are at `before`, not at t",
    lambda student, step, x, t, b, d: d(
        student(x, t), step(x, t, b) if b < 0 else student(step(x, t, b), t).detach()
    ),
    "`before` is -1 at the picture; 0 is a timestep with a little noise",
    lambda student, step, x, t, b, d: d(
        student(x, t), step(x, t, max(b, 0)) if b < 0 else student(step(x, t, b), b).detach()
    ),
    "use the `distance` that you are given: it is not always the mean square",
    lambda student, step, x, t, b, d: squared(student(x, t), _target(student, step(x, t, b), b)),
    "`distance` already takes the mean: its result is the loss",
    lambda *case: case[2].numel() * consistency_loss(*case),
    "the target is the noisy latents themselves where no noise should be left",
    lambda student, step, x, t, b, d: d(
        student(x, t), x if b < 0 else student(step(x, t, b), b).detach()
    ),
    "the student answers at `before` on both sides; its first answer is at t",
    lambda student, step, x, t, b, d: d(student(x, b), _target(student, step(x, t, b), b)),
)

# --- exercise 4: which way is shorter? ------------------------------------------------------------

WAYS = ("solver", "distillation", "flow matching", "more steps")
WISHES = {
    "typing": Wish(
        "distillation",
        "a picture for every key needs one to four calls",
        {
            "solver": "solvers need eight to fifteen steps, and twice as many calls with guidance",
            "flow matching": "straight lines in training do not make the paths straight",
            "more steps": "that is slower, not faster",
        },
    ),
    "tonight": Wish(
        "solver",
        "nothing to train: only the arithmetic around the U-Net changes",
        {
            "distillation": "it has to be trained, and tonight there is no time for that",
            "flow matching": "the U-Net would have to be trained again",
            "more steps": "fewer steps were asked for",
        },
    ),
    "scratch": Wish(
        "flow matching",
        "a new model can choose what it learns, and it starts from noise alone",
        {
            "solver": "a solver is chosen after training; the question is what to train",
            "distillation": "it needs a finished teacher, and there is none yet",
            "more steps": "the question is what the network should learn",
        },
    ),
    "negative": Wish(
        "solver",
        "guidance and negative prompts need both predictions, and so the undistilled U-Net",
        {
            "distillation": "guidance is baked in: nothing is left to steer away from",
            "flow matching": "that would be a new training, and the U-Net is good as it is",
            "more steps": "he wants fewer",
        },
    ),
    "poster": Wish(
        "more steps",
        "with time to spare, the undistilled model in its usual steps gets most right",
        {
            "distillation": "the distilled model is faster, but gets less of the prompt right",
            "solver": "it would save time, and she has enough of it",
            "flow matching": "training a new model for one poster?",
        },
    ),
}


@lesson.open_exercise(picture=choices.table_of(WISHES))
def way_for(answer: Callable[[], dict[str, str]]) -> dict[str, str]:
    """The way for every wish."""
    return choices.chosen(answer(), WISHES, WAYS, "way")
