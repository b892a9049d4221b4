"""Answers to the exercises of lesson 01_generated_content."""

import math

import numpy as np
import torch
import torch.nn.functional as F

softplus = F.softplus
distances = torch.cdist


def loss_by_cross_entropy(real, forged):
    """A page is class 0 and a forgery class 1, whose score is always 0."""

    def mean_loss(scores, kind):
        pairs = torch.stack([scores, torch.zeros_like(scores)], dim=-1)
        return F.cross_entropy(pairs, torch.full((len(scores),), kind))

    return mean_loss(real, 0) + mean_loss(forged, 1)


def loss_by_logaddexp(real, forged):
    zero = torch.zeros(())
    return torch.logaddexp(zero, -real).sum() / len(real) + torch.logaddexp(zero, forged).mean()


def loss_with_labels(real_label, forged_label):
    def loss(real, forged):
        entropy = F.binary_cross_entropy_with_logits
        return entropy(real, torch.full_like(real, real_label)) + entropy(
            forged, torch.full_like(forged, forged_label)
        )

    return loss


def loss_of_probabilities(real_error, forged_error):
    """The means of two functions of D, the first of pages and the second of forgeries."""
    return lambda r, f: real_error(r.sigmoid()).mean() + forged_error(f.sigmoid()).mean()


def loss_in_numpy(real, forged):
    real, forged = real.detach().double().numpy(), forged.detach().double().numpy()
    return float(np.logaddexp(0, -real).mean() + np.logaddexp(0, forged).mean())


def loss_in_place(real, forged):
    real.neg_()
    return softplus(real).mean() + softplus(forged).mean()


def shortest_pairs_loss(real, forged):
    pairs = list(zip(real, forged, strict=False))
    return sum(softplus(-r) + softplus(f) for r, f in pairs) / len(pairs)


def guess_by_loop(pictures, error):
    guess = torch.empty_like(pictures[0])
    for place in np.ndindex(*guess.shape):
        values = sorted(picture[place].item() for picture in pictures)
        middle = values[len(values) // 2]
        guess[place] = sum(values) / len(values) if error == "squared" else middle
    return guess


def guess_in_numpy(pictures, error):
    return (np.mean if error == "squared" else np.median)(pictures.numpy(), axis=0)


def guess_with_pictures_last(pictures, error):
    last = pictures.permute(3, 2, 1, 0)
    found = last.mean(dim=-1) if error == "squared" else last.kthvalue((len(pictures) + 1) // 2)[0]
    return found.permute(2, 1, 0)


def guess_by_topk(pictures, error):
    if error == "squared":
        return torch.einsum("nchw->chw", pictures) / len(pictures)
    return pictures.topk(len(pictures) // 2 + 1, dim=0).values[-1]


def guess_with(mean=None, median=None):
    """The right guess, with another one for the squared or for the absolute error."""
    mean = mean or (lambda pictures: pictures.mean(dim=0))
    median = median or (lambda pictures: pictures.median(dim=0).values)
    return lambda pictures, error: (mean if error == "squared" else median)(pictures)


def then(change):
    """The right guess, changed at the end."""
    right = guess_with()
    return lambda pictures, error: change(right(pictures, error))


def in_sorted(place):
    """At a place of the sorted values; place: from the number of pictures."""
    return lambda pictures: pictures.sort(dim=0).values[place(len(pictures))]


def nearest_picture(pictures, error):
    power = 2 if error == "squared" else 1
    costs = [((pictures - picture).abs() ** power).mean() for picture in pictures]
    return pictures[int(torch.stack(costs).argmin())]


def middle_of_different_values(pictures):
    return torch.stack(
        [(values := column.unique())[len(values) // 2] for column in pictures.flatten(1).unbind(1)]
    ).reshape(pictures[0].shape)


def guess_in_place(pictures, error):
    pictures[:] = pictures.sort(dim=0).values
    return pictures.mean(dim=0) if error == "squared" else pictures[len(pictures) // 2]


def median_picture(pictures):
    return pictures[pictures.sum(dim=(1, 2, 3)).argsort()[len(pictures) // 2]]


def without_extremes(pictures):
    rest = pictures.sort(dim=0).values[1:-1] if len(pictures) > 2 else pictures
    return rest.mean(dim=0)


def median_of_pair_means(pictures):
    return ((pictures[:, None] + pictures) / 2).flatten(0, 1).median(dim=0).values


def covered_if(near):
    """The share of real points for which something holds of their distances to the made ones."""
    return lambda real, made, radius: near(distances(real, made), radius).float().mean()


def covered_by(distance):
    """The share that is covered, with the distances measured in another way."""
    return lambda real, made, radius: (
        (distance(real[:, None], made[None]) <= radius).any(dim=1).float().mean()
    )


def covered_then(change):
    """Made of the answers, True or False, for each real point."""
    return lambda real, made, radius: change((distances(real, made) <= radius).any(dim=1))


def covered_with_radius(change):
    return lambda real, made, radius: (
        (distances(real, made) <= change(radius)).any(dim=1).float().mean()
    )


def covered_in_lists(real, made, radius):
    hits = [any(math.dist(r, m) <= radius for m in made.tolist()) for r in real.tolist()]
    return sum(hits) / len(hits)


def covered_by_matrix_product(real, made, radius):
    squares = real.square().sum(1)[:, None] + made.square().sum(1) - 2 * real @ made.T
    return ((squares <= radius**2).sum(dim=1) > 0).double().mean()


def covered_by_set(real, made, radius):
    return len(set((distances(real, made) <= radius).nonzero()[:, 0].tolist())) / len(real)


def near_pairs_per_real(real, made, radius):
    return (distances(real, made) <= radius).sum() / len(real)


def each_made_used_once(real, made, radius):
    left, hits = list(made), 0
    for point in real:
        near = [i for i, other in enumerate(left) if (point - other).norm() <= radius]
        if near:
            left.pop(near[0])
            hits += 1
    return hits / len(real)


def until_the_first_missed(real, made, radius):
    hits = 0
    for point in real:
        if not (distances(point[None], made) <= radius).any():
            break
        hits += 1
    return hits / len(real)


def returns_in_the_loop(real, made, radius):
    for point in real:
        return float((distances(point[None], made) <= radius).any())


def pairs_in_order(real, made, radius):
    both = min(len(real), len(made))
    return ((real[:both] - made[:both]).norm(dim=1) <= radius).float().mean()


AMBIGUOUS = "RuntimeError: Boolean value of Tensor with more than one value is ambiguous"
SIZES = "RuntimeError: The size of tensor a (4) must match the size of tensor b (12)"
INFINITE = "your result contains NaN or infinity"


RIGHT = {
    "critic_loss": (
        loss_with_labels(1.0, 0.0),
        lambda real, forged: (
            -F.logsigmoid(real.double()).mean() - F.logsigmoid(-forged.double()).mean()
        ),
        loss_by_cross_entropy,
        loss_by_logaddexp,
        lambda real, forged: (
            -(real.double().sigmoid().log().mean() + (-forged.double()).sigmoid().log().mean())
        ),
    ),
    "best_guess": (
        lambda pictures, error: (
            pictures.sum(dim=0) / len(pictures) if error == "squared" else pictures.quantile(0.5, 0)
        ),
        lambda pictures, error: (
            pictures.sort(dim=0).values[len(pictures) // 2]
            if error == "absolute"
            else pictures.double().mean(0)
        ),
        guess_by_loop,
        guess_in_numpy,
        guess_with_pictures_last,
        guess_by_topk,
        lambda pictures, error: guess_by_loop(pictures, error).tolist(),
    ),
    "covered": (
        lambda real, made, radius: (
            (torch.cdist(real, made).min(dim=1).values <= radius).float().mean()
        ),
        lambda real, made, radius: (
            sum(any((r - m).norm() <= radius for m in made) for r in real) / len(real)
        ),
        covered_in_lists,
        covered_by_matrix_product,
        covered_by_set,
        lambda real, made, radius: np.mean(
            [(distances(point[None], made) <= radius).any().item() for point in real]
        ),
        lambda real, made, radius: (distances(made, real) <= radius).any(dim=0).float().mean(),
        covered_by(lambda real, made: torch.linalg.norm(real - made, dim=-1)),
    ),
}

WRONG = {
    "critic_loss": (
        (lambda r, f: -r.sigmoid().log().mean() - (1 - f.sigmoid()).log().mean(), "minus infinity"),
        (
            lambda r, f: torch.log1p(torch.exp(-r)).mean() + torch.log(1 + torch.exp(f)).mean(),
            "its logarithm minus infinity",
        ),
        (lambda r, f: (F.softplus(-r).mean() + F.softplus(f).mean()).detach(), "gradient was cut"),
        (loss_in_numpy, "its gradient was cut"),
        (
            lambda real, forged: softplus(-real.detach()).mean() + softplus(forged).mean(),
            "the number is right, but its",
        ),
        (
            lambda r, f: torch.round(softplus(-r).mean() + softplus(f).mean(), decimals=4),
            "its gradient is not",
        ),
        (lambda r, f: 0.5 * (F.softplus(-r).mean() + F.softplus(f).mean()), "0.5 times"),
        (
            lambda real, forged: F.softplus(real).mean() + F.softplus(-forged).mean(),
            "are exchanged",
        ),
        (loss_with_labels(0.0, 1.0), "are exchanged"),
        (lambda real, forged: F.softplus(-real).mean(), "only the real pages count"),
        (lambda real, forged: F.softplus(forged).mean(), "only the forged pages count"),
        (
            lambda real, forged: F.softplus(-real).mean() + F.softplus(-forged).mean(),
            "generator's loss",
        ),
        (lambda real, forged: F.softplus(-real).sum() + F.softplus(forged).sum(), "are summed"),
        (
            lambda real, forged: -real.log().mean() - (1 - forged).log().mean(),
            "scores are no probabilities yet",
        ),
        (loss_of_probabilities(lambda d: 1 - d, lambda d: d), "the logarithms are missing"),
        (lambda r, f: softplus(-r).mean() - softplus(f).mean(), "0.4402 was expected, got -0.1863"),
        (lambda r, f: softplus(-r).mean() * softplus(f).mean(), "0.4402 was expected, got 0.03976"),
        (
            lambda r, f: (softplus(-r).mean(), softplus(f).mean()),
            "a single number was expected, got shape 2",
        ),
        (
            lambda r, f: [softplus(-r).mean() + softplus(f).mean()],
            "a single number was expected, got shape 1",
        ),
        (loss_in_place, "changes its argument `real`"),
        (lambda real, forged: None, "does it end with `return`"),
        (
            lambda r, f: -r.sigmoid().mean().log() - (1 - f.sigmoid().mean()).log(),
            "the logarithm is taken after the",
        ),
        (
            lambda r, f: -r.softmax(0).log().mean() - (1 - f.softmax(0)).log().mean(),
            "for real = [2], forged =",
        ),
        (lambda r, f: torch.cat([softplus(-r), softplus(f)]).mean(), "the mean is taken over all"),
        (
            loss_of_probabilities(lambda d: (1 - d).square(), lambda d: d.square()),
            "these are squared errors; this loss",
        ),
        (
            loss_of_probabilities(lambda d: softplus(-d), softplus),
            "the sigmoid is taken twice: `binary_cross_entropy_with_logits`",
        ),
        (
            lambda r, f: torch.tensor(loss_in_numpy(r, f), requires_grad=True),
            "the number is right, but a",
        ),
        (
            lambda real, forged: softplus(-real).mean() + softplus(forged.detach()).mean(),
            "the number is right, but its",
        ),
        (
            lambda real, forged: -real.sigmoid().log().mean() + softplus(forged).mean(),
            "for large scores the sigmoid is",
        ),
    ),
    "best_guess": (
        (lambda pictures, error: pictures.mean(dim=0), "does not have the smallest *absolute*"),
        (
            lambda pictures, error: pictures.median(dim=0).values,
            "does not have the smallest *squared*",
        ),
        (
            lambda pictures, error: guess_with()(pictures, "squared" if error == "mse" else ""),
            "right for the absolute error",
        ),
        (
            lambda pictures, error: guess_with()(pictures, "" if error == "squared" else "squared"),
            "the two are exchanged",
        ),
        (lambda pictures, error: pictures[0], "one of the pictures"),
        (nearest_picture, "[[[1.667]]] was expected, got [[[1]]]"),
        (lambda pictures, error: pictures.sum(dim=0), "pictures are summed"),
        (lambda pictures, error: pictures.mean(), "each pixel has its own"),
        (guess_with(lambda pictures: pictures.sum(dim=0)), "[[[1.667]]] was expected, got [[[5]]]"),
        (
            guess_with(lambda pictures: pictures.sum(dim=0) / (len(pictures) - 1)),
            "[[[1.667]]] was expected, got [[[2.5]]]",
        ),
        (then(torch.round), "[[[1.667]]] was expected, got [[[2]]]"),
        (then(lambda guess: guess.clamp(0, 1)), "[[[1.667]]] was expected, got [[[1]]]"),
        (guess_with(median=lambda pictures: None), "does it end with `return`"),
        (then(lambda guess: guess[None]), "expected, got 1×1×1×1"),
        (
            guess_with(lambda p: p.mean(dim=1), lambda p: p.median(dim=1).values),
            "1×1×1 was expected, got 3×1×1",
        ),
        (then(lambda guess: guess.permute(1, 2, 0)), "3×2×4 was expected, got 2×4×3"),
        (then(lambda guess: guess.flatten()), "shape 1×1×1 was expected, got 1"),
        (guess_in_place, "changes its argument `pictures`"),
        (then(lambda guess: guess.half()), "the numbers are nearly right, but"),
    ),
    "covered": (
        (
            lambda real, made, radius: (
                (torch.cdist(made, real) <= radius).any(dim=1).float().mean()
            ),
            "which is fidelity",
        ),
        (
            lambda real, made, radius: (
                (distances(real, made).min(dim=0).values <= radius).float().mean()
            ),
            "which is fidelity",
        ),
        (
            lambda real, made, radius: (torch.cdist(real, made) <= radius).float().mean(),
            "all near pairs",
        ),
        (
            lambda real, made, radius: (torch.cdist(real, made) <= radius).any(dim=1).sum(),
            "divide by how many",
        ),
        (covered_if(lambda d, radius: (d <= radius).all(dim=1)), "one is enough"),
        (covered_if(lambda d, radius: d.mean(dim=1) <= radius), "0.6667 was expected, got 0"),
        (covered_if(lambda d, radius: (d > radius).all(dim=1)), "those that are missed"),
        (covered_if(lambda d, radius: (d > radius).any(dim=1)), "0.25 was expected, got 0.75"),
        (
            covered_by(lambda real, made: (real - made).square().sum(dim=-1)),
            "not squared distances",
        ),
        (covered_then(lambda hits: 100 * hits.float().mean()), "every number is 100 times"),
        (covered_then(lambda hits: hits), "a single number was expected, got shape 4"),
        (covered_then(lambda hits: hits.mean()), "could not infer output dtype"),
        (covered_then(lambda hits: hits.sum() // len(hits)), "0.25 was expected, got 0"),
        (covered_then(lambda hits: hits.any()), "0.25 was expected, got 1"),
        (
            lambda real, made, radius: (
                (distances(real, made) <= radius).any(dim=1).sum() / len(made)
            ),
            "divided by how many *made* ones",
        ),
        (covered_with_radius(lambda radius: 2 * radius), "0.25 was expected, got 0.5"),
        (near_pairs_per_real, "0.25 was expected, got 0.5"),
        (pairs_in_order, "0.25 was expected, got 0.5"),
        (returns_in_the_loop, "0.25 was expected, got 1"),
        (lambda real, made, radius: None, "does it end with `return`"),
        (
            covered_by(lambda real, made: (real - made).abs().sum(dim=-1)),
            "distances are Euclidean: the root of",
        ),
        (
            covered_by(lambda real, made: (real - made).abs().amax(dim=-1)),
            "distances are Euclidean: the root of",
        ),
        (each_made_used_once, "distances are Euclidean: the root of"),
        (
            covered_then(lambda hits: round(hits.float().mean().item(), 2)),
            "the numbers are nearly right, but",
        ),
        (
            lambda real, made, radius: (
                (distances(real, made) <= radius).any(dim=1).sum() / real.numel()
            ),
            "these are 1, 0.5, 1, 0.3333,",
        ),
        (
            covered_if(lambda d, radius: (d < radius).any(dim=1)),
            "a point at just the radius counts, too: `<=`",
        ),
    ),
}

SHOWN = {
    "critic_loss": (
        (
            lambda r, f: softplus(-r.mean()) + softplus(f.mean()),
            "the mean was taken of the scores, not of the losses",
        ),
        (
            lambda r, f: (softplus(-r).sum() + softplus(f).sum()) / len(r),
            "the forgeries were divided by the number of pages",
        ),
        (
            shortest_pairs_loss,
            "pages and forgeries were zipped, which drops the rest of the longer one",
        ),
        (lambda r, f: softplus(-r[0]) + softplus(f[0]), "only the first of each kind counts"),
        (
            lambda r, f: softplus(-r).median() + softplus(f).median(),
            "the median in place of the mean",
        ),
        (
            loss_of_probabilities(
                lambda d: F.binary_cross_entropy(d, torch.ones_like(d)),
                lambda d: F.binary_cross_entropy(d, torch.zeros_like(d)),
            ),
            "F.binary_cross_entropy of probabilities stops at 100, so extreme scores are wrong",
        ),
        (
            loss_of_probabilities(
                lambda d: -d.clamp(1e-3).log(), lambda d: -(1 - d).clamp(1e-3).log()
            ),
            "the probabilities were cut off at 0.001",
        ),
        (
            loss_of_probabilities(lambda d: -(d + 1e-4).log(), lambda d: -(1 - d + 1e-4).log()),
            "something was added before the logarithm, against log 0",
        ),
        (
            loss_of_probabilities(lambda d: d.log(), lambda d: (1 - d).log()),
            "both minus signs are missing",
        ),
        (
            loss_of_probabilities(lambda d: -d.log(), lambda d: -d.log()),
            "1 − D of the forgeries was forgotten",
        ),
        (
            loss_of_probabilities(lambda d: -d.log2(), lambda d: -(1 - d).log2()),
            "the logarithm to base 2",
        ),
        (lambda r, f: softplus(-f).mean(), "the generator's loss alone"),
        (
            lambda r, f: f.mean() - r.mean(),
            "the difference of the mean scores, without a sigmoid or a logarithm",
        ),
    ),
    "best_guess": (
        (
            guess_with(median=lambda pictures: pictures.median(dim=0).indices),
            "the indices were taken, not the values",
        ),
        (
            guess_with(median=lambda pictures: pictures[len(pictures) // 2]),
            "the middle picture, without sorting first",
        ),
        (
            guess_with(median=lambda pictures: nearest_picture(pictures, "absolute")),
            "one of the pictures for the absolute error",
        ),
        (guess_with(median=median_picture), "pictures were sorted as wholes, not pixel by pixel"),
        (
            guess_with(median=lambda pictures: pictures.mode(dim=0).values),
            "the most frequent value in place of the middle one",
        ),
        (
            guess_with(median=lambda p: (p.amin(dim=0) + p.amax(dim=0)) / 2),
            "the middle between the least and the largest",
        ),
        (guess_with(median=in_sorted(lambda n: n // 2 - 1)), "one place before the middle"),
        (
            guess_with(median=in_sorted(lambda n: min(n // 2 + 1, n - 1))),
            "one place after the middle",
        ),
        (
            guess_with(median=lambda pictures: pictures.abs().mean(dim=0)),
            "the mean of the absolute values",
        ),
        (
            guess_with(median=lambda pictures: pictures.sort().values[len(pictures) // 2]),
            "sorted along the last axis, not along the pictures",
        ),
        (guess_with(median=median_of_pair_means), "the median of the means of all pairs"),
        (guess_with(median=without_extremes), "a mean without the least and the largest"),
        (guess_with(median=lambda pictures: pictures.median(dim=0)), "`.values` is missing"),
        (then(lambda guess: guess.clamp(-1, 1)), "cut off at −1 and 1"),
        (
            guess_with(lambda p: p.square().mean(dim=0), lambda p: p.abs().mean(dim=0)),
            "the pixels were squared, not their differences",
        ),
        (
            guess_with(lambda pictures: pictures.square().mean(dim=0).sqrt()),
            "the root of the mean square",
        ),
        (
            guess_with(lambda pictures: pictures.var(dim=0), lambda pictures: pictures.std(dim=0)),
            "the spread in place of the best guess",
        ),
        (
            guess_with(median=middle_of_different_values),
            "the middle of the *different* values: wrong where pictures agree (0, 0, 0, 1, 2)",
        ),
        (
            guess_with(lambda pictures: pictures.unique(dim=0).mean(dim=0)),
            "the mean of the *different* pictures: wrong where two are the same",
        ),
    ),
    "covered": (
        (
            covered_by(lambda real, made: (real - made).square().mean(dim=-1).sqrt()),
            "the mean of the squares in place of their sum",
        ),
        (
            covered_by(lambda real, made: (real - made).abs()[..., 0]),
            "only the first coordinate is compared",
        ),
        (
            covered_by(lambda real, made: (real - made).sum(dim=-1)),
            "differences were added with their signs",
        ),
        (
            covered_by(lambda real, made: (real.norm(dim=-1) - made.norm(dim=-1)).abs()),
            "the lengths of the vectors are compared",
        ),
        (covered_with_radius(lambda radius: radius / 2), "half of the radius"),
        (covered_with_radius(lambda radius: radius**2), "the radius alone is squared"),
        (covered_with_radius(lambda radius: 0.5), "the radius of the example, typed in"),
        (until_the_first_missed, "it stops at the first real point that is missed"),
        (
            lambda real, made, radius: (
                ((real - made.mean(dim=0)).norm(dim=1) <= radius).float().mean()
            ),
            "the distance to the mean of the made points",
        ),
        (lambda real, made, radius: 0.25, "the number of the example"),
        (
            covered_by(lambda real, made: 1 - F.cosine_similarity(real, made, dim=-1)),
            "cosine similarity in place of the distance",
        ),
        (
            lambda real, made, radius: distances(real, made).min(dim=1).values.mean(),
            "the mean distance to the nearest made point, never compared with the radius",
        ),
        (
            lambda real, made, radius: distances(real, made).any(dim=1).float().mean(),
            "the comparison with the radius is missing: any() of distances",
        ),
    ),
}
