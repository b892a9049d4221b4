"""The renderer: the same picture at every size, exact masks, nothing hidden or cut off."""

import numpy as np
import pytest

from sdlearn.picturebook import COLOURS, KINDS, SETTINGS, compose, random_scene
from sdlearn.picturebook.drawing import RGB, draw, draw_array, masks


def scenes(count):
    return [random_scene(np.random.default_rng((8, i))) for i in range(count)]


def shrunk(picture, by):
    side = len(picture) // by
    return picture.reshape(side, by, side, by, -1).astype(float).mean(axis=(1, 3)).squeeze()


def test_small_and_large_drawings_are_the_same_picture():
    for scene in scenes(12):
        difference = np.abs(shrunk(draw_array(scene, 512), 4) - draw_array(scene, 128))
        assert difference.mean() < 1.5, scene.caption
        assert np.quantile(difference, 0.999) < 60, scene.caption


def test_masks_agree_between_sizes():
    for scene in scenes(12):
        for large, small in zip(masks(scene, 512), masks(scene, 128), strict=True):
            assert np.abs(shrunk(large, 4) - small).mean() < 0.002


def test_the_same_scene_is_drawn_the_same():
    scene = scenes(1)[0]
    assert np.array_equal(draw_array(scene, 96), np.asarray(draw(scene, 96)))


def test_a_mask_covers_exactly_what_its_thing_changes():
    """If a scene is drawn with its thing in another colour, pixels differ only inside the mask."""
    for kind in KINDS:
        pictures = []
        for colour in ("red", "blue"):
            scene = compose([(colour, kind)], "desert", sizes=("big",), rng=4)
            pictures.append(draw_array(scene, 128).astype(int))
        changed = np.abs(pictures[0] - pictures[1]).max(axis=2) > 8
        mask = masks(scene, 128)[0]
        assert not changed[mask == 0].any(), kind
        assert changed[mask == 1].mean() > 0.3, kind


def test_things_are_seen_whole():
    for scene in scenes(150):
        found = masks(scene, 128)
        assert (found.reshape(len(found), -1).sum(axis=1) > 60).all(), scene.caption
        for i, first in enumerate(found):
            for second in found[:i]:
                assert np.minimum(first, second).sum() < 0.02 * min(first.sum(), second.sum()), (
                    scene.caption
                )


@pytest.mark.parametrize("kind", KINDS)
def test_no_outline_is_cut_off_by_its_window(kind):
    scene = compose([("red", kind)], "meadow", sizes=("small",), rng=1)
    thing = scene.things[0]
    mask = masks(scene, 256)[0]
    rows, columns = np.nonzero(mask > 0)
    reach = (0.58 * thing.side) * 256
    assert abs(rows - thing.y * 256).max() < reach
    assert abs(columns - thing.x * 256).max() < reach


@pytest.mark.parametrize("colour", COLOURS)
def test_a_thing_shows_its_colour(colour):
    scene = compose([(colour, "heart")], "meadow", sizes=("big",), rng=2)
    inside = masks(scene, 128)[0] == 1
    seen = np.median(draw_array(scene, 128)[inside], axis=0) / 255
    nearest = min(RGB, key=lambda name: np.abs(np.array(RGB[name]) - seen).sum())
    assert nearest == colour


def test_places_look_different():
    pictures = [
        draw_array(compose([("red", "car")], setting, rng=5), 64).astype(float)
        for setting in SETTINGS
    ]
    for i, first in enumerate(pictures):
        for second in pictures[:i]:
            assert np.abs(first - second).mean() > 15


@pytest.mark.bad_input
@pytest.mark.parametrize("size", [0, 15, 5000])
def test_a_size_that_cannot_be_drawn_is_refused(size):
    with pytest.raises(ValueError, match="size: a whole number of pixels from 16 to 4096, got"):
        draw(scenes(1)[0], size)
