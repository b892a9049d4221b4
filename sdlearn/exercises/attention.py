"""Exercises of the lesson on attention maps."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

from sdlearn import plots
from sdlearn.check import Exercise, Mistake, OpenExercise
from sdlearn.drawing import masks
from sdlearn.exercises.given import numbers, tiny
from sdlearn.map_scores import maps_of
from sdlearn.maps import Maps, overlap, points_at
from sdlearn.picturebook import Scene, random_scene
from sdlearn.text import places_of

LESSON = "06_attention_maps"

# --- the map of a word ----------------------------------------------------------------------------


def word_map(weights: Tensor, places: list[int], size: tuple[int, int]) -> Tensor:
    return weights[:, :, places].sum(dim=2).mean(dim=0).reshape(size)


def _weights(heads: int, queries: int, words: int, seed: int) -> Tensor:
    return (2 * numbers(heads, queries, words, seed=seed)).softmax(dim=2)


def _map_of_kite(answer: Callable) -> Figure:
    scene = random_scene(7, count=2)
    maps = _recorded(7, 250).select(layers=["up.2.1"])
    (found,) = maps
    weights = found.values[0].flatten(2).transpose(1, 2)
    places = places_of(tiny().tokenizer, scene.caption, scene.things[0].kind)
    drawn = [f(weights, places, found.values.shape[-2:]) for f in (answer, word_map)]
    figure = plots.new_figure(3.2)
    for axes, heat, title in zip(
        figure.subplots(1, 2), drawn, (f"yours: {scene.things[0].kind}", "target"), strict=True
    ):
        axes.imshow(torch.as_tensor(heat).float(), cmap="viridis")
        axes.set_title(title, fontsize=9)
        axes.axis("off")
    return figure


WORD_MAP = Exercise(
    LESSON,
    "word_map",
    word_map,
    lambda: [
        (
            torch.tensor([[[0.5, 0.3, 0.2], [0.1, 0.6, 0.3]], [[0.7, 0.1, 0.2], [0.3, 0.2, 0.5]]]),
            [1, 2],
            (1, 2),
        ),
        (_weights(3, 12, 5, 0), [2], (3, 4)),
        (_weights(4, 10, 9, 1), [3, 4, 7], (5, 2)),
    ],
    (
        Mistake(
            "a word's pieces are averaged; together they are the word, so *add* their shares",
            lambda p, places, size: p[:, :, places].mean(dim=2).mean(dim=0).reshape(size),
        ),
        Mistake(
            "only the first piece of the word is used; `places` may hold several",
            lambda p, places, size: p[:, :, places[0]].mean(dim=0).reshape(size),
        ),
        Mistake(
            "the heads are added up; they are averaged, so that a share stays between 0 and 1",
            lambda p, places, size: p[:, :, places].sum(dim=(0, 2)).reshape(size),
        ),
        Mistake(
            "only the first head is used; all of them are averaged",
            lambda p, places, size: p[0][:, places].sum(dim=1).reshape(size),
        ),
        Mistake(
            "the largest of the pieces' shares is taken; add them",
            lambda p, places, size: p[:, :, places].amax(dim=2).mean(dim=0).reshape(size),
        ),
        Mistake(
            "height and width are exchanged: places lie in the tensor row by row",
            lambda p, places, size: word_map(p, places, (size[1], size[0])).T,
        ),
        Mistake(
            "height and width are exchanged: size is (height, width)",
            lambda p, places, size: word_map(p, places, (size[1], size[0])),
        ),
        Mistake(
            "a softmax over the places of the picture is one too many: these are probabilities "
            "already",
            lambda p, places, size: (
                word_map(p, places, size).flatten().softmax(dim=0).reshape(size)
            ),
        ),
    ),
    _map_of_kite,
)

# --- scores ---------------------------------------------------------------------------------------


def inside(heat: Tensor, mask: Tensor) -> bool:
    return points_at(heat, mask)


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


def _pointing_cases() -> list:
    return [
        (_peak(2, 3, 0, 2), _marked(2, 3, slice(0, 1), slice(2, 3))),
        (_peak(2, 3, 1, 0), _marked(2, 3, slice(0, 1), slice(0, 3))),
        (_peak(3, 4, 0, 3), _marked(12, 16, slice(0, 4), slice(12, 16))),
        (_peak(4, 4, 3, 1, (1, 3)), _marked(16, 16, slice(12, 16), slice(4, 8))),
        (_peak(4, 4, 3, 1, (1, 3)), _marked(16, 16, slice(4, 8), slice(12, 16))),
        (_peak(2, 2, 1, 1), _marked(8, 8, slice(5, 8), slice(5, 8))),
        (_peak(2, 2, 0, 0, (1, 1)), _marked(8, 8, slice(0, 1), slice(0, 1))),
    ]


def _at(
    heat: Tensor,
    mask: Tensor,
    index: Tensor,
    part: float = 0.5,
    swap: bool = False,
    scaled: bool = True,
    shape: tuple[int, int] | None = None,
) -> bool:
    row, column = divmod(int(index), heat.shape[1])
    if swap:
        row, column = column, row
    scale = [m / h if scaled else 1 for m, h in zip(mask.shape, shape or heat.shape, strict=True)]
    y, x = (
        int((place + (part if scaled else 0)) * s)
        for place, s in zip((row, column), scale, strict=True)
    )
    return bool(mask[min(y, mask.shape[0] - 1), min(x, mask.shape[1] - 1)])


def _pointed(answer: Callable) -> Figure:
    mask = _marked(24, 32, slice(8, 18), slice(4, 14))
    heats = [_peak(6, 8, 3, 2), _peak(6, 8, 3, 5)]
    figure = plots.new_figure(2.8)
    for axes, heat in zip(figure.subplots(1, 2), heats, strict=True):
        enlarged = heat.repeat_interleave(4, 0).repeat_interleave(4, 1)
        axes.imshow(mask.float() + enlarged, cmap="viridis")
        axes.set_title(
            "yours: inside" if bool(answer(heat, mask)) else "yours: not inside", fontsize=9
        )
        axes.axis("off")
    return figure


INSIDE = Exercise(
    LESSON,
    "inside",
    inside,
    _pointing_cases,
    (
        Mistake("row and column are exchanged", lambda h, m: _at(h, m, h.argmax(), swap=True)),
        Mistake(
            "the map's row and column are used in the mask, which is larger: scale them",
            lambda h, m: _at(h, m, h.argmax(), scaled=False),
        ),
        Mistake(
            "row and column come from dividing by the *width*, `heat.shape[1]`, not by the height",
            lambda h, m: _at(h.reshape(h.shape[1], h.shape[0]), m, h.argmax(), shape=h.shape),
        ),
        Mistake(
            "the place's upper left corner is looked up; take its centre: (row + 0.5) / height",
            lambda h, m: _at(h, m, h.argmax(), part=0.0),
        ),
        Mistake("the *weakest* place is looked up", lambda h, m: _at(h, m, h.argmin())),
        Mistake("it says the opposite: True means inside", lambda h, m: not _at(h, m, h.argmax())),
    ),
    _pointed,
)


def iou(heat: Tensor, mask: Tensor) -> float:
    return overlap(heat, mask)


def _strongest(heat: Tensor, count: int) -> Tensor:
    chosen = torch.zeros(heat.numel(), dtype=torch.bool)
    chosen[heat.flatten().topk(count).indices] = True
    return chosen.reshape(heat.shape)


def _iou_of(chosen: Tensor, mask: Tensor) -> float:
    return ((chosen & mask).sum() / (chosen | mask).sum()).item()


def _thing_and_guess(answer: Callable) -> Figure:
    mask = _marked(24, 32, slice(8, 18), slice(4, 14))
    heat = F.avg_pool2d(mask[None, None].float(), 9, 1, 4)[0, 0].roll(
        (2, 3), (0, 1)
    ) + 0.02 * numbers(24, 32)
    figure = plots.new_figure(3.0)
    shown = (
        ("the thing's mask", mask),
        ("the map", heat),
        (f"yours: {float(answer(heat, mask)):.2f}", None),
    )
    for axes, (title, values) in zip(figure.subplots(1, 3), shown, strict=True):
        picture = (
            mask.float() + 2 * _strongest(heat, int(mask.sum())).float()
            if values is None
            else values.float()
        )
        axes.imshow(picture, cmap="viridis")
        axes.set_title(title, fontsize=9)
        axes.axis("off")
    return figure


IOU = Exercise(
    LESSON,
    "iou",
    iou,
    lambda: [
        (
            torch.tensor([[0.9, 0.8, 0.1], [0.7, 0.2, 0.3]]),
            torch.tensor([[True, True, False], [False, True, False]]),
        ),
        (numbers(6, 9), _marked(6, 9, slice(1, 4), slice(2, 7))),
        (numbers(10, 7, seed=1).exp(), _marked(10, 7, slice(4, 9), slice(0, 5))),
    ],
    (
        Mistake(
            "the intersection is divided by the mask; divide by the *union* of both",
            lambda h, m: ((_strongest(h, int(m.sum())) & m).sum() / m.sum()).item(),
        ),
        Mistake(
            "the places of both are added up, so those that they share count twice: the union is "
            "`a | b`",
            lambda h, m: ((_strongest(h, int(m.sum())) & m).sum() / (2 * m.sum())).item(),
        ),
        Mistake(
            "all places above half of the maximum are taken; take the strongest, *as many as the "
            "mask has*",
            lambda h, m: _iou_of(h > h.max() / 2, m),
        ),
        Mistake(
            "all places above the mean are taken; take the strongest, *as many as the mask has*",
            lambda h, m: _iou_of(h > h.mean(), m),
        ),
        Mistake(
            "these are the weakest places", lambda h, m: _iou_of(_strongest(-h, int(m.sum())), m)
        ),
    ),
    _thing_and_guess,
)

# --- a word's weight ------------------------------------------------------------------------------


def reweighted(scores: Tensor, place: int, factor: float) -> Tensor:
    weights = scores.softmax(dim=-1).clone()
    weights[..., place] *= factor
    return weights / weights.sum(dim=-1, keepdim=True)


def _changed(values: Tensor, place: int, change: Callable[[Tensor], Tensor]) -> Tensor:
    values = values.clone()
    values[..., place] = change(values[..., place])
    return values


def _rows(answer: Callable) -> Figure:
    scores, place = 1.5 * numbers(6, 5), 3
    figure = plots.new_figure(2.6)
    shown = (scores.softmax(-1), answer(scores.clone(), place, 4.0), reweighted(scores, place, 4.0))
    for axes, weights, title in zip(
        figure.subplots(1, 3), shown, ("before", "yours: word 3, 4 times", "target"), strict=True
    ):
        axes.imshow(torch.as_tensor(weights).detach().float(), cmap="viridis", vmin=0, vmax=1)
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("words", fontsize=8)
    return figure


def _over_all(weights: Tensor) -> Tensor:
    return weights / weights.sum()


REWEIGHTED = Exercise(
    LESSON,
    "reweighted",
    reweighted,
    lambda: [
        (torch.tensor([[0.0, 0.0]]), 1, 3.0),
        (numbers(4, 4), 2, 0.0),
        (2 * numbers(5, 5, seed=1), 0, 0.25),
        (numbers(2, 3, 6, seed=2), 5, 8.0),
    ],
    (
        Mistake(
            "the *scores* are multiplied; it is the weight after the softmax that gets `factor` "
            "times as large",
            lambda s, place, f: _changed(s, place, lambda x: x * f).softmax(dim=-1),
        ),
        Mistake(
            "the weights no longer sum to 1: divide each row by its sum",
            lambda s, place, f: _changed(s.softmax(dim=-1), place, lambda x: x * f),
        ),
        Mistake(
            "`factor` is added to the scores; a factor of the weight is its *logarithm* in the "
            "scores",
            lambda s, place, f: _changed(s, place, lambda x: x + f).softmax(dim=-1),
        ),
        Mistake(
            "a second softmax is taken; to make a row sum to 1 divide by its sum",
            lambda s, place, f: _changed(s.softmax(dim=-1), place, lambda x: x * f).softmax(dim=-1),
        ),
        Mistake(
            "divided by the sum of *all* weights; each row has a sum of its own: `dim=-1`",
            lambda s, place, f: _over_all(_changed(s.softmax(dim=-1), place, lambda x: x * f)),
        ),
        Mistake(
            "nothing was changed: this is the softmax as it was",
            lambda s, place, f: s.softmax(dim=-1),
        ),
    ),
    _rows,
)

# --- a map of one's own ---------------------------------------------------------------------------

PAGES = tuple(range(3000, 3012))
T = 950
POINTING = 0.6
BETTER = 0.005
"""How much more than the average of all layers the learner's maps have to cover, in IoU."""


@cache
def _recorded(seed: int, t: int) -> Maps:
    return maps_of(tiny(), random_scene(seed, count=2), t=t, seed=seed)


@cache
def _pages() -> list[tuple[Scene, Maps, Tensor]]:
    """Fresh pages of two things of different kinds, their maps, and the true masks."""
    scenes = [(seed, random_scene(seed, count=2)) for seed in PAGES]
    distinct = [
        (seed, scene) for seed, scene in scenes if len({thing.kind for thing in scene.things}) == 2
    ]
    return [
        (scene, _recorded(seed, T), torch.from_numpy(masks(scene, tiny().side)) > 0.5)
        for seed, scene in distinct
    ]


def _of_all_layers(maps: Maps, places: list[int]) -> Tensor:
    return maps.of_words(places)[0]


def _scores(answer: Callable) -> tuple[float, float] | str:
    """Pointing accuracy and mean IoU of the learner's maps, or what is wrong with one."""
    found = []
    for scene, maps, true in _pages():
        for thing, mask in zip(scene.things, true, strict=True):
            heat = answer(maps, places_of(tiny().tokenizer, scene.caption, thing.kind))
            if not isinstance(heat, Tensor) or heat.ndim != 2:
                shape = (
                    "×".join(map(str, heat.shape))
                    if isinstance(heat, Tensor)
                    else type(heat).__name__
                )
                return (
                    f"one map [h, w] was expected, got {shape}; `of_words` gives [1, h, w], "
                    "so take [0]"
                )
            if not heat.isfinite().all():
                return "your map holds NaN or infinity"
            found.append((points_at(heat, mask), overlap(heat, mask)))
    return tuple(np.mean(found, axis=0).tolist())


def _measure_map(answer: Callable) -> dict:
    first, maps, _ = _pages()[0]
    answer(
        maps, places_of(tiny().tokenizer, first.caption, first.things[0].kind)
    )  # a stub says so before any work
    yours = _scores(answer)
    return {"yours": yours, "all": _scores(_of_all_layers), "answer": answer}


def _is_a_map(measured: dict) -> str | None:
    return measured["yours"] if isinstance(measured["yours"], str) else None


def _points(measured: dict) -> str | None:
    pointing = measured["yours"][0]
    if pointing < POINTING:
        return (
            f"your maps point into the thing {pointing:.0%} of the time; at least "
            f"{POINTING:.0%} was asked for"
        )
    return None


def _covers(measured: dict) -> str | None:
    yours, least = measured["yours"][1], measured["all"][1] + BETTER
    if yours < least:
        return (
            f"your maps cover the things with a mean IoU of {yours:.3f}; all layers together give "
            f"{measured['all'][1]:.3f}, and at least {least:.3f} was asked for: combine layers "
            "that score well in "
            "section 4"
        )
    return None


def _beside_all(measured: dict) -> Figure:
    scene, maps, _ = _pages()[0]
    places = places_of(tiny().tokenizer, scene.caption, scene.things[0].kind)
    heats = [measured["answer"](maps, places), _of_all_layers(maps, places)]
    titles = [f"yours: IoU {measured['yours'][1]:.2f}", f"all layers: {measured['all'][1]:.2f}"]
    figure = plots.new_figure(3.2)
    for axes, heat, title in zip(figure.subplots(1, 2), heats, titles, strict=True):
        axes.imshow(heat.float(), cmap="viridis")
        axes.set_title(f"{scene.things[0].kind}, {title}", fontsize=9)
        axes.axis("off")
    return figure


OWN_MAP = OpenExercise(LESSON, "own_map", _measure_map, (_is_a_map, _points, _covers), _beside_all)

EXERCISES = (WORD_MAP, INSIDE, IOU, REWEIGHTED, OWN_MAP)
