"""Exercises of the lesson on CLIP."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from sdlearn import plots, similarity
from sdlearn.check import Exercise, Mistake, OpenExercise
from sdlearn.drawing import draw
from sdlearn.exercises.given import numbers, tiny
from sdlearn.picturebook import COLOURS, KINDS, SIZES, compose, words

LESSON = "02_clip"


@cache
def _pages() -> tuple[list[Image.Image], list[str], Tensor, Tensor]:
    """Four pages, their captions, and the vectors that the shipped CLIP gives them."""
    kinds = (("red", "house"), ("blue", "car"), ("pink", "cat"), ("yellow", "boat"))
    scenes = [compose([thing], "meadow", rng=seed) for seed, thing in enumerate(kinds)]
    pictures, captions = (
        [draw(scene, 128) for scene in scenes],
        [f"a {colour} {kind}" for colour, kind in kinds],
    )
    model = tiny()
    of_pictures = similarity.image_vectors(model.image_processor, model.clip, pictures)
    return (
        pictures,
        captions,
        of_pictures,
        similarity.text_vectors(model.tokenizer, model.clip, captions),
    )


# --- cosine similarity ----------------------------------------------------------------------------


def _draw_cosines(answer: Callable) -> Figure:
    pictures, captions, of_pictures, of_captions = _pages()
    return plots.similarity(
        answer(of_pictures.clone(), of_captions.clone()), pictures, captions, "your similarities"
    )


COSINES = Exercise(
    LESSON,
    "cosines",
    similarity.cosine_similarity,
    lambda: [
        (torch.tensor([[3.0, 4.0]]), torch.tensor([[1.0, 0.0], [0.0, 2.0]])),
        (numbers(3, 5), numbers(4, 5, seed=1)),
        (numbers(4, 4), numbers(4, 4, seed=1)),
    ],
    (
        Mistake(
            "the vectors are not normalised: long vectors look similar to everything",
            lambda a, b: a @ b.T,
        ),
        Mistake(
            "normalised along the wrong dimension: every *row* is a vector, so its length is "
            "taken along dim=1",
            lambda a, b: F.normalize(a, dim=0) @ F.normalize(b, dim=0).T,
        ),
        Mistake(
            "only one of the two sets is normalised; both have to be",
            lambda a, b: F.normalize(a, dim=1) @ b.T,
        ),
        Mistake(
            "rows and columns are exchanged: one row for each vector of the *first* set",
            lambda a, b: F.normalize(b, dim=1) @ F.normalize(a, dim=1).T,
        ),
        Mistake(
            "divided by the *squares* of the lengths",
            lambda a, b: (a @ b.T) / (a.square().sum(1)[:, None] * b.square().sum(1)[None]),
        ),
    ),
    _draw_cosines,
)

# --- probabilities --------------------------------------------------------------------------------


def caption_probabilities(similarities: Tensor, temperature: float) -> Tensor:
    return (similarities / temperature).softmax(dim=1)


def _draw_probabilities(answer: Callable) -> Figure:
    pictures, captions, of_pictures, of_captions = _pages()
    found = similarity.cosine_similarity(of_pictures, of_captions)
    shown = answer(found.clone(), similarity.temperature(tiny().clip))
    return plots.similarity(
        shown, pictures, captions, "your probability of each caption, for every picture", (0, 1)
    )


CAPTION_PROBABILITIES = Exercise(
    LESSON,
    "caption_probabilities",
    caption_probabilities,
    lambda: [
        (torch.tensor([[0.9, 0.1], [0.2, 0.3]]), 0.5),
        (numbers(3, 4) / 4, 0.07),
        (numbers(4, 4, seed=1) / 4, 1.0),
    ],
    (
        Mistake(
            "softmax over the wrong dimension: the probabilities of one picture's captions stand "
            "in a *row*, dim=1",
            lambda s, temperature: (s / temperature).softmax(dim=0),
        ),
        Mistake(
            "multiplied by the temperature: a *small* temperature has to make the differences "
            "large, so divide",
            lambda s, temperature: (s * temperature).softmax(dim=1),
        ),
        Mistake("the temperature is not used", lambda s, temperature: s.softmax(dim=1)),
        Mistake(
            "divided after the softmax: the temperature has to act *before* it",
            lambda s, temperature: s.softmax(1) / temperature,
        ),
        Mistake(
            "all fields together sum up to 1 in yours; every row has to",
            lambda s, temperature: (s / temperature).flatten().softmax(0).reshape(s.shape),
        ),
        Mistake("these are logits; the softmax is missing", lambda s, temperature: s / temperature),
        Mistake(
            "this is the logarithm of the probabilities",
            lambda s, temperature: (s / temperature).log_softmax(dim=1),
        ),
    ),
    _draw_probabilities,
)

# --- the loss -------------------------------------------------------------------------------------


def _ways(s: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    pairs = torch.arange(len(s))
    return F.cross_entropy(s / temperature, pairs), F.cross_entropy(s.T / temperature, pairs)


def _draw_losses(answer: Callable) -> Figure:
    """The loss along the way from no match to a perfect one."""
    steps = [i / 10 for i in range(11)]
    found = [torch.eye(4) * share for share in steps]
    lines = {
        "target": [float(similarity.contrastive_loss(s, 0.2)) for s in found],
        "yours": [float(answer(s.clone(), 0.2)) for s in found],
    }
    figure = plots.losses(steps, lines)
    figure.axes[0].set_xlabel("similarity of the matching pairs; all others are 0")
    return figure


CLIP_LOSS = Exercise(
    LESSON,
    "clip_loss",
    similarity.contrastive_loss,
    lambda: [
        (torch.tensor([[0.9, 0.1], [0.4, 0.6]]), 0.5),
        (numbers(3, 3) / 4, 0.07),
        (numbers(5, 5, seed=1) / 4, 1.0),
    ],
    (
        Mistake(
            "one-sided: captions are compared for every picture; take the mean with pictures for "
            "every caption",
            lambda s, temperature: _ways(s, temperature)[0],
        ),
        Mistake(
            "one-sided: pictures are compared for every caption; take the mean with captions for "
            "every picture",
            lambda s, temperature: _ways(s, temperature)[1],
        ),
        Mistake(
            "the two sides are added up; take their mean",
            lambda s, temperature: sum(_ways(s, temperature)),
        ),
        Mistake(
            "multiplied by the temperature; divide by it",
            lambda s, temperature: sum(_ways(s, 1 / temperature)) / 2,
        ),
        Mistake("the temperature is not used", lambda s, temperature: sum(_ways(s, 1.0)) / 2),
        Mistake(
            "the sign is wrong: a loss falls as the matrix gets better",
            lambda s, temperature: -sum(_ways(s, temperature)) / 2,
        ),
        Mistake(
            "summed over the pairs; take the mean, so that the loss does not grow with the batch",
            lambda s, temperature: len(s) * sum(_ways(s, temperature)) / 2,
        ),
        Mistake(
            "the mean is taken before the logarithm; every pair has a -log of its own",
            lambda s, t: (
                -(
                    (s / t).softmax(0).diagonal().mean().log()
                    + (s / t).softmax(1).diagonal().mean().log()
                )
                / 2
            ),
        ),
        Mistake(
            "this only rewards the diagonal; the loss has to compare it with the rest of its row "
            "and column",
            lambda s, temperature: -(s / temperature).diagonal().mean(),
        ),
    ),
    _draw_losses,
)

# --- zero-shot ------------------------------------------------------------------------------------


def best_caption(picture: Tensor, captions: Tensor) -> int:
    return int(similarity.cosine_similarity(picture[None], captions)[0].argmax())


def _draw_choice(answer: Callable) -> Figure:
    pictures, captions, of_pictures, of_captions = _pages()
    chosen = [captions[int(answer(vector.clone(), of_captions.clone()))] for vector in of_pictures]
    return plots.strip(pictures, [f"yours: {caption}" for caption in chosen])


def _long_and_short() -> Tensor:
    """Caption vectors of very different lengths."""
    return torch.tensor([[0.5, 0.5], [9.0, 0.0], [0.0, -1.0]])


BEST_CAPTION = Exercise(
    LESSON,
    "best_caption",
    best_caption,
    lambda: [
        (torch.tensor([1.0, 0.9]), _long_and_short()),
        (torch.tensor([0.1, -2.0]), _long_and_short()),
        (torch.tensor([3.0, 0.1]), _long_and_short()),
        (numbers(6), numbers(8, 6, seed=1)),
    ],
    (
        Mistake(
            "this is the *least* similar caption",
            lambda p, c: int(F.cosine_similarity(p[None], c).argmin()),
        ),
        Mistake(
            "the vectors are not normalised, so a long caption vector wins whatever it says",
            lambda p, c: int((c @ p).argmax()),
        ),
        Mistake(
            "this measures the distance of the vectors' ends; CLIP compares their directions",
            lambda p, c: int((c - p).square().sum(dim=1).argmin()),
        ),
        Mistake(
            "this is the largest similarity itself; asked is its *place*: argmax",
            lambda p, c: F.cosine_similarity(p[None], c).max(),
        ),
        Mistake(
            "these are the similarities; asked is the place of the largest",
            lambda p, c: F.cosine_similarity(p[None], c),
        ),
    ),
    _draw_choice,
)

# --- what CLIP confuses ---------------------------------------------------------------------------

ALIKE = 0.95


def _measure_pair(answer: Callable[[], tuple[str, str]]) -> dict:
    first, second = answer()
    model = tiny()
    texts = [str(first), str(second)]
    read = [text.lower().replace(",", " ").split() for text in texts]
    found = similarity.text_vectors(model.tokenizer, model.clip, texts)
    return {
        "texts": texts,
        "words": read,
        "scenes": [_scene(words_read) for words_read in read],
        "alike": similarity.cosine_similarity(found[:1], found[1:]).item(),
    }


def _scene(read: list[str]) -> tuple:
    """What a caption says, written so that two wordings of one picture are equal: its things, and
    how they stand.
    """
    things = [tuple(read[max(i - 2, 0) : i + 1]) for i, word in enumerate(read) if word in KINDS]
    things = [
        tuple(sorted(word for word in thing if word in (*SIZES, *COLOURS, *KINDS)))
        for thing in things
    ]
    relation = next(
        (name for name in ("left of", "right of", "above", "below") if name in " ".join(read)), None
    )
    if relation in ("right of", "below"):
        return "ordered", tuple(reversed(things))
    return ("ordered", tuple(things)) if relation else ("together", tuple(sorted(things)))


def _name_their_things(m: dict) -> str | None:
    for read, (_, things) in zip(m["words"], m["scenes"], strict=True):
        if not things or not all(any(word in COLOURS for word in thing) for thing in things):
            return (
                "every thing needs its colour before it, as in the picture book: "
                f"“{' '.join(read)}”"
            )
    return None


def _are_two_texts(m: dict) -> str | None:
    return "these two captions are the same" if m["words"][0] == m["words"][1] else None


def _are_from_the_book(m: dict) -> str | None:
    unknown = [word for read in m["words"] for word in read if word not in words()]
    return f"not in the picture book: {', '.join(dict.fromkeys(unknown))}" if unknown else None


def _have_the_same_words(m: dict) -> str | None:
    if sorted(m["words"][0]) != sorted(m["words"][1]):
        return (
            "these do not have the same words; find two that differ only in the *order* of "
            "their words"
        )
    return None


def _say_other_scenes(m: dict) -> str | None:
    if m["scenes"][0] == m["scenes"][1]:
        return (
            "these describe the same picture: exchange colours or things, so that it becomes "
            "another one"
        )
    return None


def _are_alike(m: dict) -> str | None:
    if m["alike"] < ALIKE:
        return f"CLIP tells these apart: their cosine similarity is {m['alike']:.2f}, below {ALIKE}"
    return None


def _draw_pair(measured: dict) -> Figure:
    figure = plots.new_figure(1.2)
    axes = figure.subplots()
    axes.barh([0], [measured["alike"]], color=plots.LINES[0])
    axes.set(xlim=(0, 1), yticks=[])
    axes.set_title(
        f"“{measured['texts'][0]}” and “{measured['texts'][1]}”: {measured['alike']:.2f}",
        fontsize=9,
    )
    return figure


CONFUSED_PAIR = OpenExercise(
    LESSON,
    "confused_pair",
    _measure_pair,
    (
        _are_two_texts,
        _are_from_the_book,
        _name_their_things,
        _have_the_same_words,
        _say_other_scenes,
        _are_alike,
    ),
    _draw_pair,
)

EXERCISES = (COSINES, CAPTION_PROBABILITIES, CLIP_LOSS, BEST_CAPTION, CONFUSED_PAIR)
