"""Training: a killed run continues unchanged, on one process or two; losses are as described."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from conftest import WIDTH, small_unet
from safetensors.torch import load_file
from torch.testing import assert_close

from sdlearn.loading import load
from sdlearn.noising import Schedule, add_noise
from sdlearn.picturebook.pages import JUDGE, TRAIN, TWIN, scene_at
from sdlearn.pipeline import text_to_image
from sdlearn.train import plans
from sdlearn.train import unet as unet_training
from sdlearn.train.clip import Objective as ClipObjective
from sdlearn.train.data import how_often, pictures
from sdlearn.train.judge import targets
from sdlearn.train.loop import (
    EAGER,
    KernelMuon,
    Moment,
    Recipe,
    fit,
    learning_rate_at,
    make_optimizers,
)
from sdlearn.train.plans import ON_CPU, ON_GPU, plan_for
from sdlearn.train.shipping import save_half
from sdlearn.train.unet import Pages, latents_with_text, make_scheduler
from sdlearn.train.vae import Objective as VaeObjective
from sdlearn.train.vae import adopt_scaling_factor, crops, make

RECIPE = Recipe(steps=8, batch=4, learning_rate=0.01, warmup=2)


class Line(torch.nn.Module):
    """Learns y = 2x and adds its own noise, so that random numbers matter too."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(3))

    def forward(self, x):
        return {"loss": (self.weight * x - 2 * x + 0.1 * torch.randn_like(x)).square().mean()}


def batch_at(moment):
    return {"x": torch.full((4, 3), float(moment.step + 1)) + 0.1 * torch.rand(3)}


class Plane(torch.nn.Module):
    """Learns with a matrix, large enough for Muon, and also adds its own noise."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(5, 6))
        self.shift = torch.nn.Parameter(torch.zeros(5))

    def forward(self, x):
        return {
            "loss": (self.weight.sum(dim=1) + self.shift - x.mean() + 0.1 * torch.randn(5))
            .square()
            .mean()
        }


@pytest.mark.parametrize(("model", "recipe"), [(Line, RECIPE), (Plane, replace(RECIPE, muon=True))])
def test_a_killed_run_ends_where_an_unbroken_one_does(tmp_path, model, recipe):
    unbroken = fit(model(), batch_at, recipe, tmp_path / "unbroken", save_every=3)

    def killed_at(moment):
        if moment.step == 5:
            raise KeyboardInterrupt
        return batch_at(moment)

    with pytest.raises(KeyboardInterrupt):
        fit(model(), killed_at, recipe, tmp_path / "broken", save_every=3)
    (tmp_path / "broken" / "unfinished").mkdir()
    resumed = fit(model(), batch_at, recipe, tmp_path / "broken", save_every=3)
    assert torch.equal(unbroken.weight, resumed.weight)
    assert not (tmp_path / "broken" / "unfinished").exists()


def test_a_finished_run_is_not_trained_again(tmp_path):
    first = fit(Line(), batch_at, RECIPE, tmp_path)
    again = fit(Line(), lambda *_: pytest.fail("trained again"), RECIPE, tmp_path)
    assert torch.equal(first.weight, again.weight)


def test_the_log_holds_the_losses(tmp_path):
    fit(Line(), batch_at, RECIPE, tmp_path)
    last = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert last["step"] == RECIPE.steps
    assert last["loss"] > 0


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    with pytest.raises(FloatingPointError, match="the loss of run is nan at step 8"):
        fit(Line(), lambda *_: {"x": torch.tensor([float("nan")] * 3)}, RECIPE, tmp_path / "run")


def test_the_learning_rate_warms_up_and_ends_near_zero():
    recipe = Recipe(steps=100, batch=1, learning_rate=1.0, warmup=10)
    rates = [learning_rate_at(step, step / 100, recipe) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0, abs=0.03)
    assert rates[-1] < 0.001


def run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.skipif(
    os.name == "nt", reason="PyTorch's rendezvous needs libuv, which its Windows wheels lack"
)
def test_two_processes_make_a_model_from_nothing(tmp_path):
    """`all` trains everything for two steps on two CPU processes, and the result can draw.

    Each process has its own batches. Afterwards `accelerate launch` trains the U-Net further, in
    another folder, as lesson 07 describes.
    """
    out, work = tmp_path / "out", tmp_path / "work"
    few = ["--steps", "2", "--batch", "2", "--pages", "16", "--work"]
    two = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    run([*two, "-m", "sdlearn.train", "all", *few, str(work), "--out", str(out)])
    for part in ("clip", "vae", "unet-128", "unet-256", "unet-512", "judge"):
        assert json.loads((work / part / "log.jsonl").read_text().splitlines()[-1])["step"] == 2
        assert len(list((work / part / "step-0000002").glob("random_states_*.pkl"))) == 2
    assert text_to_image(load(str(out), device="cpu"), "a red house", size=128, steps=2).size == (
        128,
        128,
    )
    assert (tmp_path / "judge" / "judge.safetensors").exists()
    assert len(list((tmp_path / "families").glob("*.safetensors"))) == 5
    assert len(list((tmp_path / "families").glob("*.jpg"))) == 6

    launch, mine = (
        [sys.executable, "-m", "accelerate.commands.launch", "--cpu"],
        str(tmp_path / "mine"),
    )
    more = [
        "unet",
        "--from",
        str(out),
        "--out",
        mine,
        "--sizes",
        "128",
        *few,
        str(tmp_path / "more"),
    ]
    run([*launch, "-m", "sdlearn.train", *more])
    before, after = (
        load_file(f"{folder}/unet/diffusion_pytorch_model.safetensors") for folder in (out, mine)
    )
    assert any((before[name] != after[name]).any() for name in before)
    assert text_to_image(load(mine, device="cpu"), "a red house", size=128, steps=2).size == (
        128,
        128,
    )


# --- optimizers -----------------------------------------------------------------------------------


def test_muon_in_batches_is_torchs_muon_one_by_one(monkeypatch):
    """Wide and tall kernels have the same weights after every step, and so the same momentum.

    In float32: some processors round products of bfloat16 differently in a batch.
    """
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.float)
    torch.manual_seed(0)
    shapes = [(8, 6, 3, 3), (8, 6, 3, 3), (40, 7), (40, 7), (12, 12, 1, 1)]
    kernels = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
    matrices = [torch.nn.Parameter(kernel.detach().flatten(1).clone()) for kernel in kernels]
    ours = KernelMuon(kernels, lr=0.02, weight_decay=0.1)
    theirs = torch.optim.Muon(matrices, lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for _ in range(3):
        for kernel, matrix in zip(kernels, matrices, strict=True):
            kernel.grad = torch.randn_like(kernel)
            matrix.grad = kernel.grad.flatten(1).clone()
        ours.step()
        theirs.step()
        for kernel, matrix in zip(kernels, matrices, strict=True):
            assert_close(kernel.flatten(1), matrix)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_muon_turns_every_kernel_by_an_orthogonal_matrix(layout):
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(6, 8, 3, bias=False).to(memory_format=layout)
    before = conv.weight.detach().clone()
    muon = KernelMuon([conv.weight], lr=0.1, weight_decay=0.0)
    conv.weight.grad = torch.randn_like(before).contiguous(memory_format=layout)
    muon.step()
    change = (conv.weight.detach() - before).flatten(1)
    strengths = torch.linalg.svdvals(change) / (0.1 * 0.2 * (6 * 9) ** 0.5)
    assert ((strengths > 0.5) & (strengths < 1.5)).all()


def test_muon_follows_a_kernel_that_was_moved():
    """Accelerate may move a model's parameters when it prepares it for several processes."""
    linear = torch.nn.Linear(6, 5)
    muon = KernelMuon([linear.weight], lr=0.1)
    linear.weight.data = linear.weight.data.clone()
    before = linear.weight.detach().clone()
    linear.weight.grad = torch.randn(5, 6)
    muon.step()
    assert (linear.weight - before).abs().min() > 0


def test_every_parameter_has_one_optimizer():
    unet = small_unet().requires_grad_(True)
    trained = list(unet.parameters())
    adamw, muon = make_optimizers(trained, Recipe(1, 1, 1e-3, muon=True))
    held = [p for group in adamw.param_groups for p in group["params"]] + muon.kernels
    assert len(held) == len(trained)
    assert {id(p) for p in held} == {id(p) for p in trained}
    ends = {id(unet.conv_in.weight), id(unet.conv_out.weight)}
    assert not ends & {id(kernel) for kernel in muon.kernels}
    assert len(make_optimizers(trained, Recipe(1, 1, 1e-3))) == 1


def test_eager_parameters_are_trained_with_a_higher_rate():
    unet = small_unet().requires_grad_(True)
    trained, eager = list(unet.parameters()), [unet.conv_out.weight, unet.conv_out.bias]
    (adamw,) = make_optimizers(trained, Recipe(1, 1, 1e-3), eager)
    calm, quick = ([id(p) for p in group["params"]] for group in adamw.param_groups)
    assert quick == [id(p) for p in eager]
    assert sorted([*calm, *quick]) == sorted(id(p) for p in trained)


class Apart(torch.nn.Module):
    """Two numbers that are pushed alike."""

    def __init__(self):
        super().__init__()
        self.calm, self.eager = (torch.nn.Parameter(torch.zeros(1)) for _ in range(2))

    def forward(self, x):
        return {"loss": (self.calm + self.eager) * x.mean()}


def test_eager_parameters_go_as_many_times_as_far(tmp_path):
    objective = Apart()
    recipe = Recipe(3, 1, 1e-3, warmup=1, weight_decay=0.0, ema_decay=0.0)
    batch = {"x": torch.ones(1)}
    fit(objective, lambda moment: batch, recipe, tmp_path, eager=[objective.eager])
    assert objective.calm.item() < -1e-3
    assert objective.eager.item() == pytest.approx(EAGER * objective.calm.item(), rel=1e-3)


# --- data -----------------------------------------------------------------------------------------


def test_drawn_pages_are_cached_and_true(tmp_path):
    store = pictures(tmp_path, 3, 32)
    assert store.shape == (3, 32, 32, 3)
    assert (pictures(tmp_path, 3, 32) == store).all()
    assert len({page.tobytes() for page in store}) == 3


def test_books_do_not_share_pages():
    assert all(scene_at(page, TRAIN) != scene_at(page, JUDGE) for page in range(50))
    assert all(scene_at(page, TWIN).caption != scene_at(page, TRAIN).caption for page in range(30))


def test_the_judges_targets_stand_at_the_things():
    scene = scene_at(1, JUDGE)
    kinds, colours, _ = targets(scene)
    assert (kinds == 1).sum() == len(scene.things)
    assert (colours >= 0).any()


# --- losses ---------------------------------------------------------------------------------------


def test_the_noise_loss_is_the_squared_error_where_it_counts():
    """Together, the frequency of a timestep and the weight of its error give the loss of v.

    The frequency is proportional to min(SNR, 5)/SNR · 1/√ᾱ, and the weight to 1/√ᾱ.
    """
    schedule = Schedule.of(make_scheduler())
    objective = unet_training.Objective(small_unet(), schedule, torch.zeros(77, WIDTH))
    drawn = []

    def predict(sample, t, states):
        drawn.append(t)
        return type("Out", (), {"sample": torch.zeros_like(sample)})

    objective.unet.forward = predict
    torch.manual_seed(0)
    mean = torch.zeros(20_000, 4, 2, 2)
    losses = objective(mean, mean, torch.zeros(20_000, 1, 1))
    assert losses["error"] == pytest.approx(1, abs=0.03)
    assert losses["loss"] == pytest.approx(1, abs=0.03)
    assert_close(
        objective.weight[900] / objective.weight[100],
        (schedule.sqrt_alpha_bars[100] / schedule.sqrt_alpha_bars[900]),
    )
    weight = schedule.snr.clamp(max=5) / schedule.snr / schedule.sqrt_alpha_bars
    easy = schedule.snr > 20
    expected = (weight[easy].sum() / weight.sum()).item()
    assert easy[drawn[0]].float().mean() == pytest.approx(expected, abs=0.01)
    assert expected < 0.5 * easy.float().mean()


def test_what_the_unet_is_shown_in_training_is_the_closed_form():
    schedule, seen = Schedule.of(make_scheduler()), {}
    objective = unet_training.Objective(small_unet(), schedule, torch.zeros(77, WIDTH))

    def predict(sample, t, states):
        seen.update(sample=sample, t=t)
        return type("Out", (), {"sample": torch.zeros_like(sample)})

    objective.unet.forward = predict
    mean, spread = torch.randn(6, 4, 2, 3), torch.rand(6, 4, 2, 3)
    torch.manual_seed(3)
    objective(mean, spread, torch.zeros(6, 1, 1))
    torch.manual_seed(3)
    latents, noise = mean + spread * torch.randn_like(mean), torch.randn_like(mean)
    assert len(seen["t"].unique()) > 1
    assert_close(seen["sample"], add_noise(schedule, latents, seen["t"], noise))


def test_every_other_step_is_at_half_the_size_but_for_the_last():
    stores = {
        side * 8: Pages(torch.zeros(50, 2, 4, side, side).half(), torch.ones(50))
        for side in (32, 64)
    }
    states = torch.zeros(50, 77, WIDTH)

    def shape(size, step):
        return latents_with_text(stores, states, size, 3, Moment(step, 0, progress=step / 10))[
            "mean"
        ].shape

    assert [shape(512, step) for step in range(10)] == 4 * [(3, 4, 64, 64), (12, 4, 32, 32)] + 2 * [
        (3, 4, 64, 64)
    ]
    assert shape(256, 3) == (3, 4, 32, 32)


def test_latents_and_states_of_a_batch_are_of_the_same_pages_drawn_as_often_as_asked():
    numbers = torch.arange(4.0)
    latents = numbers.reshape(4, 1, 1, 1, 1).expand(4, 2, 4, 2, 2).half()
    pages = Pages(latents, torch.tensor([0.0, 1.0, 1.0, 2.0]))
    torch.manual_seed(0)
    batch = pages.pick(2000, numbers.reshape(4, 1, 1).half())
    picked = batch["states"].flatten()
    assert torch.equal(batch["mean"][:, 0, 0, 0], picked)
    assert torch.equal(batch["spread"][:, 3, 1, 1], picked)
    assert_close(
        picked.long().bincount(minlength=4) / 2000,
        torch.tensor([0, 0.25, 0.25, 0.5]),
        atol=0.03,
        rtol=0,
    )


def test_how_often_a_page_is_seen():
    often, scenes = how_often(400), [scene_at(page) for page in range(400)]
    assert often.sum() == pytest.approx(1)
    ordered = np.array([scene.relation in ("left of", "right of") for scene in scenes])
    assert 0 < ordered.sum() < 400
    np.testing.assert_allclose(often[ordered], 2 * often[~ordered][0])
    np.testing.assert_allclose(often[~ordered], often[~ordered][0])
    single = np.array([len(scene.things) == 1 for scene in scenes])
    np.testing.assert_allclose(
        how_often(400, single=2)[single], how_often(400, single=2)[ordered][0]
    )


def test_one_caption_in_ten_is_dropped():
    seen = []
    objective = unet_training.Objective(
        small_unet(), Schedule.of(make_scheduler()), torch.full((1, 1), -1.0)
    )
    objective.unet.forward = lambda sample, t, states: (
        seen.append(states) or type("Out", (), {"sample": torch.zeros_like(sample)})
    )
    mean = torch.zeros(5000, 1, 1, 1)
    objective(mean, mean, torch.ones(5000, 1, 1))
    assert (seen[0] == -1).float().mean() == pytest.approx(0.1, abs=0.015)


def test_training_only_the_decoder_leaves_the_latents_alone():
    vae = make()
    before = {name: value.clone() for name, value in vae.state_dict().items()}
    objective = VaeObjective(vae, decoder_only=True)
    objective(torch.rand(1, 3, 32, 48))["loss"].backward()
    torch.optim.SGD([p for p in objective.parameters() if p.grad is not None], lr=0.1).step()
    for name, value in vae.state_dict().items():
        fixed = name.startswith(("encoder", "quant_conv"))
        assert torch.equal(value, before[name]) or not fixed, name
    assert not torch.equal(vae.decoder.conv_out.weight, before["decoder.conv_out.weight"])


def test_crops_are_pictures_in_range(tmp_path):
    pixels = crops(pictures(tmp_path, 2, 512), 6, Moment(0, 0, 0.0))["pixels"]
    assert pixels.shape == (6, 3, 128, 128)
    assert -1 <= pixels.min() < -0.1 < 0.1 < pixels.max() <= 1


@pytest.mark.bad_input  # the stand-in for CLIP is not a CLIPModel
def test_clips_temperature_is_clipped_and_its_hits_are_counted():
    class Given(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.logit_scale = torch.nn.Parameter(torch.tensor(9.0))

    clip = Given()
    objective = ClipObjective(clip)
    logits = torch.randn(5, 5)
    clip.forward = lambda **_: type("Out", (), {"logits_per_image": logits, "loss": logits.sum()})
    output = objective(torch.zeros(5, 1), torch.zeros(5, 1))
    assert_close(output["temperature"], torch.tensor(0.01))
    assert output["top1"].mean() == (logits.argmax(1) == torch.arange(5)).float().mean()


def test_shipped_configurations_name_no_folder(tmp_path):
    small_unet().save_pretrained(tmp_path / "from")
    save_half(type(small_unet()).from_pretrained(tmp_path / "from"), tmp_path / "to")
    assert "_name_or_path" not in (tmp_path / "to" / "config.json").read_text()
    assert type(small_unet()).from_pretrained(tmp_path / "to").config.cross_attention_dim == WIDTH


def test_attention_in_cache_is_the_librarys_forward_and_backward(monkeypatch):
    """Few scores fit, so the heads are split into several groups.

    The sides differ, and the text has another length than the picture.
    """
    monkeypatch.setattr(plans.InCache, "SCORES", 100)
    found = {}
    for suited in (False, True):
        unet = small_unet().requires_grad_(True)
        if suited:
            plans.suit_bfloat16(unet)
        generator = torch.Generator().manual_seed(0)
        latents = torch.randn(3, 4, 6, 10, generator=generator)
        states = torch.randn(3, 7, WIDTH, generator=generator)
        out = unet(latents, torch.tensor([5, 500, 900]), states).sample
        out.square().sum().backward()
        found[suited] = {name: p.grad for name, p in unet.named_parameters()} | {"out": out}
    assert_close(found[True], found[False], rtol=1e-4, atol=1e-4)


def test_latents_of_another_encoder_are_not_read():
    names = set()
    for seed in (0, 1):
        torch.manual_seed(seed)
        vae = make()
        names |= {unet_training.weights_hash(vae.encoder), unet_training.weights_hash(vae.encoder)}
    assert len(names) == 2


def test_the_autoencoder_takes_another_scaling_factor_and_nothing_else_changes():
    """Scaled latents and decoded pictures stay the same; z itself becomes larger."""
    torch.manual_seed(0)
    vae = make().eval()
    vae.quant_conv.weight.data.normal_()
    vae.register_to_config(scaling_factor=0.5)
    pixels = torch.rand(2, 3, 32, 48) * 2 - 1
    found = []
    for factor in (None, 0.18215):
        if factor:
            adopt_scaling_factor(vae, factor)
        with torch.no_grad():
            posterior, scaling = vae.encode(pixels).latent_dist, vae.config.scaling_factor
            decoded = vae.decode(posterior.mean).sample
        found.append((posterior.mean * scaling, posterior.std * scaling, decoded))
        assert posterior.mean.std() * scaling == pytest.approx(found[0][0].std())
    for before, after in zip(*found, strict=True):
        assert_close(after, before, rtol=1e-4, atol=1e-5)
    assert vae.config.scaling_factor == 0.18215


# --- by the clock, and on a GPU -------------------------------------------------------------------


def test_a_run_by_the_clock_ends_with_it_and_a_stop_does_not_count(tmp_path, monkeypatch):
    """Every step takes 10 seconds, so one minute and two untimed steps make eight steps.

    A run that is stopped in between has two more, because two steps are untimed again.
    """
    now = [0.0]
    monkeypatch.setattr("sdlearn.train.loop.time.monotonic", lambda: now[0])
    recipe, seen = replace(RECIPE, minutes=1), []

    def tick(moment, until=None):
        if moment.step == until:
            raise KeyboardInterrupt
        seen.append(moment)
        now[0] += 10
        return {"x": torch.ones(4, 3)}

    fit(Line(), tick, recipe, tmp_path / "whole", save_every=3)
    assert [moment.step for moment in seen] == list(range(8))
    assert [round(moment.progress, 3) for moment in seen] == [
        0,
        0,
        0,
        *(round(k / 6, 3) for k in range(1, 6)),
    ]
    seen.clear()
    with pytest.raises(KeyboardInterrupt):
        fit(
            Line(), lambda moment: tick(moment, until=6), recipe, tmp_path / "stopped", save_every=3
        )
    now[0] += 1000
    fit(Line(), tick, recipe, tmp_path / "stopped", save_every=3)
    assert [moment.step for moment in seen] == list(range(10))
    again = fit(
        Line(), lambda _: pytest.fail("trained again"), recipe, tmp_path / "stopped", save_every=3
    )
    assert again.weight.isfinite().all()


def test_the_kind_of_machine_decides_the_plan_and_nothing_else_asks_for_it():
    assert plan_for(torch.device("cpu")) is ON_CPU
    assert plan_for(torch.device("cuda", 1)) is ON_GPU
    training = Path(plans.__file__).parent
    asks = {
        file.name for file in training.glob("*.py") if "cuda" in file.read_text(encoding="utf-8")
    }
    # __main__.py only tells Accelerate whether to look for a GPU
    assert asks == {"plans.py", "__main__.py"}


@pytest.mark.parametrize("free", [2**40, 10])
def test_what_fits_is_moved_to_the_gpu_and_what_does_not_stays(monkeypatch, free):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 2**41))
    values = torch.zeros(64)
    there = plans.move_if_it_fits(values, torch.device("meta"))
    assert there.device.type == ("meta" if free > 10 else "cpu")


def test_the_gpus_plan_trains_the_same_on_a_cpu(random_pipeline, tmp_path, monkeypatch, request):
    """Train four steps in bfloat16, compiled for each of two sizes, with everything in memory.

    Then train two more from the checkpoint: the latents are read and not drawn again, and the
    result can draw.
    """
    compiled = []

    def backend(graph, inputs):
        compiled.append(
            next(value.shape for value in inputs if value.ndim == 4 and value.shape[1] == 4)
        )
        return graph.forward

    monkeypatch.setattr(plans, "BACKEND", backend)
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", ON_GPU.precision)
    AcceleratorState._reset_state()
    request.addfinalizer(AcceleratorState._reset_state)
    out, work = tmp_path / "out", tmp_path / "work"
    random_pipeline.save_pretrained(out)
    # as training will save it, so that the latents count as those of the same encoder
    save_half(random_pipeline.vae, out / "vae")
    stage = replace(ON_GPU.stages[512], steps=4, batch=2)
    plan = replace(ON_GPU, stages={64: stage}, pages={32: 6, 64: 6}, keep=plans.stay)
    before = load_file(out / "unet" / "diffusion_pytorch_model.safetensors")
    unet_training.train(out, work, plan, start=out)
    assert {tuple(shape) for shape in compiled} == {(2, 4, 16, 16), (8, 4, 8, 8)}
    after = load_file(out / "unet" / "diffusion_pytorch_model.safetensors")
    assert before.keys() == after.keys()
    assert any((before[name] != after[name]).any() for name in before)
    log = [json.loads(line) for line in (work / "unet-64" / "log.jsonl").read_text().splitlines()]
    assert log[-1]["step"] == 4
    monkeypatch.setattr(unet_training, "draw_all", lambda *_: pytest.fail("drawn again"))
    unet_training.train(out, work, replace(plan, stages={64: replace(stage, steps=6)}), start=out)
    assert load(out).default_steps == unet_training.DRAWS_BEST_WITH["steps"]
    assert text_to_image(load(out, device="cpu"), "a red house", size=32, steps=2).size == (32, 32)
