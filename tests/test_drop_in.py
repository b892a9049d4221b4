"""The shipped folder in other people's code: usual calls load it, and typed-in numbers hold."""

import diffusers
import numpy as np
import pytest
import torch
import transformers
from diffusers import ControlNetModel, StableDiffusionControlNetPipeline, StableDiffusionPipeline
from PIL import Image
from torch.testing import assert_close

from sdlearn._support.paths import TINY
from sdlearn.picturebook import compose
from sdlearn.picturebook.drawing import draw

PROMPT = "a red house in the snow"
HOUSE, STAR = (
    compose([("red", "house")], "snow", rng=1),
    compose([("yellow", "star")], "night", rng=1),
)
SIDE, STEPS = 64, 3


def loaded(kind=StableDiffusionPipeline, **options):
    pipeline = kind.from_pretrained(TINY, safety_checker=None, local_files_only=True, **options)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(scope="module")
def pipeline():
    return loaded()


def drawn(pipeline, **options) -> np.ndarray:
    noise = torch.Generator().manual_seed(3)
    call = {
        "prompt": PROMPT,
        "height": SIDE,
        "width": SIDE,
        "num_inference_steps": STEPS,
        "output_type": "np",
    }
    return pipeline(generator=noise, **{**call, **options}).images[0]


def test_a_loop_with_stable_diffusions_numbers_typed_in_is_the_pipeline(pipeline):
    """As in many notebooks, these are typed in: 0.18215, 77 tokens, 64×64 latents, guidance 7.5."""
    tokenizer, text_encoder, unet, vae = (
        getattr(pipeline, part) for part in ("tokenizer", "text_encoder", "unet", "vae")
    )
    scheduler = diffusers.DDIMScheduler.from_config(pipeline.scheduler.config)
    scheduler.set_timesteps(STEPS)
    with torch.no_grad():
        ids = [
            tokenizer(text, padding="max_length", max_length=77, return_tensors="pt").input_ids
            for text in ("", PROMPT)
        ]
        states = torch.cat([text_encoder(tokens)[0] for tokens in ids])
        latents = (
            torch.randn((1, 4, 64, 64), generator=torch.Generator().manual_seed(3))
            * scheduler.init_noise_sigma
        )
        for t in scheduler.timesteps:
            seen = scheduler.scale_model_input(torch.cat([latents] * 2), t)
            without, with_text = unet(seen, t, encoder_hidden_states=states).sample.chunk(2)
            latents = scheduler.step(without + 7.5 * (with_text - without), t, latents).prev_sample
        pixels = vae.decode(1 / 0.18215 * latents).sample
    ours = (pixels / 2 + 0.5).clamp(0, 1)[0].permute(1, 2, 0).numpy()
    assert_close(drawn(pipeline, height=512, width=512), ours, rtol=0, atol=2 / 255)


def test_latents_scaled_by_the_number_typed_in_have_unit_variance_and_come_back(pipeline):
    """The way from pictures to latents, as in DDIM inversion, with a typed-in factor.

    The raw latents are as large as the full Stable Diffusion's.
    """
    pages = np.stack([np.asarray(draw(scene)) for scene in (HOUSE, STAR)])
    pixels = torch.tensor(pages).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        z = pipeline.vae.encode(pixels).latent_dist.mean
        again = pipeline.vae.decode((z * 0.18215) / 0.18215).sample
    assert (z * 0.18215).std() == pytest.approx(1, abs=0.25)
    assert 4 < z.std() < 7
    assert (again - pixels).square().mean() < 0.004


@pytest.mark.parametrize(
    "kind",
    [
        diffusers.DiffusionPipeline,
        diffusers.AutoPipelineForText2Image,
        diffusers.AutoPipelineForImage2Image,
        diffusers.AutoPipelineForInpainting,
    ],
)
def test_every_kind_of_pipeline_loads_it_and_draws(kind):
    pipeline = loaded(kind)
    sides, start = {"height": SIDE, "width": SIDE}, {"image": draw(HOUSE, SIDE), "strength": 0.7}
    right = Image.fromarray(np.arange(SIDE)[None].repeat(SIDE, 0).astype(np.uint8) * 4)
    given = {
        diffusers.AutoPipelineForImage2Image: start,
        diffusers.AutoPipelineForInpainting: {**start, **sides, "mask_image": right},
    }.get(kind, sides)
    picture = pipeline(PROMPT, num_inference_steps=STEPS, output_type="np", **given).images[0]
    assert picture.shape == (SIDE, SIDE, 3)
    assert picture.std() > 0.02
    assert type(pipeline.scheduler) is diffusers.DDIMScheduler
    assert isinstance(pipeline.feature_extractor, transformers.CLIPImageProcessor)


def test_half_precision_is_asked_for_by_dtype():
    """The files are in half precision; `variant="fp16"` asks for files that do not exist."""
    half = loaded(dtype=torch.float16)
    assert half.unet.dtype == half.vae.dtype == half.text_encoder.dtype == torch.float16
    with pytest.raises(ValueError, match="variant=fp16"):
        loaded(variant="fp16")


def test_clips_processor_tells_pictures_by_their_captions():
    processor = transformers.CLIPProcessor.from_pretrained(TINY / "clip", local_files_only=True)
    clip = transformers.CLIPModel.from_pretrained(TINY / "clip", local_files_only=True).eval()
    assert len(processor.tokenizer) == clip.config.text_config.vocab_size
    read = processor(
        text=[HOUSE.caption, STAR.caption],
        images=[draw(HOUSE), draw(STAR)],
        return_tensors="pt",
        padding=True,
        truncation=True,
    )
    with torch.no_grad():
        found = clip(**read)
    assert (found.logits_per_image.softmax(dim=1).diagonal() > 0.95).all()

    towers = {
        "text_embeds": (transformers.CLIPTextModelWithProjection, {"input_ids": read.input_ids}),
        "image_embeds": (
            transformers.CLIPVisionModelWithProjection,
            {"pixel_values": read.pixel_values},
        ),
    }
    for name, (kind, given) in towers.items():
        tower, loading = kind.from_pretrained(
            TINY / "clip", local_files_only=True, output_loading_info=True
        )
        assert not loading["missing_keys"]
        assert not loading["mismatched_keys"]
        with torch.no_grad():
            vectors = tower.eval()(**given)[name]
        assert_close(vectors / vectors.norm(dim=1, keepdim=True), found[name], rtol=1e-4, atol=1e-4)


def test_a_fresh_controlnet_from_the_unet_changes_nothing_and_a_trained_one_does(pipeline):
    control = ControlNetModel.from_unet(pipeline.unet)
    parts = {name: part for name, part in pipeline.components.items() if name != "image_encoder"}
    steered = StableDiffusionControlNetPipeline(
        **parts, controlnet=control, requires_safety_checker=False
    )
    steered.set_progress_bar_config(disable=True)
    plain, mask = drawn(pipeline), draw(STAR, SIDE)
    assert_close(drawn(steered, image=mask), plain, rtol=0, atol=1e-4)
    torch.manual_seed(0)
    for block in control.controlnet_down_blocks:
        torch.nn.init.normal_(block.weight, std=0.1)
    assert np.abs(drawn(steered, image=mask) - plain).mean() > 0.01


def test_a_lora_by_peft_is_added_saved_and_loaded(tmp_path):
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    mine, theirs = loaded(), loaded()
    plain = drawn(mine)
    layers = ["to_q", "to_k", "to_v", "to_out.0"]
    mine.unet.add_adapter(LoraConfig(r=4, lora_alpha=4, target_modules=layers))
    assert_close(drawn(mine), plain, rtol=0, atol=1e-4)
    torch.manual_seed(0)
    for name, values in mine.unet.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(values, std=0.1)
    changed = drawn(mine)
    assert np.abs(changed - plain).mean() > 0.01
    StableDiffusionPipeline.save_lora_weights(tmp_path, get_peft_model_state_dict(mine.unet))
    theirs.load_lora_weights(tmp_path)
    assert_close(drawn(theirs), changed, rtol=0, atol=1e-3)


def test_a_learned_word_is_loaded(pipeline):
    """Textual inversion: a new word with the vector of "house" is drawn like "house"."""
    mine = loaded()
    number = mine.tokenizer.convert_tokens_to_ids("house</w>")
    vector = mine.text_encoder.get_input_embeddings().weight[number].detach().clone()
    mine.load_textual_inversion({"<mine>": vector}, token="<mine>")
    assert_close(drawn(mine, prompt="a red <mine> in the snow"), drawn(pipeline), rtol=0, atol=1e-3)


def test_the_three_networks_are_exported_to_onnx(pipeline, tmp_path):
    """This test needs `pip install onnx onnxscript onnxruntime`."""
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    tokens, latents = torch.randint(0, 600, (1, 77)), torch.randn(1, 4, 8, 8)
    states = torch.randn(1, 77, pipeline.unet.config.cross_attention_dim)

    class Decoder(torch.nn.Module):
        def __init__(self, vae):
            super().__init__()
            self.vae = vae

        def forward(self, latents):
            return self.vae.decode(latents, return_dict=False)[0]

    for name, network, inputs in (
        ("text_encoder", pipeline.text_encoder, (tokens,)),
        ("unet", pipeline.unet, (latents, torch.tensor([500]), states)),
        ("vae", Decoder(pipeline.vae).eval(), (latents,)),
    ):
        file = tmp_path / f"{name}.onnx"
        with torch.no_grad():
            expected = network(*inputs)
            torch.onnx.export(network, inputs, file, dynamo=True)
        session = runtime.InferenceSession(file)
        given = {
            slot.name: value.numpy()
            for slot, value in zip(session.get_inputs(), inputs, strict=True)
        }
        found = torch.from_numpy(session.run(None, given)[0])
        assert_close(
            found, expected if torch.is_tensor(expected) else expected[0], rtol=1e-3, atol=1e-3
        )
