"""Exercises of lesson 06, attention maps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

from sdlearn.attention.maps import Maps
from sdlearn.evaluate.map_scores import maps_of, of_different_kinds, overlap, points_at
from sdlearn.exercises import pictures
from sdlearn.exercises.engine import Lesson
from sdlearn.exercises.given import numbers, tiny
from sdlearn.exercises.results import Case, Unmet, tensor_of, unlike
from sdlearn.picturebook.drawing import masks
from sdlearn.picturebook.pages import random_scene
from sdlearn.picturebook.scenes import Scene
from sdlearn.text import positions_of

lesson = Lesson("06_attention_maps")


def _positions(scene: Scene, kind: str) -> list[int]:
    return positions_of(tiny().tokenizer, scene.caption, kind)


@cache
def _recorded(seed: int, t: int) -> Maps:
    return maps_of(tiny(), random_scene(seed, count=2), t=t, seed=seed)


# --- exercise 1: the map of a word ----------------------------------------------------------------


def _weights(heads: int, queries: int, words: int, seed: int) -> Tensor:
    return (2 * numbers(heads, queries, words, seed=seed)).softmax(dim=2)


def _stretched(heat: Tensor) -> Tensor:
    return (heat - heat.min()) / (heat.max() - heat.min())


def _map_of_kite(answer: Callable) -> Figure:
    scene = random_scene(7, count=2)
    (recorded,) = _recorded(7, 250).select(layers=["up.2.1"])
    weights, size = recorded.values[0].flatten(2).transpose(1, 2), recorded.values.shape[-2:]
    kind = scene.things[0].kind
    given = weights, _positions(scene, kind), size
    return pictures.heats({f"yours: {kind}": answer(*given), "target": word_map(*given)})


@lesson.exercise(
    cases=lambda: [
        (
            torch.tensor([[[0.5, 0.3, 0.2], [0.1, 0.6, 0.3]], [[0.7, 0.1, 0.2], [0.3, 0.2, 0.5]]]),
            [1, 2],
            (1, 2),
        ),
        (_weights(3, 12, 5, 0), [2], (3, 4)),
        (_weights(4, 10, 9, 1), [3, 4, 7], (5, 2)),
    ],
    picture=_map_of_kite,
    by_hand=lambda weights, positions, size: {
        "shares of the word (heads down)": weights[:, :, positions].sum(dim=2),
        "mean over the heads": weights[:, :, positions].sum(dim=2).mean(dim=0),
    },
)
def word_map(weights: Tensor, positions: list[int], size: tuple[int, int]) -> Tensor:
    """A word's share of attention at every position: pieces added, heads averaged."""
    return weights[:, :, positions].sum(dim=2).mean(dim=0).reshape(size)


word_map.mistakes(
    "a word's pieces are averaged; together they are the word, so *add* their shares",
    lambda p, positions, size: p[:, :, positions].mean(dim=2).mean(dim=0).reshape(size),
    "only the first piece of the word is used; `positions` may hold several",
    lambda p, positions, size: p[:, :, positions[0]].mean(dim=0).reshape(size),
    "the heads are added up; they are averaged, so that a share stays between 0 and 1",
    lambda p, positions, size: p[:, :, positions].sum(dim=(0, 2)).reshape(size),
    "only the first head is used; all of them are averaged",
    lambda p, positions, size: p[0][:, positions].sum(dim=1).reshape(size),
    "the largest of the pieces' shares is taken; add them",
    lambda p, positions, size: p[:, :, positions].amax(dim=2).mean(dim=0).reshape(size),
    "height and width are exchanged: positions lie in the tensor row by row",
    lambda p, positions, size: word_map(p, positions, (size[1], size[0])).T,
    "height and width are exchanged: size is (height, width)",
    lambda p, positions, size: word_map(p, positions, (size[1], size[0])),
    "a softmax over the positions of the picture is one too many: these are probabilities already",
    lambda p, positions, size: word_map(p, positions, size).flatten().softmax(dim=0).reshape(size),
    "the largest of the heads is taken; average them",
    lambda p, positions, size: p[:, :, positions].sum(dim=2).amax(dim=0).reshape(size),
    "only the last head is used; all of them are averaged",
    lambda p, positions, size: p[-1][:, positions].sum(dim=1).reshape(size),
    "stretched to go from 0 to 1; the shares themselves were asked for",
    lambda p, positions, size: _stretched(word_map(p, positions, size)),
    "divided by the sum over the picture; the shares themselves were asked for",
    lambda p, positions, size: word_map(p, positions, size) / word_map(p, positions, size).sum(),
    "one position too early: `positions` counts from 0, as the tensor does",
    lambda p, positions, size: word_map(p, [i - 1 for i in positions], size),
    "only the last piece of the word is used; `positions` may hold several",
    lambda p, positions, size: p[:, :, positions[-1]].mean(dim=0).reshape(size),
    "all words are added up, which gives 1 everywhere; take those at `positions`",
    lambda p, positions, size: p.sum(dim=2).mean(dim=0).reshape(size),
)

# --- exercise 2: a score by one point -------------------------------------------------------------


def _marked(height: int, width: int, rows: slice, columns: slice) -> Tensor:
    mask = torch.zeros(height, width, dtype=torch.bool)
    mask[rows, columns] = True
    return mask


def _peak(
    height: int, width: int, row: int, column: int, weakest: tuple[int, int] = (0, 0)
) -> Tensor:
    heat = torch.full((height, width), 0.5)
    heat[row, column], heat[weakest] = 1.0, 0.0
    return heat


def _pointing_cases() -> list[Case]:
    return [
        (_peak(2, 3, 0, 2), _marked(2, 3, slice(0, 1), slice(2, 3))),
        (_peak(2, 3, 1, 0), _marked(2, 3, slice(0, 1), slice(0, 3))),
        (_peak(3, 4, 0, 3), _marked(12, 16, slice(0, 4), slice(12, 16))),
        (_peak(4, 4, 3, 1, (1, 3)), _marked(16, 16, slice(12, 16), slice(4, 8))),
        (_peak(4, 4, 3, 1, (1, 3)), _marked(16, 16, slice(4, 8), slice(12, 16))),
        (_peak(2, 2, 1, 1), _marked(8, 8, slice(5, 8), slice(5, 8))),
        (_peak(2, 2, 0, 0, (1, 1)), _marked(8, 8, slice(0, 1), slice(0, 1))),
        (_peak(2, 4, 0, 2), _marked(6, 20, slice(1, 2), slice(12, 13))),
        (_peak(2, 4, 0, 2), _marked(6, 20, slice(1, 3), slice(12, 13))),
        (_peak(4, 2, 3, 1), _marked(12, 14, slice(10, 11), slice(10, 11))),
        (_peak(4, 2, 3, 1), _marked(12, 14, slice(11, 12), slice(11, 14))),
        (_peak(1, 2, 0, 1), _marked(1, 4, slice(0, 1), slice(3, 4))),
        (_peak(1, 3, 0, 0), _marked(1, 6, slice(0, 1), slice(1, 2))),
        *(
            _at_random(seed, size)
            for seed, size in enumerate([(7, 10), (11, 5), (3, 4), (9, 13)] * 4)
        ),
    ]


def _at_random(seed: int, size: tuple[int, int]) -> Case:
    """A map of 3×4 whose numbers may be negative, and a mask with half of its pixels True."""
    return numbers(3, 4, seed=seed), numbers(*size, seed=seed + 100) > 0


def _at(
    heat: Tensor,
    mask: Tensor,
    index: Tensor,
    part: float = 0.5,
    swap: bool = False,
    scaled: bool = True,
    shape: tuple[int, int] | None = None,
    axis: int | None = None,
    to_whole: Callable[[float], int] = int,
    cut: bool = False,
) -> bool:
    """Is a position of the map inside the mask, looked up in a way that may be wrong?"""
    row, column = divmod(int(index), heat.shape[1])
    if swap:
        row, column = column, row
    scale = [m / h if scaled else 1 for m, h in zip(mask.shape, shape or heat.shape, strict=True)]
    if cut:
        scale = [int(s) for s in scale]
    if axis is not None:
        scale = [scale[axis]] * 2
    y, x = (
        to_whole((index + (part if scaled else 0)) * s)
        for index, s in zip((row, column), scale, strict=True)
    )
    return bool(mask[min(y, mask.shape[0] - 1), min(x, mask.shape[1] - 1)])


def _looked_up(heat: Tensor, mask: Tensor) -> dict[str, object]:
    row, column = divmod(int(heat.argmax()), heat.shape[1])
    y, x = (
        (i + 0.5) * m / h for i, m, h in zip((row, column), mask.shape, heat.shape, strict=True)
    )
    return {
        "the strongest position, row and column": [row, column],
        "its centre in the mask": [y, x],
    }


def _pointed(answer: Callable) -> Figure:
    mask = _marked(24, 32, slice(8, 18), slice(4, 14))
    shown = {}
    for column in (2, 5):
        heat = _peak(6, 8, 3, column)
        said = "yours: inside" if bool(answer(heat, mask)) else "yours: not inside"
        enlarged = heat.repeat_interleave(4, 0).repeat_interleave(4, 1)
        shown[f"peak in column {column}, {said}"] = mask.float() + enlarged
    return pictures.heats(shown)


@lesson.exercise(
    cases=_pointing_cases,
    picture=_pointed,
    by_hand=_looked_up,
)
def inside(heat: Tensor, mask: Tensor) -> bool:
    """Is the centre of the map's strongest position inside the mask?"""
    return points_at(heat, mask)


inside.mistakes(
    "the strongest *row* and the strongest *column* are taken, by sums; one position is asked for",
    lambda h, m: _at(h, m, h.sum(1).argmax() * h.shape[1] + h.sum(0).argmax()),
    "the strongest is the largest, not the one farthest from 0: without `abs`",
    lambda h, m: _at(h, m, h.abs().argmax()),
    "`argmax` counts through the whole map, row by row: make a row and a column of it",
    lambda h, m: bool(m.flatten()[int(h.argmax())]),
    "one pixel too early where the centre is a whole number: a centre at 2.0 lies in pixel 2",
    lambda h, m: _at(h, m, h.argmax(), to_whole=lambda x: math.ceil(x) - 1),
    "how many pixels a position has is no whole number: multiply first, then cut off",
    lambda h, m: _at(h, m, h.argmax(), cut=True),
    "both axes are scaled by the height's factor; the width has a factor of its own",
    lambda h, m: _at(h, m, h.argmax(), axis=0),
    "both axes are scaled by the width's factor; the height has a factor of its own",
    lambda h, m: _at(h, m, h.argmax(), axis=1),
    "the centre is rounded to the nearest pixel; a pixel begins at its whole number, so round down",
    lambda h, m: _at(h, m, h.argmax(), to_whole=round),
    "row and column are exchanged",
    lambda h, m: _at(h, m, h.argmax(), swap=True),
    "the map's row and column are used in the mask, which is larger: scale them",
    lambda h, m: _at(h, m, h.argmax(), scaled=False),
    "row and column come from dividing by the *width*, `heat.shape[1]`, not by the height",
    lambda h, m: _at(h.reshape(h.shape[1], h.shape[0]), m, h.argmax(), shape=h.shape),
    "the position's upper left corner is looked up; take its centre: (row + 0.5) / height",
    lambda h, m: _at(h, m, h.argmax(), part=0.0),
    "the *weakest* position is looked up",
    lambda h, m: _at(h, m, h.argmin()),
    "it says the opposite: True means inside",
    lambda h, m: not _at(h, m, h.argmax()),
)

# --- exercise 3: a score of the whole shape -------------------------------------------------------


def _strongest(heat: Tensor, count: int) -> Tensor:
    chosen = torch.zeros(heat.numel(), dtype=torch.bool)
    chosen[heat.flatten().topk(count).indices] = True
    return chosen.reshape(heat.shape)


def _iou_of(chosen: Tensor, mask: Tensor) -> float:
    return ((chosen & mask).sum() / (chosen | mask).sum()).item()


def _by_difference(chosen: Tensor, mask: Tensor) -> float:
    return ((chosen & mask).sum() / (chosen ^ mask).sum()).item()


def _thing_and_guess(answer: Callable) -> Figure:
    mask = _marked(24, 32, slice(8, 18), slice(4, 14))
    blurred = F.avg_pool2d(mask[None, None].float(), 9, 1, 4)[0, 0].roll((2, 3), (0, 1))
    heat = blurred + 0.02 * numbers(24, 32)
    both = mask.float() + 2 * _strongest(heat, int(mask.sum())).float()
    score = float(answer(heat.clone(), mask.clone()))
    return pictures.heats({"the thing's mask": mask, "the map": heat, f"yours: {score:.2f}": both})


@lesson.exercise(
    cases=lambda: [
        (
            torch.tensor([[0.9, 0.8, 0.1], [0.7, 0.2, 0.3]]),
            torch.tensor([[True, True, False], [False, True, False]]),
        ),
        (torch.tensor([[0.9, 0.5], [0.5, 0.1]]), torch.tensor([[True, False], [False, True]])),
        (numbers(6, 9), _marked(6, 9, slice(1, 4), slice(2, 7))),
        (numbers(10, 7, seed=1).exp(), _marked(10, 7, slice(4, 9), slice(0, 5))),
    ],
    picture=_thing_and_guess,
    by_hand=lambda heat, mask: {
        "positions in the mask": int(mask.sum()),
        "as many of the strongest": _strongest(heat, int(mask.sum())),
        "in both": int((_strongest(heat, int(mask.sum())) & mask).sum()),
        "in either": int((_strongest(heat, int(mask.sum())) | mask).sum()),
    },
)
def iou(heat: Tensor, mask: Tensor) -> float:
    """Intersection over union of the mask and as many of the map's strongest positions."""
    return overlap(heat, mask)


iou.mistakes(
    "where several are equally strong, `>=` takes more of them than the mask has; `topk` does not",
    lambda h, m: _iou_of(h >= h.flatten().topk(int(m.sum())).values[-1], m),
    "this is the number of shared positions; divide it by that of the union",
    lambda h, m: float((_strongest(h, int(m.sum())) & m).sum()),
    "the intersection is divided by the size of one of the two, as in the Dice score; divide by "
    "their *union*",
    lambda h, m: ((_strongest(h, int(m.sum())) & m).sum() / m.sum()).item(),
    "the positions of both are added up, so shared ones count twice: the union is `a | b`",
    lambda h, m: ((_strongest(h, int(m.sum())) & m).sum() / (2 * m.sum())).item(),
    "all positions above half the maximum are taken; take *as many as the mask has*",
    lambda h, m: _iou_of(h > h.max() / 2, m),
    "all positions above the mean are taken; take *as many as the mask has*",
    lambda h, m: _iou_of(h > h.mean(), m),
    "these are the weakest positions",
    lambda h, m: _iou_of(_strongest(-h, int(m.sum())), m),
    "divided by the positions in *one* of the two only; the union holds the shared ones, too",
    lambda h, m: _by_difference(_strongest(h, int(m.sum())), m),
    "this is the share of *all* positions on which both agree; the background is most of it",
    lambda h, m: (_strongest(h, int(m.sum())) == m).float().mean().item(),
    "union over intersection: upside down",
    lambda h, m: 1 / _iou_of(_strongest(h, int(m.sum())), m),
    "this is 1 minus the score",
    lambda h, m: 1 - _iou_of(_strongest(h, int(m.sum())), m),
    "one position too many is taken",
    lambda h, m: _iou_of(_strongest(h, min(int(m.sum()) + 1, h.numel())), m),
    "the shares inside the mask are added up; count positions",
    lambda h, m: (h[m].sum() / h.sum()).item(),
)

# --- exercise 4: a word's weight ------------------------------------------------------------------


def _changed(values: Tensor, position: int, change: Callable[[Tensor], Tensor]) -> Tensor:
    values = values.clone()
    values[..., position] = change(values[..., position])
    return values


def _rows(answer: Callable) -> Figure:
    scores, position = 1.5 * numbers(6, 5), 3
    shown = {
        "words across, before": scores.softmax(-1),
        "yours: word 3, 4 times": answer(scores.clone(), position, 4.0),
        "target": reweighted(scores, position, 4.0),
    }
    return pictures.heats(shown, vmin=0, vmax=1)


def _rows_to_1(weights: Tensor) -> Tensor:
    return weights / weights.sum(dim=-1, keepdim=True)


def _columns_to_1(weights: Tensor) -> Tensor:
    return weights / weights.sum(dim=-2, keepdim=True)


def _over_all(weights: Tensor) -> Tensor:
    return weights / weights.sum()


@lesson.exercise(
    cases=lambda: [
        (torch.tensor([[0.0, 0.0]]), 1, 3.0),
        (torch.tensor([[1.0, 0.0], [0.0, 2.0]]), 0, 2.0),
        (torch.tensor([[90.0, 89.0], [-89.0, -90.0]]), 1, 20.0),
        (numbers(4, 4), 2, 0.0),
        (2 * numbers(5, 5, seed=1), 0, 0.25),
        (numbers(2, 3, 6, seed=2), 5, 8.0),
    ],
    picture=_rows,
    by_hand=lambda scores, position, factor: {
        "weights": scores.softmax(dim=-1),
        "with the factor": _changed(scores.softmax(dim=-1), position, lambda x: x * factor),
    },
)
def reweighted(scores: Tensor, position: int, factor: float) -> Tensor:
    """A softmax in which one position's weight counts `factor` times as much."""
    weights = _changed(scores.softmax(dim=-1), position, lambda weight: weight * factor)
    return weights / weights.sum(dim=-1, keepdim=True)


reweighted.mistakes(
    "exp of a large score is infinite, and of a small one 0: use `softmax`, which subtracts the "
    "row's largest first",
    lambda s, position, f: _rows_to_1(_changed(s.exp(), position, lambda x: x * f)),
    "the *scores* are multiplied; it is the weight after the softmax that `factor` multiplies",
    lambda s, position, f: _changed(s, position, lambda x: x * f).softmax(dim=-1),
    "the weights no longer sum to 1: divide each row by its sum",
    lambda s, position, f: _changed(s.softmax(dim=-1), position, lambda x: x * f),
    "`factor` is added to the scores; a factor of the weight is its *logarithm* in the scores",
    lambda s, position, f: _changed(s, position, lambda x: x + f).softmax(dim=-1),
    "a second softmax is taken; to make a row sum to 1 divide by its sum",
    lambda s, position, f: _changed(s.softmax(dim=-1), position, lambda x: x * f).softmax(dim=-1),
    "divided by the sum of *all* weights; each row has a sum of its own: `dim=-1`",
    lambda s, position, f: _over_all(_changed(s.softmax(dim=-1), position, lambda x: x * f)),
    "nothing was changed: this is the softmax as it was (a factor for *all* words cancels out)",
    lambda s, position, f: s.softmax(dim=-1),
    "the weight becomes `factor` itself; it is *multiplied* by it",
    lambda s, position, f: _rows_to_1(_changed(s.softmax(dim=-1), position, lambda x: 0 * x + f)),
    "divided by the factor; multiply",
    lambda s, position, f: _rows_to_1(_changed(s.softmax(dim=-1), position, lambda x: x / f)),
    "divided by the sum of the *columns*; a row's words have to sum to 1: dim=-1",
    lambda s, position, f: _columns_to_1(_changed(s.softmax(dim=-1), position, lambda x: x * f)),
    "the softmax is taken over the positions of the picture; the words stand in a row: dim=-1",
    lambda s, position, f: _rows_to_1(_changed(s.softmax(dim=-2), position, lambda x: x * f)),
)

# --- exercise 5: a map of your own ---------------------------------------------------------------

PAGES = tuple(range(3000, 3012))
T = 950
POINTING = 0.6
BETTER = 0.003
"""By how much the IoU of the learner's maps must exceed that of the average of all layers."""


def _pages() -> Iterator[tuple[Scene, Maps, Tensor]]:
    """Fresh pages of two things of different kinds, their maps, and the true masks."""
    seeds = {random_scene(seed, count=2): seed for seed in PAGES}
    for scene in of_different_kinds(seeds):
        yield scene, _recorded(seeds[scene], T), torch.from_numpy(masks(scene, tiny().side)) > 0.5


def _of_all_layers(maps: Maps, positions: list[int]) -> Tensor:
    return maps.of_words(positions)[0]


def _scores(answer: Callable) -> tuple[float, float]:
    """Pointing accuracy and mean IoU of the learner's maps."""
    scores = []
    for scene, maps, true in _pages():
        for thing, mask in zip(scene.things, true, strict=True):
            heat = tensor_of(answer(deepcopy(maps), _positions(scene, thing.kind)))
            if heat.ndim != 2:
                shape = "×".join(map(str, heat.shape))
                taken = "; `of_words` gives [1, h, w], so take [0]" if heat.ndim == 3 else ""
                if heat.ndim == 1:
                    taken = "; was `[0]` taken once too often?"
                raise Unmet(f"one map [h, w] was expected, got {shape}{taken}")
            scores.append((points_at(heat, mask), overlap(heat, mask)))
    return tuple(np.mean(scores, axis=0).tolist())


def _beside_all(measured: tuple[Callable, float, float]) -> Figure:
    answer, yours, of_all = measured
    scene, maps, _ = next(_pages())
    kind = scene.things[0].kind
    positions = _positions(scene, kind)
    return pictures.heats(
        {
            f"{kind}, yours: IoU {yours:.2f}": answer(maps, positions),
            f"{kind}, all layers: {of_all:.2f}": _of_all_layers(maps, positions),
        }
    )


@lesson.open_exercise(picture=_beside_all)
def own_map(answer: Callable[[Maps, list[int]], Tensor]) -> tuple[Callable, float, float]:
    """A word's map that points into the thing and covers it better than all layers together."""
    (_, of_all), (pointing, yours) = _scores(_of_all_layers), _scores(answer)
    if pointing < POINTING:
        mine, least = unlike(100 * pointing, 100 * POINTING, digits=0)
        raise Unmet(
            f"your maps point into the thing {mine}% of the time; at least {least}% was asked "
            "for. Take the layers that score well in section 4"
        )
    if yours < (least := of_all + BETTER):
        mine, bound = unlike(yours, least, digits=3)
        raise Unmet(
            f"your maps cover the things with a mean IoU of {mine}; all layers together give "
            f"{of_all:.3f}, and at least {bound} was asked for: combine layers that score well "
            "in section 4"
        )
    return answer, yours, of_all
