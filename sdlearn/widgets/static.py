"""What a widget leaves behind where no kernel runs: its picture."""

from __future__ import annotations

import base64


def with_picture(bundle: tuple | dict, jpeg: bytes, text: str | None = None) -> tuple | dict:
    """A widget's mime bundle with a JPEG beside it, for readers on GitHub, of an export, or without JavaScript.

    An anywidget's bundle is a tuple with metadata, and its own text holds an address: give it another.
    """
    data, *rest = bundle if isinstance(bundle, tuple) else (bundle,)
    shown = {**data, "image/jpeg": base64.b64encode(jpeg).decode(), **({"text/plain": text} if text else {})}
    return (shown, *rest) if rest else shown
