"""Folders that other people made: the picture that diffusers draws, or a clear refusal by `load`.

The situations are those of public bug reports: configurations of 2022, incomplete weights, models
for other tasks, other ways to predict.
"""

import dataclasses
import itertools
import json
import logging
import re
import shutil
import warnings

import diffusers
import numpy as np
import pytest
import torch
from conftest import WIDTH, small_unet
from diffusers import ConfigMixin, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.configuration_utils import register_to_config
from diffusers.models.unets.unet_2d_condition import UNet2DConditionOutput
from diffusers.schedulers.scheduling_utils import SchedulerMixin, SchedulerOutput
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.testing import assert_close
from transformers import T5Config, T5EncoderModel

from sdlearn._support.reading import SCHEDULERS
from sdlearn.attention import attention_layers, record
from sdlearn.denoising import ddim
from sdlearn.loading import load
from sdlearn.noising import Schedule
from sdlearn.pipeline import inpaint, predictor, text_to_image, text_to_latents
from sdlearn.text import encode_text, positions_of, tokenize

PROMPT = "a red house in the snow"
WEIGHTS = {
    "unet": "diffusion_pytorch_model.safetensors",
    "vae": "diffusion_pytorch_model.safetensors",
    "text_encoder": "model.safetensors",
}


def configure(file, **changes):
    """Change a JSON file; the value None takes a key out."""
    config = {**json.loads(file.read_text()), **changes}
    file.write_text(json.dumps({name: v for name, v in config.items() if v is not None}))


def scheduled(folder, name, **settings):
    """The folder with another scheduler, whose configuration holds only these settings."""
    betas = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    file = folder / "scheduler" / "scheduler_config.json"
    file.write_text(
        json.dumps({"_class_name": name, "num_train_timesteps": 1000, **betas, **settings})
    )
    configure(folder / "model_index.json", scheduler=["diffusers", name])
    return folder


def with_unet(folder, **changes):
    shutil.rmtree(folder / "unet")
    small_unet(**changes).save_pretrained(folder / "unet")
    return folder


def theirs(folder, kind=StableDiffusionPipeline, **options) -> np.ndarray:
    """The picture that diffusers' own pipeline draws from the folder, in 8 bits."""
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline = kind.from_pretrained(
            folder, local_files_only=True, requires_safety_checker=False
        )
    pipeline.set_progress_bar_config(disable=True)
    noise = torch.Generator().manual_seed(3)
    call = {"prompt": PROMPT, "num_inference_steps": 5, "guidance_scale": 4.0, "output_type": "np"}
    made = pipeline(generator=noise, **{**call, **options}).images[0]
    logging.disable(logging.NOTSET)
    return np.round(made * 255)


def ours(model) -> np.ndarray:
    return np.asarray(text_to_image(model, PROMPT, steps=5, guidance=4.0, seed=3)).astype(float)


def assert_drawn_as_by_diffusers(folder):
    assert np.abs(ours(load(folder, "cpu")) - theirs(folder)).max() <= 1


# --- configurations of 2022 -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("DDIMScheduler", {}, "steps_offset=1 and clip_sample=False is used"),
        ("DDIMScheduler", {"clip_sample": False}, "steps_offset=1 is used"),
        ("DDIMScheduler", {"steps_offset": 1}, "clip_sample=False is used"),
        ("PNDMScheduler", {"skip_prk_steps": True, "steps_offset": 0}, "steps_offset=1 is used"),
        ("DDPMScheduler", {}, "clip_sample=False"),
        ("EulerDiscreteScheduler", {"steps_offset": 0}, "steps_offset=1 is used"),
    ],
)
def test_a_scheduler_of_2022_is_corrected_as_diffusers_does_and_it_is_said(
    copy, name, settings, said
):
    scheduled(copy, name, **settings)
    with pytest.warns(UserWarning, match=f"scheduler: its configuration is outdated; .*{said}"):
        model = load(copy, "cpu")
    assert np.abs(ours(model) - theirs(copy)).max() <= 1


def test_a_configuration_of_today_is_not_corrected(copy):
    scheduled(copy, "DDIMScheduler", steps_offset=1, clip_sample=False)
    assert_drawn_as_by_diffusers(copy)


@pytest.mark.parametrize(("version", "side"), [("0.6.0", 64), ("0.9.0", 32), ("0.8.1.dev0", 64)])
@pytest.mark.filterwarnings("ignore:unet. its configuration is outdated")
def test_the_side_that_diffusers_wrote_by_default_in_2022_is_64_latents(copy, version, side):
    configure(copy / "unet" / "config.json", sample_size=32, _diffusers_version=version)
    model = load(copy, "cpu")
    assert model.side == side * 4
    assert theirs(copy, num_inference_steps=1).shape == (side * 4, side * 4, 3)


def test_the_corrected_side_is_told(copy):
    configure(copy / "unet" / "config.json", _diffusers_version="0.4.1")
    with pytest.warns(UserWarning, match="sample_size=64 is used instead of 8, as diffusers does"):
        load(copy, "cpu")


def test_a_list_of_two_equal_sides_is_a_side_and_unequal_ones_are_refused(copy):
    configure(copy / "unet" / "config.json", sample_size=[8, 8])
    model = load(copy, "cpu")
    assert model.side == 32
    assert "3×32×32 ↔ 4×8×8" in repr(model)
    assert_drawn_as_by_diffusers(copy)
    configure(copy / "unet" / "config.json", sample_size=[8, 12])
    with pytest.raises(OSError, match=r"unet: sample_size is one whole number.*got \[8, 12\]"):
        load(copy, "cpu")


# --- weights --------------------------------------------------------------------------------------


def change_tensor(folder, part, how):
    """Take out, rename or reshape one tensor in the middle; its name."""
    file = folder / part / WEIGHTS[part]
    tensors = load_file(file)
    name = sorted(tensors)[len(tensors) // 2]
    value = tensors.pop(name)
    if how == "renamed":
        tensors[f"{name}s"] = value
    if how == "reshaped":
        tensors[name] = torch.cat([value, value])
    save_file(tensors, file, {"format": "pt"})
    return name.removeprefix("text_model.")


@pytest.mark.parametrize("part", WEIGHTS)
@pytest.mark.parametrize("how", ["missing", "renamed", "reshaped"])
def test_a_tensor_that_does_not_fit_is_named(copy, part, how):
    name = change_tensor(copy, part, how)
    wrong = "has shape .* instead of" if how == "reshaped" else "is missing"
    with pytest.raises(OSError, match=f"{part}: the weights .* do not fit .*{name} {wrong}"):
        load(copy, "cpu")


@pytest.mark.parametrize("how", ["missing", "reshaped"])
def test_a_tensor_of_clip_is_named_too(tiny_copy, how):
    file = tiny_copy / "clip" / "model.safetensors"
    tensors = load_file(file)
    value = tensors.pop("visual_projection.weight")
    if how == "reshaped":
        tensors["visual_projection.weight"] = value[:3].contiguous()
    save_file(tensors, file, {"format": "pt"})
    with pytest.raises(OSError, match="clip: the weights .*visual_projection.weight"):
        load(tiny_copy, "cpu")


@pytest.fixture
def tiny_copy(tmp_path):
    from sdlearn._support.paths import TINY

    return shutil.copytree(TINY, tmp_path / "tiny")


def test_a_part_that_is_not_there_is_named(copy):
    (copy / "text_encoder" / "model.safetensors").unlink()
    with pytest.raises(
        FileNotFoundError, match="text_encoder: .* has no weights: model.safetensor"
    ):
        load(copy, "cpu")


def test_a_tokenizer_without_its_vocabulary_is_refused(copy):
    for file in (copy / "tokenizer").iterdir():
        if file.name != "tokenizer_config.json":
            file.unlink()
    with pytest.raises(FileNotFoundError, match="tokenizer: .* lacks tokenizer.json, or vocab"):
        load(copy, "cpu")


@pytest.mark.parametrize("variant", ["fp16", "non_ema"])
def test_only_a_variant_of_the_weights_is_read(copy, saved, variant):
    for part, name in WEIGHTS.items():
        (copy / part / name).rename(copy / part / name.replace(".", f".{variant}.", 1))
    assert np.array_equal(ours(load(copy, "cpu")), ours(load(saved, "cpu")))


def test_weights_in_several_files_are_read(copy, saved):
    shutil.rmtree(copy / "unet")
    small_unet().save_pretrained(copy / "unet", max_shard_size="20KB", variant="fp16")
    assert len(list((copy / "unet").glob("*.safetensors"))) > 1
    assert np.array_equal(ours(load(copy, "cpu")), ours(load(saved, "cpu")))


def test_half_precision_takes_the_variant_in_half_precision(copy):
    other = copy / "unet" / "diffusion_pytorch_model.fp16.safetensors"
    tensors = load_file(copy / "unet" / WEIGHTS["unet"])
    save_file({name: v * 0 for name, v in tensors.items()}, other, {"format": "pt"})
    from sdlearn._support.reading import read_part

    for variant, zero in (("fp16", True), (None, False)):
        unet = read_part("unet", copy / "unet", torch.float32, variant)
        assert (unet.conv_in.weight == 0).all() == zero


def test_pickles_are_refused_and_the_conversion_that_is_told_works(copy, monkeypatch):
    pipeline = StableDiffusionPipeline.from_pretrained(copy, requires_safety_checker=False)
    for part, name in WEIGHTS.items():
        (copy / part / name).unlink()
    pipeline.save_pretrained(copy, safe_serialization=False)
    for part in WEIGHTS:  # transformers writes safetensors only
        for file in (copy / part).glob("*.safetensors"):
            torch.save(load_file(file), file.with_name("pytorch_model.bin"))
            file.unlink()
    with pytest.raises(OSError, match="text_encoder: .* a pickle, which can run any code") as told:
        load(copy, "cpu")
    call = str(told.value).split("convert the model once: ")[1]
    monkeypatch.chdir(copy.parent)
    eval(call, {"diffusers": diffusers})
    assert load(copy.parent / "a-new-folder", "cpu").side == 32


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "model.ckpt",
            b"PK",
            r"a single file, .*from_single_file\('.*'\).*pickle.*only if you tru",
        ),
        (
            "sd.safetensors",
            {"model.diffusion_model.x": torch.ones(1)},
            "convert it once: .*from_si",
        ),
        ("lora.safetensors", {"unet.lora.down": torch.ones(1)}, "does not hold a whole Stable Di"),
        ("notes.txt", b"hello", "a single file, .* not a safetensors file"),
        ("model_index.json", b"{}", "is a file; give the folder that it is in"),
    ],
)
def test_a_file_is_told_what_to_do_with_it(tmp_path, name, content, message):
    file = tmp_path / name
    if isinstance(content, dict):
        save_file(content, file)
    else:
        file.write_bytes(content)
    with pytest.raises(ValueError, match=f"name_or_path: .*{message}"):
        load(file, "cpu")


def test_a_hub_id_is_told_what_to_do():
    with pytest.raises(
        ValueError, match=r"load\(huggingface_hub.snapshot_download\('org/model'\)\)"
    ):
        load("org/model", "cpu")


def test_the_folder_around_the_right_one_is_told_the_right_one(copy):
    with pytest.raises(
        FileNotFoundError, match=f"lacks model_index.json. Did you mean .*{copy.name}"
    ):
        load(copy.parent, "cpu")


# --- other kinds of models ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"in_channels": 9}, "unet: it takes 9 channels and gives 4, but the latents have 4"),
        ({"out_channels": 8}, "unet: it takes 4 channels and gives 8"),
        ({"num_class_embeds": 5}, "unet: it needs class labels"),
        ({"class_embed_type": "timestep"}, "unet: it needs class labels"),
        ({"time_cond_proj_dim": 8}, "unet: it needs the guidance as an input"),
        (
            {
                "addition_embed_type": "text_time",
                "addition_time_embed_dim": 8,
                "projection_class_embeddings_input_dim": 72,
            },
            "unet: it needs more than states .text_time., as Stable Diffusion XL",
        ),
        (
            {"encoder_hid_dim": WIDTH, "encoder_hid_dim_type": "text_proj"},
            "unet: it needs a projection",
        ),
        (
            {"cross_attention_dim": 32},
            f"unet: it reads states of width 32, but the text encoder gives {WIDTH}",
        ),
    ],
)
def test_a_unet_that_needs_more_is_refused(copy, changes, message):
    with pytest.raises(OSError, match=f"{message}.*"):
        load(with_unet(copy, **changes), "cpu")


def test_a_unet_without_a_side_is_refused(copy):
    configure(copy / "unet" / "config.json", sample_size=None)
    with pytest.raises(OSError, match="unet: sample_size is one whole number, .*got None"):
        load(copy, "cpu")


def test_a_width_for_each_block_is_a_width(copy):
    with_unet(copy, cross_attention_dim=(WIDTH, WIDTH))
    assert f"77×{WIDTH} →" in repr(load(copy, "cpu"))
    assert_drawn_as_by_diffusers(copy)


def test_another_kind_of_text_encoder_is_refused(copy):
    shutil.rmtree(copy / "text_encoder")
    config = T5Config(vocab_size=600, d_model=WIDTH, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    T5EncoderModel(config).save_pretrained(copy / "text_encoder")
    with pytest.raises(
        OSError, match="text_encoder: a CLIPTextModel is needed, got t5. Text-to-im"
    ):
        load(copy, "cpu")


@pytest.mark.parametrize("part", ["vae", "unet"])
def test_another_kind_of_network_is_refused(copy, part):
    configure(copy / part / "config.json", _class_name="AutoencoderTiny")
    with pytest.raises(OSError, match=f"{part}: a .* is needed, got AutoencoderTiny"):
        load(copy, "cpu")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("StableDiffusionXLPipeline", ["text_encoder_2", "tokenizer_2"]),
        ("StableDiffusion3Pipeline", ["text_encoder_2", "text_encoder_3", "transformer"]),
        ("StableDiffusionUpscalePipeline", ["low_res_scheduler"]),
        ("StableDiffusionControlNetPipeline", ["controlnet"]),
    ],
)
def test_another_pipeline_is_refused_by_its_parts(copy, name, parts):
    extra = {part: ["diffusers", "Whatever"] for part in parts}
    configure(copy / "model_index.json", _class_name=name, **extra)
    if "transformer" in parts:
        shutil.rmtree(copy / "unet")
    with pytest.raises(OSError, match=f"holds a {name}, which also needs {', '.join(parts)}. Text"):
        load(copy, "cpu")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shift_factor": 0.1}, "vae: its latents are shifted by shift_factor"),
        (
            {"latents_mean": [1.0] * 4, "latents_std": [1.0] * 4},
            "shifted by latents_mean, latents_s",
        ),
    ],
)
def test_an_autoencoder_with_shifted_latents_is_refused(copy, changes, message):
    configure(copy / "vae" / "config.json", **changes)
    with pytest.raises(OSError, match=message):
        load(copy, "cpu")


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("FlowMatchEulerDiscreteScheduler", {}, "FlowMatchEulerDiscreteScheduler does not go down"),
        ("EDMEulerScheduler", {}, "EDMEulerScheduler does not go down"),
        ("AutoencoderKL", {}, "AutoencoderKL does not go down"),
        ("NoSuchScheduler", {}, "diffusers .* has no NoSuchScheduler; is the name in model_index"),
        (None, {}, "diffusers .* has no None; is the name in model_index"),
        ("DDIMScheduler", {"prediction_type": "flow_prediction"}, "prediction_type is one of eps"),
        ("UniPCMultistepScheduler", {"use_flow_sigmas": True}, "without whole timesteps"),
        ("EulerDiscreteScheduler", {"timestep_type": "continuous"}, "without whole timesteps"),
        ("PNDMScheduler", {"prediction_type": "sample"}, "PNDMScheduler cannot take 4 steps"),
        ("DDIMScheduler", {"beta_schedule": "curly"}, "cannot be read"),
        ("DDIMScheduler", {"trained_betas": [0.1, 0.2]}, "1000 steps, but 2 betas"),
    ],
)
@pytest.mark.filterwarnings("ignore:scheduler. its configuration is outdated")
def test_a_scheduler_for_other_noise_is_refused(copy, name, settings, message):
    with pytest.raises(OSError, match=f"scheduler: .*{message}"):
        load(scheduled(copy, name, **settings), "cpu")


# --- tokenizers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("said", [None, 512, 10**30])
def test_a_tokenizer_gives_as_many_tokens_as_the_text_encoder_has_positions(copy, said):
    configure(copy / "tokenizer" / "tokenizer_config.json", model_max_length=said)
    model = load(copy, "cpu")
    assert tokenize(model.tokenizer, PROMPT).shape == (1, 77)
    assert "text → 77 tokens" in repr(model)
    with pytest.warns(UserWarning, match="only 75 fit"):
        encode_text(model.tokenizer, model.text_encoder, "house " * 80)


def test_a_tokenizer_of_another_model_is_refused(copy):
    configure(copy / "text_encoder" / "config.json", vocab_size=100)
    file = copy / "text_encoder" / "model.safetensors"
    tensors = load_file(file)
    name = next(name for name in tensors if "token_embedding" in name)
    tensors[name] = tensors[name][:100].contiguous()
    save_file(tensors, file, {"format": "pt"})
    with pytest.raises(
        OSError, match="tokenizer: it has .* tokens, but the text_encoder knows 100"
    ):
        load(copy, "cpu")


@pytest.mark.parametrize("key", ["vocab_size", "max_position_embeddings"])
def test_a_clip_that_reads_other_texts_is_left_out_and_it_is_said(tiny_copy, key):
    file, tensors_file = (
        tiny_copy / "clip" / "config.json",
        tiny_copy / "clip" / "model.safetensors",
    )
    config = json.loads(file.read_text())
    config["text_config"][key] = 32
    file.write_text(json.dumps(config))
    tensors = load_file(tensors_file)
    for name, value in tensors.items():
        wanted = {"vocab_size": "token_emb", "max_position_embeddings": "position_emb"}[key]
        if wanted in name and "text_model" in name and value.ndim == 2:
            tensors[name] = value[:32].contiguous()
    save_file(tensors, tensors_file, {"format": "pt"})
    with pytest.warns(UserWarning, match="clip: left out.*(the clip knows 32|it reads 32 pos)"):
        model = load(tiny_copy, "cpu")
    assert model.clip is model.image_processor is None
    assert model.tokenizer.model_max_length == 77


def test_pictures_prepared_for_another_clip_leave_it_out(tiny_copy):
    sizes = {"crop_size": {"height": 64, "width": 64}, "size": {"shortest_edge": 64}}
    configure(tiny_copy / "clip" / "preprocessor_config.json", **sizes)
    with pytest.warns(UserWarning, match="clip: left out.*image_processor: it makes pictures of 6"):
        assert load(tiny_copy, "cpu").clip is None


# --- what the network predicts --------------------------------------------------------------------

ZERO_SNR = {"rescale_betas_zero_snr": True}
TODAY = {"steps_offset": 1, "clip_sample": False}
WITHOUT_SAMPLE = (
    "PNDMScheduler",
    "EulerAncestralDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "KDPM2AncestralDiscreteScheduler",
)
"""Schedulers that cannot use a prediction of x̂₀."""
SOLVERS = sorted(SCHEDULERS - {"DPMSolverSDEScheduler", "LMSDiscreteScheduler"})


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("name", SOLVERS)
def test_every_scheduler_draws_the_picture_of_diffusers_whatever_is_predicted(
    copy, name, prediction
):
    settings = TODAY if name != "PNDMScheduler" else {**TODAY, "skip_prk_steps": True}
    scheduled(copy, name, **settings, prediction_type=prediction)
    if prediction == "sample" and name in WITHOUT_SAMPLE:
        with pytest.raises(OSError, match="cannot take 4 steps: .*sample"):
            load(copy, "cpu")
    else:
        assert_drawn_as_by_diffusers(copy)


@pytest.mark.parametrize("prediction", ["v_prediction", "sample"])
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("KDPM2DiscreteScheduler", TODAY),
        ("DDIMScheduler", TODAY),
        ("DDIMScheduler", {**TODAY, **ZERO_SNR, "timestep_spacing": "trailing"}),
        ("EulerDiscreteScheduler", TODAY),
        ("EulerDiscreteScheduler", {**TODAY, "use_karras_sigmas": True}),
        ("HeunDiscreteScheduler", TODAY),
        ("DPMSolverMultistepScheduler", TODAY),
        ("DPMSolverMultistepScheduler", {**TODAY, "use_karras_sigmas": True}),
        ("UniPCMultistepScheduler", TODAY),
        ("DEISMultistepScheduler", TODAY),
    ],
)
def test_noise_is_noise_and_clean_is_what_the_scheduler_steps_towards(
    copy, monkeypatch, name, settings, prediction
):
    """A U-Net that knows the true latents and says them in its own way: v, or x̂₀."""
    if prediction == "sample" and name in WITHOUT_SAMPLE:
        pytest.skip("its scheduler refuses it; see above")
    model = load(scheduled(copy, name, **settings, prediction_type=prediction), "cpu")
    truth = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    fresh, noises = type(model.scheduler).from_config(model.scheduler.config), []
    fresh.set_timesteps(5)

    def level(t):
        if not hasattr(fresh, "sigmas"):
            return fresh.alphas_cumprod[int(t)].sqrt(), (1 - fresh.alphas_cumprod[int(t)]).sqrt()
        between = getattr(fresh, "sigmas_interpol", fresh.sigmas)  # a second look within a step
        ratio = (between if len(noises) % 2 else fresh.sigmas)[len(noises)]
        return 1 / (1 + ratio**2).sqrt(), ratio / (1 + ratio**2).sqrt()

    def says(self, latents, t, states):
        signal, sigma = level(t)
        noise = (latents - signal * truth) / sigma
        noises.append(noise[:1])
        velocity = signal * noise - sigma * truth
        said = truth.expand_as(latents) if prediction == "sample" else velocity
        return UNet2DConditionOutput(sample=said)

    monkeypatch.setattr(UNet2DConditionModel, "forward", says)
    for step in text_to_latents(model, PROMPT, steps=5, guidance=4.0):
        assert_close(step.clean, truth, rtol=1e-3, atol=1e-3)
        for noise in (step.noise, step.conditional, step.unconditional):
            assert_close(noise, noises[step.index], rtol=1e-3, atol=1e-3)
    assert_close(step.latents, truth, rtol=0.1, atol=0.1)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_the_predictor_gives_noise_and_ddim_by_hand_is_the_pipeline(copy, prediction):
    scheduled(copy, "DDIMScheduler", **TODAY, prediction_type=prediction, set_alpha_to_one=True)
    model = load(copy, "cpu")
    steps = list(text_to_latents(model, PROMPT, steps=5, guidance=3.0, seed=4))
    start = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(4))
    predict, schedule = predictor(model, PROMPT, 3.0), Schedule.of(model.scheduler)
    assert_close(predict(start, steps[0].t), steps[0].noise, rtol=1e-4, atol=1e-4)
    last = ddim(predict, schedule, start, [step.t for step in steps])
    assert_close(last, steps[-1].latents, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["DDIMScheduler", "DPMSolverMultistepScheduler"])
def test_with_thresholding_clean_is_thresholded(copy, name):
    scheduled(copy, name, **TODAY, thresholding=True)
    steps = list(text_to_latents(load(copy, "cpu"), PROMPT, steps=4, guidance=4.0))
    assert all(step.clean.abs().max() <= 1 for step in steps)
    assert_drawn_as_by_diffusers(copy)


@pytest.mark.parametrize(
    ("name", "prediction"),
    [
        ("EulerDiscreteScheduler", "epsilon"),
        ("EulerDiscreteScheduler", "v_prediction"),
        ("DDIMScheduler", "v_prediction"),
        ("DPMSolverMultistepScheduler", "v_prediction"),
    ],
)
def test_a_schedule_that_ends_in_pure_noise_is_drawn(copy, name, prediction):
    settings = {**TODAY, **ZERO_SNR, "timestep_spacing": "trailing", "prediction_type": prediction}
    scheduled(copy, name, **settings)
    steps = list(text_to_latents(load(copy, "cpu"), PROMPT, steps=4, guidance=4.0))
    assert steps[0].t == 999
    assert all(step.clean.isfinite().all() for step in steps)
    assert_drawn_as_by_diffusers(copy)


def test_settings_that_can_only_give_nan_are_refused(copy):
    """With ᾱ = 0 nothing of the picture is in x_t, so noise alone does not say what x̂₀ is."""
    scheduled(copy, "DDIMScheduler", **TODAY, **ZERO_SNR, timestep_spacing="trailing")
    with pytest.raises(OSError, match="scheduler: DDIMScheduler .* gives NaN in 4 steps"):
        load(copy, "cpu")


def test_fresh_noise_is_added_only_as_the_pipeline_adds_it(copy):
    """TCD's own step adds noise by default (eta 0.3); diffusers' pipeline asks for none."""
    scheduled(copy, "TCDScheduler", **TODAY)
    assert_drawn_as_by_diffusers(copy)


@pytest.mark.parametrize("strength", [0.6, 1.0])
def test_inpainting_with_a_pndm_of_2022_is_diffusers(copy, strength):
    """Its configuration does not skip the steps of Runge and Kutta; diffusers' inpainting does."""
    scheduled(copy, "PNDMScheduler", **TODAY)
    picture = Image.fromarray(np.arange(32 * 32 * 3, dtype=np.uint8).reshape(32, 32, 3))
    mask = Image.new("L", (32, 32))
    mask.paste(255, (8, 8, 24, 28))
    model = load(copy, "cpu")
    options = {"steps": 5, "guidance": 4.0, "seed": 3}
    found = np.asarray(inpaint(model, picture, mask, PROMPT, strength, **options)).astype(float)
    expected = theirs(
        copy,
        kind=diffusers.StableDiffusionInpaintPipeline,
        image=picture,
        mask_image=mask,
        strength=strength,
        height=32,
        width=32,
    )
    assert np.abs(found - expected).max() <= 1


@pytest.mark.parametrize(
    ("scheduler", "steps", "message"),
    [
        (diffusers.PNDMScheduler(steps_offset=1), 2, "steps: PNDMScheduler cannot take 2"),
        (diffusers.LCMScheduler(), 60, "steps: LCMScheduler cannot take 60"),
        (
            diffusers.FlowMatchEulerDiscreteScheduler(),
            5,
            "scheduler: FlowMatchEuler.* does not go",
        ),
        (diffusers.IPNDMScheduler(), 5, "scheduler: IPNDMScheduler does not go down"),
    ],
)
def test_a_scheduler_that_was_put_in_later_is_checked_too(random_model, scheduler, steps, message):
    model = dataclasses.replace(random_model, scheduler=scheduler)
    with pytest.raises(ValueError, match=message):
        text_to_image(model, PROMPT, steps=steps)


def test_a_scheduler_of_ones_own_is_used(random_model):
    class Halving(SchedulerMixin, ConfigMixin):
        """Half of the predicted noise is taken away in each step."""

        init_noise_sigma, order = 1.0, 1

        @register_to_config
        def __init__(self, num_train_timesteps=1000, prediction_type="epsilon"):
            self.betas = Schedule.named("scaled_linear").betas

        def set_timesteps(self, steps, device=None):
            self.timesteps = torch.linspace(999, 0, steps, device=device).long()

        def scale_model_input(self, latents, t):
            return latents

        def add_noise(self, clean, noise, timesteps):
            signal, sigma = Schedule(self.betas).rates(timesteps, clean)
            return signal * clean + sigma * noise

        def step(self, predicted, t, latents):
            return SchedulerOutput(prev_sample=latents - 0.5 * predicted)

    model = dataclasses.replace(random_model, scheduler=Halving())
    steps = list(text_to_latents(model, PROMPT, steps=3, guidance=2.0))
    for before, after in itertools.pairwise(steps):
        assert_close(after.latents, before.latents - 0.5 * after.noise)


@pytest.mark.parametrize(
    "name", ["DEISMultistepScheduler", "DPMSolverSinglestepScheduler", "UniPCMultistepScheduler"]
)
def test_settings_that_fail_only_with_many_steps_are_refused_at_once(copy, name):
    settings = {"beta_schedule": "squaredcos_cap_v2", "use_karras_sigmas": True}
    with pytest.raises(OSError, match=f"scheduler: {name} cannot take 25 steps: "):
        load(scheduled(copy, name, **TODAY, **settings), "cpu")


# --- parts that were changed ----------------------------------------------------------------------


@pytest.mark.parametrize("part", WEIGHTS)
def test_weights_that_are_not_numbers_are_named(copy, part):
    file = copy / part / WEIGHTS[part]
    tensors = load_file(file)
    name = next(name for name, value in tensors.items() if value.is_floating_point())
    tensors[name] = tensors[name] * torch.nan
    save_file(tensors, file, {"format": "pt"})
    short = name.removeprefix("text_model.")
    with pytest.raises(OSError, match=f"{part}: {short} in .* holds NaN"):
        load(copy, "cpu")


def test_weights_in_several_files_as_diffusers_named_them_before_are_read(copy, saved):
    shutil.rmtree(copy / "unet")
    small_unet().save_pretrained(copy / "unet", max_shard_size="20KB", variant="fp16")
    for file in sorted((copy / "unet").iterdir()):
        if file.name.endswith(".json") and "index" in file.name:
            file.write_text(re.sub(r"\.fp16(-\d+-of-\d+)", r"\1.fp16", file.read_text()))
        elif match := re.fullmatch(r"(.*)\.fp16(-\d+-of-\d+)(.*)", file.name):
            file.rename(file.with_name(f"{match[1]}{match[2]}.fp16{match[3]}"))
    assert np.array_equal(ours(load(copy, "cpu")), ours(load(saved, "cpu")))


def test_a_community_pipeline_and_a_version_between_versions_are_read(copy):
    configure(copy / "model_index.json", _class_name=["lpw_stable_diffusion", "Pipeline"])
    configure(copy / "unet" / "config.json", _diffusers_version="main")
    assert load(copy, "cpu").side == 32


@pytest.mark.parametrize("factor", ["0.18215", 0, -1, True])
def test_a_scaling_factor_that_is_no_factor_is_refused(copy, factor):
    configure(copy / "vae" / "config.json", scaling_factor=factor)
    with pytest.raises(OSError, match="vae: .*scaling_factor"):
        load(copy, "cpu")


def test_a_device_without_numbers_is_refused(copy):
    with pytest.raises(ValueError, match="device: 'meta' cannot be used here"):
        load(copy, "meta")


def test_parts_in_two_dtypes_work_together(copy):
    exact, narrow = load(copy, "cpu"), load(copy, "cpu", torch.bfloat16)
    mixed = dataclasses.replace(narrow, text_encoder=exact.text_encoder, vae=exact.vae)
    assert np.abs(ours(mixed) - ours(exact)).mean() < 8


def learned(folder, *words):
    """The folder with new words in its tokenizer and its text encoder, as diffusers saves them."""
    pipeline = StableDiffusionPipeline.from_pretrained(folder, requires_safety_checker=False)
    pipeline.tokenizer.add_tokens(list(words))
    pipeline.text_encoder.resize_token_embeddings(len(pipeline.tokenizer))
    torch.nn.init.normal_(pipeline.text_encoder.get_input_embeddings().weight[-len(words) :])
    pipeline.save_pretrained(folder)


@pytest.mark.parametrize("words", [["<x>"], ["<x>", "<x>_1", "<x>_2"]])
def test_a_learned_word_is_read_as_all_of_its_vectors(copy, words):
    learned(copy, *words)
    model = load(copy, "cpu")
    prompt = "a <x> house"
    made = np.asarray(text_to_image(model, prompt, steps=5, guidance=4.0, seed=3)).astype(float)
    assert np.abs(made - theirs(copy, prompt=prompt)).max() <= 1
    assert positions_of(model.tokenizer, prompt, "<x>") == [2 + i for i in range(len(words))]
    assert positions_of(model.tokenizer, prompt, "house") == [2 + len(words)]


@pytest.mark.parametrize("side", ["left", "right"])
def test_positions_are_those_of_the_padded_tokens(copy, side):
    configure(copy / "tokenizer" / "tokenizer_config.json", padding_side=side, truncation_side=side)
    model = load(copy, "cpu")
    (position,) = positions_of(model.tokenizer, PROMPT, "house")
    tokens = tokenize(model.tokenizer, PROMPT)[0]
    assert tokens[position] == model.tokenizer.convert_tokens_to_ids("house</w>")
    lost = "a a a" if side == "left" else "house house"
    with pytest.warns(UserWarning, match=f"cut off: '{lost}"):
        tokenize(model.tokenizer, "a " * 5 + "house " * 75 + "tree " * 5)


def test_attention_where_even_the_picture_reads_the_text_is_recorded_as_such(copy):
    model = load(with_unet(copy, only_cross_attention=True), "cpu")
    kinds = [layer.kind for layer in attention_layers(model.unet)]
    assert kinds.count("cross") > kinds.count("self")
    with record(model.unet, points=[(0.3, 0.4)]) as maps:
        text_to_image(model, PROMPT, steps=1)
    assert maps.of_words([2]).shape == (1, 4, 4)


def test_attention_of_another_build_is_refused_and_not_recorded_in_part():
    unet = small_unet(
        down_block_types=("DownBlock2D", "SimpleCrossAttnDownBlock2D"),
        up_block_types=("SimpleCrossAttnUpBlock2D", "UpBlock2D"),
    )
    with pytest.raises(ValueError, match="unet: attention outside of its transformers .*down_blo"):
        attention_layers(unet)


# --- repr -----------------------------------------------------------------------------------------


@pytest.mark.bad_input
def test_repr_never_raises(random_model):
    fields = dict(vars(random_model))
    for part in ("tokenizer", "text_encoder", "vae", "unet", "scheduler"):
        broken = type(random_model)(**{**fields, part: object()})
        assert len(repr(broken).splitlines()) == 7
        assert "0x" not in repr(broken)
