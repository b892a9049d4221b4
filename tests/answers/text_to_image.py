"""Answers to the exercises of lesson 09_text_to_image."""

import copy
import math

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import StableDiffusionPipeline
from diffusers.image_processor import VaeImageProcessor

from answers import on_copies
from sdlearn.picturebook import compose
from sdlearn.text import encode_text


def start_noise_by_side(model, height, width, seed):
    generator = torch.Generator("cpu").manual_seed(seed)
    return torch.randn((1, 4, height // 8, width // 8), generator=generator)


def start_noise_from_a_row(model, height, width, seed):
    count = 4 * (height // 8) * (width // 8)
    return torch.randn(1, count, generator=torch.Generator().manual_seed(seed)).view(
        1, 4, height // 8, width // 8
    )


def to_picture_by_numpy(model, latents):
    with torch.no_grad():
        pixels = model.vae.decode(latents / model.vae.config.scaling_factor, return_dict=False)[0][
            0
        ]
    return ((pixels.numpy().transpose(1, 2, 0) + 1) * 127.5).clip(0, 255).astype(np.uint8)


def to_picture_by_diffusers(model, latents):
    with torch.no_grad():
        pixels = model.vae.decode(latents / model.vae.config.scaling_factor).sample
    return VaeImageProcessor().postprocess(pixels)[0]


def to_latents_by_diffusers(model, prompt, noise, steps, guidance):
    parts = (
        model.vae,
        model.text_encoder,
        model.tokenizer,
        model.unet,
        copy.deepcopy(model.scheduler),
        None,
        None,
    )
    pipeline = StableDiffusionPipeline(*parts, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    options = {"guidance_scale": guidance, "output_type": "latent", "height": 8 * noise.shape[2]}
    return pipeline(
        prompt, num_inference_steps=steps, latents=noise, width=8 * noise.shape[3], **options
    ).images


@torch.no_grad()
def to_latents_in_one_batch(model, prompt, noise, steps, guidance):
    scheduler = type(model.scheduler).from_config(model.scheduler.config)
    scheduler.set_timesteps(steps)
    states = encode_text(model.tokenizer, model.text_encoder, ["", prompt])
    latents = noise * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        both = scheduler.scale_model_input(torch.cat([latents, latents]), t)
        empty, said = model.unet(both, t, states).sample.chunk(2)
        latents = scheduler.step(torch.lerp(empty, said, guidance), t, latents).prev_sample
    return latents


def slerp_by_frame(first, second, share):
    angle = math.acos(
        min(1.0, float(F.cosine_similarity(first.flatten(), second.flatten(), dim=0)))
    )
    if angle < 1e-3:
        return first + share * (second - first)
    weights = (
        math.sin((1 - share) * angle) / math.sin(angle),
        math.sin(share * angle) / math.sin(angle),
    )
    return weights[0] * first.double() + weights[1] * second.double()


def slerp_without_care(first, second, share):
    angle = torch.acos((first * second).sum() / (first.norm() * second.norm()))
    return (torch.sin((1 - share) * angle) * first + torch.sin(share * angle) * second) / torch.sin(
        angle
    )


def slerp_in_place(first, second, share):
    angle = torch.acos(
        (first * second).sum().double() / first.norm().double() / second.norm().double()
    )
    first *= torch.nan_to_num(((1 - share) * angle).sin() / angle.sin(), nan=1 - share)
    first += second * torch.nan_to_num((share * angle).sin() / angle.sin(), nan=share)
    return first


def decoded(model, latents):
    with torch.no_grad():
        return model.vae.decode(latents).sample[0].permute(1, 2, 0)


def to_latents_without(what):
    """diffusers' loop, with a part of it left out."""

    def draw(model, prompt, noise, steps, guidance):
        scheduler = copy.deepcopy(model.scheduler)
        scheduler.set_timesteps(steps)
        states = encode_text(
            model.tokenizer, model.text_encoder, [prompt, ""] if what == "order" else ["", prompt]
        )
        latents = noise if what in ("sigma", "both") else noise * scheduler.init_noise_sigma
        for t in scheduler.timesteps:
            seen = (
                latents if what in ("scaling", "both") else scheduler.scale_model_input(latents, t)
            )
            with torch.no_grad():
                empty, said = model.unet(torch.cat([seen, seen]), t, states).sample.chunk(2)
            guided = said if what == "guidance" else torch.lerp(empty, said, guidance)
            latents = scheduler.step(guided, t, latents).prev_sample
        return latents

    return draw


def scaled_noise(model, height, width, seed):
    shape = (1, 4, height // model.factor, width // model.factor)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return noise * model.scheduler.init_noise_sigma


def noise_of_everybody(model, height, width, seed):
    torch.manual_seed(seed)
    return torch.randn(1, 4, height // model.factor, width // model.factor)


RIGHT = {
    "start_noise": (start_noise_by_side, start_noise_from_a_row),
    "to_picture": (to_picture_by_numpy, to_picture_by_diffusers),
    "text_to_latents": (to_latents_by_diffusers, to_latents_in_one_batch),
    "slerp": (slerp_by_frame, on_copies(slerp_in_place)),
    "own_failure": (
        lambda: compose([("red", "house"), ("red", "house")], "snow", "left of", rng=1),
        lambda: compose(
            [("white", "cat"), ("white", "cat")], "snow", "left of", ("small", "small"), rng=3
        ),
    ),
}

WRONG = {
    "start_noise": (
        (scaled_noise, "scaled already"),
        (noise_of_everybody, "global"),
        (
            lambda model, h, w, seed: torch.randn(1, 4, h, w, generator=torch.manual_seed(seed)),
            "size in pixels",
        ),
        (
            lambda model, h, w, seed: start_noise_by_side(model, w, h, seed),
            "height and width are exchanged",
        ),
        (lambda model, h, w, seed: start_noise_by_side(model, h // 8, w // 8, seed), "64 pixels"),
        (lambda model, h, w, seed: start_noise_by_side(model, h, w, seed)[0], "batch is missing"),
    ),
    "to_picture": (
        (lambda model, z: (decoded(model, z) / 2 + 0.5).clamp(0, 1) * 255, "scaling is not undone"),
        (
            lambda model, z: (
                (decoded(model, z * model.vae.config.scaling_factor) / 2 + 0.5).clamp(0, 1) * 255
            ),
            "multiplied by the scaling factor",
        ),
        (lambda model, z: to_picture_by_numpy(model, z).transpose(2, 0, 1), "channels come first"),
        (lambda model, z: to_picture_by_numpy(model, z) / 255.0, "from 0 to 1"),
    ),
    "text_to_latents": (
        (to_latents_without("order"), "unconditional and conditional are exchanged"),
        (to_latents_without("guidance"), "no guidance"),
        (to_latents_without("scaling"), "scale_model_input(latents, t)` is missing"),
        (to_latents_without("sigma"), "init_noise_sigma"),
        (to_latents_without("both"), "both missing"),
        (
            lambda m, prompt, noise, steps, g: to_latents_in_one_batch(
                m, prompt, noise, steps, g + 1
            ),
            "one too strong",
        ),
    ),
    "slerp": (
        (slerp_in_place, "changes its argument"),
        (lambda a, b, share: torch.lerp(a, b, share), "straight line"),
        (lambda a, b, share: slerp_by_frame(b, a, share), "exchanged"),
        (slerp_without_care, "0/0 is not a number"),
        (lambda a, b, share: (1 - share) ** 0.5 * a + share**0.5 * b, "square roots"),
        (
            lambda a, b, share: (
                math.cos(share * math.pi / 2) * a + math.sin(share * math.pi / 2) * b
            ),
            "for 90°",
        ),
    ),
    "own_failure": (
        (lambda: "a red house", "a scene was expected"),
        (
            lambda: compose([("red", "house"), ("blue", "tree"), ("white", "cat")], "snow"),
            "at most two, got 3",
        ),
        (
            lambda: compose([("red", "heart")], "desert", sizes=("big",), rng=1),
            "find something harder",
        ),
    ),
}
