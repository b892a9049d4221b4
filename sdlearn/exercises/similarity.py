"""Exercises of lesson 02, CLIP."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from sdlearn import plots, similarity
from sdlearn.exercises import pictures
from sdlearn.exercises.engine import Lesson
from sdlearn.exercises.given import numbers, several, tiny
from sdlearn.exercises.results import RETURNED_NONE, Case, Unmet, unlike
from sdlearn.picturebook.drawing import draw
from sdlearn.picturebook.scenes import (
    COLOURS,
    KINDS,
    RELATIONS,
    SETTINGS,
    SIZES,
    compose,
    words,
)

lesson = Lesson("02_clip")


@cache
def _pages() -> tuple[list[Image.Image], list[str], Tensor, Tensor]:
    """Four pages, their captions, and the vectors that the shipped CLIP gives them."""
    kinds = (("red", "house"), ("blue", "car"), ("pink", "cat"), ("yellow", "boat"))
    scenes = [compose([thing], "meadow", rng=seed) for seed, thing in enumerate(kinds)]
    shown, captions = (
        [draw(s, 128) for s in scenes],
        [f"a {colour} {kind}" for colour, kind in kinds],
    )
    model = tiny()
    of_pictures = similarity.image_vectors(model.image_processor, model.clip, shown)
    return (
        shown,
        captions,
        of_pictures,
        similarity.text_vectors(model.tokenizer, model.clip, captions),
    )


# --- exercise 1: cosine similarity ----------------------------------------------------------------


def _draw_cosines(answer: Callable) -> Figure:
    shown, captions, of_pictures, of_captions = _pages()
    yours = answer(of_pictures.clone(), of_captions.clone())
    return plots.similarity(yours, shown, captions, "your similarities")


@lesson.exercise(
    cases=lambda: [
        (torch.tensor([[3.0, 4.0]]), torch.tensor([[-1.0, 0.0], [0.0, 2.0]])),
        (torch.tensor([[3.0, 4.0], [0.0, -2.0]]), torch.tensor([[4.0, 3.0]])),
        (numbers(3, 5), numbers(4, 5, seed=1)),
        several(2, (4, 4)),
    ],
    picture=_draw_cosines,
    by_hand=lambda first, second: {
        "dot products": first @ second.T,
        "lengths of first": first.norm(dim=1),
        "lengths of second": second.norm(dim=1),
    },
)
def cosines(first: Tensor, second: Tensor) -> Tensor:
    """The cosine of every vector of one set with every vector of the other."""
    return similarity.cosine_similarity(first, second)


cosines.mistakes(
    "the lengths are divided out along the columns: keep them as a column, with `keepdim=True`",
    lambda a, b: (a / a.norm(dim=1)) @ F.normalize(b, dim=1).T,
    "this compares each vector with only one of the other set; each has to meet *every* other one",
    lambda a, b: F.cosine_similarity(a, b),
    "the vectors are not normalised: long vectors get large numbers, whatever their direction",
    lambda a, b: a @ b.T,
    "normalised along the wrong dimension: every *row* is a vector, so take dim=1",
    lambda a, b: F.normalize(a, dim=0) @ F.normalize(b, dim=0).T,
    "only one of the two sets is normalised; both have to be",
    lambda a, b: F.normalize(a, dim=1) @ b.T,
    "rows and columns are exchanged: one row for each vector of the *first* set",
    lambda a, b: F.normalize(b, dim=1) @ F.normalize(a, dim=1).T,
    "divided by the *squares* of the lengths",
    lambda a, b: (a @ b.T) / (a.square().sum(1)[:, None] * b.square().sum(1)[None]),
    "divided by the length of the *whole matrix*: every row has a length of its own, `dim=1`",
    lambda a, b: (a / a.norm()) @ (b / b.norm()).T,
    "only the second set is normalised; both have to be",
    lambda a, b: a @ F.normalize(b, dim=1).T,
    "divided by the sum of absolute numbers; a length is the root of the sum of *squares*",
    lambda a, b: F.normalize(a, p=1, dim=1) @ F.normalize(b, p=1, dim=1).T,
    "the sign is lost: vectors that point opposite ways have the cosine -1",
    lambda a, b: similarity.cosine_similarity(a, b).abs(),
    "these are distances; a cosine is a dot product of vectors of length 1",
    lambda a, b: torch.cdist(a, b),
    "divided by one of the lengths twice: by the length of the first *and* that of the second",
    lambda a, b: (a @ b.T) / a.norm(dim=1)[:, None] ** 2,
)

# --- exercise 2: probabilities --------------------------------------------------------------------


def _draw_probabilities(answer: Callable) -> Figure:
    shown, captions, of_pictures, of_captions = _pages()
    similarities = similarity.cosine_similarity(of_pictures, of_captions)
    yours = answer(similarities, similarity.temperature(tiny().clip))
    title = "your probability of each caption, for every picture"
    return plots.similarity(yours, shown, captions, title, (0, 1))


def _rows_to_1(numbers: Tensor) -> Tensor:
    return numbers / numbers.sum(dim=1, keepdim=True)


def _from_largest(logits: Tensor) -> Tensor:
    return logits - logits.amax(dim=1, keepdim=True)


@lesson.exercise(
    cases=lambda: [
        (torch.tensor([[0.9, 0.1], [0.2, 0.3]]), 0.5),
        (numbers(3, 4) / 4, 0.07),
        (numbers(4, 4, seed=1) / 4, 1.0),
        (torch.tensor([[1.0, 0.99, -1.0], [0.0, -1.0, 1.0]]), 0.01),
        (torch.tensor([[1.0, 0.9], [-0.5, -0.6]]), 0.01),
    ],
    picture=_draw_probabilities,
    by_hand=lambda similarities, temperature: {
        "similarities / temperature": similarities / temperature,
        "minus the largest number of the row": _from_largest(similarities / temperature),
        "exp of that": _from_largest(similarities / temperature).exp(),
    },
)
def caption_probabilities(similarities: Tensor, temperature: float) -> Tensor:
    """The probability of every caption for each picture: a softmax along the rows."""
    return (similarities / temperature).softmax(dim=1)


caption_probabilities.mistakes(
    "divided by the sums along the wrong dimension: keep them as a column, with `keepdim=True`",
    lambda s, t: (s / t).exp() / (s / t).exp().sum(dim=1),
    "rows and columns are exchanged: a row for each picture, as in what is given",
    lambda s, t: (s.T / t).softmax(dim=1),
    "at a temperature of 0.01 the exponential overflows: exp(100) is infinite in float32. Subtract "
    "the largest number of each row first, or use `softmax`, which does",
    lambda s, t: (s / t).exp() / (s / t).exp().sum(dim=1, keepdim=True),
    "softmax over the wrong dimension: a picture's captions stand in a *row*, dim=1",
    lambda s, temperature: (s / temperature).softmax(dim=0),
    "multiplied by the temperature: a *small* one has to make differences large, so divide",
    lambda s, temperature: (s * temperature).softmax(dim=1),
    "the temperature has no effect (unused, subtracted, or divided out again): divide by it first",
    lambda s, temperature: s.softmax(dim=1),
    "the largest number of *everything* is subtracted: a row far below it becomes 0 / 0; subtract "
    "the largest of each row, or use `softmax`",
    lambda s, t: _rows_to_1(((s - s.max()) / t).exp()),
    "exp(similarity / temperature) is not divided by the row's sum",
    lambda s, t: (s / t).exp(),
    "these are the choices, not probabilities: a softmax gives the others their share",
    lambda s, t: F.one_hot(s.argmax(dim=1), s.shape[1]).float(),
    "a sigmoid looks at each field alone; the captions of a row compete: softmax",
    lambda s, t: (s / t).sigmoid(),
    "the *least* similar caption wins: the sign in the exponent is wrong",
    lambda s, t: (-s / t).softmax(dim=1),
    "the softmax is taken twice",
    lambda s, t: (s / t).softmax(dim=1).softmax(dim=1),
    "divided after the softmax: the temperature has to act *before* it",
    lambda s, temperature: s.softmax(1) / temperature,
    "all fields together sum up to 1 in yours; every row has to",
    lambda s, temperature: (s / temperature).flatten().softmax(0).reshape(s.shape),
    "these are logits; the softmax is missing",
    lambda s, temperature: s / temperature,
    "this is the logarithm of the probabilities",
    lambda s, temperature: (s / temperature).log_softmax(dim=1),
    "exp is missing: a softmax divides exp(similarity / temperature) by the sum of these",
    lambda s, t: (s / t) / (s / t).sum(dim=1, keepdim=True),
)

# --- exercise 3: the loss -------------------------------------------------------------------------


def _ways(s: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """The loss of finding captions for pictures, and that of finding pictures for captions."""
    pairs = torch.arange(len(s))
    return F.cross_entropy(s / temperature, pairs), F.cross_entropy(s.T / temperature, pairs)


def _draw_losses(answer: Callable) -> Figure:
    """The loss along the way from no match to a perfect one."""
    shares = [i / 10 for i in range(11)]
    lines = {
        name: [loss(torch.eye(4) * share, 0.2) for share in shares]
        for name, loss in (("target", clip_loss), ("yours", answer))
    }
    return pictures.curves(
        shares, lines, "similarity of the matching pairs; all others are 0", "loss"
    )


def _learning() -> tuple[Case, Tensor]:
    similarities = (numbers(3, 3) / 4).requires_grad_()
    return (similarities, 0.07), similarities


@lesson.exercise(
    cases=lambda: [
        (torch.tensor([[0.9, 0.1], [0.4, 0.6]]), 0.5),
        (numbers(3, 3) / 4, 0.07),
        (numbers(5, 5, seed=1) / 4, 1.0),
        (torch.tensor([[1.0, -1.0], [0.9, -0.9]]), 0.01),
    ],
    picture=_draw_losses,
    learns=_learning,
    by_hand=lambda similarities, temperature: {
        "probabilities of captions (rows)": (similarities / temperature).softmax(dim=1),
        "of pictures (columns)": (similarities / temperature).softmax(dim=0),
        "mean of -log of the diagonal, by rows and by columns": torch.stack(
            _ways(similarities, temperature)
        ),
    },
)
def clip_loss(similarities: Tensor, temperature: float) -> Tensor:
    """The symmetric contrastive loss."""
    return similarity.contrastive_loss(similarities, temperature)


clip_loss.mistakes(
    "brackets are missing: *both* sides are halved",
    lambda s, temperature: _ways(s, temperature)[0] + _ways(s, temperature)[1] / 2,
    "at a temperature of 0.01 a probability becomes exactly 0, and its logarithm minus infinity; "
    "`log_softmax` or `cross_entropy` computes both in one go",
    lambda s, t: -sum((s / t).softmax(d).diagonal().log().mean() for d in (0, 1)) / 2,
    "one-sided: captions compete for each picture; pictures have to compete for each caption too",
    lambda s, temperature: _ways(s, temperature)[0],
    "one-sided: pictures compete for each caption; captions have to compete for each picture too",
    lambda s, temperature: _ways(s, temperature)[1],
    "the two sides are added up; take their mean",
    lambda s, temperature: sum(_ways(s, temperature)),
    "multiplied by the temperature; divide by it",
    lambda s, temperature: sum(_ways(s, 1 / temperature)) / 2,
    "the temperature is not used",
    lambda s, temperature: sum(_ways(s, 1.0)) / 2,
    "the sign is wrong: a loss falls as the matrix gets better",
    lambda s, temperature: -sum(_ways(s, temperature)) / 2,
    "summed over the pairs; take the mean, so that the loss does not grow with the batch",
    lambda s, temperature: len(s) * sum(_ways(s, temperature)) / 2,
    "the mean is taken before the logarithm; every pair has a -log of its own",
    lambda s, t: -sum((s / t).softmax(d).diagonal().mean().log() for d in (0, 1)) / 2,
    "this only rewards the diagonal; compare it with the rest of its row and column",
    lambda s, temperature: -(s / temperature).diagonal().mean(),
    "`cross_entropy` takes the softmax itself; here it is taken twice, the rows' for both sides",
    lambda s, t: sum(_ways((s / t).softmax(1), 1.0)) / 2,
    "`cross_entropy` takes the softmax itself: give it similarities / temperature, on both sides",
    lambda s, t: (
        (
            F.cross_entropy((s / t).softmax(1), torch.arange(len(s)))
            + F.cross_entropy((s.T / t).softmax(1), torch.arange(len(s)))
        )
        / 2
    ),
    "the softmax is taken over the whole matrix; captions compete in a row, pictures in a column",
    lambda s, t: -(s / t).flatten().log_softmax(0).reshape(s.shape).diagonal().mean(),
    "-log is missing: these are the probabilities themselves",
    lambda s, t: sum((s / t).softmax(d).diagonal().mean() for d in (0, 1)) / 2,
    "-log is missing: this is 1 minus the probabilities",
    lambda s, t: 1 - sum((s / t).softmax(d).diagonal().mean() for d in (0, 1)) / 2,
    "the softmax is missing: -log of the similarities themselves",
    lambda s, t: -(s / t).diagonal().log().mean(),
    "-log of *all* probabilities is averaged; only the matching pairs, on the diagonal, count",
    lambda s, t: -sum((s / t).log_softmax(d).mean() for d in (0, 1)) / 2,
)

# --- exercise 4: zero-shot ------------------------------------------------------------------------


def _draw_choice(answer: Callable) -> Figure:
    shown, captions, of_pictures, of_captions = _pages()
    chosen = [captions[int(answer(vector.clone(), of_captions.clone()))] for vector in of_pictures]
    return plots.strip(shown, [f"yours: {caption}" for caption in chosen])


def _long_and_short() -> Tensor:
    """Caption vectors of very different lengths."""
    return torch.tensor([[0.5, 0.5], [9.0, 0.0], [0.0, -1.0]])


def _of_many_lengths(seed: int) -> Tensor:
    """Eight caption vectors, each longer or shorter than the others."""
    return numbers(8, 6, seed=seed + 100) * (2 * numbers(8, 1, seed=seed + 200)).exp()


@lesson.exercise(
    cases=lambda: [
        (torch.tensor([1.0, 0.9]), _long_and_short()),
        (torch.tensor([0.1, -2.0]), _long_and_short()),
        (torch.tensor([3.0, 0.1]), _long_and_short()),
        (torch.tensor([1.0, 0.2]), torch.tensor([[-3.0, -0.6], [1.0, 1.0], [0.1, -1.0]])),
        (torch.tensor([1.0, 0.0]), torch.tensor([[-1.0, 0.0], [-1.0, 1.0]])),
        *((numbers(6, seed=i), _of_many_lengths(i)) for i in range(10, 18)),
    ],
    picture=_draw_choice,
    by_hand=lambda picture, captions: {"cosines": F.cosine_similarity(picture[None], captions)},
)
def best_caption(picture: Tensor, captions: Tensor) -> int:
    """The index of the caption whose vector is closest in direction to the picture's."""
    return int(similarity.cosine_similarity(picture[None], captions)[0].argmax())


best_caption.mistakes(
    "argmax along the wrong dimension; without `dim` it gives the one index that is asked for",
    lambda p, c: F.cosine_similarity(p[None], c)[None].argmax(dim=0),
    "the sign is lost, by `abs` or a square: a caption that points the *opposite* way is the worst",
    lambda p, c: int(F.cosine_similarity(p[None], c).abs().argmax()),
    "this is the *least* similar caption",
    lambda p, c: int(F.cosine_similarity(p[None], c).argmin()),
    "the captions' lengths still count, and a long one wins whatever it says: divide each caption "
    "by its *own* length (`dim=1, keepdim=True`)",
    lambda p, c: int((c @ p).argmax()),
    "this measures the distance of the vectors' ends; CLIP compares their directions",
    lambda p, c: int((c - p).square().sum(dim=1).argmin()),
    "this is the largest similarity itself; its *index* was asked for: argmax",
    lambda p, c: F.cosine_similarity(p[None], c).max(),
    "these are the similarities; the index of the largest was asked for",
    lambda p, c: F.cosine_similarity(p[None], c),
)

# --- exercise 5: what CLIP confuses ---------------------------------------------------------------

ALIKE = 0.95
THING = rf"an? (?:({'|'.join(SIZES)}) )?({'|'.join(COLOURS)}) ({'|'.join(KINDS)})"
WHERE = "|".join(SETTINGS.values())
BETWEEN = "|".join(name for name in RELATIONS if name != "and")
SENTENCE = re.compile(
    rf"(?:a picture of )?(?:(?:{WHERE}),? )?{THING}"
    rf"(?: (?:{BETWEEN}) {THING}|(?:(?:,| and) {THING})*)(?:,? (?:{WHERE}))?"
)


def _says(caption: str) -> tuple[str, tuple]:
    """What a caption says, the same for every wording: the relation, and the things."""
    things = tuple(re.findall(THING, caption))
    relation = next((name for name in RELATIONS if f" {name} " in caption), "and")
    if relation in ("right of", "below"):
        relation, things = {"right of": "left of", "below": "above"}[relation], things[::-1]
    if relation in ("left of", "above"):
        return relation, things
    return "together", tuple(sorted(things))


def _draw_pair(measured: tuple[list[str], float]) -> Figure:
    (first, second), alike = measured
    figure = plots.new_figure(1.2)
    axes = figure.subplots()
    axes.barh([0], [alike], color=plots.LINES[0])
    axes.set(xlim=(0, 1), yticks=[])
    axes.set_title(f"“{first}” and “{second}”: {alike:.2f}", fontsize=9)
    return figure


@lesson.open_exercise(picture=_draw_pair)
def confused_pair(answer: Callable[[], tuple[str, str]]) -> tuple[list[str], float]:
    """Two captions of different pictures, with the same words, that CLIP can hardly tell apart."""
    texts = answer()
    if texts is None:
        raise Unmet(RETURNED_NONE)
    if isinstance(texts, str | dict) or not all(isinstance(text, str) for text in texts):
        raise Unmet(f'two texts were expected, got {type(texts).__name__}; `return "…", "…"`')
    texts = list(map(str, texts))
    captions = [" ".join(text.lower().rstrip(".").split()) for text in texts]
    read = [caption.replace(",", " ").split() for caption in captions]
    counted = [sorted("a" if word == "an" else word for word in caption) for caption in read]
    if len(captions) != 2:
        raise Unmet(f"two captions were expected, got {len(captions)}")
    if unknown := [word for word in read[0] + read[1] if word not in words()]:
        raise Unmet(f"not in the picture book: {', '.join(dict.fromkeys(unknown))}")
    if odd := [caption for caption in captions if not SENTENCE.fullmatch(caption)]:
        raise Unmet(
            f"“{odd[0]}” is not written as in the picture book, where each thing has an article "
            "and a colour, and perhaps a size: “a big red house left of a blue tree in the snow”"
        )
    says = [_says(caption) for caption in captions]
    if counted[0] != counted[1]:
        raise Unmet(
            "these do not have the same words; find two that differ only in the *order* of their "
            "words"
        )
    if says[0] == says[1]:
        raise Unmet("these two captions describe the same picture")
    if "above" in (says[0][0], says[1][0]):
        raise Unmet(
            "with *above* and *below* the lesson has shown it already; find a pair without them"
        )
    of_first, of_second = similarity.text_vectors(tiny().tokenizer, tiny().clip, texts).split(1)
    alike = similarity.cosine_similarity(of_first, of_second).item()
    if alike < ALIKE:
        mine, least = unlike(alike, ALIKE)
        advice = "You are close: try other things and colours"
        if alike < ALIKE - 0.02:
            advice = "Exchange something that its training never asked for"
        raise Unmet(
            f"CLIP tells these apart: their cosine similarity is {mine}, and at least {least} was "
            f"asked for. {advice}"
        )
    return texts, alike
