"""Answers to the exercises of lesson 11_the_real_thing."""

import math
from itertools import pairwise

import numpy as np
import torch
from diffusers import DDIMScheduler
from diffusers.models.resnet import ResnetBlock2D
from torch import nn

from answers import on_copies
from sdlearn.noising import Schedule, clean_from_noise


def resnet_by_diffusers(c_in, c_out, time_width):
    with torch.device("meta"):
        block = ResnetBlock2D(
            in_channels=c_in, out_channels=c_out, temb_channels=time_width, groups=1
        )
    return sum(p.numel() for p in block.parameters())


def resnet_by_layers(c_in, c_out, time_width):
    convolutions = [(c_in, c_out, 9), (c_out, c_out, 9), (time_width, c_out, 1)]
    convolutions += [(c_in, c_out, 1)] * (c_in != c_out)
    return torch.tensor(sum(a * b * k + b for a, b, k in convolutions) + 2 * c_in + 2 * c_out)


def resnet_by_modules(c_in, c_out, time_width):
    with torch.device("meta"):
        parts = nn.ModuleList([nn.GroupNorm(1, c_in), nn.Conv2d(c_in, c_out, 3)])
        parts += [nn.Linear(time_width, c_out), nn.GroupNorm(1, c_out), nn.Conv2d(c_out, c_out, 3)]
        parts += [nn.Conv2d(c_in, c_out, 1)] * (c_in != c_out)
    return sum(p.numel() for p in parts.parameters())


def resnet_in_one_line(c_in, c_out, time_width):
    shortcut = (c_in + 1) * (c_in != c_out)
    return float(2 * (c_in + c_out) + c_out * (9 * (c_in + c_out) + time_width + 3 + shortcut))


def resnet_plus(change):
    """The right number and something that depends on the three widths."""
    return lambda a, b, t: resnet_by_diffusers(a, b, t) + change(a, b, t)


def resnet_times(size):
    """With kernels of so many weights in place of the nine."""
    return resnet_plus(lambda a, b, t: (size - 9) * (a + b) * b)


def resnet_if(has_shortcut):
    """With the shortcut on another condition."""
    return resnet_plus(lambda a, b, t: (has_shortcut(a, b) - (a != b)) * (a * b + b))


def memory(numbers, gigabyte=1e9, bits_a_byte=8):
    return lambda count, bits: numbers * count * bits / bits_a_byte / gigabyte


def rounded_memory(change):
    return lambda count, bits: change(memory(4)(count, bits))


def estimate_by_course(noisy, predicted, alpha_bar, prediction_type):
    """By one step whose β is all of 1 - ᾱ."""
    schedule = Schedule(torch.tensor([1 - alpha_bar], dtype=torch.float64))
    noisy, predicted = noisy.double(), predicted.double()
    if prediction_type == "epsilon":
        return clean_from_noise(schedule, noisy, 0, predicted)
    signal, sigma = schedule.rates(0, noisy)
    return signal * noisy - sigma * predicted


def estimate_by_scheduler(noisy, predicted, alpha_bar, prediction_type):
    scheduler = DDIMScheduler(
        1, trained_betas=[1 - alpha_bar], prediction_type=prediction_type, clip_sample=False
    )
    scheduler.set_timesteps(1)
    return scheduler.step(predicted, 0, noisy).pred_original_sample


def estimate_by_angle(noisy, predicted, alpha_bar, prediction_type):
    angle = math.acos(alpha_bar**0.5)
    if prediction_type == "epsilon":
        return noisy / math.cos(angle) - math.tan(angle) * predicted
    return math.cos(angle) * noisy - math.sin(angle) * predicted


def estimate_by_the_noise(noisy, predicted, alpha_bar, prediction_type):
    """In numpy; from v the noise is worked out first."""
    noisy, noise = noisy.numpy(), predicted.numpy()
    signal, sigma = np.sqrt(alpha_bar), np.sqrt(1 - alpha_bar)
    if prediction_type == "v_prediction":
        noise = sigma * noisy + signal * noise
    return (noisy - sigma * noise) / signal


def estimate_in_place(noisy, predicted, alpha_bar, prediction_type):
    sigma = (1 - alpha_bar) ** 0.5
    if prediction_type == "v_prediction":
        return noisy.mul_(alpha_bar**0.5).sub_(sigma * predicted)
    return noisy.sub_(sigma * predicted).div_(alpha_bar**0.5)


def estimate_with(from_noise=None, from_v=None):
    """The right estimate, with another formula of x, what was said, √ᾱ and √(1 - ᾱ)."""
    from_noise = from_noise or (lambda x, said, signal, sigma: (x - sigma * said) / signal)
    from_v = from_v or (lambda x, said, signal, sigma: signal * x - sigma * said)

    def estimate(noisy, predicted, alpha_bar, prediction_type):
        formula = from_v if prediction_type == "v_prediction" else from_noise
        return formula(noisy, predicted, alpha_bar**0.5, (1 - alpha_bar) ** 0.5)

    return estimate


def estimate_then(change):
    return lambda x, said, bar, kind: change(estimate_with()(x, said, bar, kind))


def estimate_of_kind(kind):
    """One formula, whatever the configuration says."""
    return lambda x, said, bar, _: estimate_by_course(x, said, bar, kind)


def flow_upwards(velocity, noise, steps):
    """With t counted as Liu et al. do, from 0 at the noise."""
    x = noise.double()
    for step in range(steps):
        x = x - velocity(x.float(), 1 - step / steps).double() / steps
    return x


def flow_by_linspace(velocity, noise, steps):
    ts = torch.linspace(1, 0, steps + 1).tolist()
    for t, after in pairwise(ts):
        noise = noise + (after - t) * velocity(noise, t)
    return noise


def flow_in_place(velocity, noise, steps):
    for step in range(steps, 0, -1):
        noise -= velocity(noise, step / steps) / steps
    return noise


def flow_as_given(velocity, noise, steps):
    x = noise
    for step in range(steps, 1, -1):
        t, t_next = step / steps, (step - 1) / steps
        x = x + (t - t_next) * velocity(x, t_next)
    return x


def flow_by_recursion(velocity, noise, steps, step=None):
    step = steps if step is None else step
    if step == 0:
        return noise
    return flow_by_recursion(
        velocity, noise - velocity(noise, step / steps) / steps, steps, step - 1
    )


def flow_by_while(velocity, noise, steps):
    x, t = noise, 1.0
    while t > 0.5 / steps:
        x, t = x - velocity(x, t) / steps, t - 1 / steps
    return x


def flow_with(way=-1.0, ask=lambda t, t_next: t, first=0, last=0):
    """The right walk, with another direction, t to ask at, or steps left out at either end."""

    def flow(velocity, noise, steps):
        x = noise
        for step in range(steps - first, last, -1):
            x = x + way / steps * velocity(x, ask(step / steps, (step - 1) / steps))
        return x

    return flow


def at_end(t, t_next):
    return t_next


def stepping(step):
    """A walk whose step makes the next x of: velocity, x, t, the step's length and the noise."""

    def flow(velocity, noise, steps):
        x = noise
        for left in range(steps, 0, -1):
            x = step(velocity, x, left / steps, 1 / steps, noise)
        return x

    return flow


def heun(velocity, x, t, length, noise):
    first = velocity(x, t)
    return x - length * (first + velocity(x - length * first, t - length)) / 2


def midpoint(velocity, x, t, length, noise):
    half = x - length / 2 * velocity(x, t)
    return x - length * velocity(half, t - length / 2)


def back_to_noise(velocity, x, t, length, noise):
    clean = x - t * velocity(x, t)
    return (1 - t + length) * clean + (t - length) * noise


def flow_all_states(velocity, noise, steps):
    states = [noise]
    for step in range(steps, 0, -1):
        states.append(states[-1] - velocity(states[-1], step / steps) / steps)
    return states


def flow_returns_in_the_loop(velocity, noise, steps):
    for step in range(steps, 0, -1):
        return noise - velocity(noise, step / steps) / steps


def flow_too_few_ts(velocity, noise, steps):
    for t, after in pairwise(torch.linspace(1, 0, steps).tolist()):
        noise = noise + (after - t) * velocity(noise, t)
    return noise


def flow_by_float_range(velocity, noise, steps):
    for t in np.arange(1, 0, -1 / steps):
        noise = noise - velocity(noise, float(t)) / steps
    return noise


def flow_until_zero(velocity, noise, steps):
    t = 1.0
    while t > 0:
        noise, t = noise - velocity(noise, t) / steps, t - 1 / steps
    return noise


def flow_upwards_in_t(velocity, noise, steps):
    for step in range(1, steps + 1):
        noise = noise - velocity(noise, step / steps) / steps
    return noise


def flow_towards_noise_upwards(velocity, noise, steps):
    for step in range(steps):
        noise = noise + velocity(noise, step / steps) / steps
    return noise


def flow_of_longer_steps(velocity, noise, steps):
    for step in range(steps, 0, -1):
        noise = noise - velocity(noise, step / steps) / max(1, steps - 1)
    return noise


def told(ask):
    """The right walk that tells the network a t that was made of the right one."""
    return flow_with(ask=lambda t, t_next: ask(t))


TRUE_CLAIMS = {
    "days": 24.4,
    "times_smaller": 48,
    "times_fewer_bytes": 24,
    "unet_share": 0.806,
    "runs": 50,
    "picture_left": 0.0683,
}


def claims_by_arithmetic():
    shares = {"unet": 859_520_964, "text": 123_060_480, "vae": 83_653_863}
    return {
        "days": 150_000 / (32 * 8) / 24,
        "times_smaller": 3 * 512 * 512 / (4 * 64 * 64),
        "times_fewer_bytes": 3 * 512 * 512 / (2 * 4 * 64 * 64),
        "unet_share": shares["unet"] / sum(shares.values()),
        "runs": 25 * 2,
        "picture_left": math.sqrt(0.00466),
    }


def claiming(**changes):
    """The right numbers, with some of them changed; None leaves one out."""
    found = {**TRUE_CLAIMS, **changes}
    return lambda: {name: number for name, number in found.items() if number is not None}


AMBIGUOUS = "RuntimeError: Boolean value of Tensor with more than one value is ambiguous"
ONLY_FIRST = "only the first of the batch is right; each has its own numbers"


RIGHT = {
    "resnet_parameters": (
        resnet_by_diffusers,
        resnet_by_layers,
        lambda a, b, t: np.int64(resnet_by_diffusers(a, b, t)),
        resnet_by_modules,
        resnet_in_one_line,
    ),
    "training_memory": (
        lambda count, bits: torch.tensor(count * bits / 2e9),
        lambda count, bits: 4 * count * bits / 8 / 1000**3,
        lambda count, bits: np.float64(count) * bits / 8e9 * 4,
        lambda count, bits: torch.tensor(count, dtype=torch.float64) * bits * 5e-10,
    ),
    "clean_estimate": (
        estimate_by_course,
        estimate_by_scheduler,
        estimate_by_angle,
        estimate_by_the_noise,
        on_copies(estimate_in_place),
        lambda x, said, bar, kind: (
            estimate_with()(x.mT, said.mT, bar, kind).mT
            if x.ndim > 1
            else estimate_with()(x, said, bar, kind)
        ),
    ),
    "flow": (
        flow_upwards,
        flow_by_linspace,
        on_copies(flow_in_place),
        flow_by_recursion,
        flow_by_while,
        lambda velocity, noise, steps: flow_with()(velocity, noise, steps).numpy(),
    ),
    "claims": (
        claims_by_arithmetic,
        claiming(),
        claiming(days=np.float64(24.414), unet_share=torch.tensor(0.8061)),
        claiming(another=3),
        lambda: dict(reversed(TRUE_CLAIMS.items())),
    ),
}

WRONG = {
    "claims": (
        (lambda: None, "your function returned None"),
        (lambda: list(TRUE_CLAIMS.values()), "a dict with days, "),
        (claiming(days=None, runs=None), "there is no number yet for days, runs"),
        (claiming(runs="fifty"), "runs: a number was expected, got str"),
        (claiming(days=3), "3 is the article's number"),
        (claiming(days=586), "days: these are hours"),
        (claiming(days=6250), "for a single GPU"),
        (claiming(times_smaller=64), "64 times fewer *positions*"),
        (claiming(times_smaller=1 / 48), "upside down"),
        (claiming(times_fewer_bytes=48), "each latent takes 2 bytes"),
        (claiming(times_fewer_bytes=96), "take *more* bytes"),
        (claiming(unet_share=80.6), "a share is from 0 to 1"),
        (claiming(unet_share=1), "1 is the article's number"),
        (claiming(unet_share=6.98), "the text encoder alone"),
        (claiming(runs=25), "how often does a step ask the U-Net?"),
        (claiming(runs=75), "their difference needs no run"),
        (claiming(picture_left=0.00466), "the share of the variance"),
        (claiming(picture_left=0.9977), "the factor of the noise"),
        (claiming(picture_left=0), "0 is the article's number"),
        (claiming(days=20, runs=30), "20 is not it; divide the GPU hours"),
        (claiming(days=float("nan")), "nan is not it"),
        (lambda: dict.fromkeys(TRUE_CLAIMS, 1), "days: 1 is not it"),
        (claiming(days=3), "(5 of 6 are right)"),
        (lambda: 1 / 0, "division by zero"),
    ),
    "resnet_parameters": (
        (
            lambda a, b, t: 9 * a * b + 9 * b * b + t * b + 2 * a + 2 * b + (a != b) * a * b,
            "biases are missing",
        ),
        (resnet_if(lambda a, b: True), "counted always"),
        (resnet_if(lambda a, b: False), "never counted"),
        (resnet_if(lambda a, b: a == b), "26 was expected, got 28"),
        (resnet_plus(lambda a, b, t: -2 * a - 2 * b), "GroupNorms are missing"),
        (resnet_plus(lambda a, b, t: -a - b), "a GroupNorm has *two* numbers a"),
        (resnet_plus(lambda a, b, t: -2 * a), "26 was expected, got 24"),
        (resnet_plus(lambda a, b, t: -2 * b), "the biases of the two 3×3"),
        (resnet_plus(lambda a, b, t: 2 * a - 2 * b), "over c_out channels"),
        (resnet_plus(lambda a, b, t: -b * (a != b)), "shortcut's bias is missing"),
        (resnet_plus(lambda a, b, t: -b), "the bias of the linear layer"),
        (resnet_plus(lambda a, b, t: -t * b - b), "for the time is missing"),
        (resnet_plus(lambda a, b, t: t * b + b), "26 was expected, got 28"),
        (resnet_plus(lambda a, b, t: 1280 * b - t * b), "26 was expected, got 1305"),
        (resnet_plus(lambda a, b, t: 1), "every number is 1 too large"),
        (resnet_times(1), "3×3 kernels are missing"),
        (resnet_times(3), "26 was expected, got 14"),
        (resnet_times(6), "26 was expected, got 20"),
        (
            lambda a, b, t: [9 * a * b + b, t * b + b, 9 * b * b + b],
            "a single number was expected, got shape 3",
        ),
        (lambda a, b, t: None, "does it end with `return`"),
        (resnet_plus(lambda a, b, t: 8 * a * b * (a != b)), "the shortcut is a 1×1 convolution;"),
        (resnet_plus(lambda a, b, t: 9 * (a - b) * b), "the second convolution goes from c_out"),
        (resnet_plus(lambda a, b, t: (t + 1) * (a - b)), "the time is added to c_out"),
        (lambda a, b, t: f"{resnet_by_diffusers(a, b, t)}", "for c_in = 1, c_out ="),
    ),
    "training_memory": (
        (memory(4, bits_a_byte=1), "these are gigabits"),
        (memory(4, gigabyte=2**30), "this is GiB"),
        (memory(1), "the file alone"),
        (memory(2), "two averages are missing"),
        (memory(3), "one number is missing"),
        (memory(5), "one number is too many: a"),
        (memory(8), "every number is 2 times"),
        (memory(4, gigabyte=1), "these are bytes"),
        (memory(4, gigabyte=1e6), "these are MB, of 10⁶ bytes; a GB is 10⁹ bytes"),
        (memory(4, gigabyte=1e8), "every number is 10 times"),
        (lambda count, bits: 4 * count * bits * 8 / 1e9, "every number is 64 times"),
        (lambda count, bits: 16 * count / 1e9, "the bits are not used: at"),
        (lambda count, bits: 8 * count / 1e9, "these are 0.5, 1, 2, 4"),
        (rounded_memory(round), "6.876 was expected, got 7"),
        (lambda count, bits: 4 * count * bits // 8 // 10**9, "6.876 was expected, got 6"),
        (rounded_memory(lambda size: -size), "sign is wrong"),
        (lambda count, bits: None, "does it end with `return`"),
        (memory(4, bits_a_byte=16), "AdamW's two averages are missing"),
        (memory(4, bits_a_byte=32), "this is the file alone; training keeps more"),
        (memory(4, gigabyte=1e6 * 1024), "every number is 0.9766 times what"),
        (memory(1, gigabyte=2**30), "every number is 0.2328 times what"),
        (memory(3, gigabyte=2**30), "every number is 0.6985 times what"),
        (memory(4, gigabyte=2**20), "every number is 953.7 times what"),
        (lambda count, bits: 4 * count * 8 / bits / 1e9, "divided by the bits; a number"),
        (lambda count, bits: f"{memory(4)(count, bits)} GB", "for parameters = 1000000000, bits ="),
        (
            lambda count, bits: 4 * count * {8: 1, 16: 2, 32: 4}[bits] / 1e9,
            "KeyError: 4 (for parameters = 7000000000,",
        ),
    ),
    "clean_estimate": (
        (estimate_of_kind("epsilon"), "taken for the noise"),
        (
            lambda x, said, bar, kind: estimate_with()(
                x, said, bar, "v_prediction" if kind == "v" else "epsilon"
            ),
            "another formula is needed",
        ),
        (estimate_of_kind("v_prediction"), "right for v"),
        (
            lambda x, said, bar, kind: estimate_by_course(
                x, said if kind == "epsilon" else -said, bar, kind
            ),
            "sign is wrong",
        ),
        (
            estimate_with(
                from_v=lambda x, said, signal, sigma: (signal * x - sigma * said) / signal
            ),
            "one division too many",
        ),
        (
            estimate_with(from_v=lambda x, said, signal, sigma: sigma * x - signal * said),
            "are exchanged for v",
        ),
        (
            estimate_with(from_v=lambda x, said, signal, sigma: sigma * x + signal * said),
            "noise that follows from v",
        ),
        (
            estimate_with(from_v=lambda x, said, signal, sigma: x - sigma * said),
            "that of flow matching",
        ),
        (estimate_with(from_v=lambda *_: None), "does it end with `return`"),
        (estimate_with(from_noise=lambda *_: None), "does it end with `return`"),
        (lambda x, said, bar, kind: said, "was expected, got"),
        (lambda x, said, bar, kind: x, "[1] was expected, got [1.1]"),
        (
            estimate_with(lambda x, said, signal, sigma: x - sigma * said),
            "for the noise: the division by √ᾱ is missing",
        ),
        (
            estimate_with(lambda x, said, signal, sigma: (x + sigma * said) / signal),
            "for the noise the sign is",
        ),
        (
            estimate_with(lambda x, said, signal, sigma: signal * (x - sigma * said)),
            "for the noise: multiplied by √ᾱ; divide by it",
        ),
        (
            estimate_with(lambda x, said, signal, sigma: x - sigma * said / signal),
            "[1] was expected, got [0.725]",
        ),
        (
            estimate_with(lambda x, said, signal, sigma: (x - signal * said) / sigma),
            "√ᾱ and √(1 - ᾱ) are exchanged for the noise",
        ),
        (estimate_then(torch.mean), "shape 1 was expected, got a single number, 1"),
        (estimate_then(lambda clean: clean[:1]), "2×3 was expected, got 1×3"),
        (estimate_in_place, "changes its argument `noisy`"),
    ),
    "flow": (
        (flow_in_place, "changes its argument"),
        (flow_as_given, "the faults as given"),
        (flow_with(ask=at_end, last=1), "never asked at t = 1"),
        (flow_with(way=1, ask=at_end), "walks towards the noise, and asks"),
        (flow_with(way=1, last=1), "one step early"),
        (flow_with(ask=at_end), "where the step *ends*"),
        (flow_with(last=1), "the last step is missing"),
        (flow_with(way=1), "it walks towards the noise"),
        (flow_with(first=1), "never asked at t = 1"),
        (flow_with(last=-1), "one step too many"),
        (flow_with(ask=lambda t, t_next: (t + t_next) / 2), "the middle of the step"),
        (told(lambda t: 1.0), "always asked at t = 1"),
        (flow_upwards_in_t, "t runs upwards"),
        (lambda v, x, n: x + v(x, 1.0), "was expected, got"),
        (lambda v, x, n: x - v(x, 1.0), "in one step"),
        (
            stepping(lambda v, x, t, length, noise: x - length * v(noise, t)),
            "always asked at the noise",
        ),
        (stepping(heun), "averages two velocities a step"),
        (flow_of_longer_steps, "divided by steps - 1"),
        (flow_all_states, "shape 1 was expected, got 2"),
        (lambda velocity, noise, steps: None, "does it end with `return`"),
        (lambda velocity, noise, steps: noise, "was expected, got [0.7]"),
        (flow_too_few_ts, "was expected, got [0.7]"),
        (told(lambda t: round(t, 2)), "the numbers are nearly right, but"),
    ),
}

SHOWN = {
    "resnet_parameters": (
        (resnet_if(lambda a, b: a < b), "the shortcut is missing where the channels become fewer"),
        (resnet_if(lambda a, b: a > b), "the shortcut is missing where the channels become more"),
        (lambda a, b, t: resnet_by_diffusers(b, a, t), "c_in and c_out are exchanged"),
        (
            resnet_plus(lambda a, b, t: t - t * b),
            "the time vector's width was added, not multiplied by c_out",
        ),
        (
            resnet_plus(lambda a, b, t: (3 + (a != b)) * (1 - b)),
            "one bias for each layer, not for each output",
        ),
        (resnet_plus(lambda a, b, t: a - b), "the first convolution has a bias for each input"),
        (resnet_plus(lambda a, b, t: 2 * b - 2 * a), "the first GroupNorm is over c_out"),
        (
            lambda a, b, t: round(resnet_by_diffusers(a, b, t), -1) if a > 1 else 26,
            "rounded to tens: a count has to be exact",
        ),
        (
            resnet_plus(lambda a, b, t: t not in (1, 1280)),
            "one too many wherever the time vector's width is not 1 or 1280",
        ),
    ),
    "training_memory": (
        (lambda count, bits: 4 * count * 2**bits / 64 / 1e9, "2 to the power of the bits"),
        (lambda count, bits: 4 * bits * 8 / count / 1e9, "divided by the parameters"),
        (
            lambda count, bits: (2 * bits / 8 + 2 * 4) * count / 1e9,
            "the averages are always in fp32",
        ),
        (
            lambda count, bits: (bits / 8 + 3 * 4) * count / 1e9,
            "all but the weights is always in fp32",
        ),
    ),
    "clean_estimate": (
        (
            estimate_with(from_v=lambda x, said, signal, sigma: signal**2 * x - sigma**2 * said),
            "the roots are missing for v",
        ),
        (
            estimate_with(from_v=lambda x, said, signal, sigma: signal * (x - sigma * said)),
            "multiplied by √ᾱ at the end, for v",
        ),
        (
            estimate_with(from_v=lambda x, said, signal, sigma: sigma * said - signal * x),
            "the sign of all of it, for v",
        ),
        (
            estimate_with(from_v=lambda x, said, signal, sigma: signal * x - (1 - signal) * said),
            "1 - √ᾱ in place of √(1 - ᾱ), for v",
        ),
        (estimate_with(from_v=lambda x, said, signal, sigma: said), "v itself is taken for x̂₀"),
        (estimate_with(from_v=lambda x, said, signal, sigma: x - said), "v is just taken away"),
        (
            estimate_with(from_v=lambda x, said, signal, sigma: (signal * said - x) / sigma),
            "the definition of v, solved wrongly",
        ),
        (
            estimate_with(
                from_v=lambda x, said, signal, sigma: (
                    (signal * x - sigma * said) / (2 * signal**2 - 1)
                )
            ),
            "divided by ᾱ - (1 - ᾱ), a sign slip in the derivation",
        ),
        (estimate_with(from_v=lambda x, said, signal, sigma: torch.zeros_like(x)), "a stub for v"),
        (
            estimate_with(
                lambda x, said, signal, sigma: signal * x - sigma * said,
                lambda x, said, signal, sigma: (x - sigma * said) / signal,
            ),
            "the two formulas are exchanged",
        ),
        (
            estimate_with(lambda x, said, signal, sigma: (x - sigma**2 * said) / signal**2),
            "the roots are missing for the noise",
        ),
        (
            estimate_with(lambda x, said, signal, sigma: (x - (1 - signal) * said) / signal),
            "1 - √ᾱ in place of √(1 - ᾱ), for the noise",
        ),
        (
            lambda x, said, bar, kind: estimate_with()(x, said, 0.64, kind),
            "the roots of the example, typed in",
        ),
        (estimate_then(lambda clean: clean.clamp(-1, 1)), "cut off at −1 and 1"),
    ),
    "flow": (
        (told(lambda t: 1 - t), "asked at 1 - t"),
        (told(lambda t: 0.0), "always asked at t = 0"),
        (told(lambda t: 1000 * t), "t as a step of 0 to 1000"),
        (
            lambda v, noise, steps: told(lambda t: steps * t)(v, noise, steps),
            "the number of the step is told, not t",
        ),
        (flow_with(way=-2), "steps of double length"),
        (flow_with(way=-0.5), "steps of half the length"),
        (stepping(lambda v, x, t, length, noise: v(x, t) * length), "x is replaced, not changed"),
        (
            stepping(lambda v, x, t, length, noise: noise - length * v(x, t)),
            "each step begins at the noise again",
        ),
        (flow_returns_in_the_loop, "`return` stands inside the loop"),
        (
            stepping(lambda v, x, t, length, noise: x - t * v(x, t)),
            "t in place of the length of the step",
        ),
        (stepping(back_to_noise), "back to the first noise after each estimate"),
        (
            stepping(lambda v, x, t, length, noise: (x - length * v(x, t)).clamp(-1, 1)),
            "cut off at −1 and 1 in each step",
        ),
        (flow_until_zero, "`while t > 0`: rounding adds a step"),
        (stepping(midpoint), "the midpoint method"),
        (lambda v, noise, steps: flow_with()(v, noise, 10), "`steps` is ignored"),
        (lambda v, noise, steps: flow_with()(v, noise, 2 * steps), "twice as many steps"),
        (flow_towards_noise_upwards, "it walks from t = 0 to t = 1, from picture to noise"),
        (flow_by_float_range, "a range of floats, which has a step too many for 49 or 98 steps"),
    ),
}
