"""How finished weights are stored: half precision on disk, full precision when they are loaded."""

from __future__ import annotations

import re
from copy import deepcopy
from pathlib import Path

from diffusers import ModelMixin
from transformers import PreTrainedModel


def save_half(module: ModelMixin | PreTrainedModel, folder: Path) -> None:
    """Save a copy in float16, with a configuration that asks for float32.

    Without that, transformers would compute in float16. The folder that the module was loaded from
    is left out of the configuration: it says nothing about the model.
    """
    deepcopy(module).half().save_pretrained(folder)
    config = folder / "config.json"
    text = config.read_text().replace('"dtype": "float16"', '"dtype": "float32"')
    config.write_text(re.sub(r' *"_name_or_path": .*\n', "", text))
