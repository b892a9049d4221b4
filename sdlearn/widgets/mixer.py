"""A picture and noise, mixed live with the closed form."""

from __future__ import annotations

import threading

import ipywidgets
import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from sdlearn._support.arguments import whole_number
from sdlearn._support.checked import checked
from sdlearn.denoising import draw_noise
from sdlearn.images import square, to_jpeg, to_pictures, to_pixels, to_rgb
from sdlearn.noising import SCHEDULES, Schedule, Time, add_noise
from sdlearn.widgets.static import PictureBox
from sdlearn.widgets.upload import PictureUpload

SIDE = 512


@checked
def mix(
    pixels: Float[Tensor, "1 3 H W"], noise: Float[Tensor, "1 3 H W"], schedule: Schedule, t: Time
) -> Image.Image:
    """The noisy picture at step t, ready to show: values outside [-1, 1] are clipped."""
    return Image.fromarray(to_pictures(add_noise(schedule, pixels, t, noise))[0])


@checked
class NoiseMixer(PictureBox):
    """A slider from picture to noise, a choice of schedules, and an upload for your own picture.

    You can read `t` and `schedule`, and read and set `picture` (the one without noise). `noisy` is
    the picture that is shown. It starts at the step `t`.
    """

    shows = "the picture with noise"

    def __init__(self, picture: Image.Image | np.ndarray, seed: int = 0, t: int = 0):
        whole_number("t", t, 0, 999)
        self._lock = threading.Lock()
        self._schedules = {name: Schedule.named(name) for name in SCHEDULES}
        self._noise = draw_noise((1, 3, SIDE, SIDE), seed, like=torch.zeros(0, dtype=torch.float32))
        wide = ipywidgets.Layout(width="512px")
        self.slider = ipywidgets.IntSlider(t, 0, 999, description="t", layout=wide)
        self.choice = ipywidgets.Dropdown(
            options=list(SCHEDULES), value="scaled_linear", description="Schedule"
        )
        self.said = ipywidgets.HTML()
        self.upload = PictureUpload(SIDE, self._take, self._say)
        self.image = ipywidgets.Image(format="jpeg", width=SIDE, height=SIDE)
        self.picture = picture
        self.slider.observe(lambda _: self._show(), names="value")
        self.choice.observe(lambda _: self._show(), names="value")
        super().__init__(
            [self.slider, ipywidgets.HBox([self.choice, self.upload]), self.said, self.image]
        )

    @property
    def t(self) -> int:
        return self.slider.value

    @property
    def schedule(self) -> Schedule:
        return self._schedules[self.choice.value]

    @property
    def picture(self) -> Image.Image:
        return self._picture

    @picture.setter
    def picture(self, picture: Image.Image) -> None:
        self._picture = square(to_rgb("picture", picture), SIDE)
        self._pixels = to_pixels(np.asarray(self._picture)[None])
        self._show()

    def _show(self) -> None:
        with self._lock:
            self.noisy = mix(self._pixels, self._noise, self.schedule, self.t)
            self.image.value = to_jpeg(self.noisy)
            alpha_bar, ratio = self.schedule.alpha_bars[self.t], self.schedule.snr[self.t]
            self._say(
                f"ᾱ = {alpha_bar:.4f}, so {alpha_bar:.1%} of the variance is picture; SNR = "
                f"{ratio:.3g}"
            )

    def _still(self) -> bytes:
        # every second pixel, which leaves the noise as strong as it is
        return to_jpeg(self.noisy.resize((SIDE // 2, SIDE // 2), Image.Resampling.NEAREST), 80)

    def _take(self, picture: Image.Image) -> None:
        self.picture = picture

    def __repr__(self) -> str:
        return f"NoiseMixer(t={self.t}, schedule={self.choice.value!r})"
