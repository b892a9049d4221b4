"""Exercises of lesson 07, training the noise predictor."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from weakref import WeakSet

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from matplotlib.figure import Figure
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_pre_hook

from sdlearn import plots
from sdlearn.exercises import pictures
from sdlearn.exercises.diagnosis import calls
from sdlearn.exercises.engine import Lesson
from sdlearn.exercises.given import numbers, several, toy_noise
from sdlearn.exercises.results import Case, Unmet
from sdlearn.noising import Schedule, add_noise

lesson = Lesson("07_training")
WIDTH = 16

# --- exercise 1: the loss -------------------------------------------------------------------------


def _case(shape: tuple[int, ...], t: list[int]) -> Case:
    schedule = Schedule.named("scaled_linear")
    return toy_noise, schedule, numbers(*shape), torch.tensor(t), numbers(*shape, seed=1)


def _on_paper() -> Case:
    schedule = Schedule(torch.tensor([0.2, 0.2, *[0.01] * 998]))  # ᾱ = 0.64 at t = 1
    clean, noise = torch.tensor([[1.0, -1.0]]), torch.tensor([[0.5, 1.0]])
    return toy_noise, schedule, clean, torch.tensor([1]), noise


def _against_t(answer: Callable) -> Figure:
    """The loss of a predictor that always says "no noise", and of one that repeats its input."""
    schedule, ts = Schedule.named("scaled_linear"), range(0, 1000, 50)
    clean, noise = several(2, (64, 4, 8, 8))
    predictors = {"says 0": lambda x, t: torch.zeros_like(x), "repeats x_t": lambda x, t: x}
    lines = {
        f"{whose}: {name}": [
            loss(predict, schedule, clean.clone(), torch.full((64,), t), noise.clone()) for t in ts
        ]
        for name, predict in predictors.items()
        for whose, loss in (("target", noise_loss), ("yours", answer))
    }
    return pictures.curves(ts, lines, "t", "loss")


def _learning() -> tuple[Case, Tensor]:
    """A network with a single weight, which the gradient of the loss has to reach."""
    _, *given = _case((2, 4, 3, 5), [300, 700])
    weight = torch.tensor(0.5, requires_grad=True)
    return (lambda latents, t: weight * latents, *given), weight


@lesson.exercise(
    cases=lambda: [
        _on_paper(),
        _case((1, 1, 1, 2), [500]),
        _case((3, 4, 3, 5), [500, 10, 990]),
        _case((2, 6, 5), [700, 300]),
    ],
    picture=_against_t,
    learns=_learning,
    asks=calls,
)
def noise_loss(
    predict: Callable, schedule: Schedule, clean: Tensor, t: Tensor, noise: Tensor
) -> Tensor:
    """The mean squared error of the predicted noise (Ho et al. 2020, Eq. 14)."""
    return F.mse_loss(predict(add_noise(schedule, clean, t, noise), t), noise)


noise_loss.mistakes(
    "the prediction is compared with the clean latents; this network predicts the *noise*",
    lambda p, s, clean, t, noise: F.mse_loss(p(add_noise(s, clean, t, noise), t), clean),
    "the network is shown the clean latents; it has to be shown noised ones",
    lambda p, s, clean, t, noise: F.mse_loss(p(clean, t), noise),
    "clean and noise are just added; noise them to t with the closed form of lesson 04",
    lambda p, s, clean, t, noise: F.mse_loss(p(clean + noise, t), noise),
    "absolute errors; the loss takes squares",
    lambda p, s, clean, t, noise: F.l1_loss(p(add_noise(s, clean, t, noise), t), noise),
    "the root is one too many: the mean of the squares is the loss",
    lambda p, s, clean, t, noise: F.mse_loss(p(add_noise(s, clean, t, noise), t), noise).sqrt(),
    "the squares are summed; take their mean",
    lambda p, s, x, t, e: (p(add_noise(s, x, t, e), t) - e).square().sum(),
    "every picture is noised to the same t; each has its own",
    lambda p, s, x, t, e: F.mse_loss(p(add_noise(s, x, t[:1].expand(len(t)), e), t), e),
    "the square roots of lesson 04's closed form are missing",
    lambda p, s, x, t, e: F.mse_loss(p(_mixed(s, x, t, e, power=1), t), e),
    "swapped: √ᾱ belongs to the picture, √(1 - ᾱ) to the noise",
    lambda p, s, x, t, e: F.mse_loss(p(_mixed(s, e, t, x), t), e),
    "α of one step in place of ᾱ: `schedule.alpha_bars`",
    lambda p, s, x, t, e: F.mse_loss(p(_mixed(s, x, t, e, bars=s.alphas), t), e),
    "the network is not told the t to which its input was noised",
    lambda p, s, x, t, e: F.mse_loss(p(add_noise(s, x, t, e), 0 * t), e),
    "half of the squared error: the factor ½ is one too many",
    lambda p, s, x, t, e: F.mse_loss(p(add_noise(s, x, t, e), t), e) / 2,
)


def _mixed(
    schedule: Schedule,
    clean: Tensor,
    t: Tensor,
    noise: Tensor,
    power: float = 0.5,
    bars: Tensor | None = None,
) -> Tensor:
    """The closed form with other roots, or with something else for ᾱ."""
    bar = schedule.at(schedule.alpha_bars if bars is None else bars, t, clean)
    return bar**power * clean + (1 - bar) ** power * noise


# --- exercise 2: what a network reaches that has learned nothing ----------------------------------


def _lazy(answer: Callable) -> Figure:
    """The losses of three lazy networks on Stable Diffusion's ladder."""
    bars = Schedule.named("scaled_linear").alpha_bars
    lines = {
        f"{whose}: answers {factor:g} · x_t": run(bars.clone(), factor)
        for factor in (0.0, 0.5, 1.0)
        for whose, run in (("target", lazy_loss), ("yours", answer))
    }
    return pictures.curves(range(len(bars)), lines, "t", "loss of a lazy network")


@lesson.exercise(
    cases=lambda: [
        (torch.tensor([0.64, 0.19]), 1.0),
        (torch.tensor([0.64, 0.36, 0.19]), 0.0),
        (torch.tensor([0.36, 0.64]), 2.0),
        (torch.tensor([0.99, 0.5, 0.1, 0.0]), 0.5),
        (Schedule.named("cosine").alpha_bars[::90], -2.0),
    ],
    picture=_lazy,
    by_hand=lambda alpha_bars, factor: {
        "factor · √ᾱ, the picture's part": factor * alpha_bars.sqrt(),
        "factor · √(1 - ᾱ) - 1, the noise's": factor * (1 - alpha_bars).sqrt() - 1,
    },
)
def lazy_loss(alpha_bars: Tensor, factor: float) -> Tensor:
    """The expected squared error of a network that always answers factor · x_t.

    It is that of factor √ᾱ x₀ + (factor √(1 - ᾱ) - 1) ε, where x₀ and ε have variance 1.
    """
    return factor**2 * alpha_bars + (factor * (1 - alpha_bars).sqrt() - 1).square()


lazy_loss.mistakes(
    "the picture's part is missing: what the answer holds of x₀ is wrong, too",
    lambda bars, f: (f * (1 - bars).sqrt() - 1).square(),
    "the noise that was asked for is not subtracted: this is the size of the answer itself",
    lambda bars, f: f**2 * bars + f**2 * (1 - bars),
    "x₀ and ε are added before squaring, as if they were the same number; they are independent, so "
    "their *squares* add up",
    lambda bars, f: (f * bars.sqrt() + f * (1 - bars).sqrt() - 1).square(),
    "the square roots are missing: ᾱ and 1 - ᾱ are variances",
    lambda bars, f: (f * bars).square() + (f * (1 - bars) - 1).square(),
    "the factor of the picture's part is not squared",
    lambda bars, f: f * bars + (f * (1 - bars).sqrt() - 1).square(),
    "swapped: √ᾱ belongs to the picture, √(1 - ᾱ) to the noise",
    lambda bars, f: f**2 * (1 - bars) + (f * bars.sqrt() - 1).square(),
    "the ε of the target is subtracted as a noise of its own; it is the *same* ε that is in x_t",
    lambda bars, f: f**2 * bars + f**2 * (1 - bars) + 1,
    "the squares of the noise's two parts are subtracted: subtract first, then square",
    lambda bars, f: f**2 * bars + f**2 * (1 - bars) - 1,
    "this is for an answer of x_t itself; `factor` is not used",
    lambda bars, f: bars + ((1 - bars).sqrt() - 1).square(),
    "the root is one too many: the mean of the squares was asked for",
    lambda bars, f: lazy_loss(bars, f).sqrt(),
)

# --- exercise 3: weights by signal-to-noise -------------------------------------------------------


def _weights(answer: Callable) -> Figure:
    snr = Schedule.named("scaled_linear").snr
    lines = {"target": min_snr(snr, 5.0), "yours": answer(snr.clone(), 5.0)}
    return pictures.curves(range(len(snr)), lines, "t", "weight of the loss")


@lesson.exercise(
    cases=lambda: [
        (torch.tensor([20.0, 5.0, 0.5]), 5.0),
        (torch.tensor([1.0, 1000.0, 0.1, 10.0, 0.001, 100.0]), 2.5),
        (torch.tensor([0.2, 2.0, 8.0]), 0.5),
        (Schedule.named("cosine").snr[::100], 5.0),
    ],
    picture=_weights,
    by_hand=lambda snr, most: {
        "min(SNR, most), of the error of x̂₀": snr.clamp(max=most),
        "error of x̂₀ / error of the noise": 1 / snr,
    },
)
def min_snr(snr: Tensor, most: float) -> Tensor:
    """The weight of the noise's squared error (Hang et al. 2023, Section 3.4)."""
    return snr.clamp(max=most) / snr


min_snr.mistakes(
    "5 is typed in; use `most`",
    lambda snr, most: snr.clamp(max=5.0) / snr,
    "this is the weight for the error of x̂₀; for the noise's, the division by the SNR is missing",
    lambda snr, most: snr.clamp(max=most),
    "the error of x̂₀ is the noise's error *divided* by the SNR, not multiplied",
    lambda snr, most: snr.clamp(max=most) * snr,
    "the *larger* of the two is taken; take the smaller",
    lambda snr, most: snr.clamp(min=most) / snr,
    "upside down",
    lambda snr, most: snr / snr.clamp(max=most),
    "every weight is most / SNR; where SNR is below it the weight is 1",
    lambda snr, most: most / snr,
    "the weight is cut off at `most`, not the SNR",
    lambda snr, most: (1 / snr).clamp(max=most),
    "1 / (SNR + 1) is another weight; this one divides by the SNR itself",
    lambda snr, most: snr.clamp(max=most) / (snr + 1),
    "this cuts the *error's* factor 1 / SNR; cut the SNR, then divide",
    lambda snr, most: (1 / snr).clamp(max=1 / most),
    "SNR / SNR makes every weight 1; cut the upper SNR off at `most`",
    lambda snr, most: snr / snr,
)

# --- exercise 4: the moving average ---------------------------------------------------------------


def _averaged(
    history: Tensor, decay: float, share: float | None = None, first: float = 1.0
) -> Tensor:
    """The average after the last step, given the share of new weights and the first's factor."""
    average = first * history[0]
    for weights in history[1:]:
        average = decay * average + (1 - decay if share is None else share) * weights
    return average


def _smoothed(answer: Callable) -> Figure:
    steps = range(100)
    history = torch.linspace(0, 1, 100).sqrt() + 0.1 * numbers(100)
    lines = {"a weight, step by step": history}
    for whose, run in (("target", ema), ("yours", answer)):
        lines[f"{whose}: half-life 10"] = [run(history[: i + 1].clone(), 10.0) for i in steps]
    return pictures.curves(steps, lines, "step", "weight")


@lesson.exercise(
    cases=lambda: [
        (torch.tensor([1.0, 3.0]), 1.0),
        (torch.tensor([0.0, 4.0, 4.0]), 2.0),
        (numbers(5, 3), 2.5),
        (numbers(30, 2, 3), 10.0),
    ],
    picture=_smoothed,
    by_hand=lambda history, half_life: {
        "decay": 0.5 ** (1 / half_life),
        "the average after the second step": _averaged(history[:2], 0.5 ** (1 / half_life)),
    },
)
def ema(history: Tensor, half_life: float) -> Tensor:
    """The moving average of weights, which forgets half in `half_life` steps."""
    return _averaged(history, 0.5 ** (1 / half_life))


ema.mistakes(
    "decay is on the wrong one: it is the share that the *average* keeps",
    lambda history, half_life: _averaged(history, 1 - 0.5 ** (1 / half_life)),
    "with a decay of 1 - 1 / half_life more than half is forgotten: decay ** half_life is 0.5",
    lambda history, half_life: _averaged(history, 1 - 1 / half_life),
    "with a decay of exp(-1 / half_life) only 37% is left after so many steps; half was asked for",
    lambda history, half_life: _averaged(history, np.exp(-1 / half_life)),
    "half of it is forgotten at *every* step; all half_life steps together should forget half",
    lambda history, half_life: _averaged(history, 0.5),
    "0.5 ** half_life is upside down: a long half-life needs a decay near to 1",
    lambda history, half_life: _averaged(history, 0.5**half_life),
    "the average begins at zero; it begins as the first weights",
    lambda history, h: _averaged(history, 0.5 ** (1 / h), first=1 - 0.5 ** (1 / h)),
    "the new weights are added at full size",
    lambda history, half_life: _averaged(history, 0.5 ** (1 / half_life), share=1.0),
    "this is the plain mean of all steps",
    lambda history, half_life: history.mean(dim=0),
    "the average never moves",
    lambda history, half_life: history[0],
    "nothing of the average is kept",
    lambda history, half_life: history[-1],
    "the average begins at zero, and the first weights are left out",
    lambda history, h: _averaged(history, 0.5 ** (1 / h), first=0.0),
    "the last step is missing",
    lambda history, h: _averaged(history[:-1], 0.5 ** (1 / h)),
    "log 2 / half_life is nearly the new weights' share, but not quite: 1 - 0.5 ** (1 / half_life)",
    lambda history, h: _averaged(history, 1 - math.log(2) / h),
    "2 ** (1 / half_life) is larger than 1: the average would grow; a decay lies between 0 and 1",
    lambda history, h: _averaged(history, 2 ** (1 / h)),
    "the steps are taken in reverse order: the *newest* weights have to count most",
    lambda history, h: _averaged(history.flip(0), 0.5 ** (1 / h)),
)

# --- exercise 5: a training loop of your own -----------------------------------------------------

STEPS, BATCH = 60, 8
LOW = 200
"""Below this t most of the latents is picture, and lazy answers are found out."""
LEAST = 0.6
"""The loss on fresh noise below LOW that is asked for: less than any of `LAZY` reaches."""
LAZY = {
    "says 0": lambda latents, t, states: SimpleNamespace(sample=torch.zeros_like(latents)),
    "repeats its input": lambda latents, t, states: SimpleNamespace(sample=latents),
}
"""Networks that have learned nothing."""


@cache
def _pages() -> tuple[Tensor, Tensor]:
    """Sixteen little latents with a bright square each, and states that say where it is."""
    latents, states = torch.full((16, 4, 8, 8), -0.5), torch.zeros(16, 2, WIDTH)
    for page in range(16):
        row, column = divmod(page, 4)
        latents[page, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = 2.0
        states[page, 0, page] = states[page, 1, 15 - page] = 1.0
    return latents, states


def _small_unet() -> UNet2DConditionModel:
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(16, 32),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        norm_num_groups=8,
        cross_attention_dim=WIDTH,
        attention_head_dim=2,
    )


@torch.no_grad()
def _loss_of(unet: Callable, schedule: Schedule) -> float:
    """The loss on fresh noise at small t."""
    latents, states = (torch.cat([values] * 4) for values in _pages())
    t = torch.linspace(20, LOW, len(latents)).long()
    noise = numbers(*latents.shape, seed=99)
    predicted = unet(add_noise(schedule, latents, t, noise), t, states).sample
    return F.mse_loss(predicted, noise).item()


class _Watched:
    """What a loop does: the batches it takes, what it shows to the network, its optimizers."""

    def __init__(self, unet: UNet2DConditionModel, schedule: Schedule):
        self.schedule, self.batches, self.shown = schedule, {}, []
        self.optimizers: WeakSet = WeakSet()
        self.made = 0
        """How many optimizers stepped."""
        self.pulled: list[tuple[Tensor, ...]] = []
        """What the network said, the noise, the clean latents, the noise as it was mixed in, and
        the gradient of what it said.
        """
        self._hooks = (
            unet.register_forward_pre_hook(self._sees, with_kwargs=True),
            unet.register_forward_hook(self._said),
            register_optimizer_step_pre_hook(self._steps),
        )

    def batch_at(self, step: int) -> tuple[Tensor, Tensor]:
        chosen = torch.randint(16, (BATCH,), generator=torch.Generator().manual_seed(step))
        self.batches[step] = tuple(values[chosen] for values in _pages())
        return tuple(values.clone() for values in self.batches[step])

    def _sees(self, unet, args, kwargs) -> None:
        names = ("sample", "timestep", "encoder_hidden_states")
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        if given.get("encoder_hidden_states") is None:
            raise Unmet(
                "the U-Net is not given the text states; they are its third argument, after t"
            )
        latents, t, states = (torch.as_tensor(given[name]).detach() for name in names)
        self.shown.append((len(self.batches), latents, t.expand(len(latents)), states))

    def _said(self, unet, args, output) -> None:
        said = output[0] if isinstance(output, tuple) else output.sample
        count, latents, t, _ = self.shown[-1]
        if said.requires_grad and self.batches and len(latents) == BATCH:
            clean, noise, scaled = self._taken_apart(count, latents, t)
            said.register_hook(
                lambda pull: self.pulled.append(
                    (said.detach(), noise, clean, scaled, pull.detach())
                )
            )

    def _steps(self, optimizer, args, kwargs) -> None:
        if optimizer not in self.optimizers:
            self.optimizers.add(optimizer)
            self.made += 1

    def end(self) -> None:
        for hook in self._hooks:
            hook.remove()

    def check_batches(self) -> None:
        if len(self.batches) != STEPS:
            raise Unmet(
                f"`batch_at(step)` was called for {len(self.batches)} different steps; {STEPS} "
                "were asked for, one batch each"
            )

    def check_steps(self) -> None:
        """Raise Unmet if the network was not shown what it should learn from."""
        if self.made > STEPS / 2:
            raise Unmet(
                "every step makes a new optimizer, which forgets what it has averaged; make it "
                "once, before the loop"
            )
        ts = torch.cat([t for *_, t, _ in self.shown]) if self.shown else torch.zeros(0)
        if len(ts) and 0 < ts.max() <= 1:
            raise Unmet(
                f"the network was told t as a fraction, up to {ts.max():.2g}; give it the whole "
                "number from 0 to 999, as it is"
            )
        if len(ts) and (ts.unique().numel() < STEPS / 2 or ts.min() > 250 or ts.max() < 750):
            told = f"from {ts.min()} to {ts.max()}, {ts.unique().numel()} different ones"
            raise Unmet(
                f"the network was told t {told}; it has to learn every t: draw one for each of "
                "the batch with `torch.randint(1000, (len(clean),))`"
            )
        self._check_shown()
        self._check_target()

    def _check_target(self) -> None:
        """Raise Unmet if what the network says is not pulled towards the noise.

        The gradient of a squared error is a multiple of (said - target); so it is fitted by what
        was said, the noise and the clean latents.
        """
        if not self.pulled or not all(x.isfinite().all() for step in self.pulled for x in step):
            return
        left_out = [pull.flatten(1).abs().amax(dim=1) == 0 for *_, pull in self.pulled]
        if torch.stack(left_out).float().mean() > 0.5:
            raise Unmet("most pictures of a batch have no part in the loss; take the mean over all")
        said, noise, clean, scaled, pull = (
            torch.cat(x).flatten() for x in zip(*self.pulled, strict=True)
        )
        fitted = torch.linalg.lstsq(torch.stack([said, noise, scaled, clean], dim=1), pull).solution
        of_noise, of_scaled, of_clean = (-fitted[1:] / fitted[0]).tolist()
        if fitted[0] > 0 and of_noise < 0.5 < of_scaled and abs(of_clean) < 0.2:
            raise Unmet(
                "the target is the noise as it was made smaller for the mixing, √(1 - ᾱ) · ε; it "
                "has to be ε itself"
            )
        fitted = torch.linalg.lstsq(torch.stack([said, noise, clean], dim=1), pull).solution
        towards, away = (-fitted[1:] / fitted[0]).tolist()
        if fitted[0] <= 0:
            raise Unmet(
                "what the network says is pushed away from the noise, or not towards it: is the "
                "loss made larger, or is the error not squared?"
            )
        if not 0.8 < towards < 1.25 or abs(away) > 0.2:
            raise Unmet(
                "the target is not the noise: the network is taught to say about "
                f"{towards:.1f} · noise {'-' if away < 0 else '+'} {abs(away):.1f} · clean. It has "
                "to be ε itself, as it was before the mixing"
            )

    def _taken_apart(self, count: int, latents: Tensor, t: Tensor) -> tuple[Tensor, ...]:
        """A step's clean latents, and the noise in the network's input: itself, and as mixed in."""
        clean, _ = self._batch(count)
        signal, sigma = self.schedule.rates(t.long().clamp(0, 999), latents)
        scaled = latents - signal * clean
        return clean, scaled / sigma, scaled

    def _check_shown(self) -> None:
        steps = [step for step in self.shown if len(step[1]) == BATCH]
        for count, latents, t, _ in steps:
            clean, noise, _ = self._taken_apart(count, latents, t)
            if len({tuple(one.flatten()[:4].tolist()) for one in noise.round(decimals=2)}) == 1:
                raise Unmet("all pictures of a batch get the same noise; each has its own")
            if not 0.7 < noise.std() < 1.3 or abs(_alike(noise, clean)) > 0.4:
                raise Unmet(
                    f"in step {count - 1} the network was not shown this step's latents, noised "
                    "to the t that it was told; take `batch_at(step)` and the closed form of "
                    "lesson 04, with the same t in both"
                )
        right = [(s == self._batch(c)[1]).flatten(1).all(dim=1) for c, _, _, s in steps]
        if steps and torch.cat(right).float().mean() < 0.5:
            raise Unmet(
                "the network was not shown the text states of its batch (you may drop the caption "
                "for at most half of them)"
            )

    def _batch(self, count: int) -> tuple[Tensor, Tensor]:
        """The last batch that the loop had requested after `count` requests."""
        return list(self.batches.values())[count - 1]


def _alike(first: Tensor, second: Tensor) -> float:
    return torch.cosine_similarity(first.flatten(), second.flatten(), dim=0).item()


def _before_and_after(losses: tuple[float, float]) -> Figure:
    figure = plots.new_figure(2.2)
    axes = figure.subplots()
    axes.barh([1, 0], losses, color=[plots.LINES[4], plots.LINES[0]])
    axes.set_yticks([1, 0], ["untrained", "after your loop"])
    axes.set_xlabel(f"loss on fresh noise, t up to {LOW}")
    return figure


@lesson.open_exercise(picture=_before_and_after)
def own_training(answer: Callable) -> tuple[float, float]:
    """A loop that trains a small U-Net in place."""
    unet, schedule = _small_unet(), Schedule.named("scaled_linear")
    before = _loss_of(unet, schedule)
    untouched = [p.detach().clone() for p in unet.parameters()]
    watched = _Watched(unet, schedule)
    torch.manual_seed(1)
    try:
        answer(unet, schedule, watched.batch_at, STEPS)
    finally:
        watched.end()
    watched.check_batches()
    if all(torch.equal(p, old) for p, old in zip(unet.parameters(), untouched, strict=True)):
        raise Unmet(
            "no parameter changed: is there an optimizer, does it step after `loss.backward()`, "
            "and does `zero_grad` come before, not between the two?"
        )
    watched.check_steps()
    after = _loss_of(unet.eval(), schedule)
    if math.isnan(after):
        raise Unmet("the weights became NaN: the learning rate is too large")
    if not after <= LEAST:
        reached = {name: _loss_of(network, schedule) for name, network in LAZY.items()}
        lazy = ", ".join(f"one that {name} reaches {loss:.2f}" for name, loss in reached.items())
        raise Unmet(
            f"where most of the latents is picture (t up to {LOW}), the loss on fresh noise is "
            f"{after:.2f}, and at most {LEAST} was asked for. Of networks that have learned "
            f"nothing, {lazy}. Is the *noise* the target, does every step begin with gradients of "
            "0 (`zero_grad`), and is the learning rate neither too small nor too large (1e-3 to "
            "2e-3 is good)?"
        )
    return before, after
