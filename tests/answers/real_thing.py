"""Answers to the exercises of lesson 11_the_real_thing."""

from itertools import pairwise

import numpy as np
import torch
from diffusers import DDIMScheduler
from diffusers.models.resnet import ResnetBlock2D

from answers import on_copies
from sdlearn.noising import Schedule, clean_from_noise, clean_from_velocity


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


def estimate_by_course(noisy, predicted, alpha_bar, prediction_type):
    """By one step whose β is all of 1 - ᾱ."""
    schedule = Schedule(torch.tensor([1 - alpha_bar], dtype=torch.float64))
    by = {"epsilon": clean_from_noise, "v_prediction": clean_from_velocity}[prediction_type]
    return by(schedule, noisy.double(), 0, predicted.double())


def estimate_by_scheduler(noisy, predicted, alpha_bar, prediction_type):
    scheduler = DDIMScheduler(
        1, trained_betas=[1 - alpha_bar], prediction_type=prediction_type, clip_sample=False
    )
    scheduler.set_timesteps(1)
    return scheduler.step(predicted, 0, noisy).pred_original_sample


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


RIGHT = {
    "resnet_parameters": (
        resnet_by_diffusers,
        resnet_by_layers,
        lambda a, b, t: np.int64(resnet_by_diffusers(a, b, t)),
    ),
    "training_memory": (
        lambda count, bits: sum([count / 1e9 * (bits // 8)] * 4),
        lambda count, bits: torch.tensor(count * bits / 2e9),
    ),
    "clean_estimate": (estimate_by_course, estimate_by_scheduler),
    "flow": (flow_upwards, flow_by_linspace, on_copies(flow_in_place)),
}

WRONG = {
    "resnet_parameters": (
        (
            lambda a, b, t: 9 * a * b + 9 * b * b + t * b + 2 * a + 2 * b + (a != b) * a * b,
            "biases are missing",
        ),
        (lambda a, b, t: resnet_by_diffusers(a, b, t) + (a == b) * (a * b + b), "counted always"),
        (lambda a, b, t: resnet_by_diffusers(a, b, t) - (a != b) * (a * b + b), "never counted"),
        (lambda a, b, t: resnet_by_diffusers(a, b, t) - 2 * a - 2 * b, "GroupNorms are missing"),
    ),
    "training_memory": (
        (lambda count, bits: count * bits / 2.5e8, "gigabits"),
        (lambda count, bits: count * bits / 2**31, "GiB"),
        (lambda count, bits: count * bits // 8 / 1e9, "the file alone"),
        (lambda count, bits: 2 * count * bits / 8e9, "two averages are missing"),
        (lambda count, bits: 3 * count * bits / 8e9, "one number is missing"),
    ),
    "clean_estimate": (
        (
            lambda x, said, bar, kind: estimate_by_course(x, said, bar, "epsilon"),
            "taken for the noise",
        ),
        (
            lambda x, said, bar, kind: estimate_by_course(x, said, bar, "v_prediction"),
            "right for v",
        ),
        (
            lambda x, said, bar, kind: estimate_by_course(
                x, said if kind == "epsilon" else -said, bar, kind
            ),
            "sign is wrong",
        ),
        (lambda x, said, bar, kind: said, "was expected, got"),
    ),
    "flow": (
        (flow_in_place, "changes its argument"),
        (flow_as_given, "the faults as given"),
        (lambda v, x, n: x + v(x, 1.0), "was expected, got"),
        (lambda v, x, n: x - v(x, 1.0), "in one step"),
    ),
}
