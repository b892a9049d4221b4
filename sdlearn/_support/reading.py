"""Read the parts of a Stable Diffusion from a folder in diffusers' layout, or say what is wrong.

Folders from elsewhere may hold other models, outdated configurations or incomplete weights. A part
is either read as diffusers' own pipeline would read it, or refused by an OSError that names it.
Only safetensors are read.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.schedulers.scheduling_utils import KarrasDiffusionSchedulers, SchedulerMixin
from diffusers.utils import logging as diffusers_logging
from packaging.version import InvalidVersion, Version
from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTextModel, CLIPTokenizer
from transformers.utils import logging as transformers_logging

from sdlearn._support.fetching import PICKLES

CLASSES = {
    "tokenizer": CLIPTokenizer,
    "text_encoder": CLIPTextModel,
    "clip": CLIPModel,
    "image_processor": CLIPImageProcessorPil,
    "vae": AutoencoderKL,
    "unet": UNet2DConditionModel,
}
OF_CLIP = ("clip", "image_processor")
"""Parts from CLIP's own folder, which the pipeline does not need."""
NEEDED = (*(part for part in CLASSES if part not in OF_CLIP), "scheduler")
IGNORED = ("safety_checker", "feature_extractor", "image_encoder", *OF_CLIP)
"""Parts that a folder may have, and that do not change what the model draws."""
USABLE = "Text-to-image models of Stable Diffusion 1.x and 2.x can be used."

SCHEDULERS = {kind.name for kind in KarrasDiffusionSchedulers} - {"EDMEulerScheduler"} | {
    "DDIMParallelScheduler",
    "DDPMParallelScheduler",
    "LCMScheduler",
    "SASolverScheduler",
    "TCDScheduler",
}
"""Schedulers that use a β schedule; those for other kinds of noise are refused."""
PREDICTIONS = ("epsilon", "v_prediction", "sample")

EXTRA_INPUTS = {
    "class_embed_type": "class labels",
    "num_class_embeds": "class labels",
    "time_cond_proj_dim": "the guidance as an input, as latent consistency models do",
    "encoder_hid_dim_type": "a projection of what it reads",
}
"""Settings of U-Nets that need inputs besides latents, t and states."""


def check_layout(folder: Path) -> None:
    """Raise OSError unless the folder holds the parts of a Stable Diffusion 1.x or 2.x.

    Raises:
        FileNotFoundError: a part is not there.
        OSError: it is another kind of model, or a part is of another kind.
    """
    if not (folder / "model_index.json").exists():
        raise _lacks(folder, ["model_index.json"])
    index = _json("model_index.json", folder / "model_index.json")
    named = {
        part: entry[1]
        for part, entry in index.items()
        if part[:1] != "_" and _is_entry(entry) and entry[1]
    }
    others = sorted(set(named) - {*NEEDED, *IGNORED})
    if others:
        raise OSError(
            f"model_index.json: {folder} holds a {index.get('_class_name', 'pipeline')}, which "
            f"also needs {', '.join(others)}. {USABLE}"
        )
    missing = [part for part in NEEDED if not (folder / part).is_dir()]
    if missing:
        raise _lacks(folder, missing)
    for part, said in (
        ("text_encoder", _said(folder, "text_encoder", "model_type", "clip_text_model")),
        ("vae", _said(folder, "vae", "_class_name", "AutoencoderKL")),
        ("unet", _said(folder, "unet", "_class_name", "UNet2DConditionModel")),
    ):
        if said not in (CLASSES[part].__name__, "clip_text_model", "clip"):
            raise OSError(f"{part}: a {CLASSES[part].__name__} is needed, got {said}. {USABLE}")


def _is_entry(entry: Any) -> bool:
    """True for [library, class], which is how model_index.json names a part."""
    return isinstance(entry, list) and len(entry) == 2


def _said(folder: Path, part: str, key: str, usual: str) -> str:
    return _json(part, folder / part / "config.json").get(key, usual)


def _json(part: str, file: Path) -> dict:
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unreadable(part, file, error) from error
    if not isinstance(said, dict):
        raise OSError(f"{part}: {file} should hold a JSON object, got {type(said).__name__}")
    return said


def _lacks(folder: Path, missing: list[str]) -> FileNotFoundError:
    inside = sorted(file.parent for file in folder.glob("*/model_index.json"))
    inside += sorted(file.parent for file in folder.glob("snapshots/*/model_index.json"))
    meant = f"Did you mean {inside[0]}?" if inside else "Give the folder with model_index.json."
    return FileNotFoundError(
        f"{folder} is not a Stable Diffusion folder in diffusers' layout: it lacks "
        f"{', '.join(missing)}. {meant}"
    )


def _unreadable(part: str, where: Path, error: Exception) -> OSError:
    kind = f" as {CLASSES[part].__name__}" if part in CLASSES else ""
    return OSError(f"{part}: {where} cannot be read{kind}: {error}")


def read_part(part: str, folder: Path, dtype: torch.dtype, variant: str | None) -> Any:
    """One part from its folder, without the network.

    Weights are read in the wanted variant ("fp16" or None), or else in any variant there is.

    Raises:
        OSError: naming the part, if it cannot be read, or if a tensor is missing or has another
            shape than its configuration says.
    """
    _check_files(part, folder)
    options: dict[str, Any] = {"local_files_only": True}
    if issubclass(CLASSES[part], torch.nn.Module):
        options |= {"use_safetensors": True, "dtype": dtype, "output_loading_info": True}
        options |= {"ignore_mismatched_sizes": True, "variant": _variant(part, folder, variant)}
    try:
        with quietly():
            read = CLASSES[part].from_pretrained(folder, **options)
    except Exception as error:  # files from elsewhere can raise anything
        raise _unreadable(part, folder, error) from error
    if "output_loading_info" not in options:
        return read
    module, report = read
    _check_tensors(part, folder, report)
    for name, tensor in module.named_parameters():
        if not tensor.isfinite().all():
            raise OSError(
                f"{part}: {name} in {folder} holds NaN, or numbers beyond the range of {dtype}"
            )
    return module


def _check_files(part: str, folder: Path) -> None:
    """Raise if a tokenizer's vocabulary is missing: it would be read as one that knows no words."""
    ways = [("tokenizer.json",), ("vocab.json", "merges.txt")]
    if part == "tokenizer" and not any(all((folder / f).exists() for f in way) for way in ways):
        raise FileNotFoundError(
            f"tokenizer: {folder} lacks tokenizer.json, or vocab.json with merges.txt"
        )


def _variant(part: str, folder: Path, wanted: str | None) -> str | None:
    """The variant to read: the one that is wanted, else the plain files, else whatever is there."""
    stem = "model" if part in ("text_encoder", "clip") else "diffusion_pytorch_model"
    # as in model.safetensors, model.fp16.safetensors, model.fp16-00001-of-00002.safetensors, and
    # model-00001-of-00002.fp16.safetensors, which diffusers wrote before 0.29
    part_of, named = r"(?:-\d+-of-\d+)?", r"(?:\.(\w+))?"
    form = re.compile(rf"{stem}{named}{part_of}{named}\.safetensors")
    matches = [form.fullmatch(file.name) for file in sorted(folder.iterdir())]
    there = [match[1] or match[2] for match in matches if match]
    for choice in (wanted, None, "fp16", *there):
        if choice in there:
            return choice
    pickles = [file.name for file in folder.iterdir() if file.suffix in PICKLES]
    if not pickles:
        raise FileNotFoundError(f"{part}: {folder} has no weights: {stem}.safetensors is needed")
    raise OSError(
        f"{part}: {folder} has its weights as {pickles[0]}, a pickle, which can run any code when "
        "it is read; only safetensors are read here. If you trust it, convert the model once: "
        f"diffusers.StableDiffusionPipeline.from_pretrained({str(folder.parent)!r}, "
        "safety_checker=None, use_safetensors=False).save_pretrained('a-new-folder')"
    )


def _check_tensors(part: str, folder: Path, report: dict) -> None:
    wrong = [f"{name} is missing" for name in sorted(report["missing_keys"])]
    for name, theirs, ours in sorted(report["mismatched_keys"], key=str):
        wrong.append(f"{name} has shape {tuple(theirs)} instead of {tuple(ours)}")
    if not wrong:
        return
    more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    raise OSError(
        f"{part}: the weights in {folder} do not fit its config.json: {'; '.join(wrong[:3])}{more}."
        " Download the folder again, or ask whoever made it."
    )


@contextmanager
def quietly() -> Iterator[None]:
    """No progress bars, and nothing printed about tensors: what is wrong is raised instead."""
    levels = transformers_logging.get_verbosity(), diffusers_logging.get_verbosity()
    transformers_logging.disable_progress_bar()
    diffusers_logging.disable_progress_bar()
    transformers_logging.set_verbosity(diffusers_logging.CRITICAL)
    diffusers_logging.set_verbosity(diffusers_logging.CRITICAL)
    try:
        yield
    finally:
        transformers_logging.enable_progress_bar()
        diffusers_logging.enable_progress_bar()
        transformers_logging.set_verbosity(levels[0])
        diffusers_logging.set_verbosity(levels[1])


def read_scheduler(folder: Path) -> SchedulerMixin:
    """The scheduler, with the corrections that `diffusers.StableDiffusionPipeline` makes."""
    try:
        name = str(_json("model_index.json", folder / "model_index.json")["scheduler"][1])
        kind = getattr(diffusers, name) if name in SCHEDULERS else None
        scheduler = kind and kind.from_pretrained(folder / "scheduler", local_files_only=True)
    except Exception as error:  # files from elsewhere can raise anything
        raise OSError(
            f"scheduler: {folder} does not say which, or it cannot be read: {error}"
        ) from error
    if scheduler is None:
        raise OSError(_unfit(name) if hasattr(diffusers, name) else _unknown(name))
    scheduler = _corrected(scheduler)
    _check_settings(scheduler)
    return scheduler


def check_scheduler(scheduler: SchedulerMixin) -> None:
    """Raise ValueError unless the scheduler uses a β schedule, as Stable Diffusion's do."""
    kinds = type(scheduler).__mro__
    own = not kinds[0].__module__.startswith("diffusers.") and hasattr(scheduler, "betas")
    if not (own or any(kind.__name__ in SCHEDULERS for kind in kinds)):
        raise ValueError(_unfit(kinds[0].__name__))


def _unknown(scheduler: str) -> str:
    return (
        f"scheduler: diffusers {diffusers.__version__} has no {scheduler}; is the name in "
        "model_index.json right, or does this model need a newer diffusers?"
    )


def _unfit(scheduler: str) -> str:
    return (
        f"scheduler: {scheduler} does not go down a ladder of β, which Stable Diffusion needs; "
        "DDIMScheduler, EulerDiscreteScheduler and DPMSolverMultistepScheduler do, for example"
    )


def _corrected(scheduler: SchedulerMixin) -> SchedulerMixin:
    """What diffusers' pipeline changes in configurations from 2022, which left it at defaults."""
    config = scheduler.config
    changes = {
        "steps_offset": 1 if config.get("steps_offset", 1) != 1 else None,
        "clip_sample": False if config.get("clip_sample", False) else None,
    }
    changes = {name: value for name, value in changes.items() if value is not None}
    if not changes:
        return scheduler
    listed = " and ".join(f"{name}={value}" for name, value in changes.items())
    warnings.warn(
        f"scheduler: its configuration is outdated; {listed} is used, as diffusers does",
        stacklevel=4,
    )
    # without diffusers' list of settings that were left to defaults, which would undo the changes
    said = {name: value for name, value in config.items() if name != "_use_default_values"}
    return type(scheduler).from_config({**said, **changes})


def _check_settings(scheduler: SchedulerMixin) -> None:
    config, name = scheduler.config, type(scheduler).__name__
    if config.get("prediction_type", "epsilon") not in PREDICTIONS:
        raise OSError(
            f"scheduler: prediction_type is one of {', '.join(PREDICTIONS)}, got "
            f"{config.prediction_type!r}. {USABLE}"
        )
    if config.get("use_flow_sigmas") or config.get("timestep_type") == "continuous":
        raise OSError(
            f"scheduler: {name} is set to a ladder without whole timesteps, which Stable "
            f"Diffusion's U-Net was not trained for. {USABLE}"
        )
    if len(scheduler.betas) != config.num_train_timesteps:
        raise OSError(
            f"scheduler: {config.num_train_timesteps} steps, but {len(scheduler.betas)} betas"
        )
    for steps in sorted({min(steps, config.num_train_timesteps) for steps in (4, 25)}):
        try:
            made = _dry_run(scheduler, steps)
        except Exception as error:  # a library that is not installed, or settings that do not fit
            what = f"{type(error).__name__}: {error}".strip(": ")
            raise OSError(f"scheduler: {name} cannot take {steps} steps: {what}") from error
        if not made.isfinite().all():
            raise OSError(f"scheduler: {name} with these settings gives NaN in {steps} steps")


def _dry_run(scheduler: SchedulerMixin, steps: int) -> torch.Tensor:
    """What the scheduler makes of latents if 0 is predicted in every step."""
    fresh = type(scheduler).from_config(scheduler.config)
    fresh.set_timesteps(steps)
    latents = torch.linspace(-1, 1, 16).reshape(1, 4, 2, 2) * fresh.init_noise_sigma
    for t in fresh.timesteps:
        fresh.scale_model_input(latents, t)
        latents = fresh.step(torch.zeros_like(latents), t, latents).prev_sample
    return latents


def make_fit(parts: dict[str, Any]) -> None:
    """Correct what diffusers' pipeline corrects, and raise OSError if parts do not fit together."""
    _check_unet(parts["unet"], parts["text_encoder"], parts["vae"])
    _settle_sample_size(parts["unet"])
    _check_vae(parts["vae"])
    tokenizer, reader = parts["tokenizer"], parts["text_encoder"].config
    _check_tokenizer(tokenizer, reader, "text_encoder")
    # some folders do not say how many tokens the tokenizer gives, or say too many
    tokenizer.model_max_length = min(tokenizer.model_max_length, reader.max_position_embeddings)
    if parts["text_encoder"].config.to_dict().get("use_attention_mask"):
        raise OSError(f"text_encoder: it needs an attention mask for its texts. {USABLE}")
    if parts["clip"] is not None:
        try:
            _check_clip(**{part: parts[part] for part in ("tokenizer", *OF_CLIP)})
        except OSError as error:
            # this happens after textual inversion; drawing does not need CLIP
            warnings.warn(f"clip: left out, because it does not fit. {error}", stacklevel=3)
            parts.update(dict.fromkeys(OF_CLIP))


def _check_unet(
    unet: UNet2DConditionModel, text_encoder: CLIPTextModel, vae: AutoencoderKL
) -> None:
    config, channels = unet.config, vae.config.latent_channels
    needs = [what for name, what in EXTRA_INPUTS.items() if config.get(name) is not None]
    if config.get("addition_embed_type") not in (None, "text"):
        needs.append(f"more than states ({config.addition_embed_type}), as Stable Diffusion XL's")
    if needs:
        raise OSError(f"unet: it needs {needs[0]}, besides latents, t and states. {USABLE}")
    if (config.in_channels, config.out_channels) != (channels, channels):
        raise OSError(
            f"unet: it takes {config.in_channels} channels and gives {config.out_channels}, but "
            f"the latents have {channels}. Models for inpainting, depth or instructions take more; "
            f"{USABLE[0].lower()}{USABLE[1:]}"
        )
    width = config.cross_attention_dim
    widths = {width} if isinstance(width, int) else set(width)
    if widths != {text_encoder.config.hidden_size}:
        raise OSError(
            f"unet: it reads states of width {', '.join(map(str, sorted(widths)))}, but the text "
            f"encoder gives {text_encoder.config.hidden_size}: they belong to different models"
        )
    unet.register_to_config(cross_attention_dim=text_encoder.config.hidden_size)


def _settle_sample_size(unet: UNet2DConditionModel) -> None:
    """Make `sample_size` one whole number; 64 if diffusers wrote its default of 2022, 32."""
    size, version = unet.config.sample_size, _version(unet.config.get("_diffusers_version"))
    if isinstance(size, list | tuple) and len(set(size)) == 1:
        size = size[0]
    if not isinstance(size, int):
        raise OSError(f"unet: sample_size is one whole number, the latents' side, got {size!r}")
    if version and size < 64 and version < Version("0.9.0"):
        warnings.warn(
            f"unet: its configuration is outdated; sample_size=64 is used instead of {size}, as "
            "diffusers does",
            stacklevel=4,
        )
        size = 64
    unet.register_to_config(sample_size=size)


def _version(written: str | None) -> Version | None:
    """The version of diffusers that wrote a configuration, if it is one."""
    try:
        return written and Version(Version(written).base_version)
    except (InvalidVersion, TypeError):  # such as "main"
        return None


def _check_vae(vae: AutoencoderKL) -> None:
    config = vae.config
    if (config.in_channels, config.out_channels) != (3, 3):
        raise OSError(
            f"vae: pictures with 3 channels are needed, got {config.in_channels} in and "
            f"{config.out_channels} out. {USABLE}"
        )
    factor = config.scaling_factor
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not factor > 0:
        raise OSError(f"vae: scaling_factor is a number above 0, got {factor!r}")
    shifts = ("shift_factor", "latents_mean", "latents_std")
    shifted = [name for name in shifts if config.get(name)]
    if shifted:
        raise OSError(f"vae: its latents are shifted by {', '.join(shifted)}. {USABLE}")


def _check_tokenizer(tokenizer: CLIPTokenizer, config: Any, reader: str) -> None:
    if len(tokenizer) > config.vocab_size:
        raise OSError(
            f"tokenizer: it has {len(tokenizer)} tokens, but the {reader} knows "
            f"{config.vocab_size}: they belong to different models"
        )
    if tokenizer.pad_token is None:
        raise OSError("tokenizer: it has no pad_token, so its texts cannot be made equally long")


def _check_clip(
    tokenizer: CLIPTokenizer, clip: CLIPModel, image_processor: CLIPImageProcessorPil
) -> None:
    length, side = tokenizer.model_max_length, clip.config.vision_config.image_size
    _check_tokenizer(tokenizer, clip.config.text_config, "clip")
    if clip.config.text_config.max_position_embeddings < length:
        raise OSError(
            f"clip: it reads {clip.config.text_config.max_position_embeddings} positions, but the "
            f"tokenizer gives {length}: they belong to different models"
        )
    made = (image_processor.crop_size.height, image_processor.crop_size.width)
    if made != (side, side):
        raise OSError(
            f"image_processor: it makes pictures of {'×'.join(map(str, made))}, but clip looks at "
            f"{side}×{side}"
        )
