"""Training: a killed run goes on as if nothing had happened, on one process or two; losses are what they say."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import WIDTH, small_unet
from safetensors.torch import load_file
from torch.testing import assert_close

from sdlearn.loading import load
from sdlearn.noising import Schedule
from sdlearn.pipeline import text_to_image
from sdlearn.train import unet as unet_training
from sdlearn.train.clip import Objective as ClipObjective
from sdlearn.train.data import JUDGE, TRAIN, TWIN, how_often, pictures, scene_at
from sdlearn.train.judge import targets
from sdlearn.train.loop import KernelMuon, Recipe, fit, learning_rate_at, make_optimizers
from sdlearn.train.shipping import save_half
from sdlearn.train.unet import make_scheduler
from sdlearn.train.vae import Objective as VaeObjective
from sdlearn.train.vae import crops, make

RECIPE = Recipe(steps=8, batch=4, learning_rate=0.01, warmup=2)


class Line(torch.nn.Module):
    """Learns y = 2x with noise of its own, so that random numbers matter too."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(3))

    def forward(self, x):
        return {"loss": (self.weight * x - 2 * x + 0.1 * torch.randn_like(x)).square().mean()}


def batch_at(step, process):
    return {"x": torch.full((4, 3), float(step + 1))}


class Plane(torch.nn.Module):
    """The same with a matrix, large enough to be Muon's."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(5, 6))
        self.shift = torch.nn.Parameter(torch.zeros(5))

    def forward(self, x):
        return {"loss": (self.weight.sum(dim=1) + self.shift - x.mean() + 0.1 * torch.randn(5)).square().mean()}


@pytest.mark.parametrize(("model", "recipe"), [(Line, RECIPE), (Plane, replace(RECIPE, muon=True))])
def test_a_killed_run_ends_where_an_unbroken_one_does(tmp_path, model, recipe):
    unbroken = fit(model(), batch_at, recipe, tmp_path / "unbroken", save_every=3)

    def killed_at(step, process):
        if step == 5:
            raise KeyboardInterrupt
        return batch_at(step, process)

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
    rates = [learning_rate_at(step, Recipe(steps=100, batch=1, learning_rate=1.0, warmup=10)) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0, abs=0.03)
    assert rates[-1] < 0.001


def run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.skipif(os.name == "nt", reason="PyTorch's rendezvous needs libuv, which its Windows wheels lack")
def test_two_processes_make_a_model_from_nothing(tmp_path):
    """`all`, two steps of everything on two CPU processes, each with its own batches: what comes out draws.

    And as lesson 07 says it: `accelerate launch` trains its U-Net further, in a folder of its own.
    """
    out, work = tmp_path / "out", tmp_path / "work"
    few = ["--steps", "2", "--batch", "2", "--pages", "16", "--work"]
    two = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    run([*two, "-m", "sdlearn.train", "all", *few, str(work), "--out", str(out)])
    for part in ("clip", "vae", "unet-128", "unet-256", "unet-512", "judge"):
        assert json.loads((work / part / "log.jsonl").read_text().splitlines()[-1])["step"] == 2
        assert len(list((work / part / "step-0000002").glob("random_states_*.pkl"))) == 2
    assert text_to_image(load(str(out), device="cpu"), "a red house", size=128, steps=2).size == (128, 128)
    assert (tmp_path / "judge" / "judge.safetensors").exists()
    assert len(list((tmp_path / "families").glob("*.safetensors"))) == 4

    launch, mine = [sys.executable, "-m", "accelerate.commands.launch", "--cpu"], str(tmp_path / "mine")
    more = ["unet", "--from", str(out), "--out", mine, "--sizes", "128", *few, str(tmp_path / "more")]
    run([*launch, "-m", "sdlearn.train", *more])
    before, after = (load_file(f"{folder}/unet/diffusion_pytorch_model.safetensors") for folder in (out, mine))
    assert any((before[name] != after[name]).any() for name in before)
    assert text_to_image(load(mine, device="cpu"), "a red house", size=128, steps=2).size == (128, 128)


# --- optimizers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_muon_turns_every_kernel_by_an_orthogonal_matrix(layout):
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(6, 8, 3, bias=False).to(memory_format=layout)
    before = conv.weight.detach().clone()
    muon = KernelMuon([conv.weight], lr=0.1, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
    conv.weight.grad = torch.randn_like(before).contiguous(memory_format=layout)
    muon.step()
    change = (conv.weight.detach() - before).flatten(1)
    strengths = torch.linalg.svdvals(change) / (0.1 * 0.2 * (6 * 9) ** 0.5)
    assert ((strengths > 0.5) & (strengths < 1.5)).all()


def test_muon_follows_a_kernel_that_was_moved():
    """As Accelerate moves the numbers of a model that it prepares for several processes."""
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
    """A timestep is seen min(SNR, 5)/SNR · 1/√ᾱ times as often as another, and its error weighs 1/√ᾱ: the loss of v."""
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
    assert_close(objective.weight[900] / objective.weight[100], (schedule.kept[100] / schedule.kept[900]))
    weight = schedule.snr.clamp(max=5) / schedule.snr / schedule.kept
    easy = schedule.snr > 20
    expected = (weight[easy].sum() / weight.sum()).item()
    assert easy[drawn[0]].float().mean() == pytest.approx(expected, abs=0.01)
    assert expected < 0.5 * easy.float().mean()


def test_every_other_step_is_at_half_the_size_but_for_the_last():
    stage = Recipe(steps=10, batch=3, learning_rate=1e-3)
    stores = {side * 8: np.zeros((50, 2, 4, side, side), np.float16) for side in (32, 64)}
    states = torch.zeros(50, 77, WIDTH)
    shapes = [
        unet_training.latents_with_text(stores, states, 512, stage, step, process=0)["mean"].shape for step in range(10)
    ]
    assert shapes == 4 * [(3, 4, 64, 64), (12, 4, 32, 32)] + 2 * [(3, 4, 64, 64)]
    assert unet_training.latents_with_text(stores, states, 256, stage, 3, process=0)["mean"].shape == (3, 4, 32, 32)


def test_pages_that_tell_an_order_are_seen_twice_as_often():
    often, scenes = how_often(400), [scene_at(page) for page in range(400)]
    assert often.sum() == pytest.approx(1)
    ordered = np.array([scene.relation in ("left of", "right of") for scene in scenes])
    assert 0 < ordered.sum() < 400
    np.testing.assert_allclose(often[ordered], 2 * often[~ordered][0])
    np.testing.assert_allclose(often[~ordered], often[~ordered][0])
    single = np.array([len(scene.things) == 1 for scene in scenes])
    np.testing.assert_allclose(how_often(400, single=2)[single], how_often(400, single=2)[ordered][0])


def test_one_caption_in_ten_is_dropped():
    seen = []
    objective = unet_training.Objective(small_unet(), Schedule.of(make_scheduler()), torch.full((1, 1), -1.0))
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
    pixels = crops(pictures(tmp_path, 2, 512), 6, 0, 0)["pixels"]
    assert pixels.shape == (6, 3, 128, 128)
    assert -1 <= pixels.min() < -0.1 < 0.1 < pixels.max() <= 1


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
    assert output["found"].mean() == (logits.argmax(1) == torch.arange(5)).float().mean()


def test_shipped_configurations_name_no_folder(tmp_path):
    small_unet().save_pretrained(tmp_path / "from")
    save_half(type(small_unet()).from_pretrained(tmp_path / "from"), tmp_path / "to")
    assert "_name_or_path" not in (tmp_path / "to" / "config.json").read_text()
    assert type(small_unet()).from_pretrained(tmp_path / "to").config.cross_attention_dim == WIDTH


def test_attention_in_cache_is_the_librarys_forth_and_back(monkeypatch):
    """Few scores fit, so several batches are cut; sides differ, and the text has another length than the picture."""
    monkeypatch.setattr(unet_training.InCache, "SCORES", 100)
    found = {}
    for suited in (False, True):
        unet = small_unet().requires_grad_(True)
        if suited:
            unet_training.suit_bfloat16(unet)
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
