"""Families of models that make pictures, trained on the same pages, each short enough to read.

Every family has the same three methods: `prepare(pixels)` gives what it learns from, `learn(batch)`
takes one training step, and `sample(count, seed)` makes new pictures. None of them reads a caption:
we compare how pictures are made, not how words steer them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DModel
from jaxtyping import Float
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from sdlearn._support.arguments import whole_number
from sdlearn._support.checked import checked
from sdlearn._support.paths import FAMILIES
from sdlearn._support.precision import in_float32
from sdlearn.compression import decode, encode, scale
from sdlearn.images import to_pixels
from sdlearn.noising import Schedule, add_noise
from sdlearn.picturebook.drawing import draw_array
from sdlearn.picturebook.scenes import COLOURS, Scene, compose

SIDE = 64
CODE = 64
"""How many numbers the GAN and the VAE turn into a picture."""
CHANNELS = (32, 64, 96, 128)
UNET_CHANNELS = (16, 32, 64, 64)
KL_WEIGHT = 1.0
EMA_DECAY = 0.99
SHOWN_KINDS, SHOWN_SETTINGS = ("heart", "tree"), ("meadow", "snow", "night")
"""What the families' pages show: one big thing in any colour."""
DRAW_STEPS = 50


@checked
def pages(count: int, seed: int = 0) -> list[Scene]:
    """Pages with a big heart or tree in any colour, in a meadow, in the snow or at night."""
    whole_number("count", count, 0, 100_000)
    rng = np.random.default_rng((7, whole_number("seed", seed, 0, 2**63 - 1)))
    return [
        compose(
            [(str(rng.choice(COLOURS)), str(rng.choice(SHOWN_KINDS)))],
            str(rng.choice(SHOWN_SETTINGS)),
            sizes=("big",),
            rng=rng,
        )
        for _ in range(count)
    ]


@checked
def drawn(scenes: list[Scene]) -> Float[Tensor, "n 3 64 64"]:
    """The pages as pixels in [-1, 1]."""
    if len(scenes) == 0:
        raise ValueError("scenes: at least one, got an empty list")
    return to_pixels(np.stack([draw_array(scene, SIDE) for scene in scenes]))


def decoder() -> nn.Sequential:
    """From codes n×64 to pictures n×3×64×64: used as the VAE's decoder and the GAN's generator."""
    wide = [*reversed(CHANNELS)]
    layers: list[nn.Module] = [
        nn.Unflatten(1, (CODE, 1, 1)),
        nn.ConvTranspose2d(CODE, wide[0], SIDE // 16),
    ]
    for read, made in zip(wide, [*wide[1:], 3], strict=True):
        # from [n, 128, 4, 4] on, each transposed convolution doubles the sides
        layers += [
            nn.BatchNorm2d(read),
            nn.ReLU(),
            nn.ConvTranspose2d(read, made, 4, stride=2, padding=1),
        ]
    return nn.Sequential(*layers, nn.Tanh())


def encoder(numbers: int) -> nn.Sequential:
    """From pictures n×3×64×64 to numbers: 2×64 each in the VAE's encoder, 1 in the GAN's critic."""
    layers: list[nn.Module] = []
    for read, made in zip((3, *CHANNELS), CHANNELS, strict=False):
        layers += [nn.Conv2d(read, made, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(CHANNELS[-1] * (SIDE // 16) ** 2, numbers)
    )


class Family(nn.Module):
    """What all have in common: pictures in [-1, 1] go in and come out."""

    def prepare(self, pixels: Float[Tensor, "n 3 h w"]) -> Tensor:
        """What `learn` takes in batches; computed once for all pages."""
        return pixels

    def learn(self, batch: Tensor) -> dict[str, float]:
        """Take one training step, in place, and return its losses."""
        raise NotImplementedError

    def sample(self, count: int, seed: int) -> Float[Tensor, "n 3 h w"]:
        """New pictures; the same seed always gives the same ones."""
        raise NotImplementedError

    @property
    def artist(self) -> nn.Module:
        """The part that makes new pictures; the rest is only there to train it."""
        raise NotImplementedError


def _of_one_size(pixels: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 64 64"]:
    if pixels.shape[2:] != (SIDE, SIDE):
        raise ValueError(f"pixels: shape [n, 3, {SIDE}, {SIDE}], got {tuple(pixels.shape)}")
    return pixels


class InOneGo(Family):
    """The GAN and the VAE alike: the artist turns a code into a picture in one forward pass."""

    def prepare(self, pixels: Float[Tensor, "n 3 h w"]) -> Tensor:
        return _of_one_size(pixels)

    @torch.no_grad()
    @in_float32()
    def sample(self, count: int, seed: int) -> Float[Tensor, "n 3 h w"]:
        return self.artist(_noise(seed, count, CODE))


class GAN(InOneGo):
    """A generator and a critic that teach each other (Goodfellow et al. 2014, Section 3)."""

    def __init__(self):
        super().__init__()
        self.generator, self.critic = decoder(), encoder(1)
        self._generating, self._criticism = (
            torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999))
            for network in (self.generator, self.critic)
        )

    def learn(self, pixels: Float[Tensor, "n 3 h w"]) -> dict[str, float]:
        forged = self.generator(torch.randn(len(pixels), CODE))
        real, fake = self.critic(pixels), self.critic(forged.detach())
        # −log D(x) − log(1 − D(G(z))), where D is the sigmoid of the critic's number
        critic_loss = F.softplus(-real).mean() + F.softplus(fake).mean()
        _descend(self._criticism, critic_loss)
        # −log D(G(z)): small when the critic takes the forged pictures for real
        generator_loss = F.softplus(-self.critic(forged)).mean()
        _descend(self._generating, generator_loss)
        return {"critic": critic_loss.item(), "generator": generator_loss.item()}

    @property
    def artist(self) -> nn.Module:
        return self.generator


class VAE(InOneGo):
    """Encodes a picture as a cloud of codes, and decodes codes (Kingma and Welling 2013)."""

    def __init__(self, kl_weight: float = KL_WEIGHT):
        super().__init__()
        self.kl_weight = kl_weight
        self.encoder, self.decoder = encoder(2 * CODE), decoder()
        self._optimizer = torch.optim.Adam(self.parameters(), lr=5e-4)

    def learn(self, pixels: Float[Tensor, "n 3 h w"]) -> dict[str, float]:
        mean, log_variance = self.encoder(pixels).chunk(2, dim=1)
        log_variance = log_variance.clamp(-10, 4)  # a bad step must not make exp overflow
        code = mean + (log_variance / 2).exp() * torch.randn_like(mean)  # z = μ + σ ε
        error = (self.decoder(code) - pixels).square().sum(dim=(1, 2, 3)).mean()
        # KL(N(μ, σ²) ‖ N(0, 1)) = ½ (μ² + σ² − 1 − log σ²), summed over the code
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1).mean()
        _descend(self._optimizer, error + self.kl_weight * kl)
        return {"error": error.item(), "kl": kl.item()}

    @torch.no_grad()
    @in_float32()
    def repainted(self, pixels: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 64 64"]:
        """Each picture, encoded and decoded again from the mean of its cloud."""
        return self.decoder(self.encoder(self.prepare(pixels))[:, :CODE])

    @property
    def artist(self) -> nn.Module:
        return self.decoder


class Diffusion(Family):
    """A U-Net that predicts the noise in noised pictures: 3×64×64 numbers (Ho et al. 2020)."""

    shape = (3, SIDE, SIDE)

    def __init__(self):
        super().__init__()
        self.unet = UNet2DModel(
            in_channels=self.shape[0],
            out_channels=self.shape[0],
            block_out_channels=UNET_CHANNELS,
            down_block_types=("DownBlock2D",) * 4,
            up_block_types=("UpBlock2D",) * 4,
            layers_per_block=1,
            norm_num_groups=8,
            add_attention=False,
        )
        self.scheduler = DDIMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            clip_sample=False,
            steps_offset=1,
        )
        self._schedule = Schedule.of(self.scheduler)
        self._optimizer = torch.optim.AdamW(self.unet.parameters(), lr=1e-3)

    def prepare(self, pixels: Float[Tensor, "n 3 h w"]) -> Tensor:
        return _of_one_size(pixels)

    def learn(self, clean: Float[Tensor, "n c h w"]) -> dict[str, float]:
        t, noise = torch.randint(len(self._schedule), (len(clean),)), torch.randn_like(clean)
        noisy = add_noise(self._schedule, clean, t, noise)
        # mean of (ε̂(x_t, t) − ε)²
        loss = (self.unet(noisy, t).sample - noise).square().mean()
        _descend(self._optimizer, loss)
        return {"loss": loss.item()}

    def sample(self, count: int, seed: int) -> Float[Tensor, "n 3 h w"]:
        return self.drawn_from(_noise(seed, count, *self.shape))

    @torch.no_grad()
    @in_float32()
    def drawn_from(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 3 H W"]:
        """The pictures that denoising makes of this noise."""
        self.scheduler.set_timesteps(DRAW_STEPS)
        for t in self.scheduler.timesteps:
            x = self.scheduler.step(self.artist(x, t).sample, t, x).prev_sample
        return self.to_pixels(x)

    @property
    def artist(self) -> nn.Module:
        return self.unet

    def to_pixels(self, clean: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 3 h w"]:
        return clean.clamp(-1, 1)


class MendedDiffusion(Diffusion):
    """Pixel diffusion whose noising ends in pure noise (Lin et al. 2023, Sections 3.1 and 3.2).

    It draws with an average of the last hundred or so sets of weights.
    """

    def __init__(self):
        super().__init__()
        self.scheduler = DDIMScheduler.from_config(
            self.scheduler.config,
            rescale_betas_zero_snr=True,
            prediction_type="v_prediction",
            timestep_spacing="trailing",
        )
        self._schedule = Schedule.of(self.scheduler)
        self._average = AveragedModel(self.unet, multi_avg_fn=get_ema_multi_avg_fn(EMA_DECAY))

    def learn(self, clean: Float[Tensor, "n c h w"]) -> dict[str, float]:
        # whole here as well, because lesson 01 shows it
        t, noise = torch.randint(len(self._schedule), (len(clean),)), torch.randn_like(clean)
        noisy = add_noise(self._schedule, clean, t, noise)
        # v = √ᾱ ε − √(1 − ᾱ) x₀: at the last t, where nothing of the page is left, this is −x₀
        velocity = self.scheduler.get_velocity(clean, noise, t)
        loss = (self.unet(noisy, t).sample - velocity).square().mean()
        _descend(self._optimizer, loss)
        self._average.update_parameters(self.unet)
        return {"loss": loss.item()}

    @property
    def artist(self) -> nn.Module:
        return self._average.module


class LatentDiffusion(Diffusion):
    """The same U-Net on latents of a trained autoencoder: 4×8×8 numbers (Rombach et al. 2022)."""

    shape = (4, SIDE // 8, SIDE // 8)

    def __init__(self, vae: AutoencoderKL):
        super().__init__()
        # in a tuple, so that torch does not register it as a part of this module: it is trained
        # already, and saved elsewhere
        self._vae = (vae,)

    def prepare(self, pixels: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 4 h//8 w//8"]:
        fitted = super().prepare(pixels)
        return scale(self._vae[0], encode(self._vae[0], fitted).mean).to(fitted)

    def to_pixels(self, clean: Float[Tensor, "n 4 h w"]) -> Float[Tensor, "n 3 8*h 8*w"]:
        return decode(self._vae[0], clean).to(clean).clamp(-1, 1)


@checked
def train(
    family: Family, pixels: Float[Tensor, "n 3 h w"], steps: int, batch: int = 16
) -> Iterator[dict[str, float]]:
    """Train in place and yield the losses of every step.

    Raises:
        FloatingPointError: a loss is infinite or not a number; what was learned is lost.
    """
    whole_number("steps", steps, 0, 10**9)
    whole_number("batch", batch, 1, 100_000)
    others = {p.dtype for p in family.parameters()} - {torch.float32}
    if others:
        raise ValueError(
            f"family: parameters in float32, got {others.pop()}; family.float() makes them so"
        )
    if not pixels.isfinite().all():
        raise ValueError("pixels: finite numbers, got NaN or infinity")
    data = family.prepare(pixels.float())
    for step in range(steps):
        with in_float32():
            losses = family.learn(data[torch.randint(len(data), (batch,))])
        if not all(map(math.isfinite, losses.values())):
            raise FloatingPointError(
                f"family: the {type(family).__name__} broke at step {step}: {losses}; "
                "start again with a new one"
            )
        yield losses


@checked
@in_float32()
def untrained(vae: AutoencoderKL) -> dict[str, Family]:
    """One of each family, untrained; the latent diffusion uses the autoencoder.

    Pixel diffusion appears twice: as published, and with its schedule corrected.
    """
    return {
        "GAN": GAN(),
        "VAE": VAE(),
        "pixel diffusion": Diffusion(),
        "mended diffusion": MendedDiffusion(),
        "latent diffusion": LatentDiffusion(vae),
    }


@checked
def trained(vae: AutoencoderKL, folder: Path = FAMILIES) -> dict[str, Family]:
    """The families as trained by `python -m sdlearn.train families`, ready to sample.

    Raises:
        FileNotFoundError: the folder lacks one of them.
    """
    families = untrained(vae)
    for name, family in families.items():
        file = folder / file_name(name)
        if not file.is_file():
            raise FileNotFoundError(
                f"{file} is missing; `python -m sdlearn.train families` makes it"
            )
        family.artist.load_state_dict(load_file(file))
        family.eval().requires_grad_(False)
    return families


@checked
def film(name: str, folder: Path = FAMILIES) -> tuple[list[Image.Image], list[float]]:
    """What a family drew during training, six pictures side by side, and after which steps.

    The six pictures come from the same random numbers at every moment. The film `KL weights` has
    a frame for each weight instead of each moment: above, six pages repainted by a VAE that was
    trained with this weight, and below, what it makes of six random codes.
    """
    file = (folder / file_name(name)).with_suffix(".jpg")
    if not file.is_file():
        raise FileNotFoundError(
            f"name: {name!r} has no film, {file} is missing; `python -m sdlearn.train families` "
            "makes those of the lessons"
        )
    sheet = Image.open(file)
    moments = json.loads(sheet.info["comment"])
    height = sheet.height // len(moments)
    frames = [
        sheet.crop((0, i * height, sheet.width, (i + 1) * height)) for i in range(len(moments))
    ]
    return [frame.resize((2 * frame.width, 2 * frame.height)) for frame in frames], moments


def file_name(family: str) -> str:
    """The name of the file that holds a family's weights."""
    return f"{family.replace(' ', '_')}.safetensors"


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def _noise(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float32)
