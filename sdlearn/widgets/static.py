"""What a widget leaves behind where no kernel runs: its picture."""

from __future__ import annotations

import base64


def with_picture(bundle: dict, jpeg: bytes) -> dict:
    """A widget's mime bundle with a JPEG beside it, for readers on GitHub, of an export, or without JavaScript."""
    return {**bundle, "image/jpeg": base64.b64encode(jpeg).decode()}
