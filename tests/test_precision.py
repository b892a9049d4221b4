"""Whatever dtype a learner has set globally, everything is computed as before."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from sdlearn import families
from sdlearn.attention import record
from sdlearn.compression import decode, encode, scale
from sdlearn.denoising import draw_noise, slerp
from sdlearn.evaluate.judge import load_judge
from sdlearn.images import to_pixels
from sdlearn.loading import load
from sdlearn.noising import SCHEDULES, Schedule, add_noise, posterior
from sdlearn.pipeline import image_to_image, text_to_image
from sdlearn.similarity import contrastive_loss, cosine_similarity, image_vectors, text_vectors
from sdlearn.text import encode_text
from sdlearn.unet import time_embedding, tour
from sdlearn.widgets import NoiseMixer, RoundTrip

PROMPT = "a red house in the snow"
PAGE = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)


def numbers(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def averages() -> torch.Tensor:
    return to_pixels(np.stack([PAGE, PAGE]).mean(axis=0, keepdims=True))


def all_schedules():
    named = [Schedule.named(name) for name in SCHEDULES]
    return [values for s in named for values in (s.betas, s.alpha_bars, s.snr)]


def noised():
    schedule, clean = Schedule.named("cosine"), draw_noise((2, 3), 0, averages())
    noisy = add_noise(schedule, clean, 500, clean)
    return [noisy, *posterior(schedule, noisy, clean, 500), slerp(clean, noisy, 0.3)]


def seen_by_clip(model):
    pages = image_vectors(model.image_processor, model.clip, [Image.fromarray(PAGE)] * 2)
    texts = text_vectors(model.tokenizer, model.clip, [PROMPT, "a tree"])
    similarity = cosine_similarity(pages, texts)
    return [pages, texts, similarity, contrastive_loss(similarity, 0.1)]


def watched(model):
    with record(model.unet) as maps:
        picture = text_to_image(model, PROMPT, size=64, steps=2)
    return [maps.of_words([2]), torch.from_numpy(np.array(picture))]


def through_the_vae(model):
    latents = scale(model.vae, encode(model.vae, to_pixels(PAGE[None])).mean)
    return [latents, decode(model.vae, latents)]


def inside_the_unet(model):
    states = encode_text(model.tokenizer, model.text_encoder, PROMPT)
    latents = draw_noise((1, 4, 8, 8), 0, like=states)
    list(tour(model.unet, latents, 500, states))
    return [states, *time_embedding(model.unet, torch.tensor([3, 500]))]


def every_family(model):
    shown = [family.sample(2, 0) for family in families.trained(model.vae).values()]
    torch.manual_seed(0)
    new = families.untrained(model.vae)
    pixels = torch.stack([averages()[0]] * 4)
    return [
        *shown,
        *(
            numbers(*loss.values())
            for family in new.values()
            for loss in families.train(family, pixels, 1, 2)
        ),
    ]


WORKS = {
    "pixels": lambda model: [averages()],
    "schedules": lambda model: all_schedules(),
    "noising": lambda model: noised(),
    "clip": seen_by_clip,
    "maps": watched,
    "vae": through_the_vae,
    "unet": inside_the_unet,
    "image to image": lambda model: [
        torch.from_numpy(np.array(image_to_image(model, PAGE, PROMPT, 0.5, steps=2)))
    ],
    "families": every_family,
    "judge": lambda model: [*load_judge()(averages())],
    "mixer": lambda model: [torch.from_numpy(np.array(NoiseMixer(Image.fromarray(PAGE)).noisy))],
    "round trip": lambda model: [numbers(RoundTrip(model, Image.fromarray(PAGE)).psnr)],
}


@pytest.fixture(params=[torch.float64, torch.bfloat16], ids=["float64", "bfloat16"])
def other(request):
    torch.set_default_dtype(request.param)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("work", WORKS)
def test_the_global_dtype_changes_nothing(tiny, work, other):
    found = WORKS[work](tiny)
    torch.set_default_dtype(torch.float32)
    for value, expected in zip(found, WORKS[work](tiny), strict=True):
        assert_close(value, expected, check_dtype=value.ndim > 0, rtol=0, atol=0)


def test_a_model_is_loaded_in_float32(other):
    model = load("tiny", "cpu")
    for part in (model.text_encoder, model.clip, model.vae, model.unet):
        assert {p.dtype for p in part.parameters()} == {torch.float32}
