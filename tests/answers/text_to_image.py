"""Answers to the exercises of lesson 09_text_to_image."""

import copy
import math
import random

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import StableDiffusionPipeline
from diffusers.image_processor import VaeImageProcessor

from answers import on_copies
from sdlearn.picturebook import compose, draw
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


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def latent_shape(model, height, width):
    return (1, 4, height // model.factor, width // model.factor)


def start_noise_in_place(model, height, width, seed):
    return torch.empty(latent_shape(model, height, width)).normal_(generator=seeded(seed))


def start_noise_by_normal(model, height, width, seed):
    shape = (1, 4, int(height / model.factor), int(width / model.factor))
    return torch.normal(0.0, 1.0, shape, generator=seeded(seed))


def second_noise_of_a_seed(model, height, width, seed):
    generator = seeded(seed)
    torch.randn(latent_shape(model, height, width), generator=generator)
    return torch.randn(latent_shape(model, height, width), generator=generator)


def noise_of_a_forgotten_generator(model, height, width, seed):
    seeded(seed)
    return torch.randn(latent_shape(model, height, width))


def noise_of_python(model, height, width, seed):
    numbers, shape = random.Random(seed), latent_shape(model, height, width)
    return torch.tensor([numbers.gauss() for _ in range(math.prod(shape))]).view(shape)


def same_noise_in_each_channel(model, height, width, seed):
    shape = latent_shape(model, height, width)[2:]
    return torch.stack([torch.randn(shape, generator=seeded(seed)) for _ in range(4)])[None]


def pixels_of(model, latents):
    """What the decoder gives, n×3×H×W, with the scaling undone."""
    with torch.no_grad():
        return model.vae.decode(latents / model.vae.config.scaling_factor).sample


def from_pixels(eight_bits):
    """The whole way to a picture, where only what is done with 3×H×W pixels is wrong."""
    return lambda model, latents: eight_bits(pixels_of(model, latents)[0])


def to_bytes(pixels):
    """Pixels ...×3×H×W in [-1, 1], to whole numbers ...×H×W×3 from 0 to 255."""
    return ((pixels / 2 + 0.5).clamp(0, 1) * 255).round().movedim(-3, -1)


@torch.inference_mode()
def to_picture_in_inference_mode(model, latents):
    factor = model.vae.config.scaling_factor
    pixels = model.vae.decode(latents * (1 / factor), return_dict=False)[0].clip(-1, 1)
    return pixels.add(1).mul(127.5).round().to(torch.uint8)[0].movedim(0, -1)


def to_picture_by_channel(model, latents):
    channels = [(channel / 2 + 0.5).clamp(0, 1) * 255 for channel in pixels_of(model, latents)[0]]
    return torch.stack(channels, dim=-1).double()


def to_picture_in_place(model, latents):
    latents /= model.vae.config.scaling_factor
    return to_bytes(model.vae.decode(latents).sample[0])


def prepared(model, steps):
    scheduler = type(model.scheduler).from_config(model.scheduler.config)
    scheduler.set_timesteps(steps)
    return scheduler


def drawing(
    *,
    texts=lambda prompt: ("", prompt),
    begin=lambda noise, scheduler: noise * scheduler.init_noise_sigma,
    rungs=lambda scheduler, steps: scheduler.timesteps,
    told=lambda t, index: t,
    guide=torch.lerp,
    step=lambda scheduler, predicted, t, latents: scheduler.step(predicted, t, latents).prev_sample,
    finish=lambda latents: latents,
    encode=lambda model, text: encode_text(model.tokenizer, model.text_encoder, text),
    prepare=prepared,
):
    """The whole loop, of which each part can be exchanged."""

    @torch.no_grad()
    def draw_latents(model, prompt, noise, steps, guidance):
        scheduler = prepare(model, steps)
        empty, states = (encode(model, text) for text in texts(prompt))
        latents = begin(noise, scheduler)
        for index, t in enumerate(rungs(scheduler, steps)):
            seen = scheduler.scale_model_input(latents, t)
            unconditional = model.unet(seen, told(t, index), empty).sample
            conditional = model.unet(seen, told(t, index), states).sample
            predicted = guide(unconditional, conditional, guidance)
            latents = step(scheduler, predicted, t, latents)
        return finish(latents)

    return draw_latents


def of_the_model(model, steps):
    model.scheduler.set_timesteps(steps)
    return model.scheduler


def zeros_for_no_text(model, text):
    states = encode_text(model.tokenizer, model.text_encoder, text)
    return states if text else torch.zeros_like(states)


def cosine_of(first, second):
    return (first * second).sum() / (first.norm() * second.norm())


def on_the_arc(first, second, share, angle):
    left, right = torch.sin((1 - share) * angle), torch.sin(share * angle)
    return (left * first + right * second) / torch.sin(angle)


def bent(way, straight=torch.lerp, above=0.9999):
    """Another way along the arc, and the straight line where both point the same way."""

    def walk(first, second, share):
        if cosine_of(first, second) > above:
            return straight(first, second, share)
        return way(first, second, share)

    return walk


def with_angle(angle):
    """The arc for an angle that was measured in another way."""
    return bent(lambda a, b, share: on_the_arc(a, b, share, angle(a, b)))


def angle_of(first, second):
    return torch.acos(cosine_of(first, second).clamp(-1, 1))


def slerp_by_arctan(first, second, share):
    a, b = first.double() / first.double().norm(), second.double() / second.double().norm()
    angle = 2 * torch.atan2((a - b).norm(), (a + b).norm()).clamp(min=1e-6)
    return on_the_arc(first.double(), second.double(), share, angle)


def slerp_by_sinc(first, second, share):
    turns = angle_of(first.double(), second.double()) / math.pi
    left, right = (part * torch.sinc(part * turns) for part in (1 - share, share))
    return (left * first + right * second) / torch.sinc(turns)


def slerp_on_the_shorter_arc(first, second, share):
    sign = -1 if cosine_of(first, second) < 0 else 1
    return with_angle(angle_of)(first, sign * second, share)


def straight_made_longer(first, second, share):
    line = torch.lerp(first, second, share)
    return line / line.norm() * torch.lerp(first.norm(), second.norm(), share)


def slerp_to_equal(first, second, share):
    if torch.equal(first, second):
        return first
    return slerp_without_care(first, second, share)


def easy_scene():
    return compose([("red", "house"), ("blue", "tree")], "snow", "left of", rng=0)


def twins(colour, kind, relation="left of", rng=0, **options):
    return compose([(colour, kind), (colour, kind)], "snow", relation, rng=rng, **options)


RIGHT = {
    "start_noise": (
        start_noise_by_side,
        start_noise_from_a_row,
        start_noise_in_place,
        start_noise_by_normal,
    ),
    "to_picture": (
        to_picture_by_numpy,
        to_picture_by_diffusers,
        to_picture_in_inference_mode,
        to_picture_by_channel,
        lambda model, z: to_bytes(pixels_of(model, z)[0]).tolist(),
    ),
    "text_to_latents": (
        to_latents_by_diffusers,
        to_latents_in_one_batch,
        drawing(prepare=of_the_model),
        drawing(guide=lambda u, c, guidance: (1 - guidance) * u + guidance * c),
        drawing(rungs=lambda scheduler, steps: scheduler.timesteps.tolist()),
    ),
    "slerp": (
        slerp_by_frame,
        on_copies(slerp_in_place),
        slerp_by_arctan,
        slerp_by_sinc,
    ),
    "own_failure": (
        lambda: compose([("red", "house"), ("red", "house")], "snow", "left of", rng=1),
        lambda: compose(
            [("white", "cat"), ("white", "cat")], "snow", "left of", ("small", "small"), rng=3
        ),
        lambda: compose([("purple", "boat"), ("purple", "boat")], "beach", "right of", rng=2),
        lambda: compose([("red", "house"), ("red", "house")], "night", "right of", rng=1),
        lambda: twins("blue", "tree", "right of", rng=1, sizes=("small", "small")),
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
        (
            lambda model, h, w, seed: torch.randn(latent_shape(model, h, w)),
            "changes from call to call",
        ),
        (noise_of_a_forgotten_generator, "changes from call to call"),
        (
            lambda model, h, w, seed: torch.randn(1, 3, h // 8, w // 8, generator=seeded(seed)),
            "three channels are a picture's",
        ),
        (
            lambda model, h, w, seed: torch.randn(1, h // 8, w // 8, 4, generator=seeded(seed)),
            "got 1×16×24×4",
        ),
        (
            lambda model, h, w, seed: torch.rand(latent_shape(model, h, w), generator=seeded(seed)),
            "noise is normal",
        ),
        (
            lambda model, h, w, seed: torch.randn((1, 4, h / 8, w / 8), generator=seeded(seed)),
            "tuple of ints,but got float",
        ),
        (lambda model, h, w, seed: start_noise_by_side(model, h, h, seed), "got 1×4×16×16"),
        (lambda model, h, w, seed: start_noise_by_side(model, 512, 512, seed), "got 1×4×64×64"),
        (
            lambda model, h, w, seed: (
                start_noise_by_side(model, h, w, seed) * model.vae.config.scaling_factor
            ),
            "every number is 0.1822 times",
        ),
        (
            lambda model, h, w, seed: start_noise_by_side(model, w, h, seed).mT,
            "stand in other places",
        ),
        (lambda model, h, w, seed: seeded(seed), "for height = 128, width ="),
        (lambda model, h, w, seed: None, "your function returned None"),
        (
            lambda model, h, w, seed: torch.randn(
                latent_shape(model, h, w), generator=seeded(seed), dtype=torch.float64
            ),
            "drawn in float64, which gives other",
        ),
        (
            lambda model, h, w, seed: start_noise_by_side(model, h, w, seed).half(),
            "the numbers are nearly right, but",
        ),
        (
            lambda model, h, w, seed: start_noise_by_side(model, h, w, 0),
            "the seed is not used: the",
        ),
        (
            lambda model, h, w, seed: torch.zeros(latent_shape(model, h, w)),
            "all numbers are 0; noise is drawn",
        ),
        (same_noise_in_each_channel, "all channels hold the same noise;"),
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
        (lambda model, z: to_picture_by_numpy(model, z) / 255.0, "these are still numbers up to"),
        (
            from_pixels(lambda x: ((x / 2 + 0.5) * 255).movedim(0, -1)),
            "109 was expected, got 108.8",
        ),
        (from_pixels(lambda x: (x.clamp(0, 1) * 255).movedim(0, -1)), "halve them and add 0.5"),
        (
            from_pixels(lambda x: to_bytes(x).transpose(0, 1)),
            "height and width are exchanged: `.permute(1,",
        ),
        (
            from_pixels(lambda x: to_bytes(x).permute(2, 0, 1).reshape(to_bytes(x).shape)),
            "stand in other places",
        ),
        (from_pixels(lambda x: to_bytes(x).flip(2)), "the channels are in reverse order:"),
        (from_pixels(lambda x: to_bytes(x).flip(0)), "reverse order along axis 0"),
        (from_pixels(lambda x: to_bytes(x).mean(2)), "64×128×3 was expected"),
        (lambda model, z: to_bytes(pixels_of(model, z)), "got 1×64×128×3"),
        (lambda model, z: z[0, :3].movedim(0, -1), "got 8×16×3"),
        (
            lambda model, z: model.vae.decode(z / model.vae.config.scaling_factor),
            "got DecoderOutput",
        ),
        (lambda model, z: None, "your function returned None"),
        (to_picture_in_place, "changes its argument"),
        (from_pixels(lambda x: x.clamp(-1, 1).movedim(0, -1)), "these are still numbers up to"),
        (from_pixels(lambda x: to_bytes(x) * 0), "these are still numbers up to"),
        (from_pixels(lambda x: 255 - to_bytes(x)), "light and dark are exchanged"),
        (
            from_pixels(lambda x: ((x - x.min()) / (x.max() - x.min()) * 255).movedim(0, -1)),
            "stretched so that the smallest number",
        ),
        (
            from_pixels(lambda x: ((x + 0.5).clamp(0, 1) * 255).movedim(0, -1)),
            "0.5 is added, but the numbers",
        ),
        (lambda model, z: to_bytes(pixels_of(model, z)[-1]), "the *last* picture of the latents;"),
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
        (drawing(texts=lambda prompt: (prompt, "")), "unconditional and conditional are exchanged"),
        (
            drawing(guide=lambda u, c, guidance: c + guidance * (u - c)),
            "unconditional and conditional are exchanged",
        ),
        (drawing(guide=lambda u, c, guidance: c + guidance * (c - u)), "one too strong"),
        (drawing(encode=zeros_for_no_text), "zeros in place of the states"),
        (
            drawing(
                step=lambda scheduler, p, t, z: (
                    scheduler.step(p, t, scheduler.scale_model_input(z, t)).prev_sample
                )
            ),
            "scaled for the U-Net",
        ),
        (
            drawing(
                step=lambda scheduler, p, t, z: (
                    scheduler.step(p, t, z).prev_sample + 0.05 * torch.randn_like(z)
                )
            ),
            "changes from call to call",
        ),
        (
            drawing(
                prepare=lambda model, steps: type(model.scheduler).from_config(
                    model.scheduler.config
                )
            ),
            "you need to run 'set_timesteps'",
        ),
        (drawing(finish=lambda latents: latents[0]), "got 4×8×16"),
        (drawing(finish=lambda latents: [latents]), "for prompt = 'a red house"),
        (lambda model, prompt, noise, steps, guidance: None, "your function returned None"),
        (drawing(guide=lambda u, c, guidance: u), "the prompt is not used: this"),
        (
            drawing(guide=lambda u, c, guidance: torch.lerp(u, c, guidance - 1)),
            "the guidance is one too weak:",
        ),
        (
            drawing(prepare=lambda model, steps: prepared(model, steps + 1)),
            "one step too many: `scheduler.set_timesteps(steps)`",
        ),
        (
            drawing(step=lambda scheduler, p, t, z: scheduler.step(p, t, z)),
            "AttributeError: 'DDIMSchedulerOutput' object has no attribute",
        ),
        (drawing(texts=lambda prompt: (prompt, prompt)), "there is no guidance in it"),
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
        (straight_made_longer, "the straight line, made longer"),
        (bent(straight_made_longer), "the straight line, made longer"),
        (slerp_to_equal, "for first = [3, 4], second"),
        (with_angle(lambda a, b: angle_of(a, b) * 0 + 1e-4), "this is the straight line"),
        (
            bent(lambda a, b, share: on_the_arc(a, -b, share, angle_of(a, b))),
            "got [0.7071, -0.7071]",
        ),
        (lambda a, b, share: a, "got [1, 0]"),
        (lambda a, b, share: a if share < 0.5 else b, "got [0, 1]"),
        (lambda a, b, share: angle_of(a, b), "shape 2 was expected"),
        (lambda a, b, share: slerp_by_arctan(a, b, share).flatten(), "got 15"),
        (lambda a, b, share: None, "your function returned None"),
        (with_angle(cosine_of), "for first = [1, 0], second"),
        (with_angle(lambda a, b: torch.asin(cosine_of(a, b))), "for first = [1, 0], second"),
        (slerp_on_the_shorter_arc, "angles above 90° are turned round;"),
        (bent(slerp_without_care, above=0.5), "the straight line is for Ω"),
        (
            bent(slerp_without_care, lambda a, b, share: (a + b) / 2),
            "where both point the same way,",
        ),
        (
            lambda a, b, share: (
                torch.lerp(a, b, share) if cosine_of(a, b) == 1 else slerp_without_care(a, b, share)
            ),
            "for first = tensor 7×9, second",
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
        (easy_scene, "find something harder"),
        (lambda: compose([("red", "house")], "snow", rng=0), "find something harder"),
        (lambda: twins("red", "house", None), "find something harder"),
        (lambda: easy_scene().caption, "got str"),
        (lambda: ([("red", "house")] * 2, "snow", "left of"), "got tuple"),
        (lambda: [easy_scene()], "got list"),
        (lambda: draw(easy_scene()), "got Image"),
        (lambda: None, "got NoneType"),
        (lambda: compose, "got function"),
        (lambda: compose([("pink", "elephant")], "snow"), "unknown kind 'elephant'"),
        (lambda: compose([("red", "house")], "rain"), "unknown setting 'rain'"),
        (
            lambda: compose([("red", "house"), ("blue", "tree")], "snow", "above"),
            "'above' does not fit these things",
        ),
        (lambda: compose(["red house", "red house"], "snow"), "a list of pairs"),
        (lambda: compose([], "snow"), "holds 1 to 3 things"),
    ),
}

SHOWN = {
    "start_noise": (
        (
            lambda model, h, w, seed: torch.from_numpy(
                np.random.default_rng(seed).standard_normal(latent_shape(model, h, w))
            ),
            "numpy's random numbers in place of torch's",
        ),
        (noise_of_python, "Python's random numbers in place of torch's"),
        (
            lambda model, h, w, seed: (
                torch.rand(latent_shape(model, h, w), generator=seeded(seed)) * 2 - 1
            ),
            "evenly spread from -1 to 1",
        ),
        (second_noise_of_a_seed, "drawn twice from one generator"),
        (
            lambda model, h, w, seed: list(latent_shape(model, h, w)),
            "the shape is returned, not the noise",
        ),
    ),
    "to_picture": (
        (
            from_pixels(
                lambda x: ((x / 2 + 0.5) * 255).round().long().to(torch.uint8).movedim(0, -1)
            ),
            "not clipped, so uint8 begins again at 0",
        ),
        (
            from_pixels(lambda x: (x.clamp(-1, 1) * 255).movedim(0, -1)),
            "times 255 while still in [-1, 1]",
        ),
        (
            from_pixels(lambda x: (x / 2 + 0.5).clamp(0, 1).to(torch.uint8).movedim(0, -1) * 255),
            "whole numbers before times 255",
        ),
        (
            from_pixels(lambda x: (x / 2 + 0.5).clamp(0, 1).round().movedim(0, -1) * 255),
            "rounded before times 255",
        ),
        (
            from_pixels(lambda x: ((x / 2).clamp(0, 1) * 255).movedim(0, -1)),
            "halved, but 0.5 is not added",
        ),
        (
            from_pixels(lambda x: (torch.sigmoid(x) * 255).movedim(0, -1)),
            "a sigmoid in place of x / 2 + 0.5",
        ),
        (
            from_pixels(lambda x: (x.abs().clamp(0, 1) * 255).movedim(0, -1)),
            "the size of the numbers in place of x / 2 + 0.5",
        ),
        (
            lambda model, z: to_bytes(pixels_of(model, z.clamp(-1, 1))[0]),
            "the latents are clipped, in place of the pixels",
        ),
        (lambda model, z: to_picture_by_numpy(model, z).astype(np.int8), "8 bits with a sign"),
        (
            from_pixels(lambda x: ((x / 2 + 0.5).clamp(0, 1) * 256).round().movedim(0, -1)),
            "times 256: white is 256, which 8 bits cannot hold",
        ),
        (lambda model, z: to_bytes(pixels_of(model, z).mean(0)), "the mean of all pictures"),
    ),
    "text_to_latents": (
        (
            drawing(guide=lambda u, c, guidance: guidance * c),
            "the conditional prediction times the guidance",
        ),
        (
            drawing(guide=lambda u, c, guidance: guidance * (c - u)),
            "the unconditional prediction is not added",
        ),
        (drawing(guide=lambda u, c, guidance: u + guidance * c), "the difference is forgotten"),
        (
            drawing(guide=lambda u, c, guidance: u - guidance * (c - u)),
            "guided away from the prompt",
        ),
        (
            drawing(guide=lambda u, c, guidance: (u + guidance * c) / (1 + guidance)),
            "a weighted mean of the two",
        ),
        (drawing(guide=lambda u, c, guidance: torch.lerp(u, c, 7.5)), "the guidance is typed in"),
        (
            drawing(prepare=lambda model, steps: prepared(model, 50)),
            "the number of steps is typed in",
        ),
        (
            drawing(rungs=lambda scheduler, steps: scheduler.timesteps.flip(0)),
            "up the ladder, not down",
        ),
        (
            drawing(rungs=lambda scheduler, steps: scheduler.timesteps[:-1]),
            "the last step is missing",
        ),
        (
            drawing(rungs=lambda scheduler, steps: scheduler.timesteps[1:]),
            "the first step is missing",
        ),
        (
            drawing(rungs=lambda scheduler, steps: range(steps)),
            "the numbers of the steps in place of the timesteps",
        ),
        (drawing(told=lambda t, index: index), "the U-Net is told the number of the step, not t"),
        (drawing(told=lambda t, index: t / 1000), "t goes from 0 to 1"),
        (
            drawing(step=lambda scheduler, p, t, z: scheduler.step(z, t, p).prev_sample),
            "noise and latents are exchanged in the step",
        ),
        (
            drawing(step=lambda scheduler, p, t, z: scheduler.step(p, t, z).pred_original_sample),
            "x̂₀ in place of the latents one rung down",
        ),
        (
            drawing(step=lambda scheduler, p, t, z: z - p),
            "the whole noise is subtracted at each step",
        ),
        (
            drawing(finish=lambda latents: latents / 0.18215),
            "divided by the scaling factor, which to_picture does",
        ),
        (
            drawing(texts=lambda prompt: ("a picture", prompt)),
            "a text of its own in place of the empty one",
        ),
    ),
    "slerp": (
        (
            bent(slerp_without_care, lambda a, b, share: a),
            "the first where both point the same way",
        ),
        (
            bent(slerp_without_care, lambda a, b, share: b),
            "the second where both point the same way",
        ),
        (lambda a, b, share: torch.nan_to_num(slerp_without_care(a, b, share)), "NaN becomes 0"),
        (
            lambda a, b, share: on_the_arc(
                a, b, share, torch.acos(cosine_of(a, b) - 1e-8)
            ).nan_to_num(),
            "a small number against 0/0",
        ),
        (
            bent(lambda a, b, share: (1 - share) ** 0.5 * a + share**0.5 * b),
            "the square roots of the shares",
        ),
        (bent(lambda a, b, share: on_the_arc(a, b, 0.5, angle_of(a, b))), "the share is not used"),
        (
            bent(
                lambda a, b, share: (
                    on_the_arc(a, b, share, angle_of(a, b)) * torch.sin(angle_of(a, b))
                )
            ),
            "not divided by the sine of the angle",
        ),
        (
            bent(lambda a, b, share: on_the_arc(a / a.norm(), b / b.norm(), share, angle_of(a, b))),
            "both are made unit vectors",
        ),
        (
            with_angle(lambda a, b: torch.acos((a * b).mean().clamp(-1, 1))),
            "the mean of the products in place of the cosine",
        ),
        (
            with_angle(lambda a, b: torch.acos((a * b).sum() / a.norm() ** 2)),
            "divided by the first length twice",
        ),
        (with_angle(lambda a, b: torch.rad2deg(angle_of(a, b))), "degrees"),
        (with_angle(lambda a, b: angle_of(a, b) / 2), "half the angle"),
        (
            with_angle(lambda a, b: torch.acos(cosine_of(a, b).abs())),
            "an angle above 90° is taken for one below",
        ),
        (with_angle(lambda a, b: angle_of(a, b).clamp(max=math.pi / 2)), "no angle above 90°"),
        (
            bent(slerp_without_care, lambda a, b, share: torch.lerp(b, a, share)),
            "exchanged where both point the same way",
        ),
    ),
}
