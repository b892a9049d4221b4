"""Exercises of lesson 12, a new word: textual inversion and LoRA."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

from sdlearn import plots
from sdlearn.exercises import choices, pictures
from sdlearn.exercises.choices import Wish
from sdlearn.exercises.engine import Lesson
from sdlearn.exercises.given import numbers, tiny
from sdlearn.exercises.results import Case

lesson = Lesson("12_a_new_word")

# --- exercise 1: the nearest words ----------------------------------------------------------------


def _word(vector: Tensor, table: Tensor, count: int) -> Case:
    return vector, table, count


def _on_paper() -> Case:
    """Four words of two numbers; the longest vector is not the nearest."""
    table = torch.tensor([[0.0, 1.0], [9.0, 9.0], [0.2, 0.0], [-1.0, 0.0]])
    return _word(torch.tensor([2.0, 0.1]), table, 2)


def _neighbours(answer: Callable) -> Figure:
    """The words nearest to some words of the small model, by the learner's function."""
    table, vocabulary = tiny().text_encoder.get_input_embeddings().weight, tiny().tokenizer
    words = ("cat", "house", "red", "snow")
    rows = [table[vocabulary.convert_tokens_to_ids(f"{word}</w>")] for word in words]
    found = [torch.as_tensor(answer(row.clone(), table.clone(), 4)).tolist() for row in rows]
    figure = plots.new_figure(1.8)
    axes = figure.subplots()
    axes.axis("off")
    named = [
        [piece.removesuffix("</w>") for piece in vocabulary.convert_ids_to_tokens(each)]
        for each in found
    ]
    axes.table(named, rowLabels=words, loc="center", cellLoc="left").scale(1, 1.4)
    return figure


@lesson.exercise(
    cases=lambda: [
        _on_paper(),
        _word(numbers(3), numbers(5, 3, seed=1) * torch.tensor([[1.0], [9], [0.1], [3], [1]]), 3),
        _word(numbers(8), numbers(40, 8, seed=1) * numbers(40, 1, seed=2).exp(), 5),
        _word(-numbers(6), numbers(6, 6, seed=3) * numbers(6, 1, seed=4).exp() + 0.5, 1),
    ],
    picture=_neighbours,
)
def nearest_rows(vector: Tensor, table: Tensor, count: int) -> Tensor:
    """The numbers of the rows whose cosine with the vector is largest, nearest first."""
    return F.cosine_similarity(table, vector[None]).topk(count).indices


nearest_rows.mistakes(
    "a long row wins wherever it points: divide by the lengths before you compare",
    lambda v, table, n: (table @ v).topk(n).indices,
    "these are the rows that point *away* from the vector",
    lambda v, table, n: F.cosine_similarity(table, v[None]).topk(n, largest=False).indices,
    "long rows win and the order is turned round: these products are the smallest",
    lambda v, table, n: (table @ v).topk(n, largest=False).indices,
    "this compares distances, so lengths count; cosines are asked for",
    lambda v, table, n: (table - v).norm(dim=1).topk(n, largest=False).indices,
    "these are the cosines; return the numbers of the rows, `.indices`",
    lambda v, table, n: F.cosine_similarity(table, v[None]).topk(n).values,
    "the right rows, but the nearest comes last",
    lambda v, table, n: F.cosine_similarity(table, v[None]).topk(n).indices.flip(0),
    "each *column* was divided by its length; every word is a row: `dim=1`",
    lambda v, table, n: (F.normalize(table, dim=0) @ v).topk(n).indices,
    "the absolute value was taken; a row that points the other way is not near",
    lambda v, table, n: F.cosine_similarity(table, v[None]).abs().topk(n).indices,
)

# --- exercise 2: a layer with LoRA ----------------------------------------------------------------


def _layer(batch: tuple[int, ...], wide: int, out: int, rank: int, alpha: float) -> Case:
    x, weight, bias = numbers(*batch, wide), numbers(out, wide, seed=1), numbers(out, seed=2)
    return x, weight, bias, numbers(rank, wide, seed=3), numbers(out, rank, seed=4), alpha


def _layer_on_paper() -> Case:
    """As in the lesson: a layer of 2 → 2 with rank 1."""
    weight, bias = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0.0, 1.0])
    down, up = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0], [0.0]])
    return torch.tensor([[1.0, 1.0]]), weight, bias, down, up, 2.0


def _with_more_alpha(answer: Callable) -> Figure:
    """How far the output moves from the plain layer's, as alpha grows."""
    x, weight, bias, down, up, _ = _layer((16,), 32, 24, 4, 1.0)
    plain, alphas = F.linear(x, weight, bias), (0.0, 1.0, 2.0, 4.0, 8.0)
    lines = {
        whose: [
            (torch.as_tensor(run(x, weight, bias, down, up, alpha)) - plain).norm().item()
            for alpha in alphas
        ]
        for whose, run in (("target", lora_layer), ("yours", answer))
    }
    return pictures.curves(alphas, lines, "alpha", "distance from the plain layer")


def _plus(x: Tensor, weight: Tensor, bias: Tensor, change: Tensor) -> Tensor:
    return F.linear(x, weight, bias) + change


@lesson.exercise(
    cases=lambda: [
        _layer_on_paper(),
        _layer((3,), 5, 4, 2, 8.0),
        _layer((2, 3), 6, 6, 3, 1.0),
        _layer((1,), 4, 7, 4, 4.0),
    ],
    picture=_with_more_alpha,
    by_hand=lambda x, weight, bias, down, up, alpha: {
        "the plain layer": F.linear(x, weight, bias),
        "x, brought down to r numbers": x @ down.T,
        "and up again": x @ down.T @ up.T,
        "alpha / r": alpha / len(down),
    },
)
def lora_layer(
    x: Tensor, weight: Tensor, bias: Tensor, down: Tensor, up: Tensor, alpha: float
) -> Tensor:
    """A linear layer with LoRA: x Wᵀ + b + alpha/r · x Aᵀ Bᵀ (Hu et al. 2021, Eq. 3)."""
    return _plus(x, weight, bias, alpha / len(down) * (x @ down.T @ up.T))


lora_layer.mistakes(
    "the factor alpha / r is missing",
    lambda x, w, b, down, up, a: _plus(x, w, b, x @ down.T @ up.T),
    "the change is multiplied by alpha, but not divided by the rank r",
    lambda x, w, b, down, up, a: _plus(x, w, b, a * (x @ down.T @ up.T)),
    "the change is divided by the rank r, but not multiplied by alpha",
    lambda x, w, b, down, up, a: _plus(x, w, b, x @ down.T @ up.T / len(down)),
    "upside down: the factor is alpha / r",
    lambda x, w, b, down, up, a: _plus(x, w, b, len(down) / a * (x @ down.T @ up.T)),
    "alpha was divided by the number of inputs; r is the number of rows of `down`",
    lambda x, w, b, down, up, a: _plus(x, w, b, a / down.shape[1] * (x @ down.T @ up.T)),
    "this is the change alone; the frozen layer still counts",
    lambda x, w, b, down, up, a: a / len(down) * (x @ down.T @ up.T),
    "the bias is missing",
    lambda x, w, b, down, up, a: x @ w.T + a / len(down) * (x @ down.T @ up.T),
    "the bias was scaled as well; only the change is",
    lambda x, w, b, down, up, a: x @ w.T + a / len(down) * (b + x @ down.T @ up.T),
    "the frozen layer was scaled as well; only the change is",
    lambda x, w, b, down, up, a: a / len(down) * _plus(x, w, b, x @ down.T @ up.T),
    "the change is subtracted; it is added",
    lambda x, w, b, down, up, a: _plus(x, w, b, -a / len(down) * (x @ down.T @ up.T)),
)

# --- exercise 3: how small is it? -----------------------------------------------------------------

LAYERS = ((2, 2), (1, 1), (128, 128), (160, 128), (32, 64), (320, 320, 3, 3), (64, 32, 3, 3))
"""By hand, and then the shapes of weights: a linear layer's, or a convolution's."""


def _sizes(answer: Callable) -> Figure:
    """Numbers to train, by rank, beside those of the whole layer."""
    shape, ranks = (128, 128), tuple(range(1, 101))
    lines = {
        "target": [lora_size(shape, rank) for rank in ranks],
        "yours": [float(answer(shape, rank)) for rank in ranks],
        "the whole layer": [prod(shape)] * len(ranks),
    }
    return pictures.curves(ranks, lines, "rank", "numbers to train, a layer of 128×128")


@lesson.exercise(
    cases=lambda: [(shape, rank) for shape in LAYERS for rank in (1, 16)],
    picture=_sizes,
    by_hand=lambda shape, rank: {
        "A": f"{rank}×{'×'.join(map(str, shape[1:]))}",
        "B": f"{shape[0]}×{rank}" + "×1×1" * (len(shape) > 2),
    },
)
def lora_size(shape: tuple[int, ...], rank: int) -> int:
    """How many numbers LoRA trains for a layer whose weight has this shape."""
    return rank * (prod(shape[1:]) + shape[0])


lora_size.mistakes(
    "this is the whole layer, which LoRA does not train",
    lambda shape, r: prod(shape),
    "`down` and `up` have different sizes: one is r × inputs, the other outputs × r",
    lambda shape, r: 2 * r * prod(shape[1:]),
    "only `down` was counted",
    lambda shape, r: r * prod(shape[1:]),
    "only `up` was counted",
    lambda shape, r: r * shape[0],
    "the two are added, not multiplied: each is a matrix of its own",
    lambda shape, r: r * prod(shape),
    "the kernel of a convolution is missing: `down` has r × inputs × 3 × 3 numbers",
    lambda shape, r: r * (shape[0] + shape[1]),
    "only `down` has the 3×3 kernel; `up` is 1×1",
    lambda shape, r: r * prod(shape[2:]) * (shape[0] + shape[1]),
    "the bias stays frozen: it is not counted",
    lambda shape, r: r * (prod(shape[1:]) + shape[0]) + shape[0],
    "the rank is missing: `down` has r rows, `up` r columns",
    lambda shape, r: prod(shape[1:]) + shape[0],
    "r² is not a part of it: the two matrices meet at r, but nothing of that size is stored",
    lambda shape, r: r * (prod(shape[1:]) + shape[0]) + r * r,
)

# --- exercise 4: into the weights, for good -------------------------------------------------------


def _adapters(out: int, wide: int, *said: tuple[int, float]) -> list[tuple[Tensor, Tensor, float]]:
    return [
        (numbers(rank, wide, seed=2 * i + 5), numbers(out, rank, seed=2 * i + 6), strength)
        for i, (rank, strength) in enumerate(said)
    ]


def _merged_on_paper() -> Case:
    down, up = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0], [0.0]])
    return torch.eye(2), [(down, up, 0.5)]


def _sum(weight: Tensor, adapters: list, change: Callable) -> Tensor:
    return weight + sum(change(*adapter) for adapter in adapters)


def _changes(answer: Callable) -> Figure:
    """What each way makes of a weight, as maps."""
    weight, adapters = numbers(12, 16), _adapters(12, 16, (1, 1.0), (2, 0.5))
    shown = {"frozen": weight, "target": merged(weight, adapters)}
    shown["yours"] = torch.as_tensor(answer(weight.clone(), adapters)).float()
    figure = plots.new_figure(2.0)
    for axes, (name, values) in zip(figure.subplots(1, 3), shown.items(), strict=True):
        axes.imshow(values.detach(), cmap=plots.DIVERGING, vmin=-6, vmax=6)
        axes.set_title(name, fontsize=9)
        axes.axis("off")
    return figure


@lesson.exercise(
    cases=lambda: [
        _merged_on_paper(),
        (numbers(4, 6), _adapters(4, 6, (2, 1.0))),
        (numbers(5, 5), _adapters(5, 5, (3, 0.5), (1, -2.0))),
        (numbers(3, 7), _adapters(3, 7, (1, 1.3), (2, 0.3), (3, 0.7))),
    ],
    picture=_changes,
)
def merged(weight: Tensor, adapters: list[tuple[Tensor, Tensor, float]]) -> Tensor:
    """One weight that does what the frozen one and all adapters do: W + Σ factor · B A."""
    return _sum(weight, adapters, lambda down, up, factor: factor * up @ down)


merged.mistakes(
    "the factors are missing",
    lambda w, adapters: _sum(w, adapters, lambda down, up, s: up @ down),
    "only the last adapter was added; every one changes the weight",
    lambda w, adapters: w + adapters[-1][2] * adapters[-1][1] @ adapters[-1][0],
    "only the first adapter was added; every one changes the weight",
    lambda w, adapters: w + adapters[0][2] * adapters[0][1] @ adapters[0][0],
    "the frozen weight was added once for each adapter",
    lambda w, adapters: sum(w + s * up @ down for down, up, s in adapters),
    "the changes were averaged; they add up",
    lambda w, adapters: w + merged(0 * w, adapters) / len(adapters),
    "this is the change alone; the frozen weight is missing",
    lambda w, adapters: merged(0 * w, adapters),
    "the changes are subtracted; that would take an adapter out again",
    lambda w, adapters: w - merged(0 * w, adapters),
    "the factor is squared: it was multiplied in twice",
    lambda w, adapters: _sum(w, adapters, lambda down, up, s: s * s * up @ down),
    "the frozen weight was scaled as well; only the changes are",
    lambda w, adapters: _sum(w * sum(s for *_, s in adapters), adapters, lambda d, u, s: s * u @ d),
)

# --- exercise 5: which tool? ----------------------------------------------------------------------

TOOLS = ("prompt", "inversion", "LoRA", "all weights")


WISHES = {
    "snow": Wish("prompt", "the model knows both words; nothing has to be learned"),
    "lumo": Wish(
        "inversion",
        "the model can already draw it; only the word is new",
        {
            "prompt": "the model has never read the word, and its pieces mean nothing to it",
            "LoRA": "it would do, with thousands of times as many numbers: the U-Net can draw this "
            "already, so only the word has to be learned",
        },
    ),
    "crest": Wish(
        "LoRA",
        "the U-Net itself has to learn a new shape, from few pictures",
        {
            "inversion": "a word only finds what the U-Net can draw already; this crest it cannot",
            "prompt": "no words of the model describe a shape that it has never drawn",
            "all weights": "it would do, but the file would be as large as the model, and twenty "
            "pictures are few for so many numbers",
        },
    ),
    "film": Wish(
        "LoRA",
        "strengths are set while drawing, and adapters that are switched off change nothing",
        {
            "inversion": "a word is there or not; a dial needs something with a strength",
            "all weights": "weights that were trained through have no dial to turn back",
        },
    ),
    "xrays": Wish(
        "all weights",
        "nothing in such pictures is like what the model knows, and there is data for all of it",
        {
            "LoRA": "low rank is enough for a small change; here everything changes, and a million "
            "pictures can teach more than a small adapter holds",
            "inversion": "a word only finds what the U-Net can draw already",
        },
    ),
}


@lesson.open_exercise(picture=choices.table_of(WISHES))
def tools(answer: Callable[[], dict[str, str]]) -> dict[str, str]:
    """The tool for every wish."""
    return choices.chosen(answer(), WISHES, TOOLS, "tool")
