"""`load`: the shipped model without a network, any diffusers folder, and clear errors."""

import hashlib
import socket
import subprocess
import sys

import diffusers
import pytest
import torch
from safetensors.torch import load_file
from torch.testing import assert_close

from sdlearn._support import fetching
from sdlearn._support.fetching import CHECKSUMS, check_files
from sdlearn._support.paths import TINY
from sdlearn.loading import DEFAULTS, load
from sdlearn.train.unet import DRAWS_BEST_WITH, make_scheduler


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_a_folder_is_loaded_frozen_and_in_eval_mode(saved, random_model, no_network):
    model = load(saved, "cpu")
    assert model.clip is None
    for part in ("text_encoder", "vae", "unet"):
        module, original = getattr(model, part), getattr(random_model, part)
        assert not module.training
        assert not any(p.requires_grad for p in module.parameters())
        for name, value in original.state_dict().items():
            assert_close(module.state_dict()[name], value)
    assert type(model.scheduler) is type(random_model.scheduler)


def test_repr_has_a_line_for_every_component_and_true_shapes(saved):
    lines = repr(load(saved, "cpu")).splitlines()
    assert lines[0].endswith("on cpu, float32")
    for line, part in zip(
        lines[1:], ["tokenizer", "text_encoder", "clip", "vae", "unet", "scheduler"], strict=True
    ):
        assert line.split()[0] == part
    assert "77 tokens → 77×24" in lines[2]
    assert "3×32×32 ↔ 4×8×8" in lines[4]
    assert "0x" not in repr(load(saved, "cpu"))


def test_dtype_is_taken(saved):
    assert load(saved, dtype=torch.bfloat16).dtype == torch.bfloat16


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            ("sd-one",),
            ValueError,
            "'sd-one' is neither a known name .*'tiny', 'sd15'.* nor a folder",
        ),
        ((15,), TypeError, "a name or a folder, got int"),
        (
            ("tiny", "warp"),
            ValueError,
            "device: 'warp' cannot be used here; the best device here: '",
        ),
        (
            ("tiny", "cpu", torch.float64),
            ValueError,
            "dtype: torch.float64 does not work on 'cpu'; choose one of",
        ),
        (("tiny", "cpu", torch.float16), ValueError, "dtype: torch.float16 does not work on 'cpu'"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        load(*arguments)


@pytest.mark.parametrize(
    "part", ["unet", "vae", "text_encoder", "tokenizer", "scheduler", "model_index.json"]
)
def test_a_missing_component_is_named(copy, part):
    (copy / part).rename(copy / "elsewhere")
    with pytest.raises(FileNotFoundError, match=f"it lacks {part}"):
        load(copy)


@pytest.mark.parametrize("kept", [0, 3, 100, 0.5, -1])
def test_truncated_weights_are_refused(copy, kept):
    file = copy / "unet" / "diffusion_pytorch_model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * kept) if isinstance(kept, float) else kept])
    with pytest.raises(OSError, match="unet: .* cannot be read as UNet2DConditionModel"):
        load(copy)


def test_broken_configuration_is_refused(copy):
    (copy / "vae" / "config.json").write_text("{")
    with pytest.raises(OSError, match="vae: .* cannot be read as AutoencoderKL"):
        load(copy)


def test_altered_shipped_files_are_refused(tmp_path):
    (tmp_path / "weights").write_bytes(b"right")
    sums = hashlib.sha256(b"right").hexdigest() + "  weights\n"
    (tmp_path / CHECKSUMS).write_text(sums)
    check_files(tmp_path)
    (tmp_path / "weights").write_bytes(b"wrong")
    with pytest.raises(
        OSError, match="weights has been changed or is incomplete. Restore it with: git checkout"
    ):
        check_files(tmp_path)
    (tmp_path / "weights").unlink()
    with pytest.raises(OSError, match="weights is missing"):
        check_files(tmp_path)


def test_a_model_that_does_not_fit_says_so(saved, monkeypatch):
    def full(self, *_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.nn.Module, "to", full)
    with pytest.raises(MemoryError, match="does not fit on cpu: close other notebooks"):
        load(saved, "cpu")


def test_sd15_offline_and_not_cached_says_what_to_do(monkeypatch, tmp_path):
    def fail(*_, local_files_only=False, **__):
        raise (
            fetching.LocalEntryNotFoundError("nothing here")
            if local_files_only
            else ConnectionError("no route")
        )

    monkeypatch.setattr(fetching, "snapshot_download", fail)
    with pytest.raises(
        OSError, match="not in the cache and could not be downloaded .*Connect to the network once"
    ):
        load("sd15")


def test_sd15_asks_for_pinned_safetensors_only(monkeypatch):
    asked = []

    def note(**arguments):
        asked.append(arguments)
        raise fetching.LocalEntryNotFoundError("nothing here")

    monkeypatch.setattr(fetching, "snapshot_download", note)
    with pytest.raises(OSError, match="stable-diffusion-v1-5"):
        load("sd15")
    assert {call["revision"] for call in asked} == {"451f4fe16113bff5a5d2269ed5ad43b0592e9a14"}
    assert not any(
        pattern.endswith((".bin", ".ckpt", "*.safetensors"))
        for pattern in asked[0]["allow_patterns"]
    )


# --- the shipped model ----------------------------------------------------------------------------


def test_the_shipped_model_loads_without_the_network(no_network):
    model = load()
    assert model.side == 512
    assert model.clip.config.vision_config.image_size == 128


def test_the_shipped_model_is_half_precision_and_small():
    files = [file for file in TINY.rglob("*") if file.is_file()]
    assert 10e6 <= sum(file.stat().st_size for file in files) <= 30e6
    assert {file.suffix for file in files} <= {".safetensors", ".json", ".txt", ".md", ""}
    for file in TINY.rglob("*.safetensors"):
        assert {value.dtype for value in load_file(file).values()} <= {
            torch.float16,
            torch.int64,
        }, file


def test_diffusers_loads_the_shipped_model_unmodified(no_network):
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(
        TINY, safety_checker=None, local_files_only=True
    )
    pipeline.set_progress_bar_config(disable=True)
    picture = pipeline("a red house", 64, 64, 2).images[0]
    assert picture.size == (64, 64)


def test_the_shipped_scheduler_has_stable_diffusions_schedule_and_goes_down_it_from_the_top():
    scheduler = load().scheduler
    assert type(scheduler) is diffusers.DDIMScheduler
    theirs = diffusers.PNDMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"
    )
    assert torch.equal(scheduler.betas, theirs.betas)
    scheduler.set_timesteps(10)
    assert scheduler.timesteps.tolist() == list(range(999, 0, -100))
    assert scheduler.final_alpha_cumprod == 1
    assert not scheduler.config.clip_sample
    made = {
        name: value for name, value in make_scheduler().config.items() if not name.startswith("_")
    }
    assert {name: scheduler.config[name] for name in made} == made


def test_the_shipped_model_says_what_it_draws_best_with_and_training_would_say_the_same():
    model = load()
    assert {"steps": model.default_steps, "guidance": model.default_guidance} == DRAWS_BEST_WITH
    assert f"draws in {model.default_steps} at guidance {model.default_guidance:g}" in repr(model)


def test_a_folder_that_says_nothing_is_drawn_as_stable_diffusion_is(saved):
    model = load(saved)
    assert (model.default_steps, model.default_guidance) == (25, 7.5)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("{", "should hold steps and guidance"),
        ('{"steps": 12}', "should hold steps and guidance.*guidance"),
        ('{"steps": 1.5, "guidance": 3}', "steps: a whole number from 1 to 1000, got 1.5"),
        ('{"steps": 12, "guidance": -1}', "guidance: a number from 0 to 100, got -1"),
        ("[12, 3]", "should hold steps and guidance"),
    ],
)
def test_defaults_that_cannot_be_read_are_refused(copy, said, message):
    (copy / DEFAULTS).write_text(said)
    with pytest.raises(OSError, match=message):
        load(copy)


def test_the_text_encoder_is_clips_text_tower():
    model = load()
    theirs = model.clip.text_model.state_dict()
    ours = model.text_encoder.state_dict()
    for name, value in theirs.items():
        assert_close(ours.get(name, ours.get(f"text_model.{name}")), value)


def test_importing_sdlearn_imports_nothing_heavy():
    code = (
        "import sdlearn, sys; print([m for m in ('torch', 'numpy', 'matplotlib', 'diffusers') "
        "if m in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip()
        == "[]"
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE"), ({"GOMP_SPINCOUNT": "9"}, "None")],
)
def test_importing_sdlearn_makes_threads_wait_quietly_unless_told_otherwise(given, expected):
    code = "import sdlearn, os; print(os.environ.get('OMP_WAIT_POLICY'))"
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PATH": "", **given}
    )
    assert told.stdout.strip() == expected


def test_an_unknown_name_is_refused_with_the_known_ones():
    import sdlearn

    with pytest.raises(AttributeError, match="no attribute 'lod'; it offers load"):
        _ = sdlearn.lod
    for name in sdlearn.__all__:
        assert getattr(sdlearn, name) is not None
