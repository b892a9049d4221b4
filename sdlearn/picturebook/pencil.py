"""A second style for the picture book: the same page as a pencil drawing."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from sdlearn._support.checked import checked

SOFT = 0.0075
"""How far the blur reaches, as a fraction of the page's longer side."""
FIRM = 6.0
"""How firmly the pencil is pressed: a power to which the brightness is raised."""


@checked
def in_pencil(page: Image.Image) -> Image.Image:
    """The page as a pencil drawing, grey on white, of the same size.

    Every pixel's brightness is divided by that of its blurred surroundings. Where a page is even,
    bright or dark, that gives white; beside an edge, the darker side becomes a line.
    """
    grey = page.convert("L")
    blurred = grey.filter(ImageFilter.GaussianBlur(SOFT * max(page.size)))
    ratio = np.asarray(grey, np.float32) / np.maximum(np.asarray(blurred, np.float32), 1)
    lines = 255 * ratio.clip(0, 1) ** FIRM
    return Image.fromarray((lines + 0.5).astype(np.uint8)).convert("RGB")
