"""Exercises of lesson 05, the U-Net."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from matplotlib.figure import Figure
from torch import Tensor

from sdlearn import plots
from sdlearn.attention.recording import attention_layers
from sdlearn.exercises import pictures
from sdlearn.exercises.engine import Lesson
from sdlearn.exercises.given import numbers, several
from sdlearn.exercises.results import Case, Unmet
from sdlearn.unet import Stop, tour

lesson = Lesson("05_unet")


def _two_maps(answer: Callable, target: Callable, case: Case, what: str) -> Figure:
    """The two results for one case, as maps; leading dimensions become rows."""
    shown = {f"yours: {what}": answer(*case), "target": target(*case)}
    flat = {name: torch.as_tensor(x).squeeze(0).flatten(1) for name, x in shown.items()}
    return pictures.heats(flat, aspect="auto")


# --- exercise 1: the time embedding ---------------------------------------------------------------


def _angles(t: Tensor, width: int, period: float = 10_000.0, over: int | None = None) -> Tensor:
    """t times frequencies that fall from 1 to nearly 1/period: [n, width / 2]."""
    half = width // 2
    exponents = torch.arange(half).double() / (over or half)
    return t.double()[:, None] * torch.exp(-math.log(period) * exponents)


def _both(angles: Tensor) -> Tensor:
    return torch.cat([angles.cos(), angles.sin()], dim=1)


@lesson.exercise(
    cases=lambda: [
        (torch.tensor([3]), 4),
        (torch.tensor([999, 7, 7]), 8),
        (torch.tensor([10, 500]), 32),
    ],
    picture=lambda answer: _two_maps(
        answer, sinusoids, (torch.arange(0, 1000, 10), 32), "t down, numbers across"
    ),
    by_hand=lambda t, width: {
        "frequencies": _angles(torch.ones(1), width)[0],
        "t · frequencies": _angles(t, width),
    },
)
def sinusoids(t: Tensor, width: int) -> Tensor:
    """t as cosines, then sines, of falling frequency (Vaswani et al. 2017, Section 3.5)."""
    return _both(_angles(t, width))


sinusoids.mistakes(
    "cosines come first, then sines; yours are the other way round",
    lambda t, width: torch.cat([_angles(t, width).sin(), _angles(t, width).cos()], dim=1),
    "the frequencies fall too slowly: there are width / 2 of them, so divide k by width / 2",
    lambda t, width: _both(_angles(t, width, over=width)),
    "cosine and sine alternate in yours; here all cosines come first, then all sines",
    lambda t, w: torch.stack([_angles(t, w).cos(), _angles(t, w).sin()], dim=2).flatten(1),
    "sine and cosine alternate, as in the paper; diffusers puts all cosines first, then all sines",
    lambda t, w: torch.stack([_angles(t, w).sin(), _angles(t, w).cos()], dim=2).flatten(1),
    "these are the angles; their cosines and sines are missing",
    lambda t, w: torch.cat([_angles(t, w)] * 2, dim=1),
    "your k starts at 1; it has to start at 0, so that the first frequency is 1",
    lambda t, w: _both(_angles(t, w + 2, over=w // 2)[:, 1:]),
    "k is divided by width / 2 - 1; divide by width / 2",
    lambda t, w: _both(_angles(t, w, over=w // 2 - 1)),
    "the exponent's sign is wrong: frequencies fall from 1 to nearly 1/10,000",
    lambda t, width: _both(_angles(t, width, period=1e-4)),
    "log10 was taken; the log(10,000) in the exponent is the natural logarithm",
    lambda t, w: _both(_angles(t, w, period=math.exp(4.0))),
    "t is divided by 1,000 first; it goes in as it is",
    lambda t, w: _both(_angles(t.double() / 1000, w)),
    "2π is one too many: the angles are t times the frequencies",
    lambda t, w: _both(2 * math.pi * _angles(t, w)),
    "these are cosines twice; the second half are sines",
    lambda t, w: torch.cat([_angles(t, w).cos()] * 2, dim=1),
    "these are sines twice; the first half are cosines",
    lambda t, w: torch.cat([_angles(t, w).sin()] * 2, dim=1),
)

# --- exercise 2: attention ------------------------------------------------------------------------


def _scores(q: Tensor, k: Tensor) -> Tensor:
    return q @ k.transpose(-1, -2)


def _later(q: Tensor, k: Tensor) -> Tensor:
    """A causal mask: -∞ for every key that comes after the query."""
    return torch.full((q.shape[-2], k.shape[-2]), -math.inf).triu(1)


def _over_everything(scores: Tensor) -> Tensor:
    """One softmax for the whole matrix."""
    return scores.flatten(-2).softmax(-1).reshape(scores.shape)


@lesson.exercise(
    cases=lambda: [
        (
            torch.tensor([[1.0, 0.0, 1.0, 0.0]]),
            torch.tensor([[4.0, 0.0, 0.0, 0.0], [0.0, 2.0, 0.0, 0.0]]),
            torch.tensor([[1.0, 0.0], [1.0, 3.0]]),
        ),
        (numbers(5, 6), numbers(3, 6, seed=1), numbers(3, 4, seed=2)),
        (9 * numbers(2, 6), 9 * numbers(3, 6, seed=1), numbers(3, 2, seed=2)),
        several(3, (2, 3, 7, 16)),
    ],
    picture=lambda answer: _two_maps(
        answer,
        attention,
        (numbers(12, 8), numbers(9, 8, seed=1), torch.eye(9)),
        "queries down, keys across",
    ),
    by_hand=lambda q, k, v: {
        "scores QKᵀ": _scores(q, k),
        "scores / √d": _scores(q, k) / q.shape[-1] ** 0.5,
        "weights": (_scores(q, k) / q.shape[-1] ** 0.5).softmax(dim=-1),
    },
)
def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(QKᵀ/√d) V (Vaswani et al. 2017, Eq. 1)."""
    return (_scores(q, k) / q.shape[-1] ** 0.5).softmax(dim=-1) @ v


attention.mistakes(
    "dim=1 is the last dimension only without a batch: say dim=-1",
    lambda q, k, v: (_scores(q, k) / q.shape[-1] ** 0.5).softmax(1) @ v,
    "the softmax comes too late: take it of the scores, before they mix the values",
    lambda q, k, v: (_scores(q, k) / q.shape[-1] ** 0.5 @ v).softmax(-1),
    "you divide by d; divide by √d",
    lambda q, k, v: (_scores(q, k) / q.shape[-1]).softmax(-1) @ v,
    "the division by √d is missing",
    lambda q, k, v: _scores(q, k).softmax(-1) @ v,
    "you divide by the root of the values' width; use d, the width of queries and keys",
    lambda q, k, v: (_scores(q, k) / v.shape[-1] ** 0.5).softmax(-1) @ v,
    "you multiply by √d; divide by it",
    lambda q, k, v: (_scores(q, k) * q.shape[-1] ** 0.5).softmax(-1) @ v,
    "softmax over the queries; for every *query* the weights of all keys must add up to 1: dim=-1",
    lambda q, k, v: (_scores(q, k) / q.shape[-1] ** 0.5).softmax(-2) @ v,
    "the softmax is missing: weights have to be positive and add up to 1",
    lambda q, k, v: _scores(q, k) / q.shape[-1] ** 0.5 @ v,
    "these are the weights; they still have to mix the values v",
    lambda q, k, v: (_scores(q, k) / q.shape[-1] ** 0.5).softmax(-1),
    "a causal mask is one too many: in a picture every position may look at every other",
    lambda q, k, v: (_scores(q, k) / q.shape[-1] ** 0.5 + _later(q, k)).softmax(-1) @ v,
    "divided by √d *after* the softmax; it has to happen before",
    lambda q, k, v: _scores(q, k).softmax(-1) / q.shape[-1] ** 0.5 @ v,
    "divided by the root of the number of keys; d is the width of a query",
    lambda q, k, v: (_scores(q, k) / k.shape[-2] ** 0.5).softmax(-1) @ v,
    "the softmax is taken over the whole matrix; every query has one of its own: dim=-1",
    lambda q, k, v: _over_everything(_scores(q, k) / q.shape[-1] ** 0.5) @ v,
    "queries and keys are normalised here; that is CLIP's cosine, attention takes them as they are",
    lambda q, k, v: _scores(F.normalize(q, dim=-1), F.normalize(k, dim=-1)).softmax(-1) @ v,
    "divided by the sum of the scores; weights come from a softmax, which takes exp first",
    lambda q, k, v: (_scores(q, k) / _scores(q, k).sum(-1, keepdim=True)) @ v,
)

# --- exercise 3: heads ----------------------------------------------------------------------------


@lesson.exercise(
    cases=lambda: [
        (torch.arange(12.0).reshape(1, 3, 4), 2),
        (numbers(2, 5, 12), 3),
        (numbers(3, 4, 16), 2),
    ],
    picture=lambda answer: _two_maps(
        answer, split_heads, (torch.arange(48.0).reshape(1, 4, 12), 3), "a row for each head"
    ),
    by_hand=lambda states, heads: {
        "cut into heads": "×".join(map(str, states.unflatten(2, (heads, -1)).shape)),
    },
)
def split_heads(states: Tensor, heads: int) -> Tensor:
    """n×positions×width to n×heads×positions×d."""
    return states.unflatten(2, (heads, -1)).transpose(1, 2)


split_heads.mistakes(
    "heads and their numbers are swapped; swap *positions* with heads: transpose(1, 2)",
    lambda s, heads: s.unflatten(2, (heads, -1)).transpose(2, 3),
    "the numbers are in the wrong order: first cut the *width*, then exchange two dimensions",
    lambda s, heads: s.reshape(len(s), heads, s.shape[1], -1),
    "heads and positions are still exchanged: n×heads×positions×d was asked for",
    lambda s, heads: s.unflatten(2, (heads, -1)),
    "the width is cut the wrong way: the *first* d numbers are the first head's",
    lambda s, heads: s.unflatten(2, (-1, heads)).permute(0, 3, 1, 2),
    "the last two dimensions are exchanged",
    lambda s, heads: split_heads(s, heads).transpose(2, 3),
)

# --- exercise 4: cross-attention ------------------------------------------------------------------


def _given_matrices(positions: int, words: int, width: int, seed: int) -> Case:
    matrices = (numbers(width, width, seed=seed + i) / width**0.5 for i in range(3))
    picture, text = numbers(positions, width, seed=seed + 3), numbers(words, width, seed=seed + 4)
    return picture, text, *matrices


def _on_paper() -> Case:
    picture, text = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([[2.0, 0.0], [1.0, 1.0]])
    matrices = ([[1.0, 0.0], [1.0, 1.0]], [[0.0, 1.0], [3.0, 0.0]], [[1.0, 2.0], [0.0, 1.0]])
    return picture, text, *map(torch.tensor, matrices)


@lesson.exercise(
    cases=lambda: [
        _on_paper(),
        _given_matrices(4, 4, 8, 10),
        _given_matrices(5, 3, 4, 20),
        _given_matrices(2, 6, 8, 30),
    ],
    picture=lambda answer: _two_maps(
        answer, cross_attention, _given_matrices(8, 8, 8, 5), "positions down"
    ),
    by_hand=lambda picture, text, to_q, to_k, to_v: {
        "q = picture @ to_q": picture @ to_q,
        "k = text @ to_k": text @ to_k,
        "v = text @ to_v": text @ to_v,
        "scores / √d": (picture @ to_q) @ (text @ to_k).T / to_q.shape[1] ** 0.5,
        "weights": ((picture @ to_q) @ (text @ to_k).T / to_q.shape[1] ** 0.5).softmax(dim=-1),
    },
)
def cross_attention(
    picture: Tensor, text: Tensor, to_q: Tensor, to_k: Tensor, to_v: Tensor
) -> Tensor:
    """Attention whose queries come from the picture, and keys and values from the text."""
    return attention(picture @ to_q, text @ to_k, text @ to_v)


cross_attention.mistakes(
    "divided by √d *after* the softmax; it has to happen before",
    lambda x, c, q, k, v: ((x @ q) @ (c @ k).T).softmax(-1) / q.shape[1] ** 0.5 @ (c @ v),
    "the softmax is missing: weights have to be positive and add up to 1",
    lambda x, c, q, k, v: ((x @ q) @ (c @ k).T) / q.shape[1] ** 0.5 @ (c @ v),
    "these are the weights; they still have to mix the values v",
    lambda x, c, q, k, v: ((x @ q) @ (c @ k).T / q.shape[1] ** 0.5).softmax(-1),
    "to_q and to_k are swapped",
    lambda x, c, q, k, v: attention(x @ k, c @ q, c @ v),
    "this is self-attention: keys and values have to come from the text",
    lambda x, c, q, k, v: attention(x @ q, x @ k, x @ v),
    "the values still come from the picture; they come from the text",
    lambda x, c, q, k, v: attention(x @ q, c @ k, x @ v),
    "the keys still come from the picture; they come from the text",
    lambda x, c, q, k, v: attention(x @ q, x @ k, c @ v),
    "the wrong way round: here the *picture* asks, and the text answers (keys and values)",
    lambda x, c, q, k, v: attention(c @ q, x @ k, x @ v),
    "the division by √d is missing",
    lambda x, c, q, k, v: ((x @ q) @ (c @ k).T).softmax(-1) @ (c @ v),
    "to_v is not used: values are the text *times* to_v",
    lambda x, c, q, k, v: attention(x @ q, c @ k, c),
    "the matrices are transposed; here it is a row times the matrix as it is: `picture @ to_q`",
    lambda x, c, q, k, v: attention(x @ q.T, c @ k.T, c @ v.T),
    "the picture is added to the result; that comes later, in the transformer block",
    lambda x, c, q, k, v: x + attention(x @ q, c @ k, c @ v),
    "to_k and to_v are swapped",
    lambda x, c, q, k, v: attention(x @ q, c @ v, c @ k),
    "the three matrices are not used",
    lambda x, c, q, k, v: attention(x, c, c),
    "you divide by d; divide by √d",
    lambda x, c, q, k, v: ((x @ q) @ (c @ k).T / q.shape[1]).softmax(-1) @ (c @ v),
    "softmax over the positions; for every *position* the weights of all words must add up to 1",
    lambda x, c, q, k, v: ((x @ q) @ (c @ k).T / q.shape[1] ** 0.5).softmax(0) @ (c @ v),
    "who asks and who answers is right now; two mistakes are left: the divisor in line 2 and the "
    "softmax's dimension in line 3",
    lambda x, c, q, k, v: ((x @ q) @ (c @ k).T / q.shape[1]).softmax(0) @ (c @ v),
    "nothing is mended yet: begin with line 1, and ask who asks",
    lambda x, c, q, k, v: ((c @ q) @ (x @ k).T / q.shape[1]).softmax(0) @ (c @ v),
    "line 1: the text still asks; line 2: the divisor is d, not √d",
    lambda x, c, q, k, v: ((c @ q) @ (x @ k).T / q.shape[1]).softmax(-1) @ (c @ v),
    "line 1: the text still asks; line 3: the softmax is over the wrong dimension",
    lambda x, c, q, k, v: ((c @ q) @ (x @ k).T / q.shape[1] ** 0.5).softmax(0) @ (c @ v),
    "the text still asks: queries have to come from the picture, keys from the text",
    lambda x, c, q, k, v: ((c @ q) @ (x @ k).T / q.shape[1] ** 0.5).softmax(-1) @ (c @ v),
    "the queries still come from the text; it is the picture that asks",
    lambda x, c, q, k, v: attention(c @ q, c @ k, c @ v),
)

# --- exercise 5: a U-Net of your own -------------------------------------------------------------

LATENTS, STATES = (1, 4, 32, 32), (1, 77, 128)
MOST = 3_000_000
FEWEST_ATTENTIONS = 6


def _check_inputs(unet: UNet2DConditionModel) -> None:
    """Raise Unmet for a U-Net that the latents and text states do not fit into."""
    config = unet.config
    if config.encoder_hid_dim is None and config.cross_attention_dim != STATES[2]:
        raise Unmet(
            f"text states of width {STATES[2]} have to go in, and it reads "
            f"{config.cross_attention_dim}: set cross_attention_dim"
        )
    if config.in_channels != LATENTS[1]:
        raise Unmet(
            f"latents of {LATENTS[1]} channels have to go in, and it takes "
            f"{config.in_channels}: set in_channels"
        )
    if not all(weights.isfinite().all() for weights in unet.parameters()):
        raise Unmet("its weights hold NaN or infinity")


@lesson.open_exercise(picture=plots.unet_ladder)
def own_unet(answer: Callable[[], UNet2DConditionModel]) -> list[Stop]:
    """A small U-Net that reads the text in enough layers and gives latents back."""
    unet = answer()
    if not isinstance(unet, UNet2DConditionModel):
        raise Unmet(f"a UNet2DConditionModel was expected, got {type(unet).__name__}")
    _check_inputs(unet)
    stops = list(tour(unet.eval(), torch.randn(LATENTS), 500, torch.randn(STATES)))
    if (shape := stops[-1].after) != LATENTS[1:]:
        came = "×".join(map(str, shape))
        raise Unmet(f"4×32×32 has to come out, got {came}: set in_channels and out_channels")
    if (count := sum(p.numel() for p in unet.parameters())) >= MOST:
        raise Unmet(f"it has {count:,} parameters; fewer than {MOST:,} were asked for")
    cross = [layer.kind for layer in attention_layers(unet)].count("cross")
    if cross < FEWEST_ATTENTIONS:
        least = f"at least {FEWEST_ATTENTIONS} were asked for"
        raise Unmet(f"cross-attentions, with the one in the middle: {cross}; {least}")
    return stops
