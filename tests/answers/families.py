"""Answers to the exercises of lesson 01_generated_content."""

import torch
import torch.nn.functional as F

RIGHT = {
    "critic_loss": (
        lambda real, forged: (
            F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
            + F.binary_cross_entropy_with_logits(forged, torch.zeros_like(forged))
        ),
        lambda real, forged: (
            -F.logsigmoid(real.double()).mean() - F.logsigmoid(-forged.double()).mean()
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
    ),
    "covered": (
        lambda real, made, radius: (
            (torch.cdist(real, made).min(dim=1).values <= radius).float().mean()
        ),
        lambda real, made, radius: (
            sum(any((r - m).norm() <= radius for m in made) for r in real) / len(real)
        ),
    ),
}

WRONG = {
    "critic_loss": (
        (lambda r, f: -r.sigmoid().log().mean() - (1 - f.sigmoid()).log().mean(), "minus infinity"),
        (lambda r, f: (F.softplus(-r).mean() + F.softplus(f).mean()).detach(), "gradient was cut"),
        (lambda r, f: 0.5 * (F.softplus(-r).mean() + F.softplus(f).mean()), "0.5 times"),
        (lambda real, forged: F.softplus(real).mean() + F.softplus(-forged).mean(), "exchanged"),
        (lambda real, forged: F.softplus(-real).mean(), "only the real pages count"),
        (lambda real, forged: F.softplus(forged).mean(), "only the forged pages count"),
        (
            lambda real, forged: F.softplus(-real).mean() + F.softplus(-forged).mean(),
            "generator's loss",
        ),
        (lambda real, forged: F.softplus(-real).sum() + F.softplus(forged).sum(), "summed"),
    ),
    "best_guess": (
        (lambda pictures, error: pictures.mean(dim=0), "the mean is not the least"),
        (lambda pictures, error: pictures.median(dim=0).values, "the median is not the least"),
        (lambda pictures, error: pictures[0], "one of the pictures"),
        (lambda pictures, error: pictures.sum(dim=0), "summed"),
        (lambda pictures, error: pictures.mean(), "each pixel has its own"),
    ),
    "covered": (
        (
            lambda real, made, radius: (
                (torch.cdist(made, real) <= radius).any(dim=1).float().mean()
            ),
            "fidelity",
        ),
        (
            lambda real, made, radius: (torch.cdist(real, made) <= radius).float().mean(),
            "all near pairs",
        ),
        (
            lambda real, made, radius: (torch.cdist(real, made) <= radius).any(dim=1).sum(),
            "divide by how many",
        ),
    ),
}
