"""Answers to the exercises of lesson 03_vae."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from answers import on_copies


def sampled_by_distribution(mean, log_variance, noise):
    return torch.addcmul(
        mean.double(), torch.sqrt(torch.exp(log_variance.double())), noise.double()
    )


def sampled_in_place(mean, log_variance, noise):
    mean += noise * 0.5 * 2 * torch.exp(log_variance).pow(0.5)
    return mean


def divergence_by_torch(mean, log_variance):
    normal = torch.distributions.Normal
    kl = torch.distributions.kl_divergence(normal(mean, (log_variance / 2).exp()), normal(0.0, 1.0))
    return kl.reshape(len(mean), -1).sum(-1)


def divergence_one_by_one(mean, log_variance):
    rows = [
        (m**2 + v.exp() - v - 1).sum() / 2
        for m, v in zip(mean.double(), log_variance.double(), strict=True)
    ]
    return torch.stack(rows)


def scaling_without_correction(z):
    return (z - z.mean()).square().mean() ** -0.5


def scaling_as_a_number(z):
    return float(1 / np.std(z.numpy()))


def psnr_as_a_number(first, second):
    return 20 * math.log10(2) - 10 * math.log10(
        float(((first.double() - second.double()) ** 2).mean())
    )


def psnr_of_halves(first, second):
    return -10 * torch.log10(F.mse_loss(first / 2, second / 2))


def darker_left(latents):
    return torch.cat([latents[..., :10] * -1, latents[..., 10:]], dim=3)


def swapped_halves(latents):
    edited = latents.clone()
    edited[:, :, :16, :12], edited[:, :, 16:, :12] = (
        latents[:, :, 16:, :12],
        latents[:, :, :16, :12],
    )
    return edited


RIGHT = {
    "sampled": (sampled_by_distribution, on_copies(sampled_in_place)),
    "divergence": (divergence_by_torch, divergence_one_by_one),
    "scaling": (scaling_without_correction, scaling_as_a_number),
    "peak_signal_to_noise": (psnr_as_a_number, psnr_of_halves),
    "edited": (darker_left, swapped_halves),
}

WRONG = {
    "sampled": (
        (sampled_in_place, "changes its argument"),
        (lambda mean, v, e: mean + torch.exp(v) * e, "multiplied by the variance"),
        (lambda mean, v, e: mean + v * e, "logarithm is not undone"),
        (lambda mean, v, e: mean, "nothing was sampled"),
    ),
    "divergence": (
        (lambda m, v: (m**2 + v.exp() - 1 - v).flatten(1).sum(1), "½ is missing"),
        (lambda m, v: (m**2 + v.exp() - 1 - v).flatten(1).mean(1) / 2, "is their *sum*"),
        (lambda m, v: -(m**2 + v.exp() - 1 - v).flatten(1).sum(1) / 2, "never negative"),
        (lambda m, v: (m**2 + v.exp() - v).flatten(1).sum(1) / 2, "the -1 is missing"),
    ),
    "scaling": (
        (lambda z: 1 / z.std(dim=(1, 2, 3)).mean(), "each picture gets"),
        (lambda z: 1 / z.std(dim=(0, 2, 3)).mean(), "each channel gets"),
        (lambda z: 1 / (z - z.mean((0, 2, 3), keepdim=True)).std(), "taken off first"),
        (lambda z: torch.std(z), "upside down"),
        (lambda z: 1 / torch.var(z), "divides by the variance"),
        (lambda z: 1 / z.std(dim=(0, 2, 3)), "not one for each channel"),
        (lambda z: 1 / z.std(dim=0), "not one for each position"),
    ),
    "peak_signal_to_noise": (
        (lambda a, b: -10 * torch.log10(F.mse_loss(a, b)), "the peak is 1"),
        (lambda a, b: 10 * torch.log(4 / F.mse_loss(a, b)), "natural logarithm"),
        (lambda a, b: 10 * torch.log10(F.mse_loss(a, b) / 4), "upside down"),
    ),
    "edited": (
        (lambda latents: latents, "the left half changes by 0.000"),
        (lambda latents: latents * 0.5, "You changed columns up to 31; the left half ends at 15"),
        (
            lambda latents: torch.cat([latents[..., :16] + 2, latents[..., 16:]], 3),
            "Your columns are right",
        ),
        (lambda latents: latents[:, :, :, :12], "shape 1×4×32×32 was expected"),
        (lambda latents: None, "returned None"),
        (lambda latents: latents / 0, "NaN or infinity"),
    ),
}
