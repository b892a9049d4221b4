"""Answers to the exercises of lesson 05_unet."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel, UNet2DModel
from diffusers.models.embeddings import get_timestep_embedding


def frequencies(width, base=10_000.0):
    return base ** (-torch.arange(width // 2) / (width // 2))


def angles(t, width, base=10_000.0):
    return t[:, None] * frequencies(width, base)


def waves(angles):
    return torch.cat([angles.cos(), angles.sin()], dim=1)


def sinusoids_by_powers(t, width):
    frequencies = 10_000.0 ** (-torch.arange(0, width, 2).double() / width)
    angles = torch.outer(t.double(), frequencies)
    return torch.hstack([torch.cos(angles), torch.sin(angles)])


def sinusoids_from_one(t, width):
    angles = torch.outer(t.double(), 10_000.0 ** (-torch.arange(2, width + 2, 2).double() / width))
    return torch.hstack([torch.cos(angles), torch.sin(angles)])


def sinusoids_by_diffusers(t, width):
    return get_timestep_embedding(t, width, flip_sin_to_cos=True, downscale_freq_shift=0)


def sinusoids_by_loops(t, width):
    half = width // 2
    rows = [[int(step) / 10_000 ** (k / half) for k in range(half)] for step in t]
    return [[math.cos(x) for x in row] + [math.sin(x) for x in row] for row in rows]


def sinusoids_by_numpy(t, width):
    half = width // 2
    angles = np.multiply.outer(np.asarray(t), np.exp(-np.log(10_000) * np.arange(half) / half))
    return np.concatenate([np.cos(angles), np.sin(angles)], axis=1)


def sinusoids_as_columns(t, width):
    angles = frequencies(width)[:, None] * t
    return torch.cat([angles.cos(), angles.sin()]).T


def sinusoids_by_shifted_sine(t, width):
    return torch.cat([angles(t, width) + math.pi / 2, angles(t, width)], dim=1).sin()


def sinusoids_in_place(t, width):
    result = waves(angles(t, width))
    t.zero_()
    return result


def scores_of(q, k):
    return q @ k.mT / q.shape[-1] ** 0.5


def attention_with(divisor):
    """An attention whose scores are divided by divisor(q, k, v)."""
    return lambda q, k, v: (q @ k.mT / divisor(q, k, v)).softmax(dim=-1) @ v


def attention_over(dim):
    """An attention whose softmax runs over the dimension dim."""
    return lambda q, k, v: scores_of(q, k).softmax(dim=dim) @ v


def attention_by_torch(q, k, v):
    return F.scaled_dot_product_attention(q, k, v)


def attention_by_einsum(q, k, v):
    scores = torch.einsum("...qd,...kd->...qk", q.double(), k.double()) / math.sqrt(q.shape[-1])
    weights = scores.exp() / scores.exp().sum(-1, keepdim=True)
    return torch.einsum("...qk,...ke->...qe", weights, v.double())


def attention_by_numpy(q, k, v):
    q, k, v = (np.asarray(x, dtype=float) for x in (q, k, v))
    scores = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True) @ v


def attention_by_queries(q, k, v):
    scale = math.sqrt(k.size(-1))
    mixed = []
    for i in range(q.shape[-2]):
        scores = (k * q[..., i : i + 1, :]).sum(dim=-1) / scale
        mixed.append((scores.softmax(dim=-1)[..., None] * v).sum(dim=-2))
    return torch.stack(mixed, dim=-2)


def attention_by_columns(q, k, v):
    weights = (k @ q.mT / q.shape[-1] ** 0.5).softmax(dim=-2)
    return (v.mT @ weights).mT


def attention_by_logarithms(q, k, v):
    return scores_of(q, k).log_softmax(dim=-1).exp() @ v


def attention_with_scaled_queries_and_keys(q, k, v):
    root = q.shape[-1] ** 0.25
    return F.softmax((q / root) @ (k / root).transpose(-2, -1), dim=-1).matmul(v)


def attention_in_place(q, k, v):
    q /= q.shape[-1] ** 0.5
    return (q @ k.mT).softmax(dim=-1) @ v


def attention_over_all(q, k, v):
    scores = scores_of(q, k)
    return scores.flatten(-2).softmax(dim=-1).view_as(scores) @ v


def attention_without_exponential(q, k, v):
    scores = scores_of(q, k)
    return scores / scores.sum(dim=-1, keepdim=True) @ v


def attention_to_the_best(q, k, v):
    best = scores_of(q, k).argmax(dim=-1)[..., None]
    return v.gather(-2, best.expand(*best.shape[:-1], v.shape[-1]))


def attention_by_cosines(q, k, v):
    return (F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).mT).softmax(dim=-1) @ v


def attention_with_reshaped_keys(q, k, v):
    turned = k.reshape(*k.shape[:-2], k.shape[-1], k.shape[-2])
    return (q @ turned / q.shape[-1] ** 0.5).softmax(dim=-1) @ v


def split_heads_by_chunks(states, heads):
    return torch.stack(states.chunk(heads, dim=2), dim=1)


def split_heads_by_permute(states, heads):
    return states.view(*states.shape[:2], heads, -1).permute(0, 2, 1, 3).contiguous()


def split_heads_by_slices(states, heads):
    d = states.shape[-1] // heads
    result = torch.empty(len(states), heads, states.shape[1], d)
    for head in range(heads):
        result[:, head] = states[..., head * d : (head + 1) * d]
    return result


def split_heads_by_numpy(states, heads):
    n, positions, width = states.shape
    return np.asarray(states).reshape(n, positions, heads, width // heads).swapaxes(1, 2)


def split_heads_by_einsum(states, heads):
    return torch.einsum("nphd->nhpd", states.unflatten(-1, (heads, -1))).double()


def split_heads_by_columns(states, heads):
    return states.transpose(1, 2).unflatten(1, (heads, -1)).transpose(2, 3)


def split_heads_in_place(states, heads):
    return states.resize_(*states.shape[:2], heads, states.shape[-1] // heads).transpose(1, 2)


def split_heads_with_the_batch_inside(states, heads):
    n, positions, _ = states.shape
    return states.reshape(positions, n, heads, -1).permute(1, 2, 0, 3)


def cut_width(states, heads):
    """Only the first of the two steps: n×positions×heads×d."""
    return states.reshape(*states.shape[:2], heads, -1)


def cross_attention_by_torch(picture, text, to_q, to_k, to_v):
    return F.scaled_dot_product_attention(
        (picture @ to_q)[None], (text @ to_k)[None], (text @ to_v)[None]
    )[0]


def cross_attention_by_linear(picture, text, to_q, to_k, to_v):
    q, k, v = F.linear(picture, to_q.T), F.linear(text, to_k.T), F.linear(text, to_v.T)
    return attention_by_einsum(q, k, v)


def cross_attention_by_positions(picture, text, to_q, to_k, to_v):
    k, v = text @ to_k, text @ to_v
    rows = []
    for position in picture:
        scores = k @ (position @ to_q) / math.sqrt(to_q.shape[1])
        rows.append(scores.softmax(dim=0) @ v)
    return torch.stack(rows)


def cross_attention_by_columns(picture, text, to_q, to_k, to_v):
    scores = (text @ to_k) @ (picture @ to_q).T / to_k.shape[-1] ** 0.5
    return scores.softmax(dim=0).T @ (text @ to_v)


def cross_attention_in_another_order(picture, text, to_q, to_k, to_v):
    scores = picture @ (to_q @ to_k.T) @ text.T / to_q.shape[-1] ** 0.5
    return scores.softmax(dim=1) @ text @ to_v


def cross_attention_by_numpy(picture, text, to_q, to_k, to_v):
    picture, text, to_q, to_k, to_v = (np.asarray(x) for x in (picture, text, to_q, to_k, to_v))
    return attention_by_numpy(picture @ to_q, text @ to_k, text @ to_v)


def cross_attention_with(attention, asks="picture", answers="text", says="text"):
    """A cross-attention with these sources of queries, keys and values, and this attention."""

    def answer(picture, text, to_q, to_k, to_v):
        source = {"picture": picture, "text": text}
        return attention(source[asks] @ to_q, source[answers] @ to_k, source[says] @ to_v)

    return answer


def attention_as_found(q, k, v):
    return (q @ k.T / q.shape[-1]).softmax(dim=0) @ v


divided_by_d = attention_with(lambda q, k, v: q.shape[-1])
over_the_queries = attention_over(0)
AS_FOUND = {"asks": "text", "answers": "picture"}


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


def unet_of_heights(channels, **changes):
    """A U-Net with attention at every height."""
    return unet_of(
        block_out_channels=channels,
        down_block_types=("CrossAttnDownBlock2D",) * len(channels),
        up_block_types=("CrossAttnUpBlock2D",) * len(channels),
        **changes,
    )


def unet_without_text():
    return UNet2DModel(
        in_channels=4,
        out_channels=4,
        block_out_channels=(32, 64),
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        norm_num_groups=8,
    )


ALL_SIX = "the shape is right, but 6 of 6 numbers are not"
NO_BOOLEAN = "RuntimeError: Boolean value of Tensor with more than one value is ambiguous"
NO_SIZE = "RuntimeError: The size of tensor a (4) must match the size of tensor b"


RIGHT = {
    "sinusoids": (
        sinusoids_by_powers,
        sinusoids_by_diffusers,
        sinusoids_by_loops,
        sinusoids_by_numpy,
        sinusoids_as_columns,
        sinusoids_by_shifted_sine,
    ),
    "attention": (
        attention_by_torch,
        attention_by_einsum,
        attention_by_numpy,
        attention_by_queries,
        attention_by_columns,
        attention_by_logarithms,
        attention_with_scaled_queries_and_keys,
    ),
    "split_heads": (
        split_heads_by_chunks,
        split_heads_by_permute,
        split_heads_by_slices,
        split_heads_by_numpy,
        split_heads_by_einsum,
        split_heads_by_columns,
        lambda states, heads: split_heads_by_slices(states, heads).tolist(),
    ),
    "cross_attention": (
        cross_attention_by_torch,
        cross_attention_by_linear,
        cross_attention_by_positions,
        cross_attention_by_columns,
        cross_attention_in_another_order,
        cross_attention_by_numpy,
    ),
    "own_unet": (
        unet_of,
        lambda: unet_of(block_out_channels=(16, 32, 64)),
        lambda: unet_of_heights((32, 64)),
        lambda: unet_of_heights((16, 32, 32, 32), sample_size=32),
        lambda: unet_of_heights((64,), layers_per_block=3),
        lambda: unet_of(layers_per_block=2, block_out_channels=[24, 32, 40]).half().eval(),
        lambda: unet_of(down_block_types=("DownBlock2D",) * 3, layers_per_block=2),
    ),
}

WRONG = {
    "sinusoids": (
        (lambda t, w: sinusoids_by_powers(t, w).roll(w // 2, dims=1), "the other way round"),
        (lambda t, w: get_timestep_embedding(t, w, downscale_freq_shift=0), "the other way round"),
        (
            lambda t, w: sinusoids_by_powers(t, w).unflatten(1, (2, -1)).transpose(1, 2).flatten(1),
            "cosine and sine alternate in yours",
        ),
        (
            lambda t, w: torch.stack([angles(t, w).sin(), angles(t, w).cos()], dim=2).flatten(1),
            "alternate, as in the paper",
        ),
        (
            lambda t, w: sinusoids_by_powers(t, 2 * w)[:, [*range(w // 2), *range(w, w + w // 2)]],
            "fall too slowly",
        ),
        (
            lambda t, w: get_timestep_embedding(t, w, flip_sin_to_cos=True, downscale_freq_shift=1),
            "width / 2 - 1",
        ),
        (lambda t, w: waves(t[:, None] * torch.logspace(0, -4, w // 2)), "divide by width / 2"),
        (sinusoids_from_one, "your k starts at 1"),
        (lambda t, w: angles(t, w).repeat(1, 2), "cosines and sines are missing"),
        (lambda t, w: waves(angles(t[:1], w)).repeat(len(t), 1), "only the first of the batch"),
        (lambda t, w: waves(angles(t, w).flip(1)), "stand in other places"),
        (lambda t, w: waves(angles(t, w, base=1_000.0)), "got [[-0.99, 0.9955, 0.1411, 0.09473]]"),
        (lambda t, w: waves(angles(t, w, base=1e8)), "got [[-0.99, 1, 0.1411, 0.0003]]"),
        (lambda t, w: waves(-angles(t, w)), "got [[-0.99, 0.9996, -0.1411, -0.03]]"),
        (lambda t, w: angles(t, w).cos().repeat(1, 2), "these are cosines twice; the second"),
        (lambda t, w: waves(t[:, None] * torch.ones(w // 2)), "[[-0.99, -0.99, 0.1411, 0.1411]]"),
        (lambda t, w: waves(angles(t, w)).flatten(), "shape 1×4 was expected, got 4"),
        (
            lambda t, w: torch.cat([angles(t, w).cos(), angles(t, w).sin()]),
            "shape 1×4 was expected, got 2×2",
        ),
        (
            lambda t, w: torch.stack([angles(t, w).cos(), angles(t, w).sin()], dim=1),
            "1×4 was expected, got 1×2×2",
        ),
        (lambda t, w: waves(angles(t, 2 * w)), "shape 1×4 was expected, got 1×8"),
        (lambda t, w: angles(t, w).cos(), "shape 1×4 was expected, got 1×2"),
        (lambda t, w: waves(angles(t, 4)), "shape 3×8 was expected, got 3×4"),
        (lambda t, w: (angles(t, w).cos(), angles(t, w).sin()), "for t = [3], width ="),
        (lambda t, w: waves(t * frequencies(w)), "Dimension out of range"),
        (lambda t, w: None, "does it end with `return`?"),
        (sinusoids_in_place, "changes its argument `t`"),
        (lambda t, w: waves(angles(t / 1000, w)), "t is divided by 1,000 first;"),
        (lambda t, w: waves(angles(t, w)).half(), "the numbers are nearly right, but"),
        (lambda t, w: waves(angles(t.sort().values, w)), "every number comes one place too"),
    ),
    "attention": (
        (attention_with(lambda q, k, v: v.shape[-1] ** 0.5), "root of the values' width"),
        (attention_with(lambda q, k, v: q.shape[-1]), "divide by √d"),
        (attention_with(lambda q, k, v: 1), "division by √d is missing"),
        (attention_with(lambda q, k, v: q.shape[-1] ** -0.5), "you multiply by √d"),
        (lambda q, k, v: attention_by_torch(q / q.shape[-1] ** 0.5, k, v), "divide by √d"),
        (attention_over(-2), "softmax over the queries"),
        (lambda q, k, v: scores_of(q, k).softmax(dim=-1), "these are the weights"),
        (lambda q, k, v: scores_of(q, k) @ v, "the softmax is missing"),
        (
            lambda q, k, v: (q @ k / q.shape[-1] ** 0.5).softmax(dim=-1) @ v,
            "cannot be multiplied (1x4 and 2x4)",
        ),
        (lambda q, k, v: v, "shape 1×2 was expected, got 2×2"),
        (lambda q, k, v: attention_by_torch(q, k, k), "shape 1×2 was expected, got 1×4"),
        (lambda q, k, v: attention_by_torch(q, k, v).mT, "shape 1×2 was expected, got 2×1"),
        (lambda q, k, v: attention_by_torch(q, k, v)[0], "shape 1×2 was expected, got 2"),
        (
            lambda q, k, v: (attention_by_torch(q, k, v), scores_of(q, k).softmax(dim=-1)),
            "for q = [[1, 0, 1,",
        ),
        (lambda q, k, v: attention_by_torch(-q, k, v), "got [[1, 2.642]]"),
        (attention_in_place, "changes its argument `q`"),
        (attention_with(lambda q, k, v: k.shape[-2] ** 0.5), "divided by the root of the"),
        (attention_over_all, "the softmax is taken over the"),
        (attention_without_exponential, "divided by the sum of the"),
        (
            lambda q, k, v: (q @ k.mT).softmax(dim=-1) / q.shape[-1] ** 0.5 @ v,
            "divided by √d *after* the softmax;",
        ),
        (
            lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
            "a causal mask is one too",
        ),
        (attention_by_cosines, "queries and keys are normalised here;"),
    ),
    "split_heads": (
        (lambda s, heads: s.reshape(len(s), heads, s.shape[1], -1), "in the wrong order"),
        (cut_width, "heads and positions are still exchanged"),
        (
            lambda s, heads: torch.stack(s.chunk(heads, dim=-1), dim=2),
            "heads and positions are still exchanged",
        ),
        (
            lambda s, heads: s.reshape(*s.shape[:2], -1, heads).permute(0, 3, 1, 2),
            "cut the wrong way",
        ),
        (
            lambda s, heads: torch.stack([s[..., i::heads] for i in range(heads)], dim=1),
            "the *first* d numbers",
        ),
        (lambda s, heads: cut_width(s, heads).permute(0, 2, 3, 1), "two dimensions are exchanged"),
        (
            lambda s, heads: s.transpose(1, 2).unflatten(1, (heads, -1)),
            "last two dimensions are exchanged",
        ),
        (lambda s, heads: split_heads_by_chunks(s, heads).flip(1), "reverse order along axis 1"),
        (lambda s, heads: split_heads_by_chunks(s, heads).roll(1, dims=1), "one place too late"),
        (lambda s, heads: cut_width(s, heads).transpose(2, 3), "their numbers are swapped"),
        (
            lambda s, heads: split_heads_by_chunks(s, heads).flatten(0, 1),
            "1×2×3×2 was expected, got 2×3×2",
        ),
        (lambda s, heads: torch.stack(s.chunk(heads, dim=-1)), "1×2×3×2 was expected, got 2×1×3×2"),
        (
            lambda s, heads: torch.stack(s.split(heads, dim=-1), dim=1),
            "2×3×5×4 was expected, got 2×4×5×3",
        ),
        (lambda s, heads: split_heads_by_chunks(s, 2), "2×3×5×4 was expected, got 2×2×5×6"),
        (lambda s, heads: split_heads_by_chunks(s[:1], heads), "2×3×5×4 was expected, got 1×3×5×4"),
        (lambda s, heads: s[:, None].repeat(1, heads, 1, 1), "1×2×3×2 was expected, got 1×2×3×4"),
        (lambda s, heads: s.chunk(heads, dim=-1), "for states = [[[0, 1, 2,"),
        (
            lambda s, heads: s.reshape(*s.shape[:2], heads, s.shape[2] / heads).transpose(1, 2),
            "tuple of ints,but got float",
        ),
        (
            lambda s, heads: s.reshape(*s.shape[:2], heads, s.shape[2]).transpose(1, 2),
            "'[1, 3, 2, 4]' is invalid",
        ),
        (split_heads_in_place, "changes its argument `states`"),
        (split_heads_with_the_batch_inside, "the numbers are right, but they"),
        (
            lambda s, heads: split_heads_by_permute(
                s.transpose(0, 1).reshape(len(s), s.shape[1], -1), heads
            ),
            "the numbers are right, but they",
        ),
        (
            lambda s, heads: split_heads_by_chunks(s, heads).half(),
            "the numbers are nearly right, but",
        ),
    ),
    "cross_attention": (
        (lambda x, c, q, k, v: attention_by_torch(x @ q, x @ k, x @ v), "this is self-attention"),
        (lambda x, c, q, k, v: attention_by_torch(c @ q, x @ k, x @ v), "the wrong way round"),
        (
            lambda x, c, q, k, v: attention_by_torch(x @ q, c @ k, x @ v),
            "values still come from the picture",
        ),
        (
            lambda x, c, q, k, v: attention_by_torch(x @ q, x @ k, c @ v),
            "keys still come from the picture",
        ),
        (
            lambda x, c, q, k, v: torch.softmax((x @ q) @ (c @ k).mT, -1) @ (c @ v),
            "division by √d is missing",
        ),
        (lambda x, c, q, k, v: attention_by_torch(x @ q, c @ k, c), "to_v is not used"),
        (lambda x, c, q, k, v: attention_by_torch(x, c, c), "three matrices are not used"),
        (
            lambda x, c, q, k, v: cross_attention_by_torch(x, c, q, v, k),
            "to_k and to_v are swapped",
        ),
        (lambda x, c, q, k, v: cross_attention_by_linear(x, c, q.T, k.T, v.T), "are transposed"),
        (lambda x, c, q, k, v: x + cross_attention_by_linear(x, c, q, k, v), "that comes later"),
        (
            lambda x, c, q, k, v: attention_by_torch(c @ q, c @ k, c @ v),
            "the queries still come from the",
        ),
        (
            lambda x, c, q, k, v: scores_of(x @ q, c @ k).softmax(dim=-1),
            "mix the values",
        ),
        (
            lambda x, c, q, k, v: (x @ q @ (c @ k) / q.shape[1] ** 0.5).softmax(dim=-1) @ (c @ v),
            "was expected, got",
        ),
        (lambda x, c, q, k, v: None, "does it end with `return`?"),
        (cross_attention_with(attention_as_found, **AS_FOUND), "nothing is mended yet"),
        (cross_attention_with(attention_as_found), "two mistakes are left"),
        (cross_attention_with(over_the_queries, **AS_FOUND), "line 1: the text still asks"),
        (cross_attention_with(divided_by_d, **AS_FOUND), "line 1: the text still asks"),
        (cross_attention_with(attention_by_torch, **AS_FOUND), "the text still asks: queries have"),
        (cross_attention_with(divided_by_d), "divide by √d"),
        (cross_attention_with(over_the_queries), "softmax over the positions; for every"),
        (
            cross_attention_with(
                lambda q, k, v: ((q @ k.T / q.shape[-1]) ** 0.5).softmax(dim=-1) @ v
            ),
            "was expected, got",
        ),
    ),
    "own_unet": (
        (lambda: torch.nn.Linear(2, 2), "a UNet2DConditionModel was expected, got Linear"),
        (lambda: UNet2DConditionModel, "UNet2DConditionModel was expected, got type"),
        (lambda: None, "UNet2DConditionModel was expected, got NoneType"),
        (lambda: dict(unet_of().config), "UNet2DConditionModel was expected, got dict"),
        (lambda: [unet_of()], "UNet2DConditionModel was expected, got list"),
        (unet_without_text, "UNet2DConditionModel was expected, got UNet2DModel"),
        (lambda: unet_of(block_out_channels=(64, 128, 128)), "fewer than 3,000,000"),
        (lambda: unet_of(layers_per_block=6), "fewer than 3,000,000 were asked for"),
        (lambda: unet_of(out_channels=3), "has to come out, got 3×32×32"),
        (lambda: unet_of(out_channels=8), "set in_channels and out_channels"),
        (lambda: unet_of(down_block_types=("DownBlock2D",) * 3), "middle: 5; at least 6"),
        (lambda: unet_of(up_block_types=("UpBlock2D",) * 3), "middle: 3; at least 6"),
        (
            lambda: unet_of(
                down_block_types=("DownBlock2D",) * 3, up_block_types=("UpBlock2D",) * 3
            ),
            "middle: 1; at least 6",
        ),
        (lambda: unet_of(norm_num_groups=32), "must be divisible by num_groups (32)"),
        (lambda: unet_of(block_out_channels=(32, 64)), "the same number of `block_out_channels`"),
        (
            lambda: unet_of(up_block_types=("CrossAttnUpBlock2D",) * 2),
            "the same number of `down_block_types`",
        ),
        (
            lambda: unet_of(down_block_types=("CrossAttnDownBlock",) * 3),
            "CrossAttnDownBlock does not exist",
        ),
        (lambda: unet_of(num_class_embeds=10), "class_labels should be provided"),
    ),
}

SHOWN = {
    "sinusoids": (
        (
            lambda t, w: waves(t[:, None] / frequencies(w)),
            "the minus of the exponent is missing: frequencies grow",
        ),
        (
            lambda t, w: waves(frequencies(w).repeat(len(t), 1)),
            "the angles are not multiplied by t",
        ),
        (
            lambda t, w: waves(t[:, None] * 100.0 ** -torch.arange(w // 2)),
            "the frequencies of width 4 at every width",
        ),
        (
            lambda t, w: waves(t[:, None].float() ** frequencies(w)),
            "t to the power of the frequency, not times it",
        ),
        (lambda t, w: waves(t[:, None] + frequencies(w)), "t plus the frequency, not times it"),
        (
            lambda t, w: waves(t[:, None] * -10_000.0 * torch.arange(w // 2) / (w // 2)),
            "10,000 times the exponent, not to the power of it",
        ),
        (
            lambda t, w: waves(t[:, None] * torch.arange(w // 2) * 10_000.0 ** (-2 / w)),
            "k is a factor, not in the exponent",
        ),
        (lambda t, w: waves(angles(t, w).deg2rad()), "the angles are taken for degrees"),
        (lambda t, w: waves(2 * math.pi * angles(t, w)), "a factor 2π too much"),
        (
            lambda t, w: waves(angles(t.bfloat16(), w)),
            "t in bfloat16: 999 becomes 1000, and two of three rows are right",
        ),
        (lambda t, w: waves(angles(t**0.5, w)), "the root of t"),
        (lambda t, w: waves(angles(t.unique(), w)), "a time that comes twice gets one row"),
    ),
    "attention": (
        (
            attention_with(lambda q, k, v: q.shape[-2] ** 0.5),
            "the root of the number of queries, not of their width",
        ),
        (attention_with(lambda q, k, v: q.shape[1] ** 0.5), "shape[1] is d only without a batch"),
        (attention_over(0), "the softmax runs over the first dimension"),
        (attention_over(1), "dim=1 is that of the keys only without a batch"),
        (
            lambda q, k, v: scores_of(q, k).exp() @ v,
            "the exponentials are not divided by their sum",
        ),
        (lambda q, k, v: scores_of(q, k).sigmoid() @ v, "a sigmoid in place of the softmax"),
        (
            lambda q, k, v: attention_by_torch(q, k, v) / q.shape[-1] ** 0.5,
            "the result is divided by √d in addition to the scores",
        ),
        (
            lambda q, k, v: (scores_of(q, k) @ v).softmax(dim=-1),
            "the softmax is taken of the result, not of the scores",
        ),
        (
            lambda q, k, v: q @ (k.mT / q.shape[-1] ** 0.5).softmax(dim=-1) @ v,
            "the softmax is taken of the keys, not of the scores",
        ),
        (
            lambda q, k, v: scores_of(q, k).softmax(dim=-1).softmax(dim=-1) @ v,
            "the softmax is taken twice",
        ),
        (lambda q, k, v: scores_of(q, k).log_softmax(dim=-1) @ v, "the logarithms of the weights"),
        (attention_with_reshaped_keys, "the keys are reshaped, not turned over"),
        (attention_to_the_best, "only the best key counts"),
        (
            lambda q, k, v: v.mean(dim=-2, keepdim=True).expand(*q.shape[:-1], -1),
            "all keys count alike",
        ),
        (
            lambda q, k, v: scores_of(q, k).relu().softmax(dim=-1) @ v,
            "negative scores are set to 0",
        ),
        (attention_with(lambda q, k, v: math.log2(q.shape[-1])), "log₂ d in place of √d"),
        (attention_with(lambda q, k, v: math.isqrt(q.shape[-1])), "the root is rounded down"),
        (
            lambda q, k, v: scores_of(q, k).clamp(-10, 10).softmax(dim=-1) @ v,
            "large scores are cut off",
        ),
    ),
    "split_heads": (
        (lambda s, heads: split_heads_by_chunks(s, heads).int(), "made whole numbers"),
        (
            lambda s, heads: split_heads_by_chunks(s, math.isqrt(s.shape[-1])),
            "the number of heads is not used: it is guessed from the width",
        ),
    ),
    "cross_attention": (
        (
            cross_attention_with(attention_by_torch, asks="text", says="picture"),
            "the text asks the text, and the values are the picture's",
        ),
        (
            cross_attention_with(attention_with(lambda q, k, v: q.shape[-1] ** -0.5)),
            "multiplied by √d",
        ),
        (
            cross_attention_with(attention_with(lambda q, k, v: len(k) ** 0.5)),
            "divided by the root of the number of words",
        ),
        (
            cross_attention_with(attention_with(lambda q, k, v: 2)),
            "divided by 2, whatever the width",
        ),
        (cross_attention_with(lambda q, k, v: scores_of(q, k) @ v), "the softmax is missing"),
        (
            cross_attention_with(lambda q, k, v: scores_of(q, k).softmax(dim=-1).T @ v),
            "the weights are turned over",
        ),
        (
            cross_attention_with(attention_over_all),
            "one softmax over all positions and words together",
        ),
        (
            lambda x, c, q, k, v: cross_attention_by_torch(x, c, k, q, v),
            "to_q and to_k are exchanged",
        ),
        (
            lambda x, c, q, k, v: cross_attention_by_torch(x, c, q, k, v.T),
            "only to_v is turned over",
        ),
        (
            lambda x, c, q, k, v: cross_attention_by_torch(x, torch.cat([c, x]), q, k, v),
            "the picture answers, too",
        ),
        (
            cross_attention_with(
                lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True)
            ),
            "later words are masked",
        ),
        (
            lambda x, c, q, k, v: cross_attention_by_torch(x, c[: len(x)], q, k, v),
            "no more words than positions are read",
        ),
    ),
}
