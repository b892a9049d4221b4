"""Any picture becomes 8-bit RGB, or raises a clear error."""

import io

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from sdlearn.images import psnr, to_pictures, to_pixels, to_rgb
from sdlearn.picturebook import compose
from sdlearn.picturebook.drawing import draw
from sdlearn.pipeline import image_to_image
from sdlearn.similarity import image_vectors
from sdlearn.widgets import Canvas, NoiseMixer


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
        np.full((2, 3), 128 / 255, np.float16),
        np.full((2, 3), 128 * 257, ">u2"),
        np.full((2, 3), 128 * 257),
        Image.fromarray(np.full((2, 3), 128 / 255, np.float32)),
        Image.new("I", (3, 2), 128 * 257),
        np.full((3, 2), 128, np.uint8).T,
        Image.new("CMYK", (3, 2), (0, 0, 0, 127)),
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
        "half precision",
        "bytes the other way round",
        "int64",
        "mode F",
        "mode I",
        "transposed",
        "CMYK",
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
            np.zeros((2, 2), complex),
            TypeError,
            "picture: 8-bit or 16-bit whole numbers, floats or bools, got complex128",
        ),
        (np.zeros((2, 2, 2), np.uint8), ValueError, r"picture: shape .*, got \(2, 2, 2\)"),
        (np.zeros((0, 2, 3), np.uint8), ValueError, "picture: shape"),
        (
            np.linspace(0, 200, 4).reshape(2, 2),
            ValueError,
            "picture: floats are from 0 to 1, got numbers from 0 to 200; x / 255 makes them fit",
        ),
        (
            np.array([[-1, 1.0]]),
            ValueError,
            r"floats are from 0 to 1, got numbers from -1 to 1; \(x \+ 1\) / 2 makes them fit",
        ),
        (np.array([[-3.0, 900]]), ValueError, "picture: floats .*got numbers from -3 to 900$"),
        (
            Image.fromarray(np.array([[-1, 1]], np.float32)),
            ValueError,
            "picture: floats are from 0 to 1, got numbers from -1 to 1",
        ),
        (
            Image.fromarray(np.array([[0, 255.0]], np.float32)),
            ValueError,
            "got numbers from 0 to 255; x / 255",
        ),
        (
            Image.new("L", (3, 2), 200).convert("I"),
            ValueError,
            "picture: int32 is read as 16 bits, from 0 to 65535, got numbers from 200 to 200, "
            "which would be black",
        ),
        (
            np.array([[0, 255]]),
            ValueError,
            "int64 is read as 16 bits.*got numbers from 0 to 255.*x.astype.numpy.uint8. says",
        ),
        (np.array([[0, 255]], np.uint16), ValueError, "uint16 is read as 16 bits"),
        (np.array([[-5, 70_000]]), ValueError, "from 0 to 65535 .16 bits., got numbers from -5"),
        (Image.new("La", (3, 2)), ValueError, "picture: a picture of mode La: "),
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


def test_true_is_white():
    found = np.asarray(to_rgb("picture", np.array([[True, False]])))
    assert found.tolist() == [[[255] * 3, [0] * 3]]
    black = np.asarray(to_rgb("picture", np.zeros((2, 2), np.uint16)))
    assert black.max() == 0


def with_orientation(picture: Image.Image, orientation: int) -> Image.Image:
    """The picture as a camera stores it that was held in another way, opened from a file."""
    stored = picture
    for undo in {
        1: (),
        2: (Image.Transpose.FLIP_LEFT_RIGHT,),
        3: (Image.Transpose.ROTATE_180,),
        4: (Image.Transpose.FLIP_TOP_BOTTOM,),
        5: (Image.Transpose.TRANSPOSE,),
        6: (Image.Transpose.ROTATE_90,),
        7: (Image.Transpose.TRANSVERSE,),
        8: (Image.Transpose.ROTATE_270,),
    }[orientation]:
        stored = stored.transpose(undo)
    exif, file = Image.Exif(), io.BytesIO()
    exif[ExifTags.Base.Orientation] = orientation
    stored.save(file, "PNG", exif=exif)
    return Image.open(file)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_turned_upright(orientation):
    upright = Image.fromarray(np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3))
    found = to_rgb("picture", with_orientation(upright, orientation))
    assert np.array_equal(found, upright)


def test_a_photo_held_upright_is_seen_upright_everywhere(tiny):
    """CLIP, image to image and the widgets get the same as from the turned picture."""
    page = draw(compose([("red", "house")], "snow", rng=1), 128)
    photo = with_orientation(page, 6)
    assert photo.size == page.size
    assert not np.array_equal(photo, page)
    vectors = image_vectors(tiny.image_processor, tiny.clip, [photo, page])
    assert torch.equal(vectors[0], vectors[1])
    first, second = (
        image_to_image(tiny, picture, "a house", 0.5, steps=2) for picture in (photo, page)
    )
    assert np.array_equal(first, second)
    assert np.array_equal(Canvas(photo).picture, page)
    assert np.array_equal(NoiseMixer(photo).picture, NoiseMixer(page).picture)


def test_a_damaged_file_is_named():
    file = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(file, "PNG")
    with pytest.raises(ValueError, match="picture: its file cannot be read: "):
        to_rgb("picture", Image.open(io.BytesIO(file.getvalue()[:2000])))


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_pixels_that_are_not_finite_are_no_black_picture(broken):
    with pytest.raises(ValueError, match="pixels: finite numbers"):
        to_pictures(torch.tensor([0.0, broken, 0.0]).reshape(1, 3, 1, 1))


@pytest.mark.parametrize("kept", [4, 12, 20])
def test_damaged_exif_data_do_not_lose_the_picture(kept):
    exif, file = Image.Exif(), io.BytesIO()
    exif[ExifTags.Base.Orientation] = 6
    page = Image.effect_noise((6, 4), 50)
    page.save(file, "PNG", exif=exif.tobytes()[:kept])
    found = to_rgb("picture", Image.open(io.BytesIO(file.getvalue())))
    assert np.array_equal(found, page.convert("RGB"))


def test_a_transparent_shade_in_16_bits_is_transparent():
    deep = Image.fromarray(np.array([[700, 40_000]], np.uint16))
    file = io.BytesIO()
    deep.save(file, "PNG", transparency=700)
    found = np.asarray(to_rgb("picture", Image.open(io.BytesIO(file.getvalue()))))
    assert found[0, :, 0].tolist() == [255, round(40_000 / 257)]


def test_zeros_and_ones_are_told_apart_from_8_bits():
    with pytest.raises(ValueError, match="int64 is read as 16 bits.*x.astype.bool. says what they"):
        to_rgb("mask", np.array([[0, 1]]))
    assert np.asarray(to_rgb("mask", np.array([[0, 1]]).astype(bool))).max() == 255
