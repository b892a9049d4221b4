"""Widgets, driven by their traits as a learner's clicks would; figures, by what is on them."""

import io
import threading

import numpy as np
import pytest
from PIL import Image

from sdlearn import plots, widgets
from sdlearn.images import to_jpeg
from sdlearn.pipeline import text_to_image
from sdlearn.widgets import Painter

PROMPT = "a red house in the snow"


@pytest.fixture
def painter(random_model):
    made = Painter(random_model, PROMPT, steps=4)
    yield made
    made.stop()
    made.wait(20)


def test_a_drawing_is_the_pipelines_picture(painter, random_model):
    painter.seed.value, painter.guidance.value = 3, 5.0
    painter.draw()
    painter.wait(30)
    expected = text_to_image(random_model, PROMPT, steps=4, guidance=5.0, seed=3)
    assert np.array_equal(painter.picture, expected)
    assert painter.image.value == to_jpeg(expected)
    assert painter.progress.value == painter.progress.max
    assert painter.stop_button.disabled


def test_entering_a_prompt_draws_it(painter):
    painter.text.value = "a blue tree"
    painter.wait(30)
    assert painter.prompt == "a blue tree"
    assert painter.picture is not None


def test_clicking_draw_draws_and_stop_stops(painter, monkeypatch):
    reached, go = threading.Event(), threading.Event()
    steps = widgets.text_to_latents

    def slowly(*args, **kwargs):
        for step in steps(*args, **kwargs):
            yield step
            reached.set()
            go.wait(20)

    monkeypatch.setattr(widgets, "text_to_latents", slowly)
    painter.draw_button.click()
    assert reached.wait(20)
    assert painter.running
    assert not painter.stop_button.disabled
    painter.stop_button.click()
    go.set()
    painter.wait(20)
    assert not painter.running
    assert painter.progress.value == 1
    assert painter.picture is None
    assert painter.stop_button.disabled


def test_a_new_drawing_gives_up_the_one_before(painter):
    painter.draw()
    first = painter._thread
    painter.text.value = "a blue tree"
    painter.wait(30)
    first.join(30)
    assert painter._thread is not first
    assert painter.stop_button.disabled


def test_unknown_words_are_said_and_escaped(painter):
    painter.text.value = "a dragon <b>"
    painter.wait(30)
    assert "<b>dragon</b>" in painter.said.value
    painter.text.value = "a red house"
    painter.wait(30)
    assert painter.said.value == ""


def test_an_error_is_shown_and_kept(painter, monkeypatch):
    monkeypatch.setattr(widgets, "text_to_latents", lambda *_, **__: 1 / 0)
    painter.draw()
    painter.wait(20)
    assert isinstance(painter.error, ZeroDivisionError)
    assert "ZeroDivisionError" in painter.said.value
    assert painter.stop_button.disabled


def test_no_address_in_repr_and_a_static_picture_beside_the_widget(painter):
    assert repr(painter) == f"Painter('{PROMPT}', seed=0, guidance=7.5)"
    assert {"image/jpeg", "application/vnd.jupyter.widget-view+json"} <= painter._repr_mimebundle_().keys()


# --- figures --------------------------------------------------------------------------------------


def words_on(figure) -> str:
    return " ".join(text.get_text() for axes in figure.axes for text in axes.texts)


def test_the_pipeline_figure_reads_its_shapes_from_the_model(random_model):
    words = words_on(plots.pipeline(random_model))
    for shape in ("77×24", "4×8×8", "3×32×32"):
        assert shape in words


def test_a_lit_stage_stands_out(random_model):
    plain, lit = (len(plots.pipeline(random_model, stage).axes[0].patches) for stage in (None, "unet"))
    assert lit == plain + 1


def test_a_strip_shows_every_picture_with_its_title():
    pictures = [Image.new("RGB", (30, 20), colour) for colour in ("red", "green", "blue", "white")]
    figure = plots.strip(pictures, ["a", "b", "c", "d"], columns=3)
    assert [axes.get_title() for axes in figure.axes][:4] == ["a", "b", "c", "d"]
    assert np.array_equal(figure.axes[1].images[0].get_array(), np.asarray(pictures[1]))
    figure.savefig(io.BytesIO(), format="png")
    with pytest.raises(ValueError, match="titles: one for each of the 4 pictures, got 1"):
        plots.strip(pictures, ["a"])
