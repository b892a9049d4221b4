"""Answers to the exercises of lesson 05_unet."""

import math

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from diffusers.models.embeddings import get_timestep_embedding


def sinusoids_by_powers(t, width):
    frequencies = 10_000.0 ** (-torch.arange(0, width, 2).double() / width)
    angles = torch.outer(t.double(), frequencies)
    return torch.hstack([torch.cos(angles), torch.sin(angles)])


def sinusoids_from_one(t, width):
    angles = torch.outer(t.double(), 10_000.0 ** (-torch.arange(2, width + 2, 2).double() / width))
    return torch.hstack([torch.cos(angles), torch.sin(angles)])


def sinusoids_by_diffusers(t, width):
    return get_timestep_embedding(t, width, flip_sin_to_cos=True, downscale_freq_shift=0)


def attention_by_torch(q, k, v):
    return F.scaled_dot_product_attention(q, k, v)


def attention_by_einsum(q, k, v):
    scores = torch.einsum("...qd,...kd->...qk", q.double(), k.double()) / math.sqrt(q.shape[-1])
    weights = scores.exp() / scores.exp().sum(-1, keepdim=True)
    return torch.einsum("...qk,...ke->...qe", weights, v.double())


def split_heads_by_chunks(states, heads):
    return torch.stack(states.chunk(heads, dim=2), dim=1)


def split_heads_by_permute(states, heads):
    return states.view(*states.shape[:2], heads, -1).permute(0, 2, 1, 3).contiguous()


def cross_attention_by_torch(picture, text, to_q, to_k, to_v):
    return F.scaled_dot_product_attention(
        (picture @ to_q)[None], (text @ to_k)[None], (text @ to_v)[None]
    )[0]


def cross_attention_by_linear(picture, text, to_q, to_k, to_v):
    q, k, v = F.linear(picture, to_q.T), F.linear(text, to_k.T), F.linear(text, to_v.T)
    return attention_by_einsum(q, k, v)


def unet_of(**changes):
    options = dict(
        block_out_channels=(32, 48, 64),
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        norm_num_groups=8,
        cross_attention_dim=128,
        attention_head_dim=4,
    )
    return UNet2DConditionModel(**{**options, **changes})


RIGHT = {
    "sinusoids": (sinusoids_by_powers, sinusoids_by_diffusers),
    "attention": (attention_by_torch, attention_by_einsum),
    "split_heads": (split_heads_by_chunks, split_heads_by_permute),
    "cross_attention": (cross_attention_by_torch, cross_attention_by_linear),
    "own_unet": (unet_of, lambda: unet_of(block_out_channels=(16, 32, 64))),
}

WRONG = {
    "sinusoids": (
        (lambda t, w: sinusoids_by_powers(t, w).roll(w // 2, dims=1), "the other way round"),
        (lambda t, w: get_timestep_embedding(t, w, downscale_freq_shift=0), "the other way round"),
        (
            lambda t, w: sinusoids_by_powers(t, w).unflatten(1, (2, -1)).transpose(1, 2).flatten(1),
            "alternate",
        ),
        (
            lambda t, w: sinusoids_by_powers(t, 2 * w)[:, [*range(w // 2), *range(w, w + w // 2)]],
            "too slowly",
        ),
        (
            lambda t, w: get_timestep_embedding(t, w, flip_sin_to_cos=True, downscale_freq_shift=1),
            "width / 2 - 1",
        ),
        (sinusoids_from_one, "k counts from 1"),
    ),
    "attention": (
        (lambda q, k, v: torch.softmax(q @ k.mT / v.shape[-1] ** 0.5, -1) @ v, "the values' width"),
        (lambda q, k, v: torch.softmax(q @ k.mT / q.shape[-1], -1) @ v, "it is √d"),
        (lambda q, k, v: torch.softmax(q @ k.mT, -1) @ v, "division by √d is missing"),
        (
            lambda q, k, v: torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, -2) @ v,
            "softmax over the queries",
        ),
        (lambda q, k, v: torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, -1), "mix the values"),
    ),
    "split_heads": (
        (lambda s, heads: s.reshape(len(s), heads, s.shape[1], -1), "wrong order"),
        (lambda s, heads: s.reshape(*s.shape[:2], heads, -1), "still exchanged"),
        (
            lambda s, heads: s.reshape(*s.shape[:2], -1, heads).permute(0, 3, 1, 2),
            "cut the wrong way",
        ),
    ),
    "cross_attention": (
        (lambda x, c, q, k, v: attention_by_torch(x @ q, x @ k, x @ v), "this is self-attention"),
        (lambda x, c, q, k, v: attention_by_torch(c @ q, x @ k, x @ v), "turned round"),
        (
            lambda x, c, q, k, v: attention_by_torch(x @ q, c @ k, x @ v),
            "values still come from the picture",
        ),
        (
            lambda x, c, q, k, v: torch.softmax((x @ q) @ (c @ k).mT, -1) @ (c @ v),
            "division by √d is missing",
        ),
        (lambda x, c, q, k, v: attention_by_torch(x @ q, c @ k, c), "to_v is not used"),
        (lambda x, c, q, k, v: cross_attention_by_linear(x, c, q.T, k.T, v.T), "turned over"),
        (lambda x, c, q, k, v: x + cross_attention_by_linear(x, c, q, k, v), "that comes later"),
    ),
    "own_unet": (
        (lambda: torch.nn.Linear(2, 2), "a UNet2DConditionModel was expected, got Linear"),
        (lambda: unet_of(block_out_channels=(64, 128, 128)), "fewer than 3,000,000"),
        (lambda: unet_of(out_channels=3), "4×32×32 has to come out, got 3×32×32"),
        (
            lambda: unet_of(down_block_types=("DownBlock2D",) * 3),
            "the one in the middle: 5; at least 6",
        ),
    ),
}
