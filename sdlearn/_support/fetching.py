"""Find a model's files: the small one in the repository, Stable Diffusion 1.5, or a folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HTTPError, LocalEntryNotFoundError
from safetensors import SafetensorError, safe_open

from sdlearn._support.paths import TINY

CHECKSUMS = "SHA256SUMS"
KNOWN = ("tiny", "sd15")
PICKLES = (".bin", ".ckpt", ".pt", ".pth")

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


def find(name_or_path: str | Path, dtype: torch.dtype) -> tuple[Path, Path, str | None]:
    """The pipeline's folder, CLIP's folder, and the variant of the weights that is wanted.

    Raises:
        TypeError, ValueError: it is neither a known name nor a folder; the error says what to do.
        OSError: the shipped files were changed, or the download failed.
    """
    if not isinstance(name_or_path, str | Path):
        raise TypeError(f"name_or_path: a name or a folder, got {type(name_or_path).__name__}")
    if name_or_path == "tiny":
        check_files(TINY)
        return TINY, TINY / "clip", None
    variant = "fp16" if dtype == torch.float16 else None
    if name_or_path == "sd15":
        folder, clip_folder = (fetch(repository, variant) for repository in SD15)
        return folder, clip_folder, variant
    folder = Path(name_or_path).expanduser()
    if not folder.is_dir():
        raise ValueError(f"name_or_path: {_instead_of_a_folder(name_or_path, folder)}")
    return folder, folder / "clip", variant


def _instead_of_a_folder(given: str | Path, path: Path) -> str:
    """What was given instead of a folder, and what to do with it."""
    if path.name == "model_index.json":
        return f"{path} is a file; give the folder that it is in"
    if path.is_file():
        return f"{path} is a single file, not a folder; {_about_a_file(path)}"
    known = f"neither a known name ({', '.join(map(repr, KNOWN))}) nor a folder"
    if isinstance(given, str) and given.count("/") == 1 and not path.parent.exists():
        return (
            f"{given!r} is {known}. If it is a model on the Hugging Face Hub, download it once: "
            f"load(huggingface_hub.snapshot_download({given!r}))"
        )
    return f"{str(given)!r} is {known}"


def _about_a_file(path: Path) -> str:
    convert = (
        "if it is a whole Stable Diffusion, convert it once: "
        f"diffusers.StableDiffusionPipeline.from_single_file({str(path)!r})"
        ".save_pretrained('a-new-folder')"
    )
    if path.suffix in PICKLES:
        return f"{convert}. It may be a pickle, which can run any code: only if you trust it"
    try:
        with safe_open(path, "pt") as tensors:
            names = tensors.keys()
    except (SafetensorError, OSError):
        return "and it is not a safetensors file"
    whole = any(name.startswith("model.diffusion_model.") for name in names)
    return convert if whole else "and it does not hold a whole Stable Diffusion (a LoRA?)"


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


def fetch(repository: str, variant: str | None) -> Path:
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
