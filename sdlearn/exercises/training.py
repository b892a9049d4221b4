"""Exercises of the lesson on training the noise predictor."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from matplotlib.figure import Figure
from torch import Tensor

from sdlearn import plots
from sdlearn.check import Exercise, Mistake, OpenExercise
from sdlearn.exercises.given import numbers
from sdlearn.noising import Schedule, add_noise

LESSON = "07_training"
WIDTH = 16

# --- the loss -------------------------------------------------------------------------------------


def noise_loss(
    predict: Callable, schedule: Schedule, clean: Tensor, t: Tensor, noise: Tensor
) -> Tensor:
    return F.mse_loss(predict(add_noise(schedule, clean, t, noise), t), noise)


def _toy(latents: Tensor, t: Tensor) -> Tensor:
    """A prediction that depends on both of its arguments."""
    return torch.tanh(latents * (0.5 + t.reshape(-1, *[1] * (latents.ndim - 1)) / 1000)) + 0.1


def _case(shape: tuple[int, ...], t: list[int]) -> tuple:
    return (
        _toy,
        Schedule.named("scaled_linear"),
        numbers(*shape),
        torch.tensor(t),
        numbers(*shape, seed=1),
    )


def _against_t(answer: Callable) -> Figure:
    """The loss of a predictor that always says "no noise", and of one that repeats its input."""
    schedule, clean, noise = (
        Schedule.named("scaled_linear"),
        numbers(64, 4, 8, 8),
        numbers(64, 4, 8, 8, seed=1),
    )
    figure = plots.new_figure(2.6)
    axes, ts = figure.subplots(), list(range(0, 1000, 50))
    predictors = {"says 0": lambda x, t: torch.zeros_like(x), "repeats x_t": lambda x, t: x}
    for (name, predict), colour in zip(predictors.items(), plots.LINES, strict=False):
        for loss, style, whose in ((noise_loss, "-", "target"), (answer, "--", "yours")):
            values = [
                float(loss(predict, schedule, clean.clone(), torch.full((64,), t), noise.clone()))
                for t in ts
            ]
            axes.plot(
                ts,
                values,
                style,
                color=colour,
                label=f"{whose}: {name}",
                lw=3 if style == "-" else 1.5,
            )
    axes.set(xlabel="t", ylabel="loss")
    axes.legend(fontsize=8, frameon=False, ncols=2)
    return figure


NOISE_LOSS = Exercise(
    LESSON,
    "noise_loss",
    noise_loss,
    lambda: [
        _case((1, 1, 1, 2), [500]),
        _case((3, 4, 3, 5), [10, 500, 990]),
        _case((2, 4, 6, 5), [300, 700]),
    ],
    (
        Mistake(
            "the prediction is compared with the clean latents; this network predicts the *noise*",
            lambda p, s, clean, t, noise: F.mse_loss(p(add_noise(s, clean, t, noise), t), clean),
        ),
        Mistake(
            "the network is shown the clean latents; it has to be shown noised ones",
            lambda p, s, clean, t, noise: F.mse_loss(p(clean, t), noise),
        ),
        Mistake(
            "clean and noise are just added; noise them to t with the closed form of lesson 04",
            lambda p, s, clean, t, noise: F.mse_loss(p(clean + noise, t), noise),
        ),
        Mistake(
            "absolute errors; the loss takes squares",
            lambda p, s, clean, t, noise: F.l1_loss(p(add_noise(s, clean, t, noise), t), noise),
        ),
        Mistake(
            "the root is one too many: the mean of the squares is the loss",
            lambda p, s, clean, t, noise: F.mse_loss(
                p(add_noise(s, clean, t, noise), t), noise
            ).sqrt(),
        ),
        Mistake(
            "the squares are summed; take their mean",
            lambda p, s, clean, t, noise: F.mse_loss(
                p(add_noise(s, clean, t, noise), t), noise, reduction="sum"
            ),
        ),
        Mistake(
            "every picture is noised to the same t; each has its own",
            lambda p, s, clean, t, noise: F.mse_loss(
                p(add_noise(s, clean, t[:1].expand(len(t)), noise), t), noise
            ),
        ),
    ),
    _against_t,
)

# --- dropping captions ----------------------------------------------------------------------------


def drop_captions(states: Tensor, empty: Tensor, dropped: Tensor) -> Tensor:
    return torch.where(dropped[:, None, None], empty, states)


def _rows(answer: Callable) -> Figure:
    states, empty = numbers(6, 5, 8), torch.full((5, 8), 3.0)
    dropped = torch.tensor([False, True, False, False, True, False])
    figure = plots.new_figure(2.4)
    shown = (states, answer(states.clone(), empty, dropped), drop_captions(states, empty, dropped))
    for axes, values, title in zip(
        figure.subplots(1, 3), shown, ("before", "yours", "target"), strict=True
    ):
        axes.imshow(
            torch.as_tensor(values).detach().float().flatten(1), cmap="viridis", aspect="auto"
        )
        axes.set_title(f"{title}: a row for each caption", fontsize=9)
        axes.axis("off")
    return figure


DROP_CAPTIONS = Exercise(
    LESSON,
    "drop_captions",
    drop_captions,
    lambda: [
        (torch.tensor([[[1.0]], [[2.0]]]), torch.tensor([[9.0]]), torch.tensor([False, True])),
        (numbers(4, 3, 5), numbers(3, 5, seed=1), torch.tensor([True, False, False, True])),
        (numbers(2, 7, 4), numbers(7, 4, seed=1), torch.tensor([False, False])),
    ],
    (
        Mistake(
            "a dropped caption becomes zeros; it becomes the states of the *empty caption*, "
            "which are not zero",
            lambda states, empty, dropped: states * ~dropped[:, None, None],
        ),
        Mistake(
            "the wrong ones are dropped: True means drop",
            lambda states, empty, dropped: torch.where(dropped[:, None, None], states, empty),
        ),
        Mistake("nothing was dropped", lambda states, empty, dropped: states),
        Mistake(
            "dropped captions are taken out of the batch; it has to keep its size",
            lambda s, e, d: s[~d],
        ),
        Mistake(
            "all captions are dropped as soon as one is",
            lambda states, empty, dropped: empty.expand_as(states) if dropped.any() else states,
        ),
    ),
    _rows,
)

# --- the moving average ---------------------------------------------------------------------------


def ema(history: Tensor, half_life: float) -> Tensor:
    return _averaged(history, 0.5 ** (1 / half_life))


def _averaged(
    history: Tensor, decay: float, share: float | None = None, first: float = 1.0
) -> Tensor:
    """The average after the last step, with the share that new weights get, and that of the first
    ones.
    """
    average = first * history[0]
    for weights in history[1:]:
        average = decay * average + (1 - decay if share is None else share) * weights
    return average


def _smoothed(answer: Callable) -> Figure:
    steps = 100
    history = torch.linspace(0, 1, steps).sqrt() + 0.1 * numbers(steps)
    figure = plots.new_figure(2.6)
    axes = figure.subplots()
    axes.plot(history, color="#bbbbbb", lw=1, label="a weight, step by step")
    for run, style, name in ((ema, "-", "target"), (answer, "--", "yours")):
        line = [float(run(history[: step + 1].clone(), 10.0)) for step in range(steps)]
        axes.plot(
            line,
            style,
            color=plots.LINES[1],
            lw=3 if style == "-" else 1.5,
            label=f"{name}, half-life 10",
        )
    axes.legend(fontsize=8, frameon=False)
    return figure


EMA = Exercise(
    LESSON,
    "ema",
    ema,
    lambda: [
        (torch.tensor([1.0, 3.0]), 1.0),
        (numbers(5, 3), 2.0),
        (numbers(30, 2, 3), 10.0),
    ],
    (
        Mistake(
            "decay is on the wrong one: it is the share that the *average* keeps",
            lambda history, half_life: _averaged(history, 1 - 0.5 ** (1 / half_life)),
        ),
        Mistake(
            "with a decay of 1 - 1 / half_life more than half is forgotten; decay ** half_life "
            "has to be 0.5",
            lambda history, half_life: _averaged(history, 1 - 1 / half_life),
        ),
        Mistake(
            "with a decay of exp(-1 / half_life) only 37 % is left after so many steps; half was "
            "asked for",
            lambda history, half_life: _averaged(history, np.exp(-1 / half_life)),
        ),
        Mistake(
            "half of it is forgotten at *every* step; all half_life steps together should forget "
            "half",
            lambda history, half_life: _averaged(history, 0.5),
        ),
        Mistake(
            "0.5 ** half_life is upside down: a long half-life needs a decay near to 1",
            lambda history, half_life: _averaged(history, 0.5**half_life),
        ),
        Mistake(
            "the average begins at zero; it begins as the first weights",
            lambda history, half_life: _averaged(
                history, 0.5 ** (1 / half_life), first=1 - 0.5 ** (1 / half_life)
            ),
        ),
        Mistake(
            "the new weights are added at full size",
            lambda history, half_life: _averaged(history, 0.5 ** (1 / half_life), share=1.0),
        ),
        Mistake(
            "this is the plain mean of all steps", lambda history, half_life: history.mean(dim=0)
        ),
        Mistake("the average never moves", lambda history, half_life: history[0]),
        Mistake("nothing of the average is kept", lambda history, half_life: history[-1]),
    ),
    _smoothed,
)

# --- weights by signal-to-noise -------------------------------------------------------------------


def min_snr(snr: Tensor, most: float) -> Tensor:
    return snr.clamp(max=most) / snr


def _weights(answer: Callable) -> Figure:
    schedule = Schedule.named("scaled_linear")
    figure = plots.new_figure(2.4)
    axes = figure.subplots()
    axes.plot(min_snr(schedule.snr, 5.0), lw=3, color=plots.LINES[0], label="target")
    axes.plot(
        torch.as_tensor(answer(schedule.snr.clone(), 5.0)),
        "--",
        color=plots.LINES[1],
        label="yours",
    )
    axes.set(xlabel="t", ylabel="weight of the loss")
    axes.legend(fontsize=8, frameon=False)
    return figure


MIN_SNR = Exercise(
    LESSON,
    "min_snr",
    min_snr,
    lambda: [
        (torch.tensor([20.0, 5.0, 0.5]), 5.0),
        (torch.tensor([1000.0, 100.0, 10.0, 1.0, 0.1, 0.01]), 3.0),
        (Schedule.named("cosine").snr[::100], 5.0),
    ],
    (
        Mistake("5 is typed in; use `most`", lambda snr, most: snr.clamp(max=5.0) / snr),
        Mistake(
            "this is the weight for the error of x̂₀; for the noise's error the division by the "
            "SNR is missing",
            lambda snr, most: snr.clamp(max=most),
        ),
        Mistake(
            "the error of x̂₀ is the noise's error *divided* by the SNR, not multiplied",
            lambda snr, most: snr.clamp(max=most) * snr,
        ),
        Mistake(
            "the *larger* of the two is taken; take the smaller",
            lambda snr, most: snr.clamp(min=most) / snr,
        ),
        Mistake("upside down", lambda snr, most: snr / snr.clamp(max=most)),
        Mistake(
            "every weight is most / SNR; where SNR is below it the weight is 1",
            lambda snr, most: most / snr,
        ),
        Mistake(
            "the weight is cut off at `most`, not the SNR",
            lambda snr, most: (1 / snr).clamp(max=most),
        ),
    ),
    _weights,
)

# --- a training loop of one's own -----------------------------------------------------------------

STEPS, BATCH = 60, 8
LEAST = 0.5
"""The loss on fresh noise after training, as a part of the loss before."""


@cache
def _pages() -> tuple[Tensor, Tensor]:
    """Sixteen little latents with a bright square each, and states that say where it is."""
    latents, states = torch.full((16, 4, 8, 8), -0.5), torch.zeros(16, 2, WIDTH)
    for page in range(16):
        row, column = divmod(page, 4)
        latents[page, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = 2.0
        states[page, 0, page] = states[page, 1, 15 - page] = 1.0
    return latents, states


def _batch(step: int) -> tuple[Tensor, Tensor]:
    """Latents and text states of a step's pages."""
    chosen = torch.randint(16, (BATCH,), generator=torch.Generator().manual_seed(step))
    return tuple(values[chosen] for values in _pages())


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
def _loss_of(unet: UNet2DConditionModel, schedule: Schedule) -> float:
    latents, states = (
        values.repeat(4, 1, 1, 1) if values.ndim == 4 else values.repeat(4, 1, 1)
        for values in _pages()
    )
    t = torch.linspace(50, 950, len(latents)).long()
    noise = numbers(*latents.shape, seed=99)
    return F.mse_loss(unet(add_noise(schedule, latents, t, noise), t, states).sample, noise).item()


def _measure_training(answer: Callable) -> dict:
    unet, schedule = _small_unet(), Schedule.named("scaled_linear")
    before = _loss_of(unet, schedule)
    untouched = [p.detach().clone() for p in unet.parameters()]
    asked: list[int] = []

    def batch_at(step: int) -> tuple[Tensor, Tensor]:
        asked.append(step)
        return _batch(step)

    torch.manual_seed(1)
    answer(unet, schedule, batch_at, STEPS)
    changed = any(
        not torch.equal(p, old) for p, old in zip(unet.parameters(), untouched, strict=True)
    )
    after = _loss_of(unet.eval(), schedule)
    return {"unet": unet, "before": before, "after": after, "asked": asked, "changed": changed}


def _asked_for_batches(measured: dict) -> str | None:
    count = len(set(measured["asked"]))
    return (
        None
        if count >= STEPS
        else f"`batch_at(step)` was called for {count} different steps; {STEPS} were asked for"
    )


def _has_changed(measured: dict) -> str | None:
    if not measured["changed"]:
        return (
            "no parameter changed: is there an optimizer, and does it step after `loss.backward()`?"
        )
    return None


def _has_learned(measured: dict) -> str | None:
    before, after = measured["before"], measured["after"]
    if not after < LEAST * before:
        return (
            f"the loss on fresh noise went from {before:.2f} to {after:.2f}; at most "
            f"{LEAST * before:.2f} was asked "
            "for. Does every step begin with gradients of 0 (`zero_grad`), and is the learning "
            "rate large enough?"
        )
    return None


def _before_and_after(measured: dict) -> Figure:
    figure = plots.new_figure(2.2)
    axes = figure.subplots()
    axes.barh(
        [1, 0], [measured["before"], measured["after"]], color=[plots.LINES[4], plots.LINES[0]]
    )
    axes.set_yticks([1, 0], ["untrained", "after your loop"])
    axes.set_xlabel("loss on fresh noise")
    return figure


OWN_TRAINING = OpenExercise(
    LESSON,
    "own_training",
    _measure_training,
    (_asked_for_batches, _has_changed, _has_learned),
    _before_and_after,
)

EXERCISES = (NOISE_LOSS, DROP_CAPTIONS, EMA, MIN_SNR, OWN_TRAINING)
