"""The canvas: what the browser sends appears in the picture and in the mask."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from sdlearn.widgets.canvas import COLOURS, MASK_COLOUR, Canvas

GREEN = Image.new("RGB", (60, 40), "#008000")


def strokes(box, colour="red", size=(60, 40)):
    """What the browser sends: a transparent PNG with something painted on it."""
    painted = Image.new("RGBA", size)
    ImageDraw.Draw(painted).rectangle(box, fill=colour)
    file = io.BytesIO()
    painted.save(file, "PNG")
    return file.getvalue()


def test_what_was_painted_is_on_the_picture_and_in_the_mask():
    canvas = Canvas(GREEN)
    assert canvas.picture == GREEN
    assert not np.asarray(canvas.mask).any()
    canvas.strokes = strokes((10, 5, 29, 14))
    expected = np.zeros((40, 60), bool)
    expected[5:15, 10:30] = True
    assert np.array_equal(np.asarray(canvas.mask) == 255, expected)
    pixels = np.asarray(canvas.picture)
    assert (pixels[expected] == (255, 0, 0)).all()
    assert (pixels[~expected] == (0, 128, 0)).all()


def test_strokes_come_from_the_browser_as_a_memoryview():
    canvas = Canvas(GREEN)
    canvas.set_state({"strokes": memoryview(strokes((10, 5, 29, 14)))})
    assert (np.asarray(canvas.mask) == 255).sum() == 200


def test_half_transparent_edges_are_blended_and_not_in_the_mask():
    canvas = Canvas(GREEN)
    canvas.strokes = strokes((0, 0, 9, 9), (255, 0, 0, 100))
    assert not np.asarray(canvas.mask).any()
    assert 90 < np.asarray(canvas.picture)[2, 2, 0] < 110


def test_a_canvas_for_a_mask_has_one_colour_that_shines_through():
    canvas = Canvas(GREEN, mask=True)
    assert canvas.colours == MASK_COLOUR
    assert canvas.see_through
    assert Canvas(GREEN).colours == COLOURS
    assert not Canvas(GREEN).see_through


def test_the_canvas_has_the_size_of_any_picture():
    canvas = Canvas(np.zeros((20, 30), np.uint8))
    assert (canvas.width, canvas.height) == (30, 20)
    assert repr(canvas) == "Canvas of 30×20 pixels"


@pytest.mark.bad_input
def test_a_canvas_of_no_picture_is_refused():
    with pytest.raises(TypeError, match="picture: a PIL picture or an array"):
        Canvas("a red house")


def test_it_leaves_a_picture_and_no_address():
    canvas = Canvas(GREEN)
    data = canvas._repr_mimebundle_()
    data = data[0] if isinstance(data, tuple) else data
    assert {"image/jpeg", "application/vnd.jupyter.widget-view+json"} <= data.keys()
    assert data["text/plain"] == repr(canvas)
