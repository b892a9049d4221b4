"""`%load_ext sdlearn`: pictures as JPEG, to keep the file small, and a bar in slow cells."""

from __future__ import annotations

from PIL import Image

from sdlearn._support.waiting import watch

AS_JPEG = ("RGB", "L", "CMYK", "1")


def load_ipython_extension(shell) -> None:
    """Called by `%load_ext sdlearn`."""
    from IPython.core.pylabtools import select_figure_formats

    select_figure_formats(
        shell, {"jpeg"}, pil_kwargs={"quality": 80, "optimize": True, "progressive": True}
    )
    png = shell.display_formatter.formatters["image/png"]
    png.for_type(
        Image.Image, lambda picture: None if picture.mode in AS_JPEG else picture._repr_png_()
    )
    watch(shell)
