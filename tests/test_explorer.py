"""A drawing whose attention was watched, and the widget that explores it."""

import threading

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

import sdlearn.widgets.explorer as explorer_module
from sdlearn.attention import record
from sdlearn.attention.watching import GRID, REST, START, watch, words_of
from sdlearn.images import to_jpeg
from sdlearn.pipeline import latents_to_images, text_to_latents
from sdlearn.plots import heat_over
from sdlearn.widgets.explorer import AttentionExplorer, point_view
from sdlearn.widgets.point_picker import PointPicker

PROMPT = "a red house left of a blue tree"


@pytest.fixture(scope="module")
def watched(random_model):
    return list(watch(random_model, PROMPT, steps=3, guidance=3.0, seed=1))


def test_words_are_those_of_the_prompt_with_their_places(random_model):
    words = words_of(random_model, PROMPT)
    assert list(words) == [START, "a", "red", "house", "left", "of", "blue", "tree"]
    assert words["a"] == [1, words["blue"][0] - 1]
    with pytest.warns(match="cut off"):
        list(text_to_latents(random_model, "house " * 90 + "tree", steps=1, guidance=1))
    assert list(words_of(random_model, "house " * 90 + "tree")) == [START, "house"]


def test_what_is_watched_is_the_drawing_and_its_maps(random_model, watched):
    with record(random_model.unet) as maps:
        steps = list(text_to_latents(random_model, PROMPT, steps=3, guidance=3.0, seed=1))
    assert [w.t for w in watched] == [step.t for step in steps]
    for step, seen in zip(steps, watched, strict=True):
        assert seen.picture == latents_to_images(random_model, step.clean)[0]
        expected = maps.select(steps=[step.index], layers=["up.0.1"]).of_words([3], head=1)[0]
        assert_close(seen.heat("house", "up.0.1", head=1), expected)


def test_two_drawings_watched_in_turn_keep_to_their_own_maps(random_model, watched):
    other = watch(random_model, "a blue tree", steps=3, guidance=3.0, seed=1)
    for expected, seen in zip(
        watched, watch(random_model, PROMPT, steps=3, guidance=3.0, seed=1), strict=True
    ):
        next(other)
        assert not random_model.unet._forward_pre_hooks
        assert {m.t for m in seen.cross} == {seen.t}
        assert_close(seen.heat("house"), expected.heat("house"))


def test_a_place_shares_its_attention_out_among_all_words(watched):
    shares = watched[1].shares((0.9, 0.2))
    assert list(shares) == [*watched[1].words, REST]
    assert sum(shares.values()) == pytest.approx(1)
    assert min(shares.values()) > 0
    heat = watched[1].heat("tree")
    height, width = heat.shape
    assert shares["tree"] == pytest.approx(heat[int(0.2 * height), int(0.9 * width)].item())


def test_a_place_looks_where_its_own_self_attention_goes(random_model, watched):
    point = (0.9, 0.2)
    with record(random_model.unet, positions=(), points=[point], largest=GRID) as maps:
        list(text_to_latents(random_model, PROMPT, steps=3, guidance=3.0, seed=1))
    assert_close(watched[2].looks(point), maps.select(steps=[2]).of_point(0)[0])
    assert watched[2].looks(point).sum() == pytest.approx(watched[2].looks((0.1, 0.1)).sum())
    assert not torch.equal(watched[2].looks(point), watched[2].looks((0.1, 0.1)))


def test_an_unknown_word_is_refused(watched):
    with pytest.raises(ValueError, match="word: one of ‹start›, a, red, .*, got 'dragon'"):
        watched[0].heat("dragon")


# --- the widget -----------------------------------------------------------------------------------


@pytest.fixture
def explorer(random_model):
    made = AttentionExplorer(random_model, PROMPT, steps=3, guidance=3.0)
    made.draw()
    made.wait(60)
    yield made
    made.stop()
    made.wait(20)


def test_it_shows_the_last_step_and_the_longest_word(explorer):
    assert explorer.error is None
    assert (explorer.step, explorer.word) == (len(explorer.watched) - 1, "house")
    assert explorer.layer is explorer.head is None
    now = explorer.watched[-1]
    assert explorer.image.value == to_jpeg(heat_over(now.picture, now.heat("house")))
    assert explorer.picker.picture == to_jpeg(now.picture)
    assert explorer.stop_button.disabled


@pytest.mark.parametrize(
    ("control", "value"), [("step_slider", 0), ("word_choice", "tree"), ("layer_choice", "mid.0")]
)
def test_every_control_shows_another_map(explorer, control, value):
    before, position = explorer.image.value, explorer.point_image.value
    getattr(explorer, control).value = value
    assert explorer.image.value != before
    assert explorer.point_image.value != position or control == "word_choice"
    now = explorer.watched[explorer.step]
    expected = heat_over(now.picture, now.heat(explorer.word, explorer.layer))
    assert explorer.image.value == to_jpeg(expected)


def test_a_head_is_one_of_the_layers(explorer):
    explorer.layer_choice.value = "down.1.0"
    assert explorer.head_choice.options == {"all": "all", "0": 0, "1": 1}
    assert (explorer.head_choice.label, explorer.head) == ("all", None)
    explorer.head_choice.value = 1
    assert_close(explorer.heat, explorer.watched[-1].heat("house", "down.1.0", 1))


def test_another_place_says_what_it_attends_to(explorer):
    before, image = explorer.point_image.value, explorer.image.value
    explorer.picker.x = 0.05
    assert explorer.point_image.value != before
    assert explorer.image.value == image
    assert explorer.point == (0.05, 0.5)


def test_another_prompt_keeps_the_word_that_it_shares(explorer):
    explorer.word_choice.value = "red"
    explorer.text.value = "a red cat"
    explorer.wait(60)
    assert explorer.word == "red"
    assert list(explorer.watched[0].words) == [START, "a", "red", "cat"]
    explorer.text.value = "snow"
    explorer.wait(60)
    assert explorer.word == "snow"
    explorer.text.value = ""
    explorer.wait(60)
    assert explorer.word == START


def test_stop_keeps_the_drawing_before(explorer, monkeypatch):
    reached, go, before = threading.Event(), threading.Event(), explorer.watched
    shown = explorer.picker.picture
    watching = explorer_module.watch

    def slowly(*args, **kwargs):
        for step in watching(*args, **kwargs):
            yield step
            reached.set()
            go.wait(20)

    monkeypatch.setattr(explorer_module, "watch", slowly)
    explorer.draw_button.click()
    assert reached.wait(20)
    assert not explorer.stop_button.disabled
    explorer.stop_button.click()
    go.set()
    explorer.wait(20)
    assert explorer.watched is before
    assert explorer.picker.picture == shown
    assert not explorer.model.unet._forward_pre_hooks


def test_an_error_is_shown(explorer, monkeypatch):
    monkeypatch.setattr(explorer_module, "watch", lambda *_, **__: 1 / 0)
    explorer.draw()
    explorer.wait(20)
    assert isinstance(explorer.error, ZeroDivisionError)
    assert "ZeroDivisionError" in explorer.said.value


def test_it_leaves_a_picture_and_no_address(explorer):
    assert repr(explorer) == f"AttentionExplorer({PROMPT!r}, step={explorer.step}, word='house')"
    assert {
        "image/jpeg",
        "application/vnd.jupyter.widget-view+json",
    } <= explorer._repr_mimebundle_().keys()
    assert np.asarray(explorer.as_picture()).shape == (376, 752, 3)


def test_bars_are_as_long_as_their_shares():
    picture, blue = Image.new("RGB", (64, 64)), (0, 114, 178)
    view = np.asarray(point_view(picture, {"a": 0.2, "house": 0.6}, torch.rand(4, 4), (0.5, 0.5)))
    lengths = (view == blue).all(axis=2).sum(axis=1)
    short, long = sorted({length for length in lengths.tolist() if length})
    assert long == pytest.approx(3 * short, rel=0.02)


def test_a_place_is_within_the_picture():
    picker = PointPicker(Image.new("RGB", (30, 20)), 30)
    assert picker.point == (0.5, 0.5)
    with pytest.raises(Exception, match="x"):
        picker.x = 1.5
