"""Answers to the exercises of lesson 02_clip."""

import torch
import torch.nn.functional as F

from answers import on_copies


def cosines_one_by_one(first, second):
    return torch.tensor([[torch.dot(a, b) / (a.norm() * b.norm()) for b in second] for a in first])


def cosines_by_broadcasting(first, second):
    return F.cosine_similarity(first.double()[:, None], second.double()[None], dim=-1)


def probabilities_by_hand(similarities, temperature):
    e = torch.exp(similarities / temperature)
    return e / e.sum(dim=1, keepdim=True)


def probabilities_from_the_largest(similarities, temperature):
    logits = similarities / temperature
    e = torch.exp(logits - logits.amax(dim=1, keepdim=True))
    return e / e.sum(dim=1, keepdim=True)


def probabilities_in_place(similarities, temperature):
    similarities /= temperature
    return F.softmax(similarities.double(), dim=-1)


def loss_by_diagonals(similarities, temperature):
    logits = similarities / temperature
    return -(logits.log_softmax(0).diagonal().mean() + logits.log_softmax(1).diagonal().mean()) / 2


def loss_by_one_hot(similarities, temperature):
    target = torch.eye(len(similarities))
    sides = (similarities, similarities.T)
    return (
        torch.stack([F.cross_entropy(side / temperature, target) for side in sides]).mean().double()
    )


def best_caption_by_loop(picture, captions):
    found = [float(picture @ caption / caption.norm()) for caption in captions]
    return found.index(max(found))


def best_caption_as_tensor(picture, captions):
    return F.cosine_similarity(picture[None], captions).argmax()


RIGHT = {
    "cosines": (cosines_one_by_one, cosines_by_broadcasting),
    "caption_probabilities": (
        probabilities_from_the_largest,
        on_copies(probabilities_in_place),
    ),
    "clip_loss": (loss_by_diagonals, loss_by_one_hot),
    "best_caption": (best_caption_by_loop, best_caption_as_tensor),
    "confused_pair": (
        lambda: (
            "a small pink star beside a red cat at night",
            "a pink star beside a small red cat at night",
        ),
        lambda: [
            "a red house, a big blue tree and a green car in the snow",
            "a red house, a blue tree and a big green car in the snow",
        ],
    ),
}

WRONG = {
    "cosines": (
        (lambda a, b: a @ b.T, "not normalised"),
        (lambda a, b: F.normalize(a, dim=0) @ F.normalize(b, dim=0).T, "wrong dimension"),
        (lambda a, b: F.cosine_similarity(b[:, None], a[None], dim=2), "exchanged"),
        (lambda a, b: F.normalize(a, dim=1) @ b.T, "only one of the two"),
    ),
    "caption_probabilities": (
        (probabilities_by_hand, "overflows"),
        (probabilities_in_place, "changes its argument"),
        (lambda s, tau: torch.softmax(s / tau, 0), "softmax over the wrong dimension"),
        (lambda s, tau: torch.softmax(s * tau, 1), "multiplied by the temperature"),
        (lambda s, tau: torch.softmax(s, 1), "temperature is not used"),
        (lambda s, tau: s / tau, "softmax is missing"),
    ),
    "clip_loss": (
        (
            lambda s, t: -sum((s / t).softmax(d).diagonal().log().mean() for d in (0, 1)) / 2,
            "log_softmax",
        ),
        (lambda s, t: loss_by_diagonals(s, t).item(), "gradient was cut"),
        (lambda s, tau: F.cross_entropy(s / tau, torch.arange(len(s))), "one-sided: captions"),
        (lambda s, tau: F.cross_entropy(s.T / tau, torch.arange(len(s))), "one-sided: pictures"),
        (lambda s, tau: 2 * loss_by_diagonals(s, tau), "take their mean"),
        (lambda s, tau: -loss_by_diagonals(s, tau), "sign is wrong"),
        (lambda s, tau: len(s) * loss_by_diagonals(s, tau), "summed over the pairs"),
        (lambda s, tau: loss_by_diagonals(s, 1 / tau), "divide by it"),
    ),
    "best_caption": (
        (lambda p, c: int(F.cosine_similarity(p[None], c).square().argmax()), "sign is lost"),
        (lambda p, c: int(F.cosine_similarity(p[None], c).argmax()) + 1, "is 1 too large"),
        (lambda p, c: (c @ p).argmax(), "not normalised"),
        (lambda p, c: F.cosine_similarity(p[None], c).argmin(), "least"),
        (lambda p, c: (c - p).norm(dim=1).argmin(), "directions"),
        (lambda p, c: F.cosine_similarity(p[None], c), "these are the similarities"),
        (lambda p, c: F.cosine_similarity(p[None], c).max(), "largest similarity itself"),
    ),
    "confused_pair": (
        (lambda: ("a red house", "a red house"), "describe the same picture"),
        (lambda: ("a red dragon", "dragon a red"), "not in the picture book: dragon"),
        (lambda: ("a red house", "a red tree"), "do not have the same words"),
        (
            lambda: ("a red house in the snow", "in the snow, a red house"),
            "describe the same picture",
        ),
        (
            lambda: ("a red house and a blue tree", "a blue tree and a red house"),
            "describe the same picture",
        ),
        (
            lambda: ("a big red house in the snow", "a red big house in the snow"),
            "is no sentence of the picture book",
        ),
        (
            lambda: ("a pink kite above a red car", "a red car above a pink kite"),
            "shown it already",
        ),
        (
            lambda: ("a red house left of a blue tree", "a blue tree left of a red house"),
            "CLIP tells these apart",
        ),
        (
            lambda: ("a house red in the snow", "a red house in the snow"),
            "is no sentence of the picture book",
        ),
        (lambda: ("a red house", "a blue house", "a cat"), "two captions were expected"),
    ),
}
