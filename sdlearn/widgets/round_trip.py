"""A picture through the autoencoder and back."""

from __future__ import annotations

import threading

import ipywidgets
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from sdlearn import plots
from sdlearn._support.checked import checked
from sdlearn.compression import decode, encode, scale
from sdlearn.images import figure_to_picture, psnr, square, to_jpeg, to_pictures, to_pixels, to_rgb
from sdlearn.loading import Components
from sdlearn.widgets.static import PictureBox
from sdlearn.widgets.upload import PictureUpload

LOUDER = 8
"""The factor by which the difference is enlarged, so that you can see it."""


@checked
def there_and_back(model: Components, picture: Image.Image | np.ndarray) -> tuple[Figure, float]:
    """A Figure of the picture, what comes back, and their enlarged difference; the PSNR in dB."""
    pixels = to_pixels(np.asarray(to_rgb("picture", picture))[None])
    latents = scale(model.vae, encode(model.vae, pixels).mean)
    back = decode(model.vae, latents).float().cpu()
    difference = (LOUDER * (back - pixels)).clamp(-1, 1)
    views = [to_pictures(x)[0] for x in (pixels, back, difference)]
    shape = "×".join(map(str, latents.shape[1:]))
    quality = psnr(back, pixels)
    titles = ["in", f"out, through {shape}: {quality:.1f} dB", f"difference, {LOUDER} times"]
    return plots.strip(views, titles), quality


@checked
class RoundTrip(PictureBox):
    """A picture before and after the autoencoder, with an upload for your own picture.

    You can read `picture` and `psnr`.
    """

    shows = "a picture, what comes back from the autoencoder, and the difference"

    def __init__(self, model: Components, picture: Image.Image | np.ndarray):
        self.model = model
        self._lock = threading.Lock()
        self.said, self.image = ipywidgets.HTML(), ipywidgets.Image(format="jpeg")
        self.upload = PictureUpload(model.side, self.show, self._say)
        self.show(square(to_rgb("picture", picture), model.side))
        super().__init__([self.upload, self.said, self.image])

    def show(self, picture: Image.Image) -> None:
        """Send a square picture through the autoencoder and show it before and after."""
        with self._lock:
            figure, self.psnr = there_and_back(self.model, picture)
            self.picture = picture
            self.image.value = to_jpeg(figure_to_picture(figure))
            self._say(f"PSNR {self.psnr:.1f} dB")

    def __repr__(self) -> str:
        return f"RoundTrip(psnr={self.psnr:.1f})"
