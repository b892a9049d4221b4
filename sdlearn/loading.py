"""`load`: a Stable Diffusion as its components, under their usual names.

The components are frozen and placed on the best available device.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import diffusers
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HTTPError, LocalEntryNotFoundError
from safetensors import SafetensorError
from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTextModel, CLIPTokenizer
from transformers.utils import logging as transformers_logging

from sdlearn._support.arguments import number, whole_number
from sdlearn._support.paths import TINY

CHECKSUMS = "SHA256SUMS"
DEFAULTS = "defaults.json"
"""A file beside `model_index.json`: the steps and guidance that the model draws best with.

Its card has the measurements.
"""

SD15 = {
    # repository: (revision, files)
    "stable-diffusion-v1-5/stable-diffusion-v1-5": (
        "451f4fe16113bff5a5d2269ed5ad43b0592e9a14",
        (
            "model_index.json",
            "scheduler/*.json",
            "tokenizer/*",
            *(f"{part}/config.json" for part in ("text_encoder", "unet", "vae")),
            "text_encoder/model{v}.safetensors",
            *(f"{part}/diffusion_pytorch_model{{v}}.safetensors" for part in ("unet", "vae")),
        ),
    ),
    "openai/clip-vit-large-patch14": (
        "32bd64288804d66eefd0ccbe215aa642df71cc41",
        ("config.json", "preprocessor_config.json", "model.safetensors"),
    ),
}
KNOWN = ("tiny", "sd15")

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
        dtype = str(self.dtype).removeprefix("torch.")
        shown = [part for part in (*CLASSES, "scheduler") if part != "image_processor"]
        return "\n".join([f"{self.name!r} on {self.device}, {dtype}", *map(self._line, shown)])

    def _line(self, part: str) -> str:
        value = getattr(self, part)
        size = f"{value.num_parameters() / 1e6:8.2f} M" if hasattr(value, "num_parameters") else ""
        return f"  {part:<12}  {type(value).__name__:<20}  {size:>10}  {self._shapes(part)}"

    def _shapes(self, part: str) -> str:
        if getattr(self, part) is None:
            return "this folder has no image tower"
        count, width = self.tokenizer.model_max_length, self.unet.config.cross_attention_dim
        side = self.unet.config.sample_size
        latent = f"{self.unet.config.in_channels}×{side}×{side}"
        return {
            "tokenizer": lambda: f"text → {count} tokens of {len(self.tokenizer)}",
            "text_encoder": lambda: f"{count} tokens → {count}×{width}",
            "clip": lambda: (
                f"3×{self.clip.config.vision_config.image_size}×{self.clip.config.vision_config.image_size}"
                f" or text → {self.clip.config.projection_dim}"
            ),
            "vae": lambda: f"3×{self.side}×{self.side} ↔ {latent}",
            "unet": lambda: f"{latent}, t, {count}×{width} → {latent}",
            "scheduler": lambda: (
                f"{self.scheduler.config.num_train_timesteps} steps, "
                f"{self.scheduler.config.prediction_type}; "
                f"draws in {self.default_steps} at guidance {self.default_guidance:g}"
            ),
        }[part]()


def load(
    name_or_path: str | Path = "tiny",
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
) -> Components:
    """Load a Stable Diffusion as its components.

    Args:
        name_or_path: `"tiny"`, the small one in this repository (no network); `"sd15"`, Stable
            Diffusion 1.5 (fetched once, then cached); or a Stable Diffusion 1.x or 2.x folder in
            diffusers' layout.
        device: by default CUDA, else Apple's MPS, else the CPU.
        dtype: by default float16 on CUDA and float32 elsewhere.

    Raises:
        ValueError: the name is unknown, or the device or dtype cannot be used here.
        FileNotFoundError: the folder lacks a component.
        OSError: the weights are damaged, or are not cached and cannot be downloaded.
        MemoryError: the model does not fit on the device.
    """
    device = _usable_device(device)
    dtype = _usable_dtype(dtype, device)
    folder, clip_folder, variant = _find(name_or_path, dtype)
    with _without_bars():
        parts = {
            part: _read(part, folder / part, dtype, variant)
            for part in CLASSES
            if part not in OF_CLIP
        }
        for part in OF_CLIP:
            parts[part] = _read(part, clip_folder, dtype, None) if clip_folder.exists() else None
    parts["scheduler"] = _read_scheduler(folder)
    for part in parts.values():
        if isinstance(part, torch.nn.Module):
            _move(part.eval().requires_grad_(False), device, str(name_or_path))
    return Components(name=str(name_or_path), **parts, **_read_defaults(folder / DEFAULTS))


@contextmanager
def _without_bars() -> Iterator[None]:
    """Show no progress bars while the parts are read from the disk."""
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.enable_progress_bar()


def best_device() -> torch.device:
    """CUDA, else Apple's MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if _has_mps() else "cpu")


def _has_mps() -> bool:
    """True if MPS works: some virtual Macs report it but cannot put anything there."""
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
        torch.empty(0, device=usable)
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


def _find(name_or_path: str | Path, dtype: torch.dtype) -> tuple[Path, Path, str | None]:
    """The pipeline's folder, CLIP's folder, and the variant of the weights to read."""
    if name_or_path == "tiny":
        check_files(TINY)
        return TINY, TINY / "clip", None
    if name_or_path == "sd15":
        variant = "fp16" if dtype == torch.float16 else None
        folder, clip_folder = (_fetch(repository, variant) for repository in SD15)
        return folder, clip_folder, variant
    if not isinstance(name_or_path, str | Path):
        raise ValueError(f"name_or_path: a name or a folder, got {type(name_or_path).__name__}")
    folder = Path(name_or_path).expanduser()
    if not folder.is_dir():
        raise ValueError(
            f"name_or_path: {str(name_or_path)!r} is neither a known name "
            f"({', '.join(map(repr, KNOWN))}) nor a folder"
        )
    check_layout(folder)
    return folder, folder / "clip", None


def check_layout(folder: Path) -> None:
    """Raise FileNotFoundError unless every component of a Stable Diffusion is in the folder."""
    needed = ["model_index.json", "scheduler", *(part for part in CLASSES if part not in OF_CLIP)]
    missing = [part for part in needed if not (folder / part).exists()]
    if missing:
        raise FileNotFoundError(
            f"{folder} is not a Stable Diffusion folder in diffusers' layout: it lacks "
            f"{', '.join(missing)}. "
            "Give the folder that holds model_index.json."
        )


def check_files(folder: Path) -> None:
    """Compare every file of a shipped folder with its checksum.

    Raises:
        FileNotFoundError: the folder, or its list of checksums, is not there.
        OSError: a file is missing or differs; the first such file is named.
    """
    sums = folder / CHECKSUMS
    if not sums.exists():
        raise FileNotFoundError(
            f"{folder} is not there: the small model comes with the course's repository. Install "
            "sdlearn from a clone "
            "of it (pip install -e .)."
        )
    for line in sums.read_text().splitlines():
        expected, name = line.split("  ", 1)
        file = folder / name
        if not file.exists() or hashlib.sha256(file.read_bytes()).hexdigest() != expected:
            what = "has been changed or is incomplete" if file.exists() else "is missing"
            raise OSError(f"{file} {what}. Restore it with: git checkout -- {file}")


def write_checksums(folder: Path) -> None:
    """Write down the checksums of all weights and configuration files, for `check_files`."""
    files = sorted(
        file for file in folder.rglob("*") if file.suffix in (".safetensors", ".json", ".txt")
    )
    lines = [
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(folder).as_posix()}"
        for file in files
    ]
    (folder / CHECKSUMS).write_text("\n".join(lines) + "\n")


def _fetch(repository: str, variant: str | None) -> Path:
    """The repository's folder in the cache, downloaded if needed after printing the size."""
    revision, patterns = SD15[repository]
    files = [pattern.format(v=f".{variant}" if variant else "") for pattern in patterns]
    where = {"repo_id": repository, "revision": revision, "allow_patterns": files}
    cached = _cached(where)
    if cached:
        return cached
    try:
        todo = [file for file in snapshot_download(**where, dry_run=True) if file.will_download]
        size = sum(file.file_size or 0 for file in todo) / 1e9
        print(f"Downloading {len(todo)} files of {repository}: {size:.2f} GB, once.")
        return Path(snapshot_download(**where))
    except (HTTPError, OSError) as error:
        raise OSError(
            f"{repository} is not in the cache and could not be downloaded ({error}). Connect to "
            "the network once, "
            "or use load('tiny'), which needs no network."
        ) from error


def _cached(where: dict) -> Path | None:
    """The folder of an earlier download, if nothing in it is missing."""
    try:
        folder = Path(snapshot_download(**where, local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    return folder if all(any(folder.glob(pattern)) for pattern in where["allow_patterns"]) else None


def _read(part: str, folder: Path, dtype: torch.dtype, variant: str | None):
    """One component from its folder, from safetensors only and without the network."""
    try:
        if part in ("tokenizer", "image_processor"):
            return CLASSES[part].from_pretrained(folder, local_files_only=True)
        options = {"use_safetensors": True, "local_files_only": True}
        options |= {"variant": variant, "dtype": dtype}
        return CLASSES[part].from_pretrained(folder, **options)
    except (SafetensorError, json.JSONDecodeError, OSError, ValueError) as error:
        raise OSError(
            f"{part}: {folder} cannot be read as {CLASSES[part].__name__}: {error}"
        ) from error


def _read_scheduler(folder: Path) -> SchedulerMixin:
    try:
        name = json.loads((folder / "model_index.json").read_text())["scheduler"][1]
        return getattr(diffusers, name).from_pretrained(folder / "scheduler", local_files_only=True)
    except (
        json.JSONDecodeError,
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
        OSError,
        ValueError,
    ) as error:
        raise OSError(
            f"scheduler: {folder} does not say which, or it cannot be read: {error}"
        ) from error


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
