"""`load`: a Stable Diffusion as its components, under their usual names.

The components are frozen and placed on the best available device.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTextModel, CLIPTokenizer

from sdlearn._support.arguments import number, whole_number
from sdlearn._support.fetching import find
from sdlearn._support.precision import in_float32
from sdlearn._support.reading import (
    CLASSES,
    OF_CLIP,
    check_layout,
    make_fit,
    read_part,
    read_scheduler,
)

DEFAULTS = "defaults.json"
"""A file beside `model_index.json`: the steps and guidance that the model draws best with.

The model card has the measurements.
"""


@dataclass(frozen=True, repr=False)
class Components:
    """The parts of one Stable Diffusion.

    `clip` is the whole CLIP, with its image tower, and `image_processor` prepares pictures for it.
    Both are None if the folder has no CLIP.
    """

    name: str
    tokenizer: CLIPTokenizer
    text_encoder: CLIPTextModel
    clip: CLIPModel | None
    image_processor: CLIPImageProcessorPil | None
    vae: AutoencoderKL
    unet: UNet2DConditionModel
    scheduler: SchedulerMixin
    default_steps: int = 25
    default_guidance: float = 7.5
    """Used by `text_to_image` and its siblings unless told otherwise.

    The values here are those of Stable Diffusion 1.5.
    """

    @property
    def device(self) -> torch.device:
        return self.unet.device

    @property
    def dtype(self) -> torch.dtype:
        return self.unet.dtype

    @property
    def factor(self) -> int:
        """How many pixels one latent stands for along each side."""
        return 2 ** (len(self.vae.config.block_out_channels) - 1)

    @property
    def side(self) -> int:
        """The side of the pictures that the U-Net was trained to make, in pixels."""
        return self.unet.config.sample_size * self.factor

    def __repr__(self) -> str:
        shown = [part for part in (*CLASSES, "scheduler") if part != "image_processor"]
        return "\n".join([f"{self.name!r}{self._place()}", *map(self._line, shown)])

    def _place(self) -> str:
        try:
            return f" on {self.device}, {str(self.dtype).removeprefix('torch.')}"
        except AttributeError:  # parts that are not networks
            return ""

    def _line(self, part: str) -> str:
        value = getattr(self, part)
        value = getattr(value, "_orig_mod", value)  # compiled
        size = f"{value.num_parameters() / 1e6:8.2f} M" if hasattr(value, "num_parameters") else ""
        return f"  {part:<12}  {type(value).__name__:<20}  {size:>10}  {self._shapes(part)}"

    def _shapes(self, part: str) -> str:
        if getattr(self, part) is None:
            return "no image tower" if part == "clip" else "missing"
        try:
            return getattr(self, f"_of_{part}")()
        except (AttributeError, TypeError, KeyError):
            return "its configuration does not say its shapes"

    def _latent(self) -> str:
        side = self.unet.config.sample_size
        return f"{self.unet.config.in_channels}×{side}×{side}"

    def _states(self) -> str:
        return f"{self.tokenizer.model_max_length}×{self.text_encoder.config.hidden_size}"

    def _of_tokenizer(self) -> str:
        return f"text → {self.tokenizer.model_max_length} tokens of {len(self.tokenizer)}"

    def _of_text_encoder(self) -> str:
        return f"{self.tokenizer.model_max_length} tokens → {self._states()}"

    def _of_clip(self) -> str:
        side, width = self.clip.config.vision_config.image_size, self.clip.config.projection_dim
        return f"3×{side}×{side} or text → {width}"

    def _of_vae(self) -> str:
        return f"3×{self.side}×{self.side} ↔ {self._latent()}"

    def _of_unet(self) -> str:
        return f"{self._latent()}, t, {self._states()} → {self._latent()}"

    def _of_scheduler(self) -> str:
        config = self.scheduler.config
        return (
            f"{config.num_train_timesteps} steps, {config.prediction_type}; "
            f"draws in {self.default_steps} at guidance {self.default_guidance:g}"
        )


@in_float32()
def load(
    name_or_path: str | Path = "tiny",
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
) -> Components:
    """Load a Stable Diffusion as its components.

    Args:
        name_or_path: `"tiny"`, the small one in this repository (no network); `"sd15"`, Stable
            Diffusion 1.5 (fetched once, then cached); or the folder of any text-to-image model of
            Stable Diffusion 1.x or 2.x in diffusers' layout. Where its configuration is outdated,
            it is corrected as `diffusers.StableDiffusionPipeline` does, with a warning.
        device: by default CUDA, else Apple's MPS, else the CPU.
        dtype: by default float16 on CUDA and float32 elsewhere.

    Raises:
        TypeError, ValueError: the name is unknown, or the device or dtype cannot be used here.
        FileNotFoundError: the folder lacks a part.
        OSError: a part is damaged, incomplete, or of another kind of model (the error says which
            part, and why), or the weights are not cached and cannot be downloaded.
        MemoryError: the model does not fit on the device.
    """
    device = _usable_device(device)
    dtype = _usable_dtype(dtype, device)
    folder, clip_folder, variant = find(name_or_path, dtype)
    check_layout(folder)
    parts = {
        part: read_part(part, folder / part, dtype, variant)
        for part in CLASSES
        if part not in OF_CLIP
    }
    for part in OF_CLIP:
        parts[part] = read_part(part, clip_folder, dtype, None) if clip_folder.exists() else None
    parts["scheduler"] = read_scheduler(folder)
    make_fit(parts)
    for part in parts.values():
        if isinstance(part, torch.nn.Module):
            _move(part.eval().requires_grad_(False), device, str(name_or_path))
    return Components(name=str(name_or_path), **parts, **_read_defaults(folder / DEFAULTS))


def best_device() -> torch.device:
    """CUDA, else Apple's MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if _has_mps() else "cpu")


def _has_mps() -> bool:
    """True if MPS works: some virtual Macs report it but cannot allocate memory on it."""
    if not torch.backends.mps.is_available():
        return False
    try:
        torch.zeros(1, device="mps")
    except RuntimeError:
        return False
    return True


def _usable_device(device: str | torch.device | None) -> torch.device:
    if device is None:
        return best_device()
    try:
        usable = torch.device(device)
        torch.zeros(1, device=usable).item()
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ValueError(
            f"device: {device!r} cannot be used here; the best device here: {str(best_device())!r}"
        ) from error
    return usable


def _usable_dtype(dtype: torch.dtype | None, device: torch.device) -> torch.dtype:
    if dtype is None:
        return torch.float16 if device.type == "cuda" else torch.float32
    allowed = [torch.float32, torch.bfloat16] + [torch.float16] * (device.type != "cpu")
    if dtype not in allowed:
        names = ", ".join(str(choice) for choice in allowed)
        raise ValueError(
            f"dtype: {dtype!r} does not work on {device.type!r}; choose one of {names}"
        )
    return dtype


def _read_defaults(file: Path) -> dict[str, float]:
    """The model's own steps and guidance; an empty dict if its folder does not give them."""
    if not file.exists():
        return {}
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        return {
            "default_steps": whole_number("steps", said["steps"], 1, 1000),
            "default_guidance": number("guidance", said["guidance"], 0, 100),
        }
    except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise OSError(
            f'{file} should hold steps and guidance, as in {{"steps": 25, "guidance": 7.5}}: '
            f"{error}"
        ) from error


def _move(module: torch.nn.Module, device: torch.device, name: str) -> None:
    try:
        module.to(device)
    except torch.OutOfMemoryError as error:
        raise MemoryError(
            f"{name!r} does not fit on {device}: close other notebooks, or load it with "
            "dtype=torch.float16 or on "
            "another device."
        ) from error
