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


def sampled_number_by_number(mean, log_variance, noise):
    numbers = zip(*(x.flatten().tolist() for x in (mean, log_variance, noise)), strict=True)
    drawn = [m + math.sqrt(math.exp(v)) * e for m, v, e in numbers]
    return torch.tensor(drawn).reshape(mean.shape)


def sampled_by_numpy(mean, log_variance, noise):
    return mean.numpy() + np.exp(log_variance.numpy()) ** 0.5 * noise.numpy()


def sampled_turned_around(mean, log_variance, noise):
    spread = (log_variance / 2).exp()
    return ((noise * spread).transpose(0, -1) + mean.transpose(0, -1)).transpose(0, -1)


def sampled_by_logarithms(mean, log_variance, noise):
    return mean + noise.sign() * (log_variance / 2 + noise.abs().log()).exp()


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


def divergence_by_numpy(mean, log_variance):
    m, v = mean.numpy(), log_variance.numpy()
    return -0.5 * (1 + v - m**2 - np.exp(v)).sum(axis=tuple(range(1, m.ndim)))


def divergence_by_einsum(mean, log_variance):
    m, v = mean.flatten(1), log_variance.flatten(1)
    return (torch.einsum("nd,nd->n", m, m) + torch.expm1(v).sum(1) - v.sum(1)) / 2


def divergence_axis_by_axis(mean, log_variance):
    each = kl_of_each(mean, log_variance)
    while each.ndim > 1:
        each = each.sum(-1)
    return each.tolist()


def divergence_from_means(mean, log_variance):
    each = kl_of_each(mean, log_variance).flatten(1)
    return each.mean(1) * each.shape[1]


def scaling_without_correction(z):
    return (z - z.mean()).square().mean() ** -0.5


def scaling_as_a_number(z):
    return float(1 / np.std(z.numpy()))


def scaling_by_moments(z):
    with torch.no_grad():
        z = z.double()
        return torch.rsqrt(z.square().mean() - z.mean() ** 2)


def scaling_by_length(z):
    return math.sqrt(z.numel() - 1) / torch.linalg.norm(z - z.mean())


def scaling_by_trial(z):
    factor = 1.0
    for _ in range(20):
        factor /= float((z * factor).std())
    return factor


def psnr_as_a_number(first, second):
    return 20 * math.log10(2) - 10 * math.log10(
        float(((first.double() - second.double()) ** 2).mean())
    )


def psnr_of_halves(first, second):
    return -10 * torch.log10(F.mse_loss(first / 2, second / 2))


def psnr_number_by_number(first, second):
    squares = [
        (a - b) ** 2
        for a, b in zip(first.flatten().tolist(), second.flatten().tolist(), strict=True)
    ]
    return 10 * math.log10(4 * len(squares) / sum(squares))


def psnr_in_8_bit(first, second):
    root = (127.5 * (first + 1) - 127.5 * (second + 1)).pow(2).mean().sqrt()
    return 20 * torch.log10(255 / root)


def psnr_by_numpy(first, second):
    return 10 * np.log10(4 / np.mean((second.numpy() - first.numpy()) ** 2))


def psnr_by_distance(first, second):
    return 20 * math.log10(2 * math.sqrt(first.numel()) / torch.dist(first, second).item())


def psnr_by_natural_logarithm(first, second):
    return torch.log(4 / F.mse_loss(first, second)) * 10 / math.log(10)


def darker_left(latents):
    return torch.cat([latents[..., :10] * -1, latents[..., 10:]], dim=3)


def swapped_halves(latents):
    edited = latents.clone()
    edited[:, :, :16, :12], edited[:, :, 16:, :12] = (
        latents[:, :, 16:, :12],
        latents[:, :, :16, :12],
    )
    return edited


def turned_by_a_mask(latents):
    left = (torch.arange(32) < 12).to(latents)
    return latents * (1 - left) + latents.flip((2, 3)) * left


def upside_down_by_numpy(latents):
    edited = latents.numpy().copy()
    edited[:, :, :, :12] = edited[:, :, ::-1, :12]
    return edited


def pushed_down(latents):
    return torch.cat([latents[..., :14].roll(5, dims=2), latents[..., 14:]], dim=3)


def right_copied_to_the_left(latents):
    edited = latents.clone()
    edited[..., :12] = latents[..., 20:]
    return edited


def kl_of_each(mean, log_variance):
    return (mean**2 + log_variance.exp() - 1 - log_variance) / 2


def kl_sum(each):
    """A divergence that sums `each`, another formula for one number, over every picture."""
    return lambda mean, log_variance: each(mean, log_variance).flatten(1).sum(1)


def psnr_with_peak(peak, error=F.mse_loss):
    return lambda first, second: 10 * torch.log10(peak**2 / error(first, second))


def psnr_of_each_picture(first, second):
    each = (first - second).square()
    each = each.flatten(1).mean(1) if each.ndim > 1 else each.mean()
    return (10 * torch.log10(4 / each)).mean()


def psnr_of_whole_bytes(first, second):
    first, second = (((x + 1) * 127.5).round() for x in (first, second))
    return 10 * torch.log10(255**2 / F.mse_loss(first, second))


def kl_reversed(mean, log_variance):
    return ((mean**2 + 1) / log_variance.exp() - 1 + log_variance) / 2


def changed(place, way):
    """An edit that puts `way` of the numbers at `place` there."""

    def edited(latents):
        latents = latents.clone()
        latents[place] = way(latents[place])
        return latents

    return edited


def edited_and_forgotten(latents):
    latents[..., :12].flip(3)
    return latents


RIGHT = {
    "sampled": (
        sampled_by_distribution,
        on_copies(sampled_in_place),
        sampled_number_by_number,
        sampled_by_numpy,
        sampled_turned_around,
        sampled_by_logarithms,
    ),
    "divergence": (
        divergence_by_torch,
        divergence_one_by_one,
        divergence_by_numpy,
        divergence_by_einsum,
        divergence_axis_by_axis,
        divergence_from_means,
    ),
    "scaling": (
        scaling_without_correction,
        scaling_as_a_number,
        scaling_by_moments,
        scaling_by_length,
        scaling_by_trial,
        lambda z: z.var() ** -0.5,
    ),
    "peak_signal_to_noise": (
        psnr_as_a_number,
        psnr_of_halves,
        psnr_number_by_number,
        psnr_in_8_bit,
        psnr_by_numpy,
        psnr_by_distance,
        psnr_by_natural_logarithm,
    ),
    "edited": (
        darker_left,
        swapped_halves,
        turned_by_a_mask,
        upside_down_by_numpy,
        pushed_down,
        right_copied_to_the_left,
        changed(np.s_[:, :, :6, :6], torch.neg),
    ),
}

WRONG = {
    "sampled": (
        (sampled_in_place, "changes its argument"),
        (lambda mean, v, e: mean + torch.exp(v) * e, "the noise by the variance"),
        (lambda mean, v, e: mean + v * e, "logarithm is not undone"),
        (lambda mean, v, e: mean, "nothing was sampled"),
        (lambda mean, v, e: mean + v / 2 * e, "half of the logarithm itself"),
        (lambda mean, v, e: mean + v.sqrt() * e, "the root of the *logarithm*"),
        (lambda mean, v, e: torch.normal(mean, (v / 2).exp()), "changes from call to call"),
        (
            lambda mean, v, e: mean + (v / 2).exp() * torch.randn_like(mean),
            "what the function is given",
        ),
        (lambda mean, v, e: (mean + (v / 2).exp() * e).flatten(), "shape 2×3 was expected"),
        (lambda mean, v, e: (mean + (v / 2).exp() * e).mean(), "shape 1 was expected"),
        (lambda mean, v, e: None, "your function returned None"),
        (
            lambda mean, v, e: mean + (v[:1] / 2).exp() * e,
            "[12.18, -4.54e-05] was expected, got [12.18, -12.18]",
        ),
        (lambda mean, v, e: mean + (v / 2).exp(), "the noise is missing: σ alone"),
        (lambda mean, v, e: (v / 2).exp() * e, "the mean is missing: this is"),
        (lambda mean, v, e: mean + e, "the noise is not scaled: multiply"),
        (lambda mean, v, e: mean + (-v / 2).exp() * e, "the noise is divided by σ,"),
        (lambda mean, v, e: mean + v.exp() / 2 * e, "you halved the *variance*"),
        (lambda mean, v, e: mean + mean.std() * e, "for mean = [1], log_variance ="),
    ),
    "divergence": (
        (lambda m, v: (m**2 + v.exp() - 1 - v).flatten(1).sum(1), "½ is missing"),
        (lambda m, v: (m**2 + v.exp() - 1 - v).flatten(1).mean(1) / 2, "is their *sum*"),
        (lambda m, v: -(m**2 + v.exp() - 1 - v).flatten(1).sum(1) / 2, "never negative"),
        (lambda m, v: (m**2 + v.exp() - v).flatten(1).sum(1) / 2, "the -1 is missing"),
        (lambda m, v: kl_of_each(m, v).sum(), "one number for each picture"),
        (lambda m, v: kl_of_each(m, v).sum(0), "shape 1 was expected, got 2"),
        (lambda m, v: kl_of_each(m, v).sum(1), "shape 2 was expected"),
        (lambda m, v: kl_of_each(m, v), "shape 1 was expected"),
        (lambda m, v: kl_of_each(m, v).flatten(1).sum(1, keepdim=True), "got 1×1"),
        (lambda m, v: kl_of_each(m, v).sum(dim=(1, 2, 3)), "Dimension out of range"),
        (kl_sum(lambda m, v: (m**2 + v - 1 - v) / 2), "is missing its exp"),
        (kl_sum(lambda m, v: (m + v.exp() - 1 - v) / 2), "mean is not squared"),
        (kl_sum(lambda m, v: (m**2 + v.exp() - 1 - v.exp().log10()) / 2), "log10 of the variance"),
        (kl_sum(lambda m, v: (m**2 + (v / 2).exp() - 1 - v) / 2), "σ in place of σ²: log_variance"),
        (kl_sum(lambda m, v: (m**2 + v.exp() - 1) / 2), "the - log σ² is missing"),
        (
            kl_sum(lambda m, v: (m**2 + v.exp() - 1 + v) / 2),
            "the sign of log σ² is wrong: it is subtracted",
        ),
        (kl_sum(lambda m, v: (m**2 + v.exp() + 1 - v) / 2), "the 1 is added; it is subtracted"),
        (kl_sum(lambda m, v: (v.exp() - 1 - v) / 2), "the mean's part is missing: μ²"),
    ),
    "scaling": (
        (lambda z: 1 / z.std(dim=(1, 2, 3)).mean(), "each picture gets"),
        (lambda z: 1 / z.std(dim=(0, 2, 3)).mean(), "each channel gets"),
        (lambda z: 1 / (z - z.mean((0, 2, 3), keepdim=True)).std(), "taken off first"),
        (lambda z: torch.std(z), "upside down"),
        (lambda z: 1 / torch.var(z), "divides by the variance"),
        (lambda z: 1 / z.std(dim=(0, 2, 3)), "not one for each channel"),
        (lambda z: 1 / z.std(dim=0), "not one for each position"),
        (lambda z: 1 / z.std(dim=(1, 2, 3)), "not one for each picture"),
        (lambda z: 1 / z.square().mean().sqrt(), "the root mean square"),
        (lambda z: 1 / z.std().sqrt(), "the square root of what was"),
        (lambda z: -1 / z.std(), "the sign is wrong"),
        (lambda z: 2.6 / z.std(), "2.6 times what was asked"),
        (lambda z: 1 / z.sub_(z.mean()).std(), "changes its argument"),
        (lambda z: z / z.std(), "a single number was expected, got shape 2×4×60×40"),
        (lambda z: None, "your function returned None"),
        (lambda z: 0.18215, "this is Stable Diffusion's own number;"),
        (lambda z: 1 / z.abs().mean(), "this is the mean distance from"),
        (lambda z: 1 / z.var(dim=(1, 2, 3)).mean().sqrt(), "the mean of each picture is"),
        (
            lambda z: 1 / (z - z.mean(dim=(1, 2, 3), keepdim=True)).std(),
            "the mean of each picture is",
        ),
    ),
    "peak_signal_to_noise": (
        (lambda a, b: -10 * torch.log10(F.mse_loss(a, b)), "the peak is 1"),
        (lambda a, b: 10 * torch.log(4 / F.mse_loss(a, b)), "natural logarithm"),
        (lambda a, b: 10 * torch.log10(F.mse_loss(a, b) / 4), "upside down"),
        (psnr_with_peak(255), "the peak is 255"),
        (psnr_with_peak(2**0.5), "the peak is not squared"),
        (
            psnr_with_peak(2, lambda a, b: (a - b).square().sum()),
            "squared differences are added up",
        ),
        (psnr_with_peak(2, F.l1_loss), "not squared before the mean"),
        (lambda a, b: 2 * psnr_of_halves(a, b), "20 belongs to *amplitudes*"),
        (lambda a, b: torch.log10(4 / F.mse_loss(a, b)), "the 10 is missing: decibels are"),
        (
            lambda a, b: 10 * torch.log10(4 / (a - b).square()),
            "a single number was expected, got shape 2",
        ),
        (lambda a, b: 10 * torch.log10(4 / F.mse_loss(a, b).item()), "must be Tensor, not float"),
        (
            lambda a, b: 10 * torch.log10(4 / a.sub_(b).square().mean()),
            "changes its argument `first`",
        ),
        (lambda a, b: f"{psnr_of_halves(a, b):.1f} dB", "for first = [1, -1], second"),
        (lambda a, b: None, "your function returned None"),
        (lambda a, b: 10 * torch.log2(4 / F.mse_loss(a, b)), "a logarithm to the base of"),
        (psnr_with_peak(2, lambda a, b: (a - b).mean().square()), "the mean is taken before the"),
        (psnr_with_peak(2, lambda a, b: F.mse_loss(a, b).sqrt()), "peak² is divided by the *root*"),
        (lambda a, b: 4 / F.mse_loss(a, b), "this is the ratio peak² /"),
        (lambda a, b: round(psnr_of_halves(a, b).item(), 1), "the numbers are nearly right, but"),
        (psnr_with_peak(4), "every number is 6.021 too large"),
        (
            lambda a, b: (10 * torch.log10(4 / (a - b).square())).mean(),
            "for first = [1, -1], second",
        ),
        (psnr_of_each_picture, "every picture gets a PSNR of"),
    ),
    "edited": (
        (lambda latents: latents, "the left half changes by 0.000"),
        (lambda latents: latents * 0.5, "the left half ends at 15"),
        (
            lambda latents: torch.cat([latents[..., :16] + 2, latents[..., 16:]], 3),
            "Your columns are right",
        ),
        (lambda latents: latents[:, :, :, :12], "shape 1×4×32×32 was expected"),
        (lambda latents: None, "returned None"),
        (lambda latents: latents / 0, "NaN or infinity"),
        (edited_and_forgotten, "left half changes by 0.000"),
        (lambda latents: latents.flip(3), "changed columns up to 31"),
        (changed(np.s_[..., :24], torch.neg), "changed columns up to 23"),
        (changed(np.s_[:, 0], lambda x: x + 3), "changed columns up to 31"),
        (changed(np.s_[:12], lambda x: x.flip(3)), "changed columns up to 31"),
        (changed(np.s_[..., :128], torch.neg), "changed columns up to 31"),
        (changed(np.s_[..., ::2], lambda x: x.flip(2)), "changed columns up to 30"),
        (changed(np.s_[..., :12], lambda x: x + 0.05), "left half changes by 0.007"),
        (changed(np.s_[..., :16], torch.zeros_like), "edit fewer columns"),
        (lambda latents: latents[0], "got 4×32×32"),
        (lambda latents: torch.zeros(1, 3, 256, 256), "got 1×3×256×256"),
    ),
}

SHOWN = {
    "sampled": (
        (lambda mean, v, e: mean - (v / 2).exp() * e, "the noise is subtracted"),
        (lambda mean, v, e: mean * e + (v / 2).exp(), "mean and standard deviation are exchanged"),
        (lambda mean, v, e: (mean + (v / 2).exp()) * e, "the mean is multiplied by the noise too"),
        (
            lambda mean, v, e: mean + (2 * v).exp() * e,
            "the logarithm is doubled where it should be halved",
        ),
        (
            lambda mean, v, e: mean + 10 ** (v / 2) * e,
            "10 is the base of the logarithm instead of e",
        ),
        (lambda mean, v, e: mean + (v.clamp(-1, 1) / 2).exp() * e, "the logarithm is clamped"),
        (
            lambda mean, v, e: mean + (v.clamp(max=0) / 2).exp() * e,
            "the logarithm is clamped at 0: variances above 1 are lost",
        ),
        (
            lambda mean, v, e: mean + (v / 2).exp().mean() * e,
            "one standard deviation for all numbers, their mean",
        ),
        (lambda mean, v, e: mean + (v / 2).exp() * e.abs(), "the sign of the noise is lost"),
        (
            lambda mean, v, e: mean + (v.clamp(-10, 2) / 2).exp() * e,
            "variances above e² or below e⁻¹⁰ are cut off",
        ),
    ),
    "divergence": (
        (
            kl_sum(lambda m, v: (m**2 + v - 1 - v.log()) / 2),
            "the logarithm of the variance is taken for the variance",
        ),
        (
            kl_sum(lambda m, v: (m**2 + (2 * v).exp() - 1 - 2 * v) / 2),
            "the logarithm of the variance is taken for that of the standard deviation",
        ),
        (
            kl_sum(lambda m, v: m**2 / 2 + v.exp() - 1 - v),
            "the brackets are missing: ½ belongs to all four terms",
        ),
        (kl_sum(kl_reversed), "the two distributions are exchanged"),
        (
            kl_sum(lambda m, v: (m**2 + v.exp() - 1 - v.log()) / 2),
            "the logarithm of a logarithm is taken",
        ),
        (
            lambda m, v: ((m**2 + v.exp() - v).flatten(1).sum(1) - 1) / 2,
            "1 is subtracted once for each picture, not for each number",
        ),
        (
            lambda m, v: kl_of_each(m.flatten(1).mean(1), v.flatten(1).mean(1)),
            "the KL of the mean mean and the mean logarithm, not the sum of all KL",
        ),
        (
            lambda m, v: kl_of_each(m, v).reshape(-1, len(m)).sum(0),
            "reshaped to columns, which mixes the pictures",
        ),
        (
            lambda m, v: (kl_of_each(m, v).sum() / len(m)).repeat(len(m)),
            "every picture gets the mean of all pictures",
        ),
        (
            lambda m, v: kl_of_each(m, v.clamp(min=-5)).flatten(1).sum(1),
            "variances below e⁻⁵, which the encoder gives, are cut off",
        ),
    ),
    "scaling": (
        (lambda z: z.var(), "upside down, and the variance in place of its root"),
        (
            lambda z: 2 / (z.max() - z.min()),
            "scaled to the range from -1 to 1, not to a standard deviation of 1",
        ),
        (lambda z: 1 / z[0].std(), "the first picture only"),
        (lambda z: 1 / z[:, 0].std(), "the first channel only"),
        (lambda z: 1 / z.mean(), "divided by the mean"),
        (lambda z: 1 / z.norm(), "the length of z is taken for its standard deviation"),
        (lambda z: (1 / z.std(dim=(0, 2, 3))).mean(), "the mean of one factor for each channel"),
        (lambda z: (1 / z.std(dim=(1, 2, 3))).mean(), "the mean of one factor for each picture"),
        (
            lambda z: 1 / z.std(dim=0).mean(),
            "each position gets a spread of its own, and these are averaged",
        ),
        (lambda z: 1 // z.std(), "divided to whole numbers"),
    ),
    "peak_signal_to_noise": (
        (
            psnr_with_peak(2, lambda a, b: F.l1_loss(a, b) ** 2),
            "the mean absolute difference is squared",
        ),
        (lambda a, b: F.mse_loss(a, b), "the MSE only"),
        (lambda a, b: 10 * math.log10(4) / F.mse_loss(a, b), "the MSE is outside of the logarithm"),
        (
            lambda a, b: 10 * torch.log10((a.max() - a.min()) ** 2 / F.mse_loss(a, b)),
            "the peak is measured on the first picture",
        ),
        (
            psnr_with_peak(2, lambda a, b: (a.square() - b.square()).mean().abs()),
            "the squares are subtracted, where the difference should be squared",
        ),
        (
            lambda a, b: 10 * torch.log10(a.square().mean() / F.mse_loss(a, b)),
            "the SNR: the picture's own power in place of the peak",
        ),
        (
            psnr_with_peak(2, lambda a, b: (a - b).var()),
            "the variance of the difference: a shift of all pixels is not counted",
        ),
        (psnr_of_whole_bytes, "both pictures are rounded to whole 8-bit numbers first"),
    ),
}
