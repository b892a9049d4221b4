"""Adapters: what is distilled, what control sees, and that plain diffusers reads what is saved."""

import shutil
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import WIDTH, small_unet
from diffusers import (
    ControlNetModel,
    LCMScheduler,
    StableDiffusionControlNetPipeline,
    StableDiffusionPipeline,
)
from PIL import Image
from torch.testing import assert_close

from sdlearn._support.paths import TINY
from sdlearn.adapters import with_lora, with_word
from sdlearn.compression import decode
from sdlearn.denoising import ddim_step, guided
from sdlearn.evaluate import adapters as evaluation
from sdlearn.evaluate.adapters import with_few_steps
from sdlearn.evaluate.judge import load_judge
from sdlearn.evaluate.samples import captions, generate, shares, unseen_scenes, verdicts
from sdlearn.loading import load
from sdlearn.noising import Schedule
from sdlearn.picturebook import masks, scene_at
from sdlearn.pipeline import text_to_latents
from sdlearn.text import pieces
from sdlearn.train import __main__ as command
from sdlearn.train import control, few_steps, inversion, lora
from sdlearn.train.adapters import Frozen
from sdlearn.train.loop import Moment
from sdlearn.train.unet import Pages, make_scheduler

SCHEDULE = Schedule.of(make_scheduler())
NO_CAPTION = torch.zeros(1, 7, WIDTH)


def batch(count=5):
    generator = torch.Generator().manual_seed(0)
    numbers = [torch.randn(count, 4, 8, 16, generator=generator) for _ in range(2)]
    return numbers[0], numbers[1].abs(), torch.randn(count, 7, WIDTH, generator=generator)


def consistency():
    torch.manual_seed(0)
    return few_steps.Consistency(small_unet(), SCHEDULE, NO_CAPTION)


def controlled():
    torch.manual_seed(0)
    return control.Controlled(small_unet(), SCHEDULE, NO_CAPTION)


# --- few steps ------------------------------------------------------------------------------------


def test_the_teacher_takes_one_step_of_ddim_with_guidance():
    objective = consistency()
    noisy, _, states = batch(3)
    t = torch.tensor([999, 519, 19])
    stepped = objective.teachers_step(noisy, t, t - 20, states)
    bars = torch.cat([SCHEDULE.alpha_bars, torch.ones(1)])
    for one, at, reads, result in zip(noisy, t.tolist(), states, stepped, strict=True):
        with torch.no_grad():
            without, with_text = (
                objective.teacher(one[None], at, text[None]).sample
                for text in (NO_CAPTION[0], reads)
            )
        predicted = guided(without, with_text, few_steps.GUIDANCE)
        before = bars[at - 20] if at >= 20 else torch.tensor(1.0)
        assert_close(
            result[None], ddim_step(one[None], predicted, bars[at], before), rtol=1e-4, atol=1e-4
        )


def test_without_noise_the_student_answers_with_its_input():
    objective, (clean, _, states) = consistency(), batch()
    at_the_end = torch.full((len(clean),), -1)
    assert_close(objective.clean(clean, at_the_end, states), clean)


def test_a_fresh_lora_predicts_what_the_teacher_does_and_only_it_is_trained():
    objective, (noisy, _, states) = consistency(), batch()
    t = torch.tensor([19, 99, 499, 799, 999])
    assert_close(
        objective.unet(noisy, t, states).sample, objective.teacher(noisy, t, states).sample
    )
    objective(*batch())["loss"].backward()
    moved = {n for n, p in objective.named_parameters() if p.grad is not None and p.grad.any()}
    assert moved
    assert all("lora_B" in name for name in moved)  # A's gradient is a product with B = 0
    assert {n for n, p in objective.named_parameters() if p.requires_grad} == {
        n for n, _ in objective.named_parameters() if "lora_" in n
    }


def test_a_student_that_knows_the_picture_has_no_loss(monkeypatch):
    """Along a straight way both ends of a step lead to the same picture, whatever the step."""
    objective, (clean, spread, states) = consistency(), batch()

    def perfect(sample, t, states):
        signal, sigma = (
            values[t, None, None, None] for values in (objective.signal, objective.sigma)
        )
        count = len(sample) // len(clean)
        return type("Out", (), {"sample": (sample - signal * clean.repeat(count, 1, 1, 1)) / sigma})

    monkeypatch.setattr(objective.unet, "forward", perfect)
    monkeypatch.setattr(objective.teacher, "forward", perfect)
    assert objective(clean, 0 * spread, states)["loss"].item() < 2e-3


def test_a_step_goes_down_by_the_stride_or_to_the_picture(monkeypatch):
    objective, told = consistency(), []

    def step(noisy, t, before, states):
        told.append((t, before))
        return noisy

    monkeypatch.setattr(objective, "teachers_step", step)
    torch.manual_seed(0)
    for _ in range(20):
        objective(*batch())
    t, before = (torch.cat(times) for times in zip(*told, strict=True))
    assert_close(before, torch.where(t < few_steps.STRIDE, -1, t - few_steps.STRIDE))
    assert t.min() < few_steps.STRIDE < 900 < t.max() < 1000


# --- control --------------------------------------------------------------------------------------


def test_fresh_control_changes_nothing_and_only_control_is_trained():
    objective, (noisy, spread, states) = controlled(), batch()
    mask, t = torch.rand(5, 3, 64, 128), torch.tensor([1, 200, 500, 800, 999])
    with torch.no_grad():
        plain = objective.unet(noisy, t, states).sample
        assert_close(objective.predict(noisy, t, states, mask), plain)
    objective(noisy, spread, states, shown=mask)["loss"].backward()
    moved = {n for n, p in objective.named_parameters() if p.grad is not None and p.grad.any()}
    assert moved
    assert all(name.startswith("control.") for name in moved)


def test_the_masks_are_those_of_the_pages_exact_or_rough():
    rng, shares = np.random.default_rng(0), []
    for page in range(40):
        exact = masks(scene_at(page), control.SIZE).max(axis=0) > 0.5
        drawn = control.mask_of(page, rng) > 127
        assert (exact & drawn).sum() > 0.6 * exact.sum(), page
        shares.append((exact == drawn).mean())
    assert 0.3 < np.mean(np.array(shares) == 1) < 0.7
    assert min(shares) > 0.75


def test_pages_latents_states_and_masks_belong_together():
    latents = torch.arange(6.0).reshape(6, 1, 1, 1, 1).expand(6, 2, 4, 8, 8).half()
    states = torch.arange(6.0).reshape(6, 1, 1).half()
    frozen = Frozen(loaded(), Pages(latents, torch.ones(6)), states, NO_CAPTION)
    torch.manual_seed(0)
    made = control.with_masks(frozen, 8, Moment(0, 0, 0.0))
    pages = made["mean"][:, 0, 0, 0].int().tolist()
    assert len(set(pages)) > 2
    assert_close(made["states"][:, 0, 0], made["mean"][:, 0, 0, 0])
    for page, mask in zip(pages, made["shown"], strict=True):
        exact = torch.from_numpy(masks(scene_at(page), control.SIZE).max(axis=0)) > 0.5
        assert (exact & (mask[0] > 0.5)).sum() > 0.6 * exact.sum()
    assert made["shown"].shape == (8, 3, control.SIZE, control.SIZE)


def test_edges_of_things_are_those_of_the_page_near_them():
    for page in range(12):
        everywhere, of_things = control.both_edges(page)
        things = masks(scene_at(page), control.SIZE).max(axis=0) > 0.5
        assert not (of_things & ~everywhere).any()
        assert (of_things[things] == everywhere[things]).all()
        rows, columns = np.nonzero(of_things)
        grown = np.pad(things, control.AROUND)
        windows = np.lib.stride_tricks.sliding_window_view(grown, (2 * control.AROUND + 1,) * 2)
        assert windows.any(axis=(2, 3))[rows, columns].all()
        assert of_things.sum() > 100


def test_pages_and_edges_belong_together_and_some_are_thick():
    latents = torch.arange(6.0).reshape(6, 1, 1, 1, 1).expand(6, 2, 4, 8, 8).half()
    frozen = Frozen(loaded(), Pages(latents, torch.ones(6)), torch.zeros(6, 1, 1), NO_CAPTION)
    edges = torch.zeros(6, 2, 32, 32, dtype=torch.uint8)
    for page in range(6):  # a point in the column of its page, in the row of the kind of edges
        edges[page, 0, 4, 2 + 5 * page] = edges[page, 1, 20, 2 + 5 * page] = 1
    torch.manual_seed(0)
    made = control.with_edges(frozen, edges, 64, Moment(0, 0, 0.0))
    assert made["shown"].shape == (64, 3, 32, 32)
    seen = set()
    for page, shown in zip(made["mean"][:, 0, 0, 0].int().tolist(), made["shown"], strict=True):
        rows, columns = shown[0].nonzero(as_tuple=True)
        assert columns.float().mean() == 2 + 5 * page
        assert torch.equal(shown[0], shown[2])
        seen.add((rows.float().mean().item(), len(rows)))
    assert seen == {(4, 1), (4, 9), (20, 1), (20, 9)}


def test_half_of_the_captions_are_dropped_for_edges_and_few_for_masks(monkeypatch):
    """Without captions, the lines must say what things are."""
    dropouts = {}

    def note(objective, *_, **__):
        dropouts[objective.dropout] = True
        raise InterruptedError

    monkeypatch.setattr(control, "fit", note)
    frozen = Frozen(loaded(), Pages(torch.zeros(1), torch.ones(1)), torch.zeros(1), NO_CAPTION)
    monkeypatch.setattr(control.Frozen, "load", lambda *_: frozen)
    for train in (control.train, control.train_edges):
        with pytest.raises(InterruptedError):
            train(TINY, Path("work"), pages=1)
    assert list(dropouts) == [0.1, 0.5]


# --- LoRA -----------------------------------------------------------------------------------------


def adapted():
    torch.manual_seed(0)
    return lora.Adapted(small_unet(), SCHEDULE, NO_CAPTION)


def test_a_fresh_lora_changes_nothing_and_only_it_is_trained():
    objective, (noisy, spread, states) = adapted(), batch()
    t = torch.tensor([1, 200, 500, 800, 999])
    with torch.no_grad():
        ours = objective.predict(noisy, t, states)
        objective.unet.disable_adapters()
        assert_close(ours, objective.predict(noisy, t, states))
        objective.unet.enable_adapters()
    objective(noisy, spread, states)["loss"].backward()
    moved = {n for n, p in objective.named_parameters() if p.grad is not None and p.grad.any()}
    assert moved
    assert all("lora_B" in name for name in moved)


def test_a_lora_changes_attention_and_convolutions():
    names = [name for name, p in adapted().named_parameters() if p.requires_grad]
    for layer in ("attn1.to_q", "attn2.to_v", "proj_in", "ff.net.2", "conv1", "upsamplers.0.conv"):
        assert any(f"{layer}.lora_A" in name for name in names), layer
    assert not any(name.startswith(("conv_in", "conv_out")) for name in names)


def test_a_quarter_of_a_batch_are_ordinary_pages():
    def frozen(value):
        latents = torch.full((6, 2, 4, 8, 8), value).half()
        pages = Pages(latents, torch.ones(6))
        return Frozen(loaded(), pages, torch.full((6, 7, WIDTH), value), NO_CAPTION)

    made = lora.mixed(frozen(1.0), frozen(2.0), 8, Moment(0, 0, 0.0))
    for name in ("mean", "spread", "states"):
        assert made[name].flatten(1)[:, 0].tolist() == [1.0] * 6 + [2.0] * 2, name


# --- textual inversion ----------------------------------------------------------------------------


def test_only_the_last_row_is_trained(random_model):
    torch.manual_seed(0)
    encoder = deepcopy(random_model.text_encoder)
    objective = inversion.OneRow(small_unet(), SCHEDULE, NO_CAPTION, encoder)
    before = {name: values.clone() for name, values in objective.state_dict().items()}
    mean, spread, _ = batch(3)
    tokens = torch.randint(len(objective.rows), (3, 7)).float()
    tokens[:, 2] = len(objective.rows) - 1
    optimizer = torch.optim.AdamW([objective.rows], lr=0.1, weight_decay=0)
    objective(mean, spread, tokens)["loss"].backward()
    assert not [
        n
        for n, p in objective.named_parameters()
        if p.grad is not None and n != "rows" and "embed" not in n
    ]
    optimizer.step()
    for name, values in objective.state_dict().items():
        if name.endswith(("rows", "token_embedding.weight")):
            assert_close(values[:-1], before[name][:-1])
            assert (values[-1] - before[name][-1]).abs().min() > 0.05
        else:
            assert torch.equal(values, before[name]), name


# --- from the command line to plain diffusers -----------------------------------------------------


TRAININGS = {
    "inversion": (inversion, "train", inversion.RECIPE),
    "lora": (lora, "train_thing", lora.RECIPE),
    "style": (lora, "train_style", lora.STYLE),
    "few-steps": (few_steps, "train", few_steps.RECIPE),
    "control": (control, "train", control.RECIPE),
    "edges": (control, "train_edges", control.RECIPE),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Every adapter after two steps on the small model, beside a copy of it."""
    home = tmp_path_factory.mktemp("adapters")
    shutil.copytree(TINY, home / "tiny-sd")
    for module, train, recipe in TRAININGS.values():
        recipe = replace(recipe, steps=2, batch=4)
        getattr(module, train)(home / "tiny-sd", home / "work", recipe=recipe, pages=16)
    return home / "adapters"


@pytest.mark.parametrize("part", TRAININGS)
def test_the_command_trains_an_adapter_with_what_it_was_told(part, monkeypatch, tmp_path):
    told, (module, train, recipe) = {}, TRAININGS[part]
    monkeypatch.setattr(module, train, lambda **options: told.update(options))
    arguments = ["--out", str(tmp_path), "--work", "there", "--steps", "3", "--pages", "8"]
    monkeypatch.setattr("sys.argv", ["train", part, *arguments])
    command.main(command.parse())
    assert told["recipe"] == replace(recipe, steps=3)
    assert (told["out"], told["work"], told["pages"]) == (tmp_path, Path("there"), 8)


def loaded(kind=StableDiffusionPipeline, **more):
    pipeline = kind.from_pretrained(TINY, safety_checker=None, **more)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def drawn(pipeline, **options):
    noise = torch.Generator().manual_seed(0)
    size = {"height": 128, "width": 128}
    made = pipeline("a red house", **size, generator=noise, output_type="np", **options)
    return made.images[0]


def test_what_few_steps_saved_is_read_by_plain_diffusers(trained):
    pipeline = loaded()
    pipeline.scheduler = LCMScheduler.from_config(pipeline.scheduler.config)
    plain = drawn(pipeline, num_inference_steps=2, guidance_scale=1)
    pipeline.load_lora_weights(trained / "few-steps")
    changed = drawn(pipeline, num_inference_steps=2, guidance_scale=1)
    assert 1e-4 < np.abs(changed - plain).mean() < 0.3
    pipeline.unload_lora_weights()
    assert_close(drawn(pipeline, num_inference_steps=2, guidance_scale=1), plain)


@pytest.mark.parametrize("name", ["masks", "edges"])
def test_what_control_saved_is_read_by_plain_diffusers(trained, name):
    network = ControlNetModel.from_pretrained(trained / name)
    assert network.dtype == torch.float32
    pipeline = loaded(StableDiffusionControlNetPipeline, controlnet=network)
    mask = Image.new("RGB", (128, 128), "white")
    options = {"image": mask, "num_inference_steps": 2}
    strong = drawn(pipeline, **options, controlnet_conditioning_scale=1.0)
    none = drawn(pipeline, **options, controlnet_conditioning_scale=0.0)
    assert 1e-5 < np.abs(strong - none).mean() < 0.3
    assert_close(none, drawn(loaded(), num_inference_steps=2), rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["rocket", "pencil"])
def test_what_a_lora_saved_is_read_by_plain_diffusers_and_by_us(tiny, trained, name):
    pipeline = loaded()
    plain = drawn(pipeline, num_inference_steps=2)
    pipeline.load_lora_weights(trained / name)
    theirs = drawn(pipeline, num_inference_steps=2)
    assert 1e-5 < np.abs(theirs - plain).mean() < 0.3
    assert_close(two_steps(with_lora(tiny, trained / name)), theirs, rtol=0, atol=2e-3)
    assert_close(two_steps(tiny), plain, rtol=0, atol=2e-3)


def two_steps(model, prompt="a red house"):
    *_, last = text_to_latents(model, prompt, size=128, steps=2, guidance=7.5, seed=0)
    return (decode(model.vae, last.latents)[0].permute(1, 2, 0).clamp(-1, 1) / 2 + 0.5).numpy()


def test_what_inversion_saved_is_read_by_plain_diffusers_and_by_us(tiny, trained):
    pipeline, prompt = loaded(), "a <mimo> in the snow"
    pipeline.load_textual_inversion(trained / "mimo")
    noise = torch.Generator().manual_seed(0)
    options = {"height": 128, "width": 128, "num_inference_steps": 2, "output_type": "np"}
    theirs = pipeline(prompt, generator=noise, **options).images[0]
    ours = with_word(tiny, trained / "mimo")
    assert_close(two_steps(ours, prompt), theirs, rtol=0, atol=2e-3)
    assert [piece.piece for piece in pieces(ours.tokenizer, "a <mimo>")][2] == "<mimo>"
    assert len(ours.tokenizer) == len(tiny.tokenizer) + 1
    assert_close(two_steps(ours), two_steps(tiny))  # prompts without the word


def test_two_loras_add_up_and_their_strengths_can_be_set(tiny, trained):
    one = with_lora(tiny, trained / "rocket")
    both = with_lora(one, trained / "pencil")
    other = with_lora(tiny, trained / "pencil")
    layers = [dict(model.unet.named_modules()) for model in (tiny, one, other, both)]
    name = next(name for name in layers[1] if name.endswith("attn1.to_q"))
    x = torch.randn(3, layers[0][name].in_features)
    with torch.no_grad():
        plain, first, second, sum_ = (of[name](x) for of in layers)
        assert_close(sum_ - plain, (first - plain) + (second - plain))
        both.unet.set_adapters(["rocket", "pencil"], [0.5, 0.0])
        assert_close(layers[3][name](x) - plain, 0.5 * (first - plain))
        assert_close(layers[1][name](x), first)  # the model that was given stays as it is


@pytest.mark.bad_input
@pytest.mark.parametrize("add", [with_lora, with_word], ids=["lora", "word"])
def test_what_does_not_fit_is_refused_in_a_sentence(tiny, trained, tmp_path, capfd, add):
    wrong = trained / ("mimo" if add is with_lora else "rocket")
    with pytest.raises(ValueError, match=f"folder: .*{wrong.name}.*"):
        add(tiny, wrong)
    with pytest.raises(FileNotFoundError, match=r"should be a file with an adapter, or hold one"):
        add(tiny, tmp_path)
    right = trained / ("rocket" if add is with_lora else "mimo")
    with pytest.raises(ValueError, match="already"):
        add(add(tiny, right), right)
    narrow = replace(tiny, unet=small_unet())
    if add is with_lora:
        with pytest.raises(ValueError, match="only fits the model it was made for"):
            add(narrow, right)
    assert "size mismatch" not in capfd.readouterr().err


@pytest.fixture(scope="module")
def tiny():
    return load("tiny", device="cpu")


def test_the_model_with_the_lora_draws_what_plain_diffusers_draws(tiny, trained):
    before = {name: values.clone() for name, values in tiny.unet.state_dict().items()}
    few = with_few_steps(tiny, trained / "few-steps")
    assert isinstance(few.scheduler, LCMScheduler)
    assert (few.default_steps, few.default_guidance) == (4, 1.0)
    *_, last = text_to_latents(few, "a red house", size=128, steps=1, seed=0)
    ours = decode(tiny.vae, last.latents)[0].permute(1, 2, 0).clamp(-1, 1) / 2 + 0.5
    pipeline = loaded()
    pipeline.load_lora_weights(trained / "few-steps")
    pipeline.scheduler = LCMScheduler.from_config(pipeline.scheduler.config)
    theirs = drawn(pipeline, num_inference_steps=1, guidance_scale=1)
    assert_close(ours, torch.from_numpy(theirs), rtol=0, atol=2e-3)
    after = tiny.unet.state_dict()
    assert all(torch.equal(after[name], values) for name, values in before.items())


def test_every_row_of_the_table_is_measured(tiny, trained):
    few = with_few_steps(tiny, trained / "few-steps")
    rows = list(evaluation.compare_few_steps(tiny, few, load_judge(), 2))
    assert {len(row) for row in rows} == {len(evaluation.HEAD)}
    assert [row[3] for row in rows] == ["4", "8", "16", "24", *"1248", *"1248"]


def test_the_shipped_lora_draws_in_one_call_what_the_model_cannot(tiny):
    judge, scenes = load_judge(), unseen_scenes(12, held_out=False)

    def right(model):
        pixels = generate(model, captions(scenes), seed=0, size=256, steps=1, guidance=1.0)
        return shares(verdicts(judge, scenes, pixels))["whole"].right

    assert right(with_few_steps(tiny)) >= right(tiny) + 3


def test_a_folder_without_a_lora_is_named(tiny, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"should be a file with an adapter.*sdlearn.train"):
        with_few_steps(tiny, tmp_path)
