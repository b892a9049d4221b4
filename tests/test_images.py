"""Any picture becomes 8-bit RGB, or raises a clear error."""

import numpy as np
import pytest
from PIL import Image

from sdlearn.images import psnr, to_pictures, to_pixels, to_rgb


def test_transparent_becomes_white():
    picture = Image.new("RGBA", (3, 2), (255, 0, 0, 0))
    picture.putpixel((1, 1), (0, 0, 255, 255))
    found = np.asarray(to_rgb("picture", picture))
    assert found.shape == (2, 3, 3)
    assert found[0, 0].tolist() == [255, 255, 255]
    assert found[1, 1].tolist() == [0, 0, 255]


@pytest.mark.parametrize(
    "picture",
    [
        Image.new("L", (3, 2), 128),
        Image.new("LA", (3, 2), (128, 255)),
        Image.new("P", (3, 2)).convert("L").point(lambda _: 128).convert("P"),
        Image.fromarray(np.full((2, 3), 128 * 257, np.uint16)),
        np.full((2, 3), 128, np.uint8),
        np.full((2, 3, 1), 128, np.uint8),
        np.full((2, 3, 3), 128 * 257, np.uint16),
        np.full((2, 3, 4), 128 / 255, np.float32) + np.array([0, 0, 0, 1 - 128 / 255], np.float32),
        np.full((2, 3), 128 / 255),
    ],
    ids=[
        "grey",
        "grey with alpha",
        "palette",
        "16 bits",
        "array",
        "one channel",
        "16-bit array",
        "float RGBA",
        "float",
    ],
)
def test_grey_deep_and_float_pictures_are_understood(picture):
    found = to_rgb("picture", picture)
    assert (found.mode, found.size) == ("RGB", (3, 2))
    assert np.unique(np.asarray(found)).tolist() == [128]


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("picture", "error", "message"),
    [
        (3, TypeError, "picture: a PIL picture or an array .*, got int"),
        (
            np.zeros((2, 2), np.int64),
            TypeError,
            "picture: 8-bit or 16-bit whole numbers, or floats, got int64",
        ),
        (np.zeros((2, 2, 2), np.uint8), ValueError, r"picture: shape .*, got \(2, 2, 2\)"),
        (np.zeros((0, 2, 3), np.uint8), ValueError, "picture: shape"),
        (np.full((2, 2), 1.5), ValueError, "picture: floats are from 0 to 1"),
        (np.full((2, 2), np.nan), ValueError, "picture: floats are from 0 to 1"),
        (Image.new("L", (4097, 1)), ValueError, "picture: sides from 1 to 4096 pixels, got 4097×1"),
    ],
)
def test_what_is_no_picture_is_refused(picture, error, message):
    with pytest.raises(error, match=message):
        to_rgb("picture", picture)


def test_pixels_and_back():
    pictures = np.random.default_rng(0).integers(0, 256, (2, 3, 5, 3), dtype=np.uint8)
    assert np.array_equal(to_pictures(to_pixels(pictures)), pictures)
    assert psnr(to_pixels(pictures), to_pixels(pictures)) == float("inf")
