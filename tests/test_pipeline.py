"""Our loop against diffusers' own pipeline: the same latents at every step, the same picture."""

import copy
from dataclasses import replace

import diffusers
import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler, EulerAncestralDiscreteScheduler
from PIL import Image
from torch.testing import assert_close

from sdlearn.attention import record
from sdlearn.compression import encode, scale
from sdlearn.denoising import denoise, noise_from, slerp
from sdlearn.images import to_pixels
from sdlearn.noising import Schedule
from sdlearn.pipeline import (
    image_to_image,
    image_to_latents,
    inpaint,
    latents_to_images,
    predictor,
    text_to_image,
    text_to_latents,
)
from sdlearn.text import encode_text, split_words, tokenize

PROMPT = "a red house in the snow"


def their_latents(pipeline, cls, scheduler, **arguments):
    """The latents of every step, and the picture, of a diffusers pipeline with this scheduler."""
    theirs = cls(**{**pipeline.components, "scheduler": scheduler}, requires_safety_checker=False)
    theirs.set_progress_bar_config(disable=True)
    seen = []

    def keep(pipe, index, t, values):
        seen.append(values["latents"].clone())
        return values

    picture = theirs(**arguments, callback_on_step_end=keep, output_type="np").images
    return seen, picture


@pytest.mark.parametrize(
    "name",
    ["PNDMScheduler", "DDIMScheduler", "EulerDiscreteScheduler", "DPMSolverMultistepScheduler"],
)
@pytest.mark.parametrize("guidance", [7.5, 1.0])
def test_every_step_equals_diffusers(random_model, random_pipeline, name, guidance):
    scheduler = getattr(diffusers, name).from_config(random_model.scheduler.config)
    model = random_model.__class__(**{**vars(random_model), "scheduler": scheduler})
    prompts = [PROMPT, "a blue tree"]
    ours = list(text_to_latents(model, prompts, "red", size=32, steps=6, guidance=guidance, seed=3))
    theirs, picture = their_latents(
        random_pipeline,
        diffusers.StableDiffusionPipeline,
        scheduler,
        prompt=prompts,
        negative_prompt=["red", "red"],
        height=32,
        width=32,
        num_inference_steps=6,
        guidance_scale=guidance,
        generator=torch.Generator().manual_seed(3),
    )
    assert len(ours) == len(theirs)
    for step, expected in zip(ours, theirs, strict=True):
        assert_close(step.latents, expected, rtol=1e-4, atol=1e-4)
    images = np.stack([np.asarray(image) for image in latents_to_images(model, ours[-1].latents)])
    assert np.abs(images - np.round(picture * 255)).max() <= 1


def drawing(width: int, height: int) -> Image.Image:
    numbers = np.random.default_rng(0).integers(
        0, 255, (height // 8, width // 8, 3), dtype=np.uint8
    )
    return Image.fromarray(numbers).resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize(
    "name", ["PNDMScheduler", "DDIMScheduler", "EulerDiscreteScheduler", "HeunDiscreteScheduler"]
)
@pytest.mark.parametrize(("strength", "guidance"), [(0.6, 5.0), (1.0, 5.0), (0.35, 1.0)])
def test_image_to_image_equals_diffusers_at_every_step(
    random_model, random_pipeline, name, strength, guidance
):
    scheduler = getattr(diffusers, name).from_config(random_model.scheduler.config)
    model = random_model.__class__(**{**vars(random_model), "scheduler": scheduler})
    picture = drawing(48, 32)
    options = {"strength": strength, "negative_prompt": "red"}
    ours = list(
        image_to_latents(model, picture, PROMPT, steps=7, guidance=guidance, seed=3, **options)
    )
    theirs, made = their_latents(
        random_pipeline,
        diffusers.StableDiffusionImg2ImgPipeline,
        scheduler,
        prompt=PROMPT,
        image=picture,
        num_inference_steps=7,
        guidance_scale=guidance,
        generator=torch.Generator().manual_seed(3),
        **options,
    )
    assert len(ours) == len(theirs)
    for step, expected in zip(ours, theirs, strict=True):
        assert_close(step.latents, expected, rtol=1e-4, atol=1e-4)
    image = np.asarray(latents_to_images(model, ours[-1].latents)[0])
    assert np.abs(image - np.round(made[0] * 255)).max() <= 1


@pytest.mark.parametrize("name", ["PNDMScheduler", "DDIMScheduler", "EulerDiscreteScheduler"])
@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_inpainting_equals_diffusers_at_every_step(random_model, random_pipeline, name, strength):
    scheduler = getattr(diffusers, name).from_config(random_model.scheduler.config)
    model = random_model.__class__(**{**vars(random_model), "scheduler": scheduler})
    picture = drawing(32, 48)
    mask = np.zeros((48, 32), np.uint8)
    mask[8:30, 4:20] = 255
    ours = list(
        image_to_latents(model, picture, PROMPT, strength, mask, steps=6, guidance=4.0, seed=3)
    )
    theirs, _ = their_latents(
        random_pipeline,
        diffusers.StableDiffusionInpaintPipeline,
        scheduler,
        prompt=PROMPT,
        image=picture,
        mask_image=Image.fromarray(mask),
        height=48,
        width=32,
        strength=strength,
        num_inference_steps=6,
        guidance_scale=4.0,
        generator=torch.Generator().manual_seed(3),
    )
    assert len(ours) == len(theirs)
    for step, expected in zip(ours, theirs, strict=True):
        assert_close(step.latents, expected, rtol=1e-4, atol=1e-4)


def test_inpainting_leaves_the_rest_of_the_latents_alone(random_model):
    picture, mask = drawing(32, 32), np.zeros((32, 32), np.uint8)
    mask[:16] = 255
    last = list(image_to_latents(random_model, picture, PROMPT, 1.0, mask, steps=3, seed=0))[-1]
    found = encode(random_model.vae, to_pixels(np.asarray(picture)[None])).sample(
        torch.Generator().manual_seed(0)
    )
    kept = scale(random_model.vae, found)
    assert_close(last.latents[:, :, 4:], kept[:, :, 4:])
    assert (last.latents[:, :, :4] - kept[:, :, :4]).abs().mean() > 0.1


def test_a_picture_that_does_not_fit_is_made_to_fit_and_it_is_said(random_model):
    with pytest.warns(
        UserWarning, match="picture: 45×30 pixels, made 48×32: sides are multiples of 8"
    ):
        made = image_to_image(random_model, drawing(64, 64).resize((45, 30)), PROMPT, steps=2)
    assert made.size == (48, 32)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"strength": 1.2}, ValueError, "strength: a number from 0 to 1, got 1.2"),
        ({"strength": "0.5"}, TypeError, "strength: a number, got '0.5'"),
        (
            {"strength": 0.05, "steps": 10},
            ValueError,
            "strength: no step of 10 is left; strength · steps must be at least 1, got 0.05",
        ),
        ({"picture": "photo.png"}, TypeError, "picture: a PIL picture or an array"),
        ({"picture": np.zeros((0, 8, 3), np.uint8)}, ValueError, "picture: shape"),
        ({"picture": np.full((8, 8), np.nan)}, ValueError, "picture: floats are from 0 to 1"),
        (
            {"picture": Image.new("L", (5000, 10))},
            ValueError,
            "picture: sides from 1 to 4096 pixels, got 5000×10",
        ),
        (
            {"mask": np.zeros((32, 32), np.uint8)},
            ValueError,
            "mask: at least one pixel lighter than middle grey",
        ),
        (
            {"mask": np.full((32, 48), 255, np.uint8)},
            ValueError,
            "mask: 32×32 pixels like the picture, got 48×32",
        ),
        (
            {"mask": Image.new("L", (64, 64), "white")},
            ValueError,
            "mask: 32×32 pixels like the picture, got 64×64",
        ),
        (
            {"mask": Image.new("RGBA", (32, 32), (0, 0, 0, 0))},
            ValueError,
            "mask: at least one pixel lighter .*make it white where to draw",
        ),
        ({"seed": 1.5}, TypeError, "seed: a whole number"),
        ({"prompt": None}, TypeError, "prompt: a text"),
        ({"negative_prompt": 5}, TypeError, "negative_prompt: a text, got 5"),
    ],
)
def test_bad_pictures_are_refused_before_anything_is_computed(
    random_model, monkeypatch, arguments, error, message
):
    for part in (random_model.text_encoder, random_model.unet):
        monkeypatch.setattr(part, "forward", lambda *_, **__: pytest.fail("computed"))
    with pytest.raises(error, match=message):
        list(
            image_to_latents(
                random_model, **{"picture": drawing(32, 32), "prompt": PROMPT, **arguments}
            )
        )


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"noise": torch.randn(1, 3, 4, 4)}, r"noise: shape \[n, 4, h, w\], got \(1, 3, 4, 4\)"),
        (
            {"noise": torch.full((1, 4, 4, 4), torch.nan)},
            "noise: finite numbers, got NaN or infinity",
        ),
        (
            {"noise": torch.randn(1, 4, 4, 4).half()},
            "noise: torch.float32 on cpu like the U-Net, got torch.float16",
        ),
        (
            {"noise": torch.randn(2, 4, 4, 4)},
            r"states: .* \[2, positions, width\], got .* \[1, 77, 24\]",
        ),
        (
            {"negative_states": torch.randn(1, 77, 5)},
            r"negative_states: .* \[1, 77, 24\], got .* \[1, 77, 5\]",
        ),
        (
            {"negative_states": torch.randn(1, 5, 24)},
            r"negative_states: .* \[1, 77, 24\], got .* \[1, 5, 24\]",
        ),
        (
            {name: torch.randn(1, 7, 5) for name in ("states", "negative_states")},
            r"states: shape \[n, positions, 24\], got \(1, 7, 5\)",
        ),
        ({"mask": torch.ones(1, 1, 4, 4)}, "mask: needs a start"),
        (
            {"start": torch.randn(1, 4, 4, 6)},
            r"start: .* \[1, 4, 4, 4\] or None, got .* \[1, 4, 4, 6\]",
        ),
    ],
)
def test_latents_that_do_not_fit_are_refused(random_model, changes, message):
    good = {
        "noise": torch.randn(1, 4, 4, 4),
        "states": torch.randn(1, 77, 24),
        "negative_states": torch.randn(1, 77, 24),
    }
    with pytest.raises(ValueError, match=message):
        next(
            denoise(
                random_model.unet,
                random_model.scheduler,
                **{**good, "steps": 2, "guidance": 3.0, **changes},
            )
        )


def test_the_guided_noise_is_the_formula(random_model):
    for step in text_to_latents(random_model, PROMPT, steps=3, guidance=4.0):
        assert_close(step.noise, step.unconditional + 4.0 * (step.conditional - step.unconditional))


def test_drawing_keeps_no_gradients_of_a_network_in_training(random_model):
    training = copy.deepcopy(random_model.unet).requires_grad_(True)
    drawing = text_to_latents(replace(random_model, unet=training), PROMPT, steps=2, guidance=3)
    for step in drawing:
        assert torch.is_grad_enabled()  # the caller's own work is not affected
        assert not step.latents.requires_grad
        assert not step.noise.requires_grad


def test_without_guidance_the_unet_runs_once_a_step(random_model):
    batches = []
    hook = random_model.unet.register_forward_hook(
        lambda module, args, output: batches.append(len(args[0]))
    )
    list(text_to_latents(random_model, PROMPT, steps=3, guidance=1.0))
    list(text_to_latents(random_model, PROMPT, steps=3, guidance=2.0))
    hook.remove()
    assert set(batches[: len(batches) // 2]) == {1}
    assert set(batches[len(batches) // 2 :]) == {2}


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_noise_is_recovered_from_a_true_prediction(prediction):
    scheduler = diffusers.DDIMScheduler(prediction_type=prediction)
    clean, noise, t = torch.randn(2, 4, 3, 5), torch.randn(2, 4, 3, 5), torch.tensor(700)
    noisy = scheduler.add_noise(clean, noise, t)
    velocity = scheduler.get_velocity(clean, noise, t[None])
    truth = {"epsilon": noise, "v_prediction": velocity, "sample": clean}[prediction]
    rates = Schedule.of(scheduler).rates(700, noisy)
    assert_close(noise_from(prediction, noisy, *rates, truth), noise, rtol=1e-4, atol=1e-4)


def test_latents_need_not_be_square(random_model):
    noise = torch.randn(1, 4, 4, 6)
    states = encode_text(random_model.tokenizer, random_model.text_encoder, PROMPT)
    for step in denoise(random_model.unet, random_model.scheduler, noise, states, states, 2, 7.5):
        assert step.latents.shape == noise.shape
        assert step.clean.shape == noise.shape


def test_every_stage_works_in_half_precision(random_model):
    parts = {name: copy.deepcopy(part) for name, part in vars(random_model).items()}
    for name in ("text_encoder", "vae", "unet"):
        parts[name] = parts[name].to(torch.bfloat16)
    half = type(random_model)(**parts)
    with record(half.unet) as maps:
        made = text_to_image(half, PROMPT, steps=3)
    exact = text_to_image(random_model, PROMPT, steps=3)
    assert np.abs(np.asarray(made).astype(float) - np.asarray(exact)).mean() < 8
    assert all(m.values.dtype == torch.float32 for m in maps)
    assert image_to_image(half, drawing(32, 48), PROMPT, steps=3).size == (32, 48)


def test_an_empty_prompt_is_a_prompt(random_model):
    assert text_to_image(random_model, "", steps=1).size == (32, 32)


def test_pictures_need_not_be_square(random_model):
    assert text_to_image(random_model, PROMPT, size=(32, 48), steps=2).size == (48, 32)


def test_the_same_seed_gives_the_same_picture(random_model):
    first, again = (text_to_image(random_model, PROMPT, steps=2, seed=5) for _ in range(2))
    other = text_to_image(random_model, PROMPT, steps=2, seed=6)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_list_of_prompts_gives_a_list_of_pictures(random_model):
    pictures = text_to_image(random_model, [PROMPT, "a blue tree"], steps=2)
    assert [picture.size for picture in pictures] == [(32, 32), (32, 32)]


@pytest.mark.parametrize(
    "draw",
    [
        lambda model, **options: text_to_latents(model, PROMPT, **options),
        lambda model, **options: image_to_latents(model, drawing(32, 32), PROMPT, **options),
        lambda model, **options: image_to_latents(
            model, drawing(32, 32), PROMPT, mask=np.full((32, 32), 255, np.uint8), **options
        ),
    ],
)
def test_steps_and_guidance_that_are_not_given_are_the_models(random_model, draw):
    own = replace(random_model, default_steps=3, default_guidance=2.0)
    for given in ({}, {"steps": 5}, {"guidance": 0}):
        ours = list(draw(own, **given))
        typed = list(draw(random_model, **{"steps": 3, "guidance": 2.0, **given}))
        assert len(ours) == len(typed)
        assert torch.equal(ours[-1].latents, typed[-1].latents)


def test_tokens_are_what_clip_expects(random_model):
    tokens = tokenize(random_model.tokenizer, [PROMPT, ""])
    assert tokens.shape == (2, 77)
    assert (tokens[:, 0] == random_model.tokenizer.bos_token_id).all()
    assert (tokens[1, 1:] == random_model.tokenizer.eos_token_id).all()


def test_any_text_has_tokens_and_comes_back(random_model):
    for text in ("a dragon 🐉", "Ünïcödé 龙", "house's 42", "\x00\t"):
        tokens = random_model.tokenizer(text).input_ids
        back = random_model.tokenizer.decode(tokens, skip_special_tokens=True)
        assert back.replace(" ", "") == "".join(text.lower().split())


def test_a_long_prompt_is_cut_and_the_cut_is_quoted(random_model):
    with pytest.warns(
        UserWarning, match=r"80 tokens, but only 75 fit; cut off: 'house house house house house'"
    ):
        tokens = tokenize(random_model.tokenizer, "house " * 80)
    assert tokens.shape == (1, 77)


def test_unknown_words_are_named(random_model):
    assert split_words(random_model.tokenizer, "a red dragon, a house, DRAGON") == ["dragon"]


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"prompt": 3}, TypeError, "prompt: a text or a list of texts, got 3"),
        ({"prompt": []}, TypeError, "prompt: a text"),
        ({"steps": 0}, ValueError, "steps: a whole number from 1 to 1000, got 0"),
        ({"steps": 10_000}, ValueError, "steps: a whole number from 1 to 1000, got 10000"),
        ({"steps": 2.5}, TypeError, "steps: a whole number"),
        ({"guidance": -1}, ValueError, "guidance: a number from 0 to 100, got -1"),
        ({"guidance": float("nan")}, ValueError, "guidance: a number from 0 to 100, got nan"),
        ({"guidance": "7.5"}, TypeError, "guidance: a number or None, got '7.5'"),
        ({"size": 36}, ValueError, "size: a multiple of 8, got 36; the nearest is 32"),
        ({"seed": -1}, ValueError, "seed: a whole number"),
    ],
)
def test_bad_input_is_refused_before_anything_is_computed(
    random_model, monkeypatch, arguments, error, message
):
    monkeypatch.setattr(
        random_model.text_encoder, "forward", lambda *_, **__: pytest.fail("computed")
    )
    with pytest.raises(error, match=message):
        text_to_image(random_model, **{"prompt": PROMPT, **arguments})


# --- masks, schedulers that add noise, and ladders that are too long ------------------------------


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.ones(1, 1, 32, 32), r"mask: .* \[1, 1, 8, 8\] or None, got .* \[1, 1, 32, 32\]"),
        (torch.ones(4, 8, 8), r"mask: .*, got .* \[4, 8, 8\]"),
        (torch.full((1, 1, 8, 8), 7.0), "mask: numbers from 0 to 1"),
        (torch.full((1, 1, 8, 8), float("nan")), "mask: finite numbers"),
        (torch.ones(1, 1, 8, 8, dtype=torch.bfloat16), "mask: torch.float32 on cpu like the U-Net"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused_before_the_unet_runs(
    random_model, mask, message, monkeypatch
):
    monkeypatch.setattr(random_model.unet, "forward", lambda *_, **__: pytest.fail("the U-Net ran"))
    states = encode_text(random_model.tokenizer, random_model.text_encoder, "a house")
    latents = torch.zeros(1, 4, 8, 8)
    parts = random_model.unet, random_model.scheduler, latents, states, states
    with pytest.raises(ValueError, match=message):
        next(denoise(*parts, 4, 7.5, start=latents, mask=mask))


def test_one_mask_serves_several_prompts(random_model):
    picture, mask = Image.new("RGB", (32, 48), "green"), Image.new("L", (32, 48), 255)
    options = {"steps": 2, "guidance": 3, "seed": 1}
    both = inpaint(random_model, picture, mask, [PROMPT, "a blue tree"], **options)
    assert [drawn.size for drawn in both] == [(32, 48)] * 2


def test_a_mask_that_no_latent_falls_into_is_refused(random_model):
    thin = np.zeros((32, 32), np.uint8)
    thin[:, 1:3] = 255
    with pytest.raises(
        ValueError, match="mask: at least one latent, which is 4×4 pixels, got less"
    ):
        inpaint(random_model, Image.new("RGB", (32, 32)), thin, "a house", steps=4)


@pytest.mark.parametrize("kind", [DDPMScheduler, EulerAncestralDiscreteScheduler])
def test_the_same_seed_is_the_same_picture_with_a_scheduler_that_adds_noise(random_model, kind):
    model = replace(random_model, scheduler=kind.from_config(random_model.scheduler.config))
    torch.manual_seed(1)
    first = text_to_image(model, "a house", steps=4, seed=3)
    torch.manual_seed(2)
    assert text_to_image(model, "a house", steps=4, seed=3) == first


def test_steps_beyond_the_schedulers_ladder_are_refused(random_model):
    with pytest.raises(ValueError, match="steps: 1000 are too many for this scheduler"):
        text_to_image(random_model, "a house", steps=1000)


def test_a_predictor_without_guidance_asks_once(random_model):
    asked = []
    handle = random_model.unet.register_forward_hook(lambda *_: asked.append(1))
    latents = torch.zeros(1, 4, 8, 8)
    once = predictor(random_model, "a house")(latents, 500)
    assert len(asked) == 1
    twice = predictor(random_model, "a house", guidance=1.0001)(latents, 500)
    handle.remove()
    assert_close(once, twice, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("kind", ["on transparent", "RGBA array", "bools", "mode 1", "floats"])
def test_a_mask_means_its_white_part_however_it_is_stored(random_model, kind):
    """Painted on a transparent picture, white is where it was painted, not everywhere."""
    picture, inside = drawing(48, 32), np.zeros((32, 48), bool)
    inside[4:20, 8:30] = True
    grey = Image.fromarray(inside)
    clear = Image.new("RGBA", grey.size, (255, 255, 255, 0))
    clear.paste(Image.new("RGBA", grey.size, "white"), mask=grey)
    mask = {
        "on transparent": clear,
        "RGBA array": np.asarray(clear),
        "bools": inside,
        "mode 1": grey.convert("1"),
        "floats": inside.astype(np.float32),
    }[kind]
    plain = Image.fromarray(inside.astype(np.uint8) * 255)
    made, expected = (inpaint(random_model, picture, m, PROMPT, steps=2) for m in (mask, plain))
    assert np.array_equal(made, expected)


def test_a_mask_goes_with_the_picture_as_it_was_given(random_model):
    """A picture that is resized to fit takes its mask along."""
    picture, mask = drawing(48, 32).resize((45, 30)), Image.new("L", (45, 30), "white")
    with pytest.warns(UserWarning, match="made 48×32"):
        assert inpaint(random_model, picture, mask, PROMPT, steps=1).size == (48, 32)


@pytest.mark.parametrize("part", ["vae", "unet"])
def test_numbers_that_overflow_are_an_error_and_no_black_picture(random_model, part):
    broken = copy.deepcopy(getattr(random_model, part))
    broken.conv_out.weight.fill_(float("inf")) if part == "unet" else None
    if part == "vae":
        broken.decoder.conv_out.weight.fill_(float("nan"))
    said = f"{part}: NaN or infinity came out of it in "
    with pytest.raises(FloatingPointError, match=f"{said}torch.float32. Its weights or its input"):
        text_to_image(replace(random_model, **{part: broken}), PROMPT, steps=2)
    parts = {name: copy.deepcopy(getattr(random_model, name)) for name in ("vae", "unet")}
    parts = {name: module.to(torch.bfloat16) for name, module in {**parts, part: broken}.items()}
    narrow = replace(random_model, **parts)
    with pytest.raises(FloatingPointError, match=rf"{said}torch.bfloat16. Use it in float32: mod"):
        text_to_image(narrow, PROMPT, steps=2)


def test_an_encoder_that_overflows_is_an_error(random_model):
    broken = copy.deepcopy(random_model.vae)
    broken.encoder.conv_in.weight.fill_(float("inf"))
    with pytest.raises(FloatingPointError, match="vae: NaN or infinity"):
        encode(broken, torch.zeros(1, 3, 16, 16))


def test_a_photo_with_a_hole_is_no_mask(random_model):
    """The hole may be what is meant, or the bright parts: the error says how to say it."""
    photo = drawing(32, 32).convert("RGBA")
    photo.paste((0, 0, 0, 0), (8, 8, 24, 24))
    with pytest.raises(ValueError, match="mask: white where to draw.*getchannel"):
        inpaint(random_model, drawing(32, 32), photo, PROMPT, steps=1)
    hole = photo.getchannel("A").point(lambda a: 255 - a)
    assert inpaint(random_model, drawing(32, 32), hole, PROMPT, steps=1).size == (32, 32)


def test_guidance_0_ignores_the_prompt_and_1_adds_none(random_model):
    houses = [
        text_to_image(random_model, prompt, steps=2, guidance=guidance)
        for guidance in (0, 1)
        for prompt in (PROMPT, "a blue tree")
    ]
    assert np.array_equal(houses[0], houses[1])
    assert not np.array_equal(houses[2], houses[3])


@pytest.mark.parametrize("second", [lambda x: -x, lambda x: 0 * x])
def test_an_arc_to_the_opposite_or_to_nothing_is_refused(second):
    first = torch.randn(2, 3)
    with pytest.raises(ValueError, match="second: no arc leads there"):
        slerp(first, second(first), 0.5)


def test_an_arc_in_half_precision_is_the_one_in_full():
    first = torch.randn(1, 4, 128, 128)
    second = first + 0.5 * torch.randn_like(first)
    found = slerp(first.half(), second.half(), 0.5)
    assert found.dtype == torch.float16
    assert_close(found.float(), slerp(first, second, 0.5), rtol=1e-2, atol=1e-2)
