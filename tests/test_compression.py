"""The autoencoder against diffusers: its posterior, its scaling, its tiles."""

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from torch.testing import assert_close

from sdlearn.compression import compression_ratio, decode, encode, latents_of, scale, unscale
from sdlearn.images import psnr, to_pixels


def test_mean_log_variance_and_sample_are_the_librarys(random_model):
    pixels = torch.rand(2, 3, 16, 24) * 2 - 1
    found = encode(random_model.vae, pixels)
    mean, log_variance = random_model.vae.quant_conv(random_model.vae.encoder(pixels)).chunk(
        2, dim=1
    )
    assert_close(found.mean, mean)
    assert_close(found.logvar, log_variance)
    noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(4))
    assert_close(
        found.sample(torch.Generator().manual_seed(4)), mean + (log_variance / 2).exp() * noise
    )


def test_decoding_is_the_pipelines_own(random_model, random_pipeline):
    assert isinstance(random_pipeline, StableDiffusionPipeline)
    latents = torch.randn(1, 4, 4, 6)
    theirs = random_pipeline(
        "x", 16, 24, 1, latents=latents, guidance_scale=1.0, output_type="latent"
    ).images
    picture = random_pipeline(
        "x", 16, 24, 1, latents=latents, guidance_scale=1.0, output_type="pt"
    ).images
    assert_close((decode(random_model.vae, theirs) / 2 + 0.5).clamp(0, 1), picture)


def test_scaling_and_its_undoing(random_model):
    z = torch.randn(1, 4, 2, 3)
    assert_close(scale(random_model.vae, z), z * 0.7)
    assert_close(unscale(random_model.vae, scale(random_model.vae, z)), z)


def test_the_shipped_model_has_latents_of_unit_variance_and_48_times_fewer_numbers(tiny):
    from sdlearn.picturebook import random_scene
    from sdlearn.picturebook.drawing import draw_array

    pixels = to_pixels(np.stack([draw_array(random_scene(seed), 256) for seed in range(4)]))
    latents = scale(tiny.vae, encode(tiny.vae, pixels).mean)
    assert latents.shape == (4, 4, 32, 32)
    assert compression_ratio(pixels, latents) == 48
    assert 0.7 < latents.std() < 1.3
    assert psnr(decode(tiny.vae, latents), pixels) > 28


def test_tiles_through_the_library_give_about_the_same_latents(tiny):
    from sdlearn.picturebook import random_scene
    from sdlearn.picturebook.drawing import draw_array

    pixels = to_pixels(draw_array(random_scene(3), 768)[None])
    whole = encode(tiny.vae, pixels).mean
    tiny.vae.enable_tiling()
    try:
        tiles = encode(tiny.vae, pixels).mean
    finally:
        tiny.vae.disable_tiling()
    assert tiles.shape == whole.shape
    assert (tiles - whole).abs().mean() < 0.1 * whole.std()


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (torch.zeros(3, 16, 16), r"pixels: .* \[n, 3, H, W\], got .* \[3, 16, 16\]"),
        (torch.zeros(1, 4, 16, 16), r"pixels: .* \[n, 3, H, W\]"),
        (torch.zeros(1, 3, 0, 16), "pixels: at least one number"),
        (torch.zeros(1, 3, 18, 16), r"pixels: sides that are multiples of 4, got \(18, 16\)"),
        (
            torch.full((1, 3, 16, 16), torch.nan),
            "pixels: numbers in .-1, 1., got values outside it or not finite",
        ),
        (torch.full((1, 3, 16, 16), 255.0), "pixels: numbers in .-1, 1."),
    ],
)
def test_what_are_no_pixels_is_refused(random_model, pixels, message):
    with pytest.raises(ValueError, match=message):
        encode(random_model.vae, pixels)


@pytest.mark.parametrize(
    ("latents", "message"),
    [
        (torch.zeros(1, 3, 4, 4), r"latents: shape \[n, 4, h, w\], got \(1, 3, 4, 4\)"),
        (torch.full((1, 4, 4, 4), torch.inf), "latents: finite numbers"),
    ],
)
def test_what_are_no_latents_is_refused(random_model, latents, message):
    with pytest.raises(ValueError, match=message):
        decode(random_model.vae, latents)


def test_latents_of_pictures_are_their_scaled_means_however_many_at_once(random_model):
    rng, vae = np.random.default_rng(0), random_model.vae
    arrays = [rng.integers(0, 256, (16, 32, 3), dtype=np.uint8) for _ in range(5)]
    means = [encode(vae, to_pixels(array[None])).mean for array in arrays]
    expected = torch.cat(means) * vae.config.scaling_factor
    pictures = [Image.fromarray(array) for array in arrays]
    for at_once in (1, 2, 8):
        assert_close(latents_of(vae, pictures, at_once), expected)
    assert_close(latents_of(vae, arrays), expected)


def test_pictures_of_different_sizes_have_no_common_latents(random_model):
    sizes = [Image.new("RGB", size) for size in ((16, 16), (32, 16))]
    with pytest.raises(ValueError, match=r"pictures: .* all of one size, got .*\(16, 16\)"):
        latents_of(random_model.vae, sizes)
    with pytest.raises(ValueError, match="pictures: at least one"):
        latents_of(random_model.vae, [])
