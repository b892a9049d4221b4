"""Our loop against diffusers' own pipeline: the same latents at every step, the same picture at the end."""

import diffusers
import numpy as np
import pytest
import torch
from torch.testing import assert_close

from sdlearn.denoising import denoise, predict_clean
from sdlearn.pipeline import latents_to_images, text_to_image, text_to_latents
from sdlearn.text import encode_text, split_words, tokenize

PROMPT = "a red house in the snow"


def their_latents(pipeline, prompts, side, steps, guidance, seed, scheduler, negative=""):
    """Every step's latents of diffusers' pipeline, and its picture."""
    pipeline.scheduler = scheduler
    seen = []

    def keep(pipe, index, t, values):
        seen.append(values["latents"].clone())
        return values

    picture = pipeline(
        prompts,
        side,
        side,
        steps,
        guidance_scale=guidance,
        negative_prompt=[negative] * len(prompts),
        generator=torch.Generator().manual_seed(seed),
        callback_on_step_end=keep,
        output_type="np",
    ).images
    return seen, picture


@pytest.mark.parametrize(
    "name", ["PNDMScheduler", "DDIMScheduler", "EulerDiscreteScheduler", "DPMSolverMultistepScheduler"]
)
@pytest.mark.parametrize("guidance", [7.5, 1.0])
def test_every_step_equals_diffusers(random_model, random_pipeline, name, guidance):
    scheduler = getattr(diffusers, name).from_config(random_model.scheduler.config)
    model = random_model.__class__(**{**vars(random_model), "scheduler": scheduler})
    prompts = [PROMPT, "a blue tree"]
    ours = list(text_to_latents(model, prompts, "red", size=32, steps=6, guidance=guidance, seed=3))
    theirs, picture = their_latents(random_pipeline, prompts, 32, 6, guidance, 3, scheduler, "red")
    assert len(ours) == len(theirs)
    for step, expected in zip(ours, theirs, strict=True):
        assert_close(step.latents, expected, rtol=1e-5, atol=1e-5)
    images = np.stack([np.asarray(image) for image in latents_to_images(model, ours[-1].latents)])
    assert np.abs(images - np.round(picture * 255)).max() <= 1


def test_the_guided_noise_is_the_formula(random_model):
    for step in text_to_latents(random_model, PROMPT, steps=3, guidance=4.0):
        assert_close(step.noise, step.unconditional + 4.0 * (step.conditional - step.unconditional))


def test_without_guidance_the_unet_runs_once_a_step(random_model):
    batches = []
    hook = random_model.unet.register_forward_hook(lambda module, args, output: batches.append(len(args[0])))
    list(text_to_latents(random_model, PROMPT, steps=3, guidance=1.0))
    list(text_to_latents(random_model, PROMPT, steps=3, guidance=2.0))
    hook.remove()
    assert set(batches[: len(batches) // 2]) == {1}
    assert set(batches[len(batches) // 2 :]) == {2}


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_clean_latents_are_recovered_from_a_true_prediction(prediction):
    scheduler = diffusers.DDIMScheduler(prediction_type=prediction)
    clean, noise, t = torch.randn(2, 4, 3, 5), torch.randn(2, 4, 3, 5), torch.tensor(700)
    noisy = scheduler.add_noise(clean, noise, t)
    truth = noise if prediction == "epsilon" else scheduler.get_velocity(clean, noise, t[None])
    assert_close(predict_clean(scheduler, noisy, truth, t), clean, rtol=1e-4, atol=1e-4)


def test_latents_need_not_be_square(random_model):
    noise = torch.randn(1, 4, 4, 6)
    states = encode_text(random_model.tokenizer, random_model.text_encoder, PROMPT)
    for step in denoise(random_model.unet, random_model.scheduler, noise, states, states, steps=2):
        assert step.latents.shape == noise.shape
        assert step.clean.shape == noise.shape


def test_the_same_seed_gives_the_same_picture(random_model):
    first, again = (text_to_image(random_model, PROMPT, steps=2, seed=5) for _ in range(2))
    other = text_to_image(random_model, PROMPT, steps=2, seed=6)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_list_of_prompts_gives_a_list_of_pictures(random_model):
    pictures = text_to_image(random_model, [PROMPT, "a blue tree"], steps=2)
    assert [picture.size for picture in pictures] == [(32, 32), (32, 32)]


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
    with pytest.warns(UserWarning, match=r"80 tokens, 75 fit; cut off: 'house house house house house'"):
        tokens = tokenize(random_model.tokenizer, "house " * 80)
    assert tokens.shape == (1, 77)


def test_unknown_words_are_named(random_model):
    assert split_words(random_model.tokenizer, "a red dragon, a house, DRAGON") == ["dragon"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"prompt": 3}, TypeError, "prompt: a text, or a list of at least one text, got 3"),
        ({"prompt": []}, TypeError, "prompt: a text"),
        ({"steps": 0}, ValueError, "steps: a whole number from 1 to 1000, got 0"),
        ({"steps": 10_000}, ValueError, "steps: a whole number from 1 to 1000, got 10000"),
        ({"steps": 2.5}, TypeError, "steps: a whole number"),
        ({"guidance": -1}, ValueError, "guidance: a number from 0 to 100, got -1"),
        ({"guidance": float("nan")}, ValueError, "guidance: a number from 0 to 100, got nan"),
        ({"guidance": "7.5"}, TypeError, "guidance: a number from 0 to 100, got '7.5'"),
        ({"size": 36}, ValueError, "size: a multiple of 8, got 36; the nearest is 32"),
        ({"seed": -1}, ValueError, "seed: a whole number"),
    ],
)
def test_bad_input_is_refused_before_anything_is_computed(random_model, monkeypatch, arguments, error, message):
    monkeypatch.setattr(random_model.text_encoder, "forward", lambda *_, **__: pytest.fail("computed"))
    with pytest.raises(error, match=message):
        text_to_image(random_model, **{"prompt": PROMPT, **arguments})
