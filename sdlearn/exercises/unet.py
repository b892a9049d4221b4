"""Exercises of the lesson on the U-Net."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from diffusers import UNet2DConditionModel
from matplotlib.figure import Figure
from torch import Tensor

from sdlearn import plots
from sdlearn.attention import attention_layers
from sdlearn.check import Exercise, Mistake, OpenExercise
from sdlearn.exercises.given import numbers
from sdlearn.unet import tour

LESSON = "05_unet"


def _two_maps(yours: Tensor, target: Tensor, titles: tuple[str, str]) -> Figure:
    figure = plots.new_figure(2.6)
    for axes, values, title in zip(figure.subplots(1, 2), (yours, target), titles, strict=True):
        axes.imshow(torch.as_tensor(values).float(), cmap="viridis", aspect="auto")
        axes.set_title(title, fontsize=9)
    return figure


# --- the time embedding ---------------------------------------------------------------------------


def sinusoids(t: Tensor, width: int) -> Tensor:
    half = width // 2
    angles = t.double()[:, None] * torch.exp(-math.log(10_000) * torch.arange(half).double() / half)
    return torch.cat([angles.cos(), angles.sin()], dim=1)


def _angles(t: Tensor, width: int, period: float = 10_000.0, over: int | None = None) -> Tensor:
    half = width // 2
    return t.double()[:, None] * torch.exp(
        -math.log(period) * torch.arange(half).double() / (over or half)
    )


def _both(angles: Tensor) -> Tensor:
    return torch.cat([angles.cos(), angles.sin()], dim=1)


SINUSOIDS = Exercise(
    LESSON,
    "sinusoids",
    sinusoids,
    lambda: [(torch.tensor([1]), 4), (torch.tensor([0, 7, 999]), 8), (torch.tensor([10, 500]), 32)],
    (
        Mistake(
            "cosines come first, then sines; yours are the other way round",
            lambda t, width: torch.cat([_angles(t, width).sin(), _angles(t, width).cos()], dim=1),
        ),
        Mistake(
            "the frequencies fall too slowly: there are only half as many as numbers, so divide "
            "k by width / 2",
            lambda t, width: _both(_angles(t, width, over=width)),
        ),
        Mistake(
            "cosine and sine alternate in yours; here all cosines come first, then all sines",
            lambda t, width: torch.stack(
                [_angles(t, width).cos(), _angles(t, width).sin()], dim=2
            ).flatten(1),
        ),
        Mistake(
            "sine and cosine alternate, as in the paper; diffusers puts all cosines first, then "
            "all sines",
            lambda t, width: torch.stack(
                [_angles(t, width).sin(), _angles(t, width).cos()], dim=2
            ).flatten(1),
        ),
        Mistake(
            "these are the angles; their cosines and sines are missing",
            lambda t, w: torch.cat([_angles(t, w)] * 2, dim=1),
        ),
        Mistake(
            "k counts from 1 in yours; it starts at 0, so that the first frequency is 1",
            lambda t, w: _both(_angles(t, w + 2, over=w // 2)[:, 1:]),
        ),
        Mistake(
            "k is divided by width / 2 - 1; divide by width / 2",
            lambda t, w: _both(_angles(t, w, over=w // 2 - 1)),
        ),
        Mistake(
            "the exponent's sign is wrong: frequencies fall from 1 to nearly 1/10,000",
            lambda t, width: _both(_angles(t, width, period=1e-4)),
        ),
    ),
    lambda answer: _two_maps(
        answer(torch.arange(0, 1000, 10), 32),
        sinusoids(torch.arange(0, 1000, 10), 32),
        ("yours: t down, numbers across", "target"),
    ),
)

# --- attention ------------------------------------------------------------------------------------


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(dim=-1) @ v


def _scores(q: Tensor, k: Tensor) -> Tensor:
    return q @ k.transpose(-1, -2)


def _by_values_width(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (_scores(q, k) / v.shape[-1] ** 0.5).softmax(-1) @ v


ATTENTION = Exercise(
    LESSON,
    "attention",
    attention,
    lambda: [
        (
            torch.tensor([[1.0, 0.0, 1.0, 0.0]]),
            torch.tensor([[4.0, 0.0, 0.0, 0.0], [0.0, 2.0, 0.0, 0.0]]),
            torch.eye(2),
        ),
        (numbers(5, 4), numbers(3, 4, seed=1), numbers(3, 6, seed=2)),
        (numbers(2, 3, 7, 16), numbers(2, 3, 7, 16, seed=1), numbers(2, 3, 7, 16, seed=2)),
    ],
    (
        Mistake(
            "divided by d; it is √d", lambda q, k, v: (_scores(q, k) / q.shape[-1]).softmax(-1) @ v
        ),
        Mistake("the division by √d is missing", lambda q, k, v: _scores(q, k).softmax(-1) @ v),
        Mistake(
            "divided by the root of the values' width; it is that of the queries' and keys'",
            _by_values_width,
        ),
        Mistake(
            "multiplied by √d; divide",
            lambda q, k, v: (_scores(q, k) * q.shape[-1] ** 0.5).softmax(-1) @ v,
        ),
        Mistake(
            "softmax over the queries; for every *query* the weights of all keys must sum up to "
            "1: dim=-1",
            lambda q, k, v: (_scores(q, k) / q.shape[-1] ** 0.5).softmax(-2) @ v,
        ),
        Mistake(
            "the softmax is missing: weights have to be positive and sum up to 1",
            lambda q, k, v: _scores(q, k) / q.shape[-1] ** 0.5 @ v,
        ),
        Mistake(
            "these are the weights; they still have to mix the values v",
            lambda q, k, v: (_scores(q, k) / q.shape[-1] ** 0.5).softmax(-1),
        ),
    ),
    lambda answer: _two_maps(
        answer(numbers(12, 8), numbers(9, 8, seed=1), torch.eye(9)),
        attention(numbers(12, 8), numbers(9, 8, seed=1), torch.eye(9)),
        ("yours: queries down, keys across", "target"),
    ),
)

# --- heads ----------------------------------------------------------------------------------------


def split_heads(states: Tensor, heads: int) -> Tensor:
    return states.unflatten(2, (heads, -1)).transpose(1, 2)


SPLIT_HEADS = Exercise(
    LESSON,
    "split_heads",
    split_heads,
    lambda: [
        (torch.arange(8.0).reshape(1, 2, 4), 2),
        (numbers(2, 5, 12), 3),
        (numbers(3, 4, 16), 4),
    ],
    (
        Mistake(
            "the numbers are in the wrong places: first cut the *width* into heads, then "
            "exchange two dimensions",
            lambda s, heads: s.reshape(len(s), heads, s.shape[1], -1),
        ),
        Mistake(
            "heads and places are still exchanged: n×heads×places×d was asked for",
            lambda s, heads: s.unflatten(2, (heads, -1)),
        ),
        Mistake(
            "the width is cut the wrong way: the *first* d numbers are the first head's, not "
            "every second one",
            lambda s, heads: s.unflatten(2, (-1, heads)).permute(0, 3, 1, 2),
        ),
        Mistake(
            "the last two dimensions are exchanged",
            lambda s, heads: split_heads(s, heads).transpose(2, 3),
        ),
    ),
    lambda answer: _two_maps(
        answer(torch.arange(48.0).reshape(1, 4, 12), 3)[0].flatten(1),
        split_heads(torch.arange(48.0).reshape(1, 4, 12), 3)[0].flatten(1),
        ("yours: a row for each head", "target"),
    ),
)

# --- cross-attention ------------------------------------------------------------------------------


def cross_attention(
    picture: Tensor, text: Tensor, to_q: Tensor, to_k: Tensor, to_v: Tensor
) -> Tensor:
    return attention(picture @ to_q, text @ to_k, text @ to_v)


def _square(places: int, words: int, width: int, seed: int) -> tuple:
    matrices = (numbers(width, width, seed=seed + i) / width**0.5 for i in range(3))
    return (numbers(places, width, seed=seed + 3), numbers(words, width, seed=seed + 4), *matrices)


CROSS_ATTENTION = Exercise(
    LESSON,
    "cross_attention",
    cross_attention,
    lambda: [_square(3, 3, 2, 0), _square(4, 4, 8, 10), _square(6, 6, 4, 20)],
    (
        Mistake(
            "this is self-attention: keys and values have to come from the text",
            lambda x, c, q, k, v: attention(x @ q, x @ k, x @ v),
        ),
        Mistake(
            "the values still come from the picture; they come from the text",
            lambda x, c, q, k, v: attention(x @ q, c @ k, x @ v),
        ),
        Mistake(
            "the keys still come from the picture; they come from the text",
            lambda x, c, q, k, v: attention(x @ q, x @ k, c @ v),
        ),
        Mistake(
            "turned round: here the *picture* asks (queries) and the text answers (keys and "
            "values)",
            lambda x, c, q, k, v: attention(c @ q, x @ k, x @ v),
        ),
        Mistake(
            "the division by √d is missing",
            lambda x, c, q, k, v: ((x @ q) @ (c @ k).T).softmax(-1) @ (c @ v),
        ),
        Mistake(
            "to_v is not used: values are the text *times* to_v",
            lambda x, c, q, k, v: attention(x @ q, c @ k, c),
        ),
        Mistake(
            "the matrices are turned over; here a row times the matrix as it is: `picture @ to_q`",
            lambda x, c, q, k, v: attention(x @ q.T, c @ k.T, c @ v.T),
        ),
        Mistake(
            "the picture is added to the result; that comes later, in the transformer block",
            lambda x, c, q, k, v: x + attention(x @ q, c @ k, c @ v),
        ),
        Mistake(
            "to_k and to_v are exchanged", lambda x, c, q, k, v: attention(x @ q, c @ v, c @ k)
        ),
        Mistake("the three matrices are not used", lambda x, c, q, k, v: attention(x, c, c)),
    ),
    lambda answer: _two_maps(
        answer(*_square(8, 8, 8, 5)),
        cross_attention(*_square(8, 8, 8, 5)),
        ("yours: places down", "target"),
    ),
)

# --- a U-Net of one's own -------------------------------------------------------------------------

LATENTS, STATES = (1, 4, 32, 32), (1, 77, 128)
MOST = 3_000_000
FEWEST_ATTENTIONS = 6


def _measure_unet(answer: Callable[[], UNet2DConditionModel]) -> dict | str:
    unet = answer()
    if not isinstance(unet, UNet2DConditionModel):
        return f"a UNet2DConditionModel was expected, got {type(unet).__name__}"
    stops = list(tour(unet.eval(), torch.randn(LATENTS), 500, torch.randn(STATES)))
    return {
        "stops": stops,
        "parameters": sum(p.numel() for p in unet.parameters()),
        "cross": [layer.kind for layer in attention_layers(unet)].count("cross"),
    }


def _is_a_unet(measured: dict | str) -> str | None:
    return measured if isinstance(measured, str) else None


def _gives_latents_back(measured: dict) -> str | None:
    shape = measured["stops"][-1].after
    if shape != LATENTS[1:]:
        return (
            f"4×32×32 has to come out, got {'×'.join(map(str, shape))}: set in_channels and "
            "out_channels"
        )
    return None


def _is_small(measured: dict) -> str | None:
    if measured["parameters"] >= MOST:
        return f"it has {measured['parameters']:,} parameters; fewer than {MOST:,} were asked for"
    return None


def _reads_the_text(measured: dict) -> str | None:
    if measured["cross"] < FEWEST_ATTENTIONS:
        count = measured["cross"]
        return (
            f"cross-attentions, with the one in the middle: {count}; at least "
            f"{FEWEST_ATTENTIONS} were asked for"
        )
    return None


OWN_UNET = OpenExercise(
    LESSON,
    "own_unet",
    _measure_unet,
    (_is_a_unet, _gives_latents_back, _is_small, _reads_the_text),
    lambda measured: plots.unet_ladder(measured["stops"]),
)

EXERCISES = (SINUSOIDS, ATTENTION, SPLIT_HEADS, CROSS_ATTENTION, OWN_UNET)
