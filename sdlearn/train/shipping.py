"""How finished weights are stored: half precision on disk, full precision when they are loaded."""

from __future__ import annotations

import re
from copy import deepcopy
from pathlib import Path

from diffusers import ModelMixin
from transformers import PreTrainedModel


def save_half(module: ModelMixin | PreTrainedModel, folder: Path) -> None:
    """Save a copy in float16. Its configuration asks for float32: else transformers would compute
    in float16.

    Where the module was loaded from is nobody's business and left out.
    """
    deepcopy(module).half().save_pretrained(folder)
    config = folder / "config.json"
    text = config.read_text().replace('"dtype": "float16"', '"dtype": "float32"')
    config.write_text(re.sub(r' *"_name_or_path": .*\n', "", text))
