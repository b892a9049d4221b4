"""Answers to the exercises of lesson 02_clip."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from answers import on_copies


def cosines_one_by_one(first, second):
    return torch.tensor([[torch.dot(a, b) / (a.norm() * b.norm()) for b in second] for a in first])


def cosines_by_broadcasting(first, second):
    return F.cosine_similarity(first.double()[:, None], second.double()[None], dim=-1)


def cosines_as_lists(first, second):
    return [[float(a @ b / (a @ a * (b @ b)).sqrt()) for b in second] for a in first]


def cosines_by_outer_product(first, second):
    return first @ second.T / torch.outer(first.norm(dim=1), second.norm(dim=1))


def cosines_in_numpy(first, second):
    first, second = first.double().numpy(), second.double().numpy()
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second /= np.linalg.norm(second, axis=1, keepdims=True)
    return np.einsum("id,jd->ij", first, second)


def cosines_turned_over(first, second):
    return (F.normalize(second) @ F.normalize(first).T).T


def cosines_from_distances(first, second):
    return 1 - torch.cdist(F.normalize(first.double()), F.normalize(second.double())) ** 2 / 2


def cosines_in_place(first, second):
    first /= first.norm(dim=1, keepdim=True)
    second /= second.norm(dim=1, keepdim=True)
    return first @ second.T


def cosines_without_return(first, second):
    cosines_turned_over(first, second)


def cosines_in_a_square(first, second):
    found = torch.zeros(len(first), len(first))
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            found[i, j] = F.cosine_similarity(a, b, dim=0)
    return found


def cosines_without_the_last(first, second):
    found = torch.zeros(len(first), len(second))
    found[:-1, :-1] = F.normalize(first[:-1]) @ F.normalize(second[:-1]).T
    return found


def cosines_without_keepdim(first, second):
    return (first / first.norm(dim=1)) @ (second / second.norm(dim=1)).T


def dots_over(first, second, length):
    """All dot products, divided by another idea of a vector's length."""
    return first @ second.T / torch.outer(length(first), length(second))


def lengths(vectors):
    return vectors.norm(dim=1)


def probabilities_by_hand(similarities, temperature):
    e = torch.exp(similarities / temperature)
    return e / e.sum(dim=1, keepdim=True)


def probabilities_from_the_largest(similarities, temperature):
    return shares((similarities - similarities.amax(dim=1, keepdim=True)) / temperature)


def probabilities_in_place(similarities, temperature):
    similarities /= temperature
    return F.softmax(similarities.double(), dim=-1)


def probabilities_by_loop(similarities, temperature):
    rows = []
    for row in similarities.tolist():
        e = [math.exp((number - max(row)) / temperature) for number in row]
        rows.append([number / sum(e) for number in e])
    return rows


def probabilities_turned_over(similarities, temperature):
    return (similarities.T / temperature).softmax(dim=0).T


def probabilities_by_logsumexp(similarities, temperature):
    logits = similarities.double() / temperature
    return (logits - logits.logsumexp(dim=1, keepdim=True)).exp()


def probabilities_in_numpy(similarities, temperature):
    logits = similarities.numpy() / temperature
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def probabilities_without_return(similarities, temperature):
    (similarities / temperature).softmax(dim=1)


def probabilities_of_all(similarities, temperature):
    return (similarities / temperature).flatten().softmax(dim=0).reshape(similarities.shape)


def shares(logits):
    e = logits.exp()
    return e / e.sum(dim=1, keepdim=True)


def exponentials_below_one(similarities, temperature):
    return ((similarities - similarities.amax(dim=1, keepdim=True)) / temperature).exp()


def loss_by_diagonals(similarities, temperature):
    logits = similarities / temperature
    return -(logits.log_softmax(0).diagonal().mean() + logits.log_softmax(1).diagonal().mean()) / 2


def loss_by_one_hot(similarities, temperature):
    target = torch.eye(len(similarities))
    sides = (similarities, similarities.T)
    return (
        torch.stack([F.cross_entropy(side / temperature, target) for side in sides]).mean().double()
    )


def loss_by_logsumexp(similarities, temperature):
    logits = similarities / temperature
    return (logits.logsumexp(0) + logits.logsumexp(1) - 2 * logits.diagonal()).mean() / 2


def loss_of_both_sides_at_once(similarities, temperature):
    logits = torch.cat([similarities, similarities.T]) / temperature
    return F.cross_entropy(logits, torch.arange(len(similarities)).repeat(2))


def loss_by_loop(similarities, temperature):
    logits, total = similarities.double() / temperature, 0
    for i in range(len(logits)):
        total = total - logits[i].log_softmax(0)[i] - logits[:, i].log_softmax(0)[i]
    return total / (2 * len(logits))


def loss_by_index(similarities, temperature):
    i = torch.arange(len(similarities))
    sides = (similarities / temperature, similarities.mT / temperature)
    return 0.5 * sum(F.nll_loss(side.log_softmax(dim=-1), i) for side in sides)


def loss_in_place(similarities, temperature):
    similarities /= temperature
    return loss_by_diagonals(similarities, 1)


def loss_without_return(similarities, temperature):
    loss_by_diagonals(similarities, temperature)


def loss_by_plain_numbers(similarities, temperature):
    return loss_by_loop(torch.tensor(similarities.tolist()), temperature)


def loss_with_half_a_gradient(similarities, temperature):
    rows, columns = both_sides(similarities, temperature)
    return (rows + columns.detach()) / 2


def loss_with_a_new_tensor(similarities, temperature):
    return torch.tensor(loss_by_diagonals(similarities, temperature).item(), requires_grad=True)


def loss_with_target(target):
    """The loss in which a function of the matrix says which column is right for each row."""

    def loss(similarities, temperature):
        sides = (similarities, similarities.T)
        return sum(F.cross_entropy(side / temperature, target(side)) for side in sides) / 2

    return loss


def both_sides(similarities, temperature, **options):
    target = torch.arange(len(similarities))
    sides = (similarities, similarities.T)
    return [F.cross_entropy(side / temperature, target, **options) for side in sides]


def right_probabilities(similarities, temperature):
    logits = similarities / temperature
    return logits.softmax(dim=1).diagonal(), logits.softmax(dim=0).diagonal()


def best_caption_by_loop(picture, captions):
    found = [float(picture @ caption / caption.norm()) for caption in captions]
    return found.index(max(found))


def best_caption_as_tensor(picture, captions):
    return F.cosine_similarity(picture[None], captions).argmax()


def best_caption_by_sorting(picture, captions):
    return int(similarity(picture, captions).argsort(descending=True)[0])


def best_caption_in_numpy(picture, captions):
    picture, captions = picture.numpy(), captions.numpy()
    return np.argmax(captions @ picture / np.linalg.norm(captions, axis=1))


def best_caption_by_distance(picture, captions):
    return int((F.normalize(captions) - F.normalize(picture, dim=0)).norm(dim=1).argmin())


def best_caption_from_the_worst(picture, captions):
    best, best_index = -math.inf, None
    for index, caption in enumerate(captions):
        cosine = picture @ caption / (picture.norm() * caption.norm())
        if cosine > best:
            best, best_index = cosine, index
    return best_index


def best_caption_above_zero(picture, captions):
    best, best_index = 0, 0
    for index, cosine in enumerate(similarity(picture, captions)):
        if cosine > best:
            best, best_index = cosine, index
    return best_index


def best_caption_in_place(picture, captions):
    captions /= captions.norm(dim=1, keepdim=True)
    return int((captions @ picture).argmax())


def best_caption_without_return(picture, captions):
    best_caption_by_sorting(picture, captions)


def best_caption_last_that_rises(picture, captions):
    found, best = similarity(picture, captions), 0
    for index in range(1, len(found)):
        if found[index] > found[index - 1]:
            best = index
    return best


def best_caption_without_keepdim(picture, captions):
    return int((captions / captions.norm(dim=1) @ picture).argmax())


def similarity(picture, captions):
    return F.cosine_similarity(picture[None], captions)


def best_dot_over(picture, captions, length):
    """The best caption with another idea of a vector's length."""
    return int((captions @ picture / length(captions)).argmax())


def said(*captions):
    """An answer to confused_pair: these captions."""
    return lambda: captions


COSINES = "for first = [[3, 4]], second = [[1, 0], [0, 2]]: [[0.6, 0.8]] was expected, got "
PROBABILITIES = (
    "for similarities = [[0.9, 0.1], [0.2, 0.3]], temperature = 0.5: "
    "[[0.832, 0.168], [0.4502, 0.5498]] was expected, got "
)
LOSS = "for similarities = [[0.9, 0.1], [0.4, 0.6]], temperature = 0.5: 0.3309 was expected, got "
CAPTION = "for picture = [1, 0.9], captions = [[0.5, 0.5], [9, 0], [0, -1]]: "
NO_NUMBER = (
    "for similarities = [[1, 0.99, -1], [0, -1, 1]], temperature = 0.01: "
    "your result contains NaN or infinity"
)
NO_LOSS = (
    "for similarities = [[1, -1], [0.9, -0.9]], temperature = 0.01: your "
    "result contains NaN or infinity"
)
SIZES = (
    "RuntimeError: The size of tensor a ({}) must match the size of tensor b "
    "({}) at non-singleton dimension {}"
)
AMBIGUOUS = "RuntimeError: Boolean value of Tensor with more than one value is ambiguous"
TEMPERATURE = "the temperature is not used"
DISTANCE = "this measures the distance of the vectors' ends; CLIP compares their directions"
NOT_NORMALISED = "the vectors are not normalised, so a long caption vector wins whatever it says"


RIGHT = {
    "cosines": (
        cosines_one_by_one,
        cosines_by_broadcasting,
        cosines_as_lists,
        cosines_by_outer_product,
        cosines_in_numpy,
        cosines_turned_over,
        cosines_from_distances,
        on_copies(cosines_in_place),
    ),
    "caption_probabilities": (
        probabilities_from_the_largest,
        on_copies(probabilities_in_place),
        probabilities_by_loop,
        probabilities_turned_over,
        probabilities_by_logsumexp,
        probabilities_in_numpy,
        lambda s, tau: torch.stack([row.div(tau).softmax(dim=0) for row in s]),
    ),
    "clip_loss": (
        loss_by_diagonals,
        loss_by_one_hot,
        loss_by_logsumexp,
        loss_of_both_sides_at_once,
        loss_by_loop,
        loss_by_index,
    ),
    "best_caption": (
        best_caption_by_loop,
        best_caption_as_tensor,
        best_caption_by_sorting,
        best_caption_in_numpy,
        best_caption_by_distance,
        best_caption_from_the_worst,
        lambda p, c: max(range(len(c)), key=lambda i: similarity(p, c)[i]),
    ),
    "confused_pair": (
        said(
            "a small pink star beside a red cat at night",
            "a pink star beside a small red cat at night",
        ),
        lambda: [
            "a red house, a big blue tree and a green car in the snow",
            "a red house, a blue tree and a big green car in the snow",
        ],
        said("a big red house and a blue tree", "a red house and a big blue tree"),
        said(
            "A small red car and a green cat on the beach.",
            "A red car and a small green cat on the beach.",
        ),
        said("a red car right of a big blue tree", "a big red car right of a blue tree"),
        said("a big red house left of a red house", "a red house left of a big red house"),
        lambda: np.array(["a big pink kite and a red car", "a pink kite and a big red car"]),
    ),
}

WRONG = {
    "cosines": (
        (lambda a, b: a @ b.T, "not normalised"),
        (lambda a, b: F.normalize(a, dim=0) @ F.normalize(b, dim=0).T, "wrong dimension"),
        (lambda a, b: F.cosine_similarity(b[:, None], a[None], dim=2), "columns are exchanged"),
        (lambda a, b: F.normalize(a, dim=1) @ b.T, "only one of the two"),
        (lambda a, b: 1 - cosines_turned_over(a, b), "1 minus what was asked for"),
        (lambda a, b: -cosines_turned_over(a, b), "the sign is wrong"),
        (lambda a, b: dots_over(a, b, lambda v: (v**2).sum(1)), "squares* of the lengths"),
        (lambda a, b: cosines_turned_over(a, b) / a.shape[1], "these are 0.5, 0.5, 0.2, 0.25"),
        (lambda a, b: cosines_turned_over(a, b.flip(0)), "in reverse order"),
        (lambda a, b: cosines_turned_over(a, b) ** 2, "got [[0.36, 0.64]]"),
        (lambda a, b: F.normalize(a) @ F.normalize(b), "shapes cannot be multiplied"),
        (lambda a, b: F.cosine_similarity(a, b), "only one of the other set"),
        (lambda a, b: F.normalize(a)[:, None] * F.normalize(b), "got 1×2×2"),
        (lambda a, b: cosines_turned_over(a, a), "was expected, got 1×1"),
        (lambda a, b: (F.normalize(a), F.normalize(b)), "for first = [[3, 4]], second"),
        (lambda a: cosines_turned_over(a, a), "takes 1 positional argument"),
        (cosines_in_a_square, "index 1 is out of bounds"),
        (cosines_in_place, "changes its argument `first`"),
        (cosines_without_return, "does it end with `return`"),
        (lambda a, b: a @ F.normalize(b).T, "only the second set is normalised;"),
        (lambda a, b: a @ b.T / (a.norm() * b.norm()), "divided by the length of the"),
        (lambda a, b: dots_over(a, b, lambda v: v.abs().sum(1)), "divided by the sum of absolute"),
        (lambda a, b: torch.cdist(a, b), "these are distances; a cosine is"),
        (lambda a, b: cosines_turned_over(a, b).abs(), "the sign is lost: vectors that"),
    ),
    "caption_probabilities": (
        (probabilities_by_hand, "the exponential overflows"),
        (probabilities_in_place, "changes its argument"),
        (lambda s, tau: torch.softmax(s / tau, 0), "softmax over the wrong dimension"),
        (lambda s, tau: torch.softmax(s * tau, 1), "multiplied by the temperature"),
        (lambda s, tau: torch.softmax(s, 1), "the temperature has no effect"),
        (lambda s, tau: s / tau, "softmax is missing"),
        (lambda s, tau: s.softmax(1) / tau, "divided after the softmax"),
        (lambda s, tau: (s / tau).log_softmax(1), "logarithm of the probabilities"),
        (lambda s, tau: 1 - (s / tau).softmax(1), "1 minus what was asked for"),
        (lambda s, tau: 100 * (s / tau).softmax(1), "should sum to 1"),
        (lambda s, tau: (s / tau).softmax(1).T, "the last two axes are exchanged"),
        (lambda s, tau: (s / tau).softmax(1).round(decimals=2), "got [[0.83, 0.17]"),
        (lambda s, tau: (s / tau).softmax(), "missing 1 required positional"),
        (lambda s, tau: (s[0] / tau).softmax(0), "shape 2×2 was expected, got 2"),
        (lambda s, tau: (s / tau).softmax(1).sort(1).values, "stand in other places"),
        (probabilities_of_all, "every row has to"),
        (exponentials_below_one, "divide by their sum"),
        (probabilities_without_return, "does it end with `return`"),
        (lambda s, tau: s / s.sum(1, keepdim=True), "exp is missing: a softmax divides"),
        (lambda s, tau: (s / tau).exp(), "exp(similarity / temperature) is not divided"),
        (lambda s, tau: (s - tau).softmax(1), "the temperature has no effect"),
        (lambda s, tau: (s - s.max() / tau).softmax(1), "the temperature has no effect"),
        (lambda s, tau: (s / tau).sigmoid(), "a sigmoid looks at each field"),
        (
            lambda s, tau: F.one_hot(s.argmax(1), s.shape[1]),
            "these are the choices, not probabilities:",
        ),
        (lambda s, tau: (-s / tau).softmax(1), "the *least* similar caption wins: the"),
        (lambda s, tau: (s / tau).softmax(1).softmax(1), "the softmax is taken twice"),
        (
            lambda s, tau: [[f"{p:.0%}" for p in row] for row in (s / tau).softmax(1).tolist()],
            "for similarities = [[0.9, 0.1], [0.2,",
        ),
        (lambda s, tau: shares((s - s.max()) / tau), "the largest number of *everything* is"),
        (lambda s, tau: shares((s - 1) / tau), "the largest number of *everything* is"),
    ),
    "clip_loss": (
        (
            lambda s, t: -sum((s / t).softmax(d).diagonal().log().mean() for d in (0, 1)) / 2,
            "`log_softmax` or `cross_entropy` computes both",
        ),
        (lambda s, t: loss_by_diagonals(s, t).item(), "gradient was cut"),
        (lambda s, tau: F.cross_entropy(s / tau, torch.arange(len(s))), "one-sided: captions"),
        (lambda s, tau: F.cross_entropy(s.T / tau, torch.arange(len(s))), "one-sided: pictures"),
        (lambda s, tau: 2 * loss_by_diagonals(s, tau), "take their mean"),
        (lambda s, tau: -loss_by_diagonals(s, tau), "sign is wrong"),
        (lambda s, tau: len(s) * loss_by_diagonals(s, tau), "summed over the pairs"),
        (lambda s, tau: loss_by_diagonals(s, 1 / tau), "divide by it"),
        (lambda s, tau: loss_by_diagonals(s, 1), "temperature is not used"),
        (lambda s, tau: -(s / tau).diagonal().mean(), "only rewards the diagonal"),
        (lambda s, tau: sum(both_sides(s, tau, reduction="sum")), "where a mean was asked for"),
        (
            lambda s, tau: -sum(p.mean().log() for p in right_probabilities(s, tau)) / 2,
            "mean is taken before the logarithm",
        ),
        (lambda s, tau: loss_by_diagonals(s, tau).detach(), "gradient was cut off"),
        (torch.no_grad()(loss_by_diagonals), "gradient was cut off"),
        (loss_by_plain_numbers, "gradient was cut off"),
        (loss_with_half_a_gradient, "is a part of it detached"),
        (loss_with_target(lambda s: torch.ones(len(s))), "dtype to be Long"),
        (loss_with_target(lambda s: torch.arange(1, len(s) + 1)), "Target 2 is out of bounds"),
        (loss_with_target(lambda s: torch.arange(3)), "match target batch_size"),
        (loss_in_place, "changes its argument"),
        (loss_without_return, "does it end with `return`"),
        (lambda s, tau: loss_by_diagonals(s, tau) / len(s), "these are 0.5, 0.3333, 0.2, 0.5"),
        (
            lambda s, tau: (
                sum(F.cross_entropy((m / tau).softmax(1), torch.arange(len(s))) for m in (s, s.T))
                / 2
            ),
            "takes the softmax itself",
        ),
        (
            lambda s, tau: -sum((s / tau).log_softmax(d).mean() for d in (0, 1)) / 2,
            "-log of *all* probabilities is averaged;",
        ),
        (loss_with_a_new_tensor, "the number is right, but a"),
    ),
    "best_caption": (
        (lambda p, c: int(F.cosine_similarity(p[None], c).square().argmax()), "sign is lost"),
        (lambda p, c: int(F.cosine_similarity(p[None], c).argmax()) + 1, "is 1 too large"),
        (lambda p, c: (c @ p).argmax(), "a long one wins"),
        (lambda p, c: F.cosine_similarity(p[None], c).argmin(), "the *least* similar caption"),
        (lambda p, c: (c - p).norm(dim=1).argmin(), "compares their directions"),
        (lambda p, c: F.cosine_similarity(p[None], c), "these are the similarities"),
        (lambda p, c: F.cosine_similarity(p[None], c).max(), "largest similarity itself"),
        (lambda p, c: int((c @ p / p.norm()).argmax()), "a long one wins"),
        (lambda p, c: int(similarity(p, c).abs().argmax()), "sign is lost"),
        (lambda p, c: int(similarity(p, c).acos().argmax()), "*least* similar"),
        (lambda p, c: float(similarity(p, c).max()), "its *index* was asked for"),
        (lambda p, c: similarity(p, c).tolist(), "these are the similarities"),
        (lambda p, c: (p / p.norm(dim=1) @ c.T).argmax(), "Dimension out of range"),
        (best_caption_in_place, "changes its argument `captions`"),
        (best_caption_without_return, "does it end with `return`"),
        (lambda p, c: best_dot_over(p, c, torch.norm), "a long one wins"),
        (lambda p, c: str(int(similarity(p, c).argmax())), "for picture = [1, 0.9], captions"),
        (best_caption_without_keepdim, "RuntimeError: The size of tensor a"),
    ),
    "confused_pair": (
        (said("a red house", "a red house"), "describe the same picture"),
        (said("a red dragon", "dragon a red"), "not in the picture book: dragon"),
        (said("a red house", "a red tree"), "do not have the same words"),
        (said("a red house in the snow", "in the snow, a red house"), "describe the same picture"),
        (
            said("a red house and a blue tree", "a blue tree and a red house"),
            "describe the same picture",
        ),
        (
            said("a big red house in the snow", "a red big house in the snow"),
            "not written as in the picture book",
        ),
        (said("a pink kite above a red car", "a red car above a pink kite"), "shown it already"),
        (
            said("a red house left of a blue tree", "a blue tree left of a red house"),
            "CLIP tells these apart",
        ),
        (
            said("a house red in the snow", "a red house in the snow"),
            "not written as in the picture book",
        ),
        (said("a red house", "a blue house", "a cat"), "two captions were expected"),
        (said("a big red house and a blue tree"), "captions were expected, got 1"),
        (said("a red house", "A  red house."), "describe the same picture"),
        (
            said("a red house left of a blue tree", "a blue tree right of a red house"),
            "differ only in the *order*",
        ),
        (
            said("a red house and a blue tree", "a blue house and a red tree"),
            "CLIP tells these apart",
        ),
        (
            said("a big pink kite above a red car", "a pink kite above a big red car"),
            "find a pair without them",
        ),
        (
            said("a red house next to a blue tree", "a blue tree next to a red house"),
            "not in the picture book: next",
        ),
        (
            said("the big red house and the tree", "the red house and the big tree"),
            "has an article and a colour",
        ),
        (said("a big house and a tree", "a house and a big tree"), "has an article and a colour"),
        (said("a red house in the snow", "no red house in the snow"), "picture book: no"),
        (lambda captions: captions, "missing 1 required positional argument"),
    ),
}

SHOWN = {
    "cosines": (
        (lambda a, b: dots_over(a, b, lambda v: lengths(v).sqrt()), "a root too many"),
        (lambda a, b: dots_over(a, b, lambda v: v.abs().amax(1)), "largest number for the length"),
        (lambda a, b: torch.cdist(F.normalize(a), F.normalize(b)), "distances, normalised"),
        (lambda a, b: cosines_turned_over(a, b).acos(), "the angle, not its cosine"),
        (lambda a, b: (1 - cosines_turned_over(a, b) ** 2).sqrt(), "the sine"),
        (lambda a, b: cosines_turned_over(a, b).softmax(dim=1), "softmax of the cosines"),
        (lambda a, b: a @ b.T / (lengths(a)[:, None] + lengths(b)), "lengths added up"),
        (lambda a, b: a @ b.T / a.shape[1] ** 0.5, "divided by the root of d"),
        (lambda a, b: F.normalize(a @ b.T), "the products are normalised, not the vectors"),
        (cosines_without_keepdim, "keepdim is missing"),
        (cosines_without_the_last, "the loops leave out the last vector of each set"),
        (lambda a, b: cosines_turned_over(a, b).clamp(min=0), "negative cosines become 0"),
        (lambda a, b: cosines_turned_over(a, b).round(decimals=2), "rounded"),
        (
            lambda a, b: F.normalize(a) @ F.normalize(b).reshape(b.shape[::-1]),
            "reshape in place of a transpose",
        ),
    ),
    "caption_probabilities": (
        (lambda s, tau: (s / tau).exp() / (s / tau).exp().sum(), "divided by the sum of all"),
        (lambda s, tau: (s / tau).exp() / (s / tau).exp().sum(0), "divided by the columns' sums"),
        (lambda s, tau: (s / tau).exp() / (s / tau).exp().sum(1), "keepdim is missing"),
        (lambda s, tau: (s / 0.07).softmax(1), "a fixed temperature"),
        (lambda s, tau: (s / tau**2).softmax(1), "the temperature is squared"),
        (lambda s, tau: (s / tau**0.5).softmax(1), "the root of the temperature"),
        (
            lambda s, tau: (s / tau).softmax(1) * (s / tau).softmax(0),
            "rows and columns are multiplied",
        ),
        (
            lambda s, tau: ((s / tau).softmax(1) + (s / tau).softmax(0)) / 2,
            "mean of rows and columns",
        ),
        (lambda s, tau: (s.clamp(min=0) / tau).softmax(1), "negative similarities become 0"),
        (lambda s, tau: (s.abs() / tau).softmax(1), "the sign is lost"),
        (lambda s, tau: (s / max(tau, 0.05)).softmax(1), "small temperatures are not allowed"),
        (lambda s, tau: shares((s / tau).clamp(max=80)), "clamped against the overflow"),
    ),
    "clip_loss": (
        (
            lambda s, tau: (both_sides(s, tau)[0] + both_sides(s, 1)[1]) / 2,
            "the temperature acts on the rows only",
        ),
        (
            lambda s, tau: both_sides(s, tau)[0] + both_sides(s, tau)[1] / 2,
            "brackets are missing: only the second side is halved",
        ),
        (lambda s, tau: both_sides(s, tau), "the two sides as a list"),
        (lambda s, tau: sum(both_sides(s, tau, reduction="none")) / 2, "a loss for every pair"),
        (loss_with_target(lambda s: torch.zeros(len(s)).long()), "every target is 0"),
        (
            loss_with_target(lambda s: torch.arange(len(s)).flip(0)),
            "the targets stand in reverse order",
        ),
        (loss_with_target(lambda s: s.argmax(dim=1)), "the target is what CLIP already chooses"),
        (
            lambda s, tau: -sum(p.mean() for p in right_probabilities(s, tau)) / 2,
            "the logarithm is missing",
        ),
        (
            lambda s, tau: -sum(p.log10().mean() for p in right_probabilities(s, tau)) / 2,
            "logarithm to base 10",
        ),
        (
            lambda s, tau: -sum((s / tau).softmax(1).log().diagonal() for _ in "rc").mean() / 2,
            "rows twice, with a probability that becomes 0",
        ),
        (
            lambda s, tau: -sum((p + 1e-8).log().mean() for p in right_probabilities(s, tau)) / 2,
            "a small number added before the logarithm",
        ),
        (lambda s, tau: ((s - torch.eye(len(s))) ** 2).mean(), "squared distance to the identity"),
        (
            lambda s, tau: F.binary_cross_entropy_with_logits(s / tau, torch.eye(len(s))),
            "every field on its own: sigmoid in place of softmax",
        ),
        (lambda s, tau: both_sides((s + s.T) / 2, tau)[0], "mean of the matrices, not the losses"),
        (lambda s, tau: loss_by_diagonals(s, tau) * len(s) / (len(s) - 1), "divided by n − 1"),
        (lambda s, tau: loss_by_diagonals(s, 0.07), "a fixed temperature"),
        (lambda s, tau: loss_by_diagonals(s, max(tau, 0.05)), "small temperatures not allowed"),
        (lambda tau, s: loss_by_diagonals(s, tau), "the arguments are exchanged"),
    ),
    "best_caption": (
        (lambda p, c: best_dot_over(p, c, lambda v: lengths(v) ** 2), "divided by the squares"),
        (lambda p, c: best_dot_over(p, c, lambda v: v.abs().amax(1)), "divided by the largest"),
        (lambda p, c: best_dot_over(p, c, lambda v: v.abs().sum(1)), "sum of absolute values"),
        (lambda p, c: best_dot_over(p, c, lambda v: lengths(v).sqrt()), "a root too many"),
        (lambda p, c: int((F.normalize(c, dim=0) @ p).argmax()), "normalised along dim=0"),
        (
            lambda p, c: max(range(1, len(c)), key=lambda i: similarity(p, c)[i]),
            "the loop leaves out the first caption",
        ),
        (lambda p, c: int(similarity(p, c)[:-1].argmax()), "leaves out the last caption"),
        (best_caption_last_that_rises, "compared with the caption before, not with the best"),
        (
            lambda p, c: next((i for i, s in enumerate(similarity(p, c)) if s > 0.5), 0),
            "the first that is good enough",
        ),
        (lambda p, c: similarity(p, c).max(dim=0), "the pair of value and index"),
        (lambda p, c: c[similarity(p, c).argmax()], "the caption's vector, not its index"),
        (lambda p, c: similarity(p, c).softmax(dim=0), "probabilities, not the index"),
        (lambda p, c: similarity(p, c).argsort(descending=True), "all indices, not the best"),
        (lambda p, c: similarity(p, c) == similarity(p, c).max(), "a mask, not the index"),
        (lambda p, c: int((F.normalize(c) * p).argmax()), "the products are not summed"),
        (lambda p, c: int(lengths(c).argmax()), "the longest vector, whatever the picture"),
        (lambda p, c: 0, "always the first"),
        (lambda c, p: int(similarity(p, c).argmax()), "the arguments are exchanged"),
        (lambda p, c: int(similarity(p, c).argsort()[-2]), "the second best"),
        (lambda p, c: int(similarity(p, c).argmax()) - len(c), "counted from the end"),
        (best_caption_above_zero, "the search begins at 0; where all are negative it says 0"),
        (
            lambda p, c: int(similarity(p, c).clamp(min=0).argmax()),
            "negative similarities become 0; where all are negative it says 0",
        ),
        (
            lambda p, c: int(similarity(p[:2], c[:, :2]).argmax()),
            "reads two numbers of each vector",
        ),
        (lambda p, c: best_dot_over(p, c, lambda v: lengths(v) + 0.1), "0.1 is added to lengths"),
    ),
}
