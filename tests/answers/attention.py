"""Answers to the exercises of lesson 06_attention_maps."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from answers import on_copies

GOOD_LAYERS = ["up.1.1", "up.2.0", "up.2.1"]


# The map of a word


def shares(weights, positions):
    """Pieces added, heads averaged: one number for each position in the picture."""
    return weights[:, :, positions].sum(2).mean(0)


def word_map_by_columns(weights, positions, size):
    columns = [weights[..., position].double() for position in positions]
    return torch.stack(columns).sum(0).mean(0).view(*size)


def word_map_by_einsum(weights, positions, size):
    chosen = torch.zeros(weights.shape[2])
    chosen[positions] = 1
    return (torch.einsum("hqw,w->q", weights, chosen) / len(weights)).unflatten(0, size)


def word_map_by_lists(weights, positions, size):
    height, width = size
    flat = [
        sum(float(head[place][position]) for head in weights for position in positions)
        / len(weights)
        for place in range(height * width)
    ]
    return [flat[row * width : (row + 1) * width] for row in range(height)]


def word_map_by_numpy(weights, positions, size):
    chosen = np.asarray(weights, dtype=np.float64)[:, :, positions]
    return chosen.sum(axis=2).mean(axis=0).reshape(size)


def word_map_from_columns_of_the_picture(weights, positions, size):
    flat = weights.mean(0)[:, positions].sum(1)
    return torch.stack([flat[column :: size[1]] for column in range(size[1])]).T


def word_map_reshaped_first(weights, positions, size):
    return weights.reshape(-1, *size, weights.shape[-1])[..., positions].sum(-1).mean(0)


def word_map_in_place(weights, positions, size):
    weights /= len(weights)
    return weights[:, :, positions].sum(dim=(0, 2)).reshape(size)


def word_map_stretched(weights, positions, size):
    flat = shares(weights, positions)
    return ((flat - flat.min()) / (flat.max() - flat.min())).reshape(size)


def word_map_that_sums_to_one(weights, positions, size):
    flat = shares(weights, positions)
    return (flat / flat.sum()).reshape(size)


def word_map_of_a_range(weights, positions, size):
    return shares(weights, range(positions[0], positions[-1] + 1)).reshape(size)


def word_map_of_a_range_without_the_last(weights, positions, size):
    return shares(weights, slice(positions[0], positions[-1])).reshape(size)


def word_map_of_mixed_heads(weights, positions, size):
    heads, places, tokens = weights.shape
    return weights.reshape(places, heads, tokens)[:, :, positions].sum(2).mean(1).reshape(size)


# The pointing game


def inside_by_numpy(heat, mask):
    row, column = np.unravel_index(heat.numpy().argmax(), heat.shape)
    y = int((row + 0.5) * mask.shape[0] / heat.shape[0])
    return mask[y, int((column + 0.5) * mask.shape[1] / heat.shape[1])]


def inside_by_whole_numbers(heat, mask):
    (h, w), (height, width) = heat.shape, mask.shape
    row, column = divmod(int(heat.argmax()), w)
    return bool(mask[(2 * row + 1) * height // (2 * h), (2 * column + 1) * width // (2 * w)])


def inside_by_loop(heat, mask):
    best, place = -math.inf, (0, 0)
    for row, line in enumerate(heat.tolist()):
        for column, value in enumerate(line):
            if value > best:
                best, place = value, (row, column)
    y, x = (
        math.floor((number + 0.5) / few * many)
        for number, few, many in zip(place, heat.shape, mask.shape, strict=True)
    )
    return int(mask[y][x])


def inside_by_shrinking_the_mask(heat, mask):
    small = F.interpolate(mask[None, None].float(), heat.shape, mode="nearest-exact")
    return small.flatten()[heat.argmax()] > 0


def inside_by_maxima_of_rows_and_columns(heat, mask):
    row, column = heat.amax(dim=1).argmax(), heat.amax(dim=0).argmax()
    y = ((row + 0.5) / heat.shape[0] * mask.shape[0]).long()
    return mask[y, ((column + 0.5) / heat.shape[1] * mask.shape[1]).long()]


def _place(heat):
    return divmod(int(heat.argmax()), heat.shape[1])


def _centre(number, few, many):
    return (number + 0.5) / few * many


def _looked_up(heat, mask, place=_place, scaled=_centre, whole=int):
    """The pointing score with another place, scale or way to whole numbers."""
    (row, column), (h, w), (height, width) = place(heat), heat.shape, mask.shape
    return mask[whole(scaled(row, h, height)), whole(scaled(column, w, width))]


def _inside_with(heat, mask, same=None, whole=int):
    """The pointing score with one scale for both axes, or with another way to whole numbers."""
    place = _place(heat)
    scales = [m / h for m, h in zip(mask.shape, heat.shape, strict=True)]
    scales = scales if same is None else [scales[same]] * 2
    y, x = (whole((p + 0.5) * scale) for p, scale in zip(place, scales, strict=True))
    return bool(mask[min(y, len(mask) - 1), min(x, mask.shape[1] - 1)])


def inside_of_the_enlarged_map(heat, mask, mode="nearest"):
    large = F.interpolate(heat[None, None], mask.shape, mode=mode)
    return mask.flatten()[large.argmax()]


def inside_in_place(heat, mask):
    heat -= heat.max()
    return inside_by_whole_numbers(heat, mask)


def _cell(heat, mask):
    """The pixels of the strongest position."""
    (row, column), (h, w), (height, width) = _place(heat), heat.shape, mask.shape
    return mask[
        row * height // h : (row + 1) * height // h,
        column * width // w : (column + 1) * width // w,
    ]


def _centre_of_mass(heat):
    rows, columns = torch.arange(len(heat)), torch.arange(heat.shape[1])
    total = heat.sum()
    return float(heat.sum(1) @ rows.float() / total), float(heat.sum(0) @ columns.float() / total)


def inside_with_one_half(heat, mask, axis):
    place = [
        number + 0.5 * (number_axis == axis) for number_axis, number in enumerate(_place(heat))
    ]
    return _looked_up(heat, mask, lambda _: place, lambda number, few, many: number / few * many)


def inside_with_shapes_exchanged(heat, mask):
    (row, column), (h, w), (height, width) = _place(heat), heat.shape, mask.shape
    y, x = int((row + 0.5) / w * height), int((column + 0.5) / h * width)
    return mask[min(y, height - 1), min(x, width - 1)]


def inside_by_mean_over_a_small_mask(heat, mask):
    small = F.adaptive_avg_pool2d(mask[None].float(), heat.shape)[0] > 0.5
    return small.any() and (small.all() or heat[small].mean() > heat[~small].mean())


def _strongest_of_strongest_row(heat):
    row = int(heat.mean(1).argmax())
    return row, int(heat[row].argmax())


def inside_by_one_of_three(heat, mask):
    strongest = heat.flatten().topk(min(3, heat.numel())).indices.tolist()
    width = heat.shape[1]
    return any(bool(_looked_up(heat, mask, lambda _, n=n: divmod(n, width))) for n in strongest)


# Intersection over union


def iou_by_sets(heat, mask):
    order = heat.flatten().argsort(descending=True)[: mask.sum()]
    chosen, true = set(order.tolist()), set(mask.flatten().nonzero()[:, 0].tolist())
    return torch.tensor(len(chosen & true) / len(chosen | true))


def iou_by_numpy(heat, mask):
    flat, true = np.asarray(heat, dtype=np.float64).ravel(), np.asarray(mask).ravel()
    chosen = np.zeros_like(true)
    chosen[np.argsort(-flat, kind="stable")[: true.sum()]] = True
    return np.logical_and(chosen, true).sum() / np.logical_or(chosen, true).sum()


def iou_by_ranks(heat, mask):
    ranks = heat.flatten().argsort(descending=True).argsort()
    chosen = (ranks < mask.sum()).reshape(mask.shape)
    return (chosen * mask).sum() / (chosen + mask).sum()


def iou_from_hits(heat, mask):
    count = int(mask.sum())
    hits = mask.flatten().gather(0, heat.flatten().topk(count).indices).sum()
    return hits / (2 * count - hits)


def iou_from_dice(heat, mask):
    dice = mask.flatten()[heat.flatten().topk(int(mask.sum())).indices].double().mean()
    return dice / (2 - dice)


def _strongest(heat, count, largest=True):
    chosen = torch.zeros(heat.numel(), dtype=torch.bool)
    chosen[heat.flatten().topk(int(count), largest=largest).indices] = True
    return chosen.reshape(heat.shape)


def _overlap(chosen, mask):
    return (chosen & mask).sum() / (chosen | mask).sum()


def from_regions(score):
    """An answer that scores the intersection, the union, the chosen region and the mask."""

    def answer(heat, mask):
        chosen = _strongest(heat, mask.sum())
        return score((chosen & mask).sum(), (chosen | mask).sum(), chosen, mask)

    return answer


def iou_in_place(heat, mask):
    chosen = _strongest(heat, mask.sum())
    shared = (chosen & mask).sum()
    mask |= chosen
    return shared / mask.sum()


def iou_row_by_row(heat, mask):
    chosen = [_strongest(*row) for row in zip(heat, mask.sum(1), strict=True)]
    return _overlap(torch.stack(chosen), mask)


def iou_above_the_least(heat, mask):
    least = heat.flatten().topk(int(mask.sum())).values[-1]
    return _overlap(heat > least, mask)


def iou_with_all_ties(heat, mask):
    least = heat.flatten().topk(int(mask.sum())).values[-1]
    return _overlap(heat >= least, mask)


# Three times the weight


def _times(weights, position, factor):
    """A copy with the weight at one position multiplied."""
    weights = weights.clone()
    weights[..., position] *= factor
    return weights


def _plus(scores, position, number):
    scores = scores.clone()
    scores[..., position] += number
    return scores


def _log(factor, at_zero=-math.inf):
    return math.log(factor) if factor else at_zero


def _to_sum_one(weights):
    return weights / weights.sum(dim=-1, keepdim=True)


def reweighted_by_logarithm(scores, position, factor):
    scores[..., position] += math.log(factor) if factor else -math.inf
    return scores.softmax(dim=-1)


def reweighted_by_exp(scores, position, factor):
    e = scores.double().exp()
    e[..., position] *= factor
    return e / e.sum(-1, keepdim=True)


def reweighted_by_loop(scores, position, factor):
    rows = []
    for row in scores.reshape(-1, scores.shape[-1]).tolist():
        e = [math.exp(score - max(row)) for score in row]
        e[position] *= factor
        rows.append([number / sum(e) for number in e])
    return torch.tensor(rows).reshape(scores.shape)


def reweighted_by_numpy(scores, position, factor):
    scores = np.asarray(scores, dtype=np.float64)
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    e[..., position] *= factor
    return e / e.sum(axis=-1, keepdims=True)


def reweighted_by_one_hot(scores, position, factor):
    one_hot = F.one_hot(torch.tensor(position), scores.shape[-1])
    return F.normalize(scores.softmax(-1) * (1 + (factor - 1) * one_hot), p=1, dim=-1)


def reweighted_by_formula(scores, position, factor):
    weights = scores.softmax(-1)
    total = 1 + (factor - 1) * weights[..., position]
    return torch.einsum("...t,...->...t", _times(weights, position, factor), 1 / total)


def reweighted_with_all_others(scores, position, factor):
    weights = scores.softmax(-1)
    others = torch.arange(scores.shape[-1]) != position
    return _to_sum_one(torch.where(others, weights * factor, weights))


def reweighted_without_keepdim(scores, position, factor):
    weights = _times(scores.softmax(-1), position, factor)
    return weights / weights.sum(-1)


def reweighted_by_sums_of_columns(scores, position, factor):
    weights = _times(scores.softmax(-1), position, factor)
    return weights / weights.sum(0, keepdim=True)


def reweighted_by_sum_of_all(scores, position, factor):
    weights = _times(scores.softmax(-1), position, factor)
    return weights / weights.sum()


def reweighted_by_mean(scores, position, factor):
    weights = _times(scores.softmax(-1), position, factor)
    return weights / weights.mean(-1, keepdim=True)


def reweighted_by_largest(scores, position, factor):
    weights = _times(scores.softmax(-1), position, factor)
    return weights / weights.amax(-1, keepdim=True)


def reweighted_along(dim):
    def answer(scores, position, factor):
        return _to_sum_one(_times(scores.softmax(dim), position, factor))

    return answer


def reweighted_unless_zero(scores, position, factor):
    return reweighted_by_formula(scores, position, factor or 1)


def reweighted_with_the_rest_squeezed(scores, position, factor):
    weights = scores.softmax(-1)
    share = weights[..., [position]]
    squeezed = weights * (1 - share * factor) / (1 - share)
    squeezed[..., position] = weights[..., position] * factor
    return squeezed


def reweighted_by_power(scores, position, factor):
    weights = scores.softmax(-1)
    weights[..., position] **= factor
    return _to_sum_one(weights)


def reweighted_in_halves(scores, position, factor):
    return _to_sum_one(_times(scores.half().softmax(-1), position, factor))


def reweighted_in_two_dimensions(scores, position, factor):
    weights = scores.softmax(-1)
    weights[:, position] *= factor
    return _to_sum_one(weights)


def reweighted_by_naive_exp(scores, position, factor):
    return _to_sum_one(_times(scores.exp(), position, factor))


def reweighted_by_shift_of_all(scores, position, factor):
    return _to_sum_one(_times((scores - scores.max()).exp(), position, factor))


# A map of your own


def of_layers(*layers, head=None):
    def answer(maps, positions):
        return maps.select(layers=list(layers)).of_words(positions, head)[0]

    return answer


def of_good_layers(change=lambda heat: heat, positions_read=lambda positions: positions):
    """The good answer with its map changed, or with the positions changed before."""

    def answer(maps, positions):
        return change(of_layers(*GOOD_LAYERS)(maps, positions_read(positions)))

    return answer


def _smoothed(heat):
    padded = F.pad(heat[None, None], (1, 1, 1, 1), mode="replicate")
    return F.avg_pool2d(padded, 3, 1)[0, 0]


def _enlarged(heat, side=32):
    return F.interpolate(heat[None, None], (side, side), mode="bilinear")[0, 0]


def map_of_up_layers(maps, positions):
    return maps.select(layers=["up.2.1", "up.1.1", "up.2.0"]).of_words(positions)[0]


def map_of_three_layers(maps, positions):
    chosen = [
        maps.select(layers=[name]).of_words(positions) for name in ("up.1.1", "up.2.0", "up.2.1")
    ]
    return sum(F.interpolate(heat[None], (32, 32), mode="bilinear")[0, 0] for heat in chosen)


def map_of_both_sizes_on_the_way_up(maps, positions):
    large = of_layers("up.2.0", "up.2.1")(maps, positions)
    return large + _enlarged(of_layers("up.1.0", "up.1.1")(maps, positions))


def map_among_all_words(maps, positions):
    chosen = maps.select(layers=GOOD_LAYERS)
    return (chosen.of_words(positions) / chosen.of_words(list(range(1, 77))))[0]


def map_of_largest_layer_values(maps, positions):
    return list(maps)[-1].values[0, :, positions].sum(1).mean(0)


CRASH = "RuntimeError: The size of tensor a ({}) must match the size of tensor b ({}) at"
HEIGHT = "both axes are scaled by the height's factor"


RIGHT = {
    "word_map": (
        word_map_by_columns,
        word_map_by_einsum,
        word_map_by_lists,
        word_map_by_numpy,
        word_map_from_columns_of_the_picture,
        word_map_reshaped_first,
    ),
    "inside": (
        inside_by_numpy,
        inside_by_whole_numbers,
        inside_by_loop,
        inside_by_shrinking_the_mask,
        inside_by_maxima_of_rows_and_columns,
    ),
    "iou": (
        iou_by_sets,
        iou_by_numpy,
        iou_by_ranks,
        iou_from_hits,
        iou_from_dice,
    ),
    "reweighted": (
        on_copies(reweighted_by_logarithm),
        reweighted_by_exp,
        reweighted_by_loop,
        reweighted_by_numpy,
        reweighted_by_one_hot,
        reweighted_by_formula,
    ),
    "own_map": (
        map_of_up_layers,
        map_of_three_layers,
        map_of_both_sizes_on_the_way_up,
        map_among_all_words,
        of_layers("up.1.0", "up.1.1", "up.2.0", "up.2.1"),
        of_good_layers(lambda heat: _smoothed(heat).tolist()),
        of_good_layers(lambda heat: (100 * heat.double()).numpy()),
        of_good_layers(lambda heat: _enlarged(heat, 512)),
    ),
}

WRONG = {
    "word_map": (
        (lambda w, at, size: w[:, :, at].mean(2).mean(0).reshape(size), "*add* their shares"),
        (lambda w, at, size: w[:, :, at[0]].mean(0).reshape(size), "only the first piece"),
        (lambda w, at, size: w[:, :, at].sum(2).sum(0).reshape(size), "heads are added up"),
        (lambda w, at, size: shares(w, at).reshape(size[::-1]).T, "row by row"),
        (lambda w, at, size: shares(w, at).reshape(size[::-1]), "size is (height, width)"),
        (lambda w, at, size: w[0][:, at].sum(1).reshape(size), "only the first head"),
        (lambda w, at, size: w[:, :, at].amax(2).mean(0).reshape(size), "largest of the pieces"),
        (lambda w, at, size: shares(w, at).softmax(0).reshape(size), "one too many"),
        (lambda w, at, size: shares(w, at), "1×2 was expected, got 2"),
        (lambda w, at, size: w[:, :, at].sum(2).reshape(-1, *size), "expected, got 2×1×2"),
        (lambda w, at, size: shares(w, at).reshape(1, *size), "expected, got 1×1×2"),
        (lambda w, at, size: shares(w, at).reshape(size).T, "expected, got 2×1"),
        (lambda w, at, size: w[:, :, at].reshape(size), "is invalid for input"),
        (lambda w, at, size: 1 - shares(w, at).reshape(size), "1 minus what was asked"),
        (lambda w, at, size: shares(w, at).reshape(size).flip(0), "in reverse order"),
        (lambda w, at, size: print(shares(w, at).shape), "does it end with"),
        (
            lambda w, at, size: w[:, :, at].sum(2).amax(0).reshape(size),
            "the largest of the heads is",
        ),
        (lambda w, at, size: w.sum(2).mean(0).reshape(size), "all words are added up, which"),
        (word_map_stretched, "stretched to go from 0 to"),
        (word_map_that_sums_to_one, "divided by the sum over the"),
        (word_map_in_place, "changes its argument"),
        (lambda w, at, size: w[:, :, at[-1]].mean(0).reshape(size), "only the last piece of the"),
        (
            lambda w, at, size: w[:, at].sum(1).mean(0).reshape(size),
            "IndexError: index 2 is out of",
        ),
        (lambda w, at, size: w[-1][:, at].sum(1).reshape(size), "only the last head is used;"),
    ),
    "inside": (
        (lambda h, m: _inside_with(h, m, same=0), "height's factor"),
        (lambda h, m: _inside_with(h, m, same=1), "width's factor"),
        (lambda h, m: _inside_with(h, m, whole=round), "rounded to the nearest pixel"),
        (lambda h, m: m[_place(h)], "scale them"),
        (lambda h, m: inside_by_numpy(h.T, m), "1 was expected, got 0"),
        (lambda h, m: inside_by_numpy(-h, m), "*weakest* position"),
        (lambda h, m: ~inside_by_numpy(h, m), "the opposite"),
        (lambda h, m: _looked_up(h, m, scaled=lambda n, f, k: n / f * k), "take its centre"),
        (
            lambda h, m: _looked_up(h, m, scaled=lambda n, f, k: n / f * k + 0.5),
            "1 was expected, got 0",
        ),
        (inside_of_the_enlarged_map, "1 was expected, got 0"),
        (
            lambda h, m: _looked_up(h, m, lambda h: divmod(int(h.argmax()), h.shape[0])),
            "dividing by the *width*",
        ),
        (lambda h, m: _looked_up(h, m, whole=math.ceil), "is out of bounds"),
        (lambda h, m: m[h.argmax()], "is out of bounds"),
        (lambda h, m: _place(h), "a single number was expected, got shape 2"),
        (lambda h, m: m, "a single number was expected, got shape 2×3"),
        (lambda h, m: "yes" if inside_by_numpy(h, m) else "no", "expected, got str"),
        (lambda h, m: 1 + int(inside_by_numpy(h, m)), "1 too large"),
        (lambda h, m: print(inside_by_numpy(h, m)), "does it end with"),
        (inside_in_place, "changes its argument"),
        (lambda h, m: m.flatten()[h.argmax()], "`argmax` counts through the whole map,"),
        (
            lambda h, m: _looked_up(
                h, m, lambda h: (int(h.sum(1).argmax()), int(h.sum(0).argmax()))
            ),
            "the strongest *row* and the strongest",
        ),
        (
            lambda h, m: _looked_up(h, m, scaled=lambda n, few, many: (n + 0.5) * (many // few)),
            "how many pixels a position has",
        ),
        (
            lambda h, m: _looked_up(h, m, whole=lambda number: math.ceil(number) - 1),
            "one pixel too early where the",
        ),
        (
            lambda h, m: _looked_up(h, m, lambda h: divmod(int(h.abs().argmax()), h.shape[1])),
            "the strongest is the largest, not",
        ),
    ),
    "iou": (
        (
            from_regions(lambda both, either, chosen, mask: both / mask.sum()),
            "the intersection is divided by the",
        ),
        (lambda h, m: iou_by_sets(-h, m), "weakest positions"),
        (lambda h, m: _overlap(h > h.max() / 2, m), "half the maximum"),
        (lambda h, m: _overlap(h > h.mean(), m), "above the mean"),
        (
            from_regions(lambda both, either, chosen, mask: both / (chosen.sum() + mask.sum())),
            "shared ones count twice",
        ),
        (
            from_regions(lambda both, either, chosen, mask: 1 - both / either),
            "this is 1 minus the score",
        ),
        (
            from_regions(lambda both, either, chosen, mask: either / both),
            "union over intersection: upside down",
        ),
        (from_regions(lambda both, either, chosen, mask: 100 * both / either), "100 times what"),
        (from_regions(lambda both, either, *_: (both / either).sqrt()), "the square root of"),
        (from_regions(lambda both, either, *_: either), "0.5 was expected, got 4"),
        (from_regions(lambda both, either, *_: both // either), "0.5 was expected, got 0"),
        (
            from_regions(lambda both, either, *_: (both, either)),
            "a single number was expected, got shape 2",
        ),
        (
            from_regions(lambda both, either, chosen, mask: chosen),
            "a single number was expected, got shape 2×3",
        ),
        (from_regions(lambda both, either, *_: print(both / either)), "does it end with"),
        (
            lambda h, m: h.flatten().topk(int(m.sum())).values,
            "a single number was expected, got shape 3",
        ),
        (lambda h, m: _overlap(_strongest(h, m.sum()).flatten(), m), "must match the size"),
        (lambda h, m: _overlap(_strongest(h, m.sum() + 1), m), "one position too many is taken"),
        (lambda h, m: 1.0, "0.5 was expected, got 1"),
        (iou_in_place, "changes its argument"),
        (from_regions(lambda both, either, chosen, mask: both), "this is the number of shared"),
        (
            from_regions(lambda both, either, chosen, mask: 2 * both / (chosen.sum() + mask.sum())),
            "the intersection is divided by the",
        ),
        (
            from_regions(lambda both, either, chosen, mask: (chosen == mask).float().mean()),
            "this is the share of *all*",
        ),
        (iou_with_all_ties, "where several are equally strong, `>=`"),
    ),
    "reweighted": (
        (reweighted_by_logarithm, "changes its argument"),
        (lambda s, at, factor: _times(s, at, factor).softmax(-1), "the *scores* are multiplied"),
        (lambda s, at, factor: _plus(s, at, factor).softmax(-1), "is added to the scores"),
        (lambda s, at, factor: _times(s.softmax(-1), at, factor), "no longer sum to 1"),
        (lambda s, at, factor: _times(_to_sum_one(s.softmax(-1)), at, factor), "by its sum"),
        (lambda s, at, factor: s.softmax(-1), "nothing was changed"),
        (
            lambda s, at, factor: _times(s.softmax(-1), at, factor).softmax(-1),
            "a second softmax is taken",
        ),
        (reweighted_by_sum_of_all, "sum of *all* weights"),
        (reweighted_by_largest, "expected, got [[0.3333, 1]]"),
        (reweighted_with_all_others, "expected, got [[0.75, 0.25]]"),
        (reweighted_by_power, "expected, got [[0.8, 0.2]]"),
        (
            lambda s, at, factor: _times(s.softmax(-1), at, factor).clamp(max=1),
            "expected, got [[0.5, 1]]",
        ),
        (lambda s, at, factor: _to_sum_one(_times(s, at, factor)), "contains NaN or infinity"),
        (lambda s, at, factor: torch.zeros_like(s), "expected, got [[0, 0]]"),
        (lambda s, at, factor: _plus(s, at, math.log(factor)).softmax(-1), "math domain error"),
        (
            lambda s, at, factor: reweighted_by_exp(s, at, factor)[..., at],
            "1×2 was expected, got 1",
        ),
        (
            lambda s, at, factor: reweighted_by_exp(s, at, factor).flatten(0, -2),
            "2×3×6 was expected, got 6×6",
        ),
        (lambda s, at, factor: print(reweighted_by_exp(s, at, factor)), "does it end with"),
        (reweighted_by_mean, "these are 2, 2, 2, 4,"),
        (reweighted_in_halves, "the numbers are nearly right, but"),
        (
            lambda s, at, factor: _plus(s, at, _log(factor, at_zero=-10)).softmax(-1),
            "the numbers are nearly right, but",
        ),
        (
            lambda s, at, factor: _plus(s, at, _log(factor)).log_softmax(-1),
            "this is the logarithm of what",
        ),
        (reweighted_in_two_dimensions, "IndexError: index 5 is out of"),
        (reweighted_by_naive_exp, "exp of a large score is"),
        (reweighted_by_shift_of_all, "for scores = [[90, 89], [-89,"),
    ),
    "own_map": (
        (lambda maps, at: maps.of_words(at), "one map [h, w] was expected"),
        (lambda maps, at: maps.select(side=8).of_words(at)[0], "at least 60% was asked"),
        (lambda maps, at: maps.of_words(at)[0] / 0, "NaN or infinity"),
        (lambda maps, at: maps.of_words(at)[0], "combine layers that score well"),
        (lambda maps, at: maps.select(side=32).of_words(at)[0], "combine layers that score well"),
        (of_layers("up.2.0", "up.2.1"), "combine layers that score well"),
        (of_layers("up.1.0", "up.1.1"), "combine layers that score well"),
        (map_of_largest_layer_values, "combine layers that score well"),
        (of_layers("down.1.0"), "Take the layers that score well"),
        (of_layers("mid.0", "up.0.0", "up.0.1"), "Take the layers that score well"),
        (lambda maps, at: maps.select(layers=GOOD_LAYERS), "numbers were expected, got Maps"),
        (lambda maps, at: maps.select(layers="up.2.1").of_words(at)[0], "a list of texts"),
        (lambda maps, at: maps.select(side="32").of_words(at)[0], "side: a whole number"),
        (of_good_layers(torch.flatten), "taken once too often"),
        (of_good_layers(lambda heat: heat[None].tolist()), "so take [0]"),
        (of_good_layers(lambda heat: print(heat.shape)), "does it end with"),
    ),
}

SHOWN = {
    "word_map": (
        (
            lambda w, at, size: w[:, :, at].mean(2).sum(0).reshape(size),
            "sum and mean are exchanged: heads are added, pieces averaged",
        ),
        (
            word_map_of_a_range,
            "all tokens from the first piece to the last are added, not only those in `positions`",
        ),
        (
            word_map_of_a_range_without_the_last,
            "the last piece is missing, since the end of a slice is left out",
        ),
        (
            lambda w, at, size: shares(w, [1, 2]).reshape(size),
            "the positions of the example are used, not `positions`",
        ),
        (
            lambda w, at, size: w[:, :, at].sum((0, 2)).reshape(size) / 2,
            "divided by the 2 heads of the example, not by the number of heads",
        ),
        (
            lambda w, at, size: shares(w, at).reshape(size).round(decimals=1),
            "rounded to one digit, as the cell above prints it",
        ),
        (word_map_of_mixed_heads, "the tensor is reshaped as if positions came before heads"),
    ),
    "inside": (
        (lambda h, m: True, "always True"),
        (lambda h, m: m.any(), "whether the mask is anywhere"),
        (
            lambda h, m: inside_of_the_enlarged_map(h, m, "bilinear"),
            "the map is enlarged smoothly and the enlarged map's maximum looked up",
        ),
        (lambda h, m: _cell(h, m).any(), "any pixel of the cell counts"),
        (lambda h, m: _cell(h, m).float().mean(), "the cell's share"),
        (
            lambda h, m: _cell(h, m).float().mean() > 0.5,
            "most pixels of the cell must be inside, not its centre",
        ),
        (
            inside_with_shapes_exchanged,
            "the row is divided by the map's width and the column by its height",
        ),
        (
            inside_by_mean_over_a_small_mask,
            "the map's mean inside the mask is compared with its mean outside",
        ),
        (lambda h, m: inside_with_one_half(h, m, axis=0), "0.5 is added to the row only"),
        (lambda h, m: inside_with_one_half(h, m, axis=1), "0.5 is added to the column only"),
        (
            lambda h, m: _looked_up(h, m, _centre_of_mass),
            "the map's centre of mass in place of its strongest position",
        ),
        (
            lambda h, m: _looked_up(h, m, _strongest_of_strongest_row),
            "the strongest position of the row with the largest mean",
        ),
        (inside_by_one_of_three, "one of the three strongest positions is enough"),
    ),
    "iou": (
        (lambda h, m: _overlap(h > 0.5, m), "all positions above 0.5"),
        (lambda h, m: _overlap(h > h.median(), m), "all above the median"),
        (lambda h, m: _overlap(_strongest(h, 3), m), "always the strongest 3"),
        (
            lambda h, m: _overlap(_strongest(h, (~m).sum()), m),
            "as many positions as lie outside the mask",
        ),
        (iou_row_by_row, "the strongest are taken in each row alone"),
        (
            lambda h, m: _overlap(_strongest(h.abs(), m.sum()), m),
            "the strongest without their sign",
        ),
        (lambda h, m: 0.5, "always the number of the example"),
        (
            from_regions(lambda both, either, *_: round(float(both / either), 2)),
            "rounded to two digits",
        ),
        (
            from_regions(lambda both, either, chosen, mask: _overlap(~chosen, ~mask)),
            "the overlap of what lies outside",
        ),
        (iou_above_the_least, "> in place of >=: the weakest of the strongest is lost"),
    ),
    "reweighted": (
        (reweighted_by_sums_of_columns, "divided by each column's sum"),
        (reweighted_without_keepdim, "`keepdim=True` is missing"),
        (reweighted_along(0), "the softmax is taken along dimension 0"),
        (reweighted_along(1), "the softmax is taken along dimension 1"),
        (reweighted_unless_zero, "a factor of 0 changes nothing"),
        (
            lambda s, at, factor: _to_sum_one(_times(s.softmax(-1), -1, factor)),
            "the last position is multiplied, not `position`",
        ),
        (
            lambda s, at, factor: _to_sum_one(_times(s.softmax(-1), slice(at, None), factor)),
            "all positions from `position` on are multiplied",
        ),
        (lambda s, at, factor: _to_sum_one(_times(s.softmax(-1), at, 3)), "the factor is always 3"),
        (
            lambda s, at, factor: _to_sum_one(_times(s.sigmoid(), at, factor)),
            "a sigmoid in place of the softmax",
        ),
        (
            lambda s, at, factor: _to_sum_one(
                _times((s / s.shape[-1] ** 0.5).softmax(-1), at, factor)
            ),
            "the scores are divided by a square root, as in attention, once more",
        ),
        (
            lambda s, at, factor: _plus(s, at, _log(factor)),
            "the changed scores are returned, without a softmax",
        ),
        (
            reweighted_with_the_rest_squeezed,
            "the weight becomes `factor` times itself and the others share what is left",
        ),
        (
            lambda s, at, factor: reweighted_by_formula(s, at, min(factor, 8)),
            "factors above 8 are cut off",
        ),
    ),
}
