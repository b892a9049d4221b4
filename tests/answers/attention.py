"""Answers to the exercises of lesson 06_attention_maps."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from answers import on_copies


def word_map_by_columns(probabilities, positions, size):
    columns = [probabilities[..., position].double() for position in positions]
    return torch.stack(columns).sum(0).mean(0).view(*size)


def word_map_by_einsum(probabilities, positions, size):
    chosen = torch.zeros(probabilities.shape[2])
    chosen[positions] = 1
    return (torch.einsum("hqw,w->q", probabilities, chosen) / len(probabilities)).unflatten(0, size)


def inside_by_numpy(heat, mask):
    row, column = np.unravel_index(heat.numpy().argmax(), heat.shape)
    y = int((row + 0.5) * mask.shape[0] / heat.shape[0])
    return mask[y, int((column + 0.5) * mask.shape[1] / heat.shape[1])]


def inside_by_enlarging(heat, mask):
    size = tuple(2 * side for side in mask.shape)
    large, rows = (
        F.interpolate(heat[None, None], size, mode="nearest")[0, 0],
        F.interpolate(mask[None, None].float(), size, mode="nearest")[0, 0],
    )
    ys, xs = (large == large.max()).nonzero(as_tuple=True)
    middle = (ys.min() + ys.max() + 1) // 2, (xs.min() + xs.max() + 1) // 2
    return float(rows[middle])


def iou_by_sorting(heat, mask):
    least = heat.flatten().sort(descending=True).values[int(mask.sum()) - 1]
    chosen = heat >= least
    return float((chosen & mask).sum()) / float((chosen | mask).sum())


def iou_by_sets(heat, mask):
    order = heat.flatten().argsort(descending=True)[: mask.sum()]
    chosen, true = set(order.tolist()), set(mask.flatten().nonzero()[:, 0].tolist())
    return torch.tensor(len(chosen & true) / len(chosen | true))


def reweighted_by_logarithm(scores, position, factor):
    scores[..., position] += math.log(factor) if factor else -math.inf
    return scores.softmax(dim=-1)


def reweighted_by_exp(scores, position, factor):
    e = scores.double().exp()
    e[..., position] *= factor
    return e / e.sum(-1, keepdim=True)


def map_of_up_layers(maps, positions):
    return maps.select(layers=["up.2.1", "up.1.1", "up.2.0"]).of_words(positions)[0]


def map_of_three_layers(maps, positions):
    chosen = [
        maps.select(layers=[name]).of_words(positions) for name in ("up.1.1", "up.2.0", "up.2.1")
    ]
    return sum(F.interpolate(heat[None], (32, 32), mode="bilinear")[0, 0] for heat in chosen)


def _inside_with(heat, mask, same=None, whole=int):
    """The pointing score with one scale for both axes, or with another way to whole numbers."""
    place = divmod(int(heat.argmax()), heat.shape[1])
    scales = [m / h for m, h in zip(mask.shape, heat.shape, strict=True)]
    scales = scales if same is None else [scales[same]] * 2
    y, x = (whole((p + 0.5) * scale) for p, scale in zip(place, scales, strict=True))
    return bool(mask[min(y, len(mask) - 1), min(x, mask.shape[1] - 1)])


RIGHT = {
    "word_map": (word_map_by_columns, word_map_by_einsum),
    "inside": (inside_by_numpy, inside_by_enlarging),
    "iou": (iou_by_sorting, iou_by_sets),
    "reweighted": (on_copies(reweighted_by_logarithm), reweighted_by_exp),
    "own_map": (map_of_up_layers, map_of_three_layers),
}

WRONG = {
    "word_map": (
        (
            lambda p, positions, size: p[:, :, positions].mean(2).mean(0).reshape(size),
            "*add* their shares",
        ),
        (
            lambda p, positions, size: p[:, :, positions[0]].mean(0).reshape(size),
            ("only the first piece"),
        ),
        (
            lambda p, positions, size: p[:, :, positions].sum(2).sum(0).reshape(size),
            ("heads are added up"),
        ),
        (
            lambda p, positions, size: p[:, :, positions].sum(2).mean(0).reshape(size[::-1]).T,
            "row by row",
        ),
        (
            lambda p, positions, size: p[:, :, positions].sum(2).mean(0).reshape(size[::-1]),
            "size is (height, width)",
        ),
    ),
    "inside": (
        (lambda h, m: _inside_with(h, m, same=0), "height's factor"),
        (lambda h, m: _inside_with(h, m, same=1), "width's factor"),
        (lambda h, m: _inside_with(h, m, whole=round), "rounded"),
        (lambda h, m: m[divmod(int(h.argmax()), h.shape[1])], "scale them"),
        (lambda h, m: inside_by_numpy(h.T, m), "row and column are exchanged"),
        (lambda h, m: inside_by_numpy(-h, m), "*weakest*"),
        (lambda h, m: ~inside_by_numpy(h, m), "the opposite"),
        (
            lambda h, m: m[
                int(h.argmax()) // h.shape[1] * m.shape[0] // h.shape[0],
                int(h.argmax()) % h.shape[1] * m.shape[1] // h.shape[1],
            ],
            "take its centre",
        ),
    ),
    "iou": (
        (
            lambda h, m: (
                (h.flatten()[m.flatten()] >= h.flatten().topk(int(m.sum())).values[-1])
                .double()
                .mean()
            ),
            "*union*",
        ),
        (lambda h, m: iou_by_sets(-h, m), "weakest positions"),
        (
            lambda h, m: ((h > h.max() / 2) & m).sum() / ((h > h.max() / 2) | m).sum(),
            "half the maximum",
        ),
    ),
    "reweighted": (
        (reweighted_by_logarithm, "changes its argument"),
        (
            lambda s, position, f: s.index_copy(
                -1, torch.tensor([position]), s[..., [position]] * f
            ).softmax(-1),
            "*scores*",
        ),
        (
            lambda s, position, f: s.index_add(
                -1, torch.tensor([position]), torch.full_like(s[..., :1], f)
            ).softmax(-1),
            "added",
        ),
        (
            lambda s, position, f: (
                s.softmax(-1) * (1 + (f - 1) * F.one_hot(torch.tensor(position), s.shape[-1]))
            ),
            "sum to 1",
        ),
        (lambda s, position, f: s.softmax(-1), "nothing was changed"),
    ),
    "own_map": (
        (
            lambda maps, positions: maps.of_words(positions),
            ("one map [h, w] was expected, got 1×32×32"),
        ),
        (
            lambda maps, positions: maps.select(side=8).of_words(positions)[0],
            "at least 60 % was asked for",
        ),
        (lambda maps, positions: maps.of_words(positions)[0] / 0, "NaN or infinity"),
        (lambda maps, positions: maps.of_words(positions)[0], "combine layers that score well"),
    ),
}
