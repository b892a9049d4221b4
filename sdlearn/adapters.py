"""Adapters for a finished model: a few numbers that change what it draws, in small files.

A LoRA changes the U-Net (Hu et al. 2021), a learned word is a row more in the table of the text
encoder (Gal et al. 2022). Some ship with the small model, in `assets/adapters`.
"""

from __future__ import annotations

import copy
import warnings
from dataclasses import replace
from pathlib import Path

from diffusers import StableDiffusionPipeline

from sdlearn._support.checked import checked
from sdlearn._support.paths import ASSETS
from sdlearn._support.reading import quietly
from sdlearn._support.wrapping import unwrapped
from sdlearn.loading import Components

ADAPTERS = ASSETS / "adapters"
ROCKET, PENCIL, MIMO = ADAPTERS / "rocket", ADAPTERS / "pencil", ADAPTERS / "mimo"


@checked
def with_lora(model: Components, folder: Path | str) -> Components:
    """The model with the LoRA from a folder or a file, beside those that it has already.

    The model that was given stays as it is. The U-Net knows the new LoRA by the folder's name, and
    all of them are fully switched on. `model.unet.set_adapters(["rocket", "pencil"], [1.0, 0.5])`
    sets their strengths.

    Raises:
        FileNotFoundError: there is no LoRA.
        ValueError: it was made for another U-Net, or the model has one with this name already.
    """
    file = _file_in(Path(folder))
    name = (file.parent if Path(folder).is_dir() else file.with_suffix("")).name
    unet = copy.deepcopy(unwrapped(model.unet))
    before = list(getattr(unet, "peft_config", {}))
    if name in before:
        raise ValueError(f"folder: the model already has an adapter with the name {name!r}")
    misfit = f"folder: {file} does not fit this U-Net; a LoRA only fits the model it was made for"
    state, alphas = StableDiffusionPipeline.lora_state_dict(file.parent, weight_name=file.name)
    with quietly(), warnings.catch_warnings():
        # a second adapter is what is wanted here
        warnings.filterwarnings("ignore", "Already found a `peft_config` attribute")
        try:
            unet.load_lora_adapter(state, "unet", network_alphas=alphas, adapter_name=name)
        except RuntimeError as error:
            raise ValueError(misfit) from error
    if name not in getattr(unet, "peft_config", {}):
        raise ValueError(misfit)
    unet.set_adapters([*before, name])
    return replace(model, unet=unet.requires_grad_(False))


@checked
def with_word(model: Components, folder: Path | str) -> Components:
    """The model with a word from a folder or a file: a token, and its row in the table of words.

    The model that was given stays as it is. Prompts contain the token as it was saved: `<mimo>`.

    Raises:
        FileNotFoundError: there is no word.
        ValueError: the row is too long or too short for the table, or the token exists already.
    """
    file = _file_in(Path(folder))
    tokenizer, text_encoder = copy.deepcopy((model.tokenizer, model.text_encoder))
    parts = (model.vae, text_encoder, tokenizer, model.unet, model.scheduler, None, None)
    pipeline = StableDiffusionPipeline(*parts, requires_safety_checker=False)
    with quietly():
        try:
            pipeline.load_textual_inversion(file.parent, weight_name=file.name)
        except (RuntimeError, ValueError) as error:
            reason = str(error).split(". ")[0][:200]
            raise ValueError(f"folder: {file} gives this model no new word: {reason}") from error
    return replace(model, tokenizer=tokenizer, text_encoder=text_encoder.requires_grad_(False))


def _file_in(folder: Path) -> Path:
    """The one file of weights in the folder, or the file itself."""
    files = sorted(folder.glob("*.safetensors")) if folder.is_dir() else [folder]
    if len(files) != 1 or not files[0].is_file():
        raise FileNotFoundError(
            f"folder: {folder} should be a file with an adapter, or hold one (*.safetensors); "
            "`python -m sdlearn.train --help` says how the course's own are made"
        )
    return files[0]
