"""The sibling: flow matching on the same pages, and a folder that plain diffusers draws with."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import SD3Transformer2DModel, StableDiffusion3Pipeline
from safetensors.torch import load_file
from torch.testing import assert_close
from transformers import CLIPTextModelWithProjection, CLIPTokenizer

from sdlearn._support.paths import TINY
from sdlearn.evaluate import __main__ as evaluating
from sdlearn.evaluate import sibling
from sdlearn.evaluate.judge import load_judge
from sdlearn.evaluate.samples import captions, shares, unseen_scenes, verdicts
from sdlearn.flow import flow as straight_walk
from sdlearn.loading import load
from sdlearn.train import __main__ as command
from sdlearn.train import sd3
from sdlearn.train.adapters import Frozen
from sdlearn.train.loop import Moment
from sdlearn.train.unet import Pages, finished

WIDTH = 6


def flow():
    torch.manual_seed(0)
    nothing = {"states": torch.zeros(77, WIDTH), "pooled": torch.zeros(WIDTH)}
    return sd3.Flow(sd3.make(WIDTH, 16), nothing)


def batch(count=4):
    generator = torch.Generator().manual_seed(0)
    shapes = ((count, 4, 8, 12), (count, 77, WIDTH), (count, WIDTH))
    mean, states, pooled = (torch.randn(shape, generator=generator) for shape in shapes)
    return {"mean": mean, "spread": 0 * mean, "states": states, "pooled": pooled}


def test_it_learns_the_direction_from_the_picture_to_the_noise(monkeypatch):
    """On x = (1 - σ) x₀ + σ ε, the direction ε - x₀ is (x - x₀) / σ."""
    objective, given = flow(), batch()

    def perfect(noisy, sigma, states, pooled):
        return (noisy - given["mean"]) / sigma[:, None, None, None]

    monkeypatch.setattr(objective, "predict", perfect)
    assert objective(**given)["loss"].item() < 1e-8
    monkeypatch.setattr(objective, "predict", lambda *read: -perfect(*read))
    assert objective(**given)["loss"].item() > 1


def test_the_time_is_counted_to_a_thousand_and_the_noisy_middle_comes_most_often(monkeypatch):
    objective, told = flow(), []
    forward = objective.transformer.forward
    monkeypatch.setattr(
        objective.transformer, "forward", lambda *a: told.append(a[3]) or forward(*a)
    )
    objective(**batch(256))
    (times,) = told
    assert 560 < times.median() < 680  # where half the steps of the noise schedule lie: 620
    assert 0 < times.min() < 200
    assert 900 < times.max() < 1000
    assert ((times > 250) & (times < 750)).float().mean() > 0.58  # of equal times, half


def test_a_fresh_transformer_answers_with_zeros_and_its_blocks_change_nothing():
    """Peebles and Xie 2022, Section 3.2: every gate is closed at the start."""
    transformer, given = flow().transformer, batch()
    seen = []
    for block in transformer.transformer_blocks:
        block.register_forward_hook(
            lambda _, args, kwargs, results: seen.append((kwargs["hidden_states"], results[1])),
            with_kwargs=True,
        )
    states, pooled = sd3.joint(given["states"]), torch.cat([given["pooled"]] * 2, dim=-1)
    answer = transformer(given["mean"], states, pooled, torch.full((4,), 500.0)).sample
    assert not answer.any()
    assert len(seen) == sd3.LAYERS
    for before, after in seen:
        assert_close(before, after)


def test_a_dropped_caption_is_dropped_in_both_places(monkeypatch):
    objective, seen = flow(), {}
    monkeypatch.setattr(sd3, "CAPTION_DROPOUT", 0.5)

    def look(noisy, sigma, states, pooled):
        seen.update(states=states, pooled=pooled)
        return noisy

    monkeypatch.setattr(objective, "predict", look)
    objective(**batch(40))
    without_states = (seen["states"] == 0).all(dim=(1, 2))
    without_pooled = (seen["pooled"] == 0).all(dim=1)
    assert torch.equal(without_states, without_pooled)
    assert 5 < without_states.sum() < 35


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The sibling after two steps, beside a copy of the small model."""
    folder = tmp_path_factory.mktemp("sibling")
    shutil.copytree(TINY, folder / "tiny-sd")
    recipe = replace(sd3.RECIPE, steps=2, batch=2)
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(sibling, "STEPS", 2)  # for the sample that is painted
    sd3.train(folder / "tiny-sd", folder / "work", recipe=recipe, pages=16)
    monkeypatch.undo()
    return folder


def test_training_reads_what_the_pipeline_reads(home):
    pipeline = sibling.load_sibling(home / sd3.FOLDER)
    texts = ["a red house in the snow", "", "a cat left of a tree at night"]
    read = sd3.encode_captions(
        CLIPTokenizer.from_pretrained(TINY / "tokenizer"),
        CLIPTextModelWithProjection.from_pretrained(TINY / "clip").eval(),
        texts,
    )
    states, _, pooled, _ = pipeline.encode_prompt(
        texts, None, None, do_classifier_free_guidance=False, max_sequence_length=77
    )
    options = {"rtol": 0, "atol": 5e-3}  # half precision
    assert_close(sd3.joint(read["states"].float()), states, **options)
    assert_close(torch.cat([read["pooled"].float()] * 2, dim=-1), pooled, **options)


def test_plain_diffusers_draws_with_the_folder(home):
    pipeline = StableDiffusion3Pipeline.from_pretrained(
        home / sd3.FOLDER, text_encoder_3=None, tokenizer_3=None
    )
    pipeline.set_progress_bar_config(disable=True)
    assert pipeline.transformer.dtype == torch.float32
    drawn = pipeline(
        "a red house",
        height=128,
        width=96,
        num_inference_steps=2,
        max_sequence_length=77,
        generator=torch.Generator().manual_seed(0),
        output_type="np",
    ).images
    assert drawn.shape == (1, 128, 96, 3)
    assert drawn.std() > 0.01
    assert sum(p.numel() for p in pipeline.transformer.parameters()) < 8e6
    weights = home / sd3.FOLDER / "transformer" / "diffusion_pytorch_model.safetensors"
    assert weights.stat().st_size < 16.5e6


def test_a_sample_was_painted(home):
    assert (home / "work" / sd3.FOLDER / "sample.png").stat().st_size > 1000


def test_latents_states_and_pooled_vectors_belong_together():
    count = torch.arange(6.0)
    latents = count.reshape(6, 1, 1, 1, 1).expand(6, 2, 4, 8, 8).half()
    pages, states = Pages(latents, torch.ones(6)), count.reshape(6, 1, 1).half()
    frozen = Frozen(finished(TINY), pages, states, torch.zeros(1))
    made = sd3.with_text(frozen, count[:, None].half(), 8, Moment(0, 0, 0.0))
    assert_close(made["pooled"][:, 0], made["mean"][:, 0, 0, 0])
    assert_close(made["states"][:, 0, 0], made["mean"][:, 0, 0, 0])
    assert len(set(made["pooled"].flatten().tolist())) > 2


def test_both_are_judged_on_the_same_prompts(home):
    pipeline, tiny = sibling.load_sibling(home / sd3.FOLDER), load("tiny", device="cpu")
    model = replace(tiny, default_steps=4)
    first, second = sibling.compare_sibling(model, pipeline, load_judge(), 3)
    assert len(first) == len(second) == len(sibling.HEAD)
    assert (first[1], second[1]) == ("4", "28")
    assert first[-4].startswith("100")  # the small model's three pictures are right …
    assert second[-4].startswith("0")  # … and two steps of training teach nothing


def test_the_shipped_sibling_draws_what_it_is_asked_for(monkeypatch):
    monkeypatch.setattr(sibling, "STEPS", 8)
    scenes = unseen_scenes(6, held_out=False)
    drawn = sibling.generate_by_sibling(sibling.load_sibling(), captions(scenes), seed=0)
    assert drawn.shape == (6, 3, 256, 256)
    assert shares(verdicts(load_judge(), scenes, drawn))["whole"].right >= 5


def test_walking_by_its_velocity_is_what_its_pipeline_does():
    pipeline, steps = sibling.load_sibling(), 3
    noise = torch.randn(2, 4, 32, 32, generator=torch.Generator().manual_seed(0))
    prompts = ["a red house in the snow", "two green trees at night"]
    ours, told = sibling.sibling_velocity(pipeline), sibling.sibling_texts(pipeline, prompts)
    assert told.shape[:2] == (2, 155)
    assert not told[:, 77:154].any()
    with torch.no_grad():
        *_, end = straight_walk(lambda x, t: ours(x, t, told), noise, steps)
    theirs = pipeline(
        prompts,
        latents=noise.clone(),
        sigmas=[left / steps for left in range(steps, 0, -1)],
        guidance_scale=1.0,
        max_sequence_length=77,
        output_type="latent",
    ).images
    assert_close(end, theirs, atol=2e-3, rtol=0)


@pytest.mark.parametrize("norm", [None, "rms_norm"])
def test_recorded_attention_is_the_one_that_the_block_computes(norm):
    """With one head, the recorded shares times the values are what the block says of the text."""
    torch.manual_seed(0)
    transformer = SD3Transformer2DModel(
        sample_size=16,
        patch_size=2,
        in_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=1,
        joint_attention_dim=6,
        caption_projection_dim=8,
        pooled_projection_dim=6,
        out_channels=4,
        pos_embed_max_size=16,
        qk_norm=norm,
    )
    attention, passed = transformer.transformer_blocks[0].attn, []
    if norm:
        for layer in (attention.norm_k, attention.norm_added_q, attention.norm_added_k):
            layer.weight.data.uniform_(0.5, 2)
    attention.register_forward_hook(lambda *call: passed.append(call[2:]), with_kwargs=True)
    read = torch.randn(3, 4, 8, 12), torch.randn(3, 5, 6), torch.randn(3, 6)
    with sibling.text_looks(transformer, 0) as looks, torch.no_grad():
        transformer(*read, torch.tensor([500.0, 20.0, 999.0]))
    transformer(*read, torch.tensor([500.0, 20.0, 999.0]))  # outside, nothing is recorded
    (shares,) = looks
    assert shares.shape == (3, 5, 24 + 5)
    assert_close(shares.sum(dim=-1), torch.ones(3, 5))
    given, (_, of_text) = passed[0]
    picture = attention.to_v(given["hidden_states"])
    text = attention.add_v_proj(given["encoder_hidden_states"])
    values = torch.cat([picture, text], dim=1)
    assert_close(attention.to_add_out(shares @ values), of_text, rtol=1e-4, atol=1e-5)
    with (
        pytest.raises(ValueError, match="block: from 0 to 1, got 2"),
        sibling.text_looks(transformer, 2),
    ):
        pass


def test_its_vae_and_text_tower_are_those_of_the_small_model():
    for part, of_tiny in {"vae": "vae", "text_encoder": "clip", "text_encoder_2": "clip"}.items():
        ours = load_file(next((sibling.SIBLING / part).glob("*.safetensors")))
        theirs = load_file(next((TINY / of_tiny).glob("*.safetensors")))
        assert all(torch.equal(values, theirs[name]) for name, values in ours.items()), part


def test_the_commands_say_where_it_goes_and_what_is_missing(monkeypatch, tmp_path):
    told = {}
    monkeypatch.setattr(sd3, "train", lambda **options: told.update(options))
    arguments = ["--out", str(tmp_path), "--work", "there", "--steps", "3", "--pages", "8"]
    monkeypatch.setattr("sys.argv", ["train", "sd3", *arguments])
    command.main(command.parse())
    assert told["recipe"] == replace(sd3.RECIPE, steps=3)
    assert (told["out"], told["work"], told["pages"]) == (tmp_path, Path("there"), 8)
    monkeypatch.setattr("sys.argv", ["evaluate", "--sd3", str(tmp_path), "--count", "1"])
    with pytest.raises(FileNotFoundError, match=r"holds no pipeline.*sdlearn.train sd3"):
        evaluating.main()
