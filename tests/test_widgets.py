"""Widgets, driven through their traits instead of clicks; and figures, tested by their content."""

import base64
import io
import threading
from dataclasses import replace

import nbformat
import numpy as np
import pytest
import torch
from conftest import small_unet
from matplotlib.patches import FancyArrowPatch
from nbclient import NotebookClient
from PIL import Image

import sdlearn.widgets.live as live_work
import sdlearn.widgets.painter as painter_module
from sdlearn import plots
from sdlearn.compression import decode, encode, scale
from sdlearn.images import psnr, to_jpeg, to_pictures, to_pixels
from sdlearn.noising import Schedule, add_noise
from sdlearn.pipeline import text_to_image
from sdlearn.widgets import AttentionExplorer, Live, NoiseMixer, Painter, RoundTrip, Scrubber, Shown

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
    assert painter.progress.done == painter.progress.total
    assert painter.stop_button.disabled


def test_the_seed_of_the_picture_shown_stands_in_its_box(random_model):
    assert Painter(random_model, PROMPT, seed=8).seed.value == 8


def test_entering_a_prompt_draws_it(painter):
    painter.text.value = "a blue tree"
    painter.wait(30)
    assert painter.prompt == "a blue tree"
    assert painter.picture is not None


@pytest.fixture
def asked(monkeypatch):
    """The drawings that a painter asked for: what, how large and in how many steps."""
    drawn, steps = [], painter_module.text_to_latents

    def noted(model, prompt, size=None, steps_of=steps, **kwargs):
        drawn.append((prompt, size, kwargs["steps"]))
        return steps_of(model, prompt, size=size, **kwargs)

    monkeypatch.setattr(painter_module, "text_to_latents", noted)
    return drawn


def test_typing_draws_sketches_and_a_pause_the_picture(painter, random_model, asked, monkeypatch):
    monkeypatch.setattr(painter_module, "PAUSE", 0.2)
    pictures, small = [], random_model.side // 2
    painter.image.observe(lambda change: pictures.append(bytes(change["new"])), names="value")
    painter.text.value = "a blue"
    painter.text.value = "a blue tree"
    painter.wait(30)
    assert asked[-2:] == [("a blue tree", small, 4), ("a blue tree", None, 4)]
    assert ("a blue", None, 4) not in asked
    sketch, whole = pictures[-2:]
    expected = text_to_image(random_model, "a blue tree", size=small, steps=4, guidance=7.5, seed=0)
    assert sketch == to_jpeg(expected)
    assert whole == to_jpeg(painter.picture)
    assert painter.picture.size == (random_model.side, random_model.side)


def test_where_sketches_would_take_too_long_enter_draws(random_model, asked, monkeypatch):
    monkeypatch.setattr(painter_module, "LIGHT", 10)
    large = Painter(random_model, "", steps=2)
    assert not large.text.continuous_update
    large.text.value = PROMPT
    large.wait(30)
    assert asked == [(PROMPT, None, 2)]


def test_a_side_whose_half_does_not_fit_is_sketched_whole(random_model, monkeypatch):
    assert painter_module._half(random_model) == random_model.side // 2
    small = replace(random_model, unet=small_unet(sample_size=2))
    assert painter_module._half(small) == small.side


def test_clicking_draw_draws_and_stop_stops(painter, monkeypatch):
    reached, go = threading.Event(), threading.Event()
    steps = painter_module.text_to_latents

    def slowly(*args, **kwargs):
        for step in steps(*args, **kwargs):
            yield step
            reached.set()
            go.wait(20)

    monkeypatch.setattr(painter_module, "text_to_latents", slowly)
    painter.draw_button.click()
    assert reached.wait(20)
    assert painter.running
    assert not painter.stop_button.disabled
    painter.stop_button.click()
    go.set()
    painter.wait(20)
    assert not painter.running
    assert painter.progress.done == 1
    assert painter.picture is None
    assert painter.said.value == "Stopped: this picture is not finished."
    assert painter.stop_button.disabled


def test_a_new_drawing_gives_up_the_one_before(painter, monkeypatch):
    reached, go, seen = threading.Event(), threading.Event(), []
    steps = painter_module.text_to_latents

    def slowly(model, prompt, **kwargs):
        for step in steps(model, prompt, **kwargs):
            seen.append(prompt)
            yield step
            reached.set()
            go.wait(20)

    monkeypatch.setattr(painter_module, "text_to_latents", slowly)
    painter.draw()
    assert reached.wait(20)
    first = painter._work.thread
    runs = painter.stop_button.runs
    painter.text.value = "a blue tree"
    assert painter.stop_button.runs == runs + 1  # a Stop that was pressed is ready again
    go.set()
    painter.wait(30)
    first.join(30)
    assert painter._work.thread is not first
    assert seen.count(PROMPT) <= 2 < seen.count("a blue tree")
    assert painter.stop_button.disabled


def test_unknown_words_are_said_and_escaped(painter):
    painter.text.value = "a dragon <b>"
    painter.wait(30)
    assert "<b>dragon</b>" in painter.said.value
    painter.text.value = "a red house"
    painter.wait(30)
    assert painter.said.value == ""


def test_what_was_cut_off_and_an_empty_prompt_are_said(painter):
    painter.text.value = "house " * 80 + "<end>"
    painter.draw()
    painter.wait(30)
    assert painter.error is None  # no warning, which would be an error here
    assert "Too long, so this was cut off: <b>house house" in painter.said.value
    assert "&lt; end &gt;</b>" in painter.said.value
    painter.text.value = " "
    painter.draw()
    painter.wait(30)
    assert painter.said.value == "Without a prompt, the model draws whatever it likes."


def test_an_error_is_shown_and_kept(painter, monkeypatch):
    monkeypatch.setattr(painter_module, "text_to_latents", lambda *_, **__: 1 / 0)
    painter.draw()
    painter.wait(20)
    assert isinstance(painter.error, ZeroDivisionError)
    assert "ZeroDivisionError" in painter.said.value
    assert painter.stop_button.disabled


def test_no_address_in_repr_and_a_static_picture_beside_the_widget(painter):
    assert repr(painter) == f"Painter('{PROMPT}', seed=0, guidance=7.5)"
    assert {
        "image/jpeg",
        "application/vnd.jupyter.widget-view+json",
    } <= painter._repr_mimebundle_().keys()


def test_widgets_draw_by_the_models_own_steps_and_guidance_unless_told_otherwise(random_model):
    own = replace(random_model, default_steps=3, default_guidance=2.0)
    for made in (Painter(own, PROMPT), AttentionExplorer(own, PROMPT)):
        assert made.steps == made.progress.total == 3
    assert Painter(own, PROMPT).guidance.value == 2
    assert AttentionExplorer(own, PROMPT).guidance == 2
    told = Painter(own, PROMPT, steps=7, guidance=4)
    assert (told.steps, told.guidance.value) == (7, 4)


# --- figures --------------------------------------------------------------------------------------


def words_on(figure) -> str:
    return " ".join(text.get_text() for axes in figure.axes for text in axes.texts)


def words_and_arrows(figure) -> tuple[dict[str, tuple[float, float]], list[np.ndarray]]:
    """Where each text stands, and where each arrow starts and ends."""
    (axes,) = figure.axes
    figure.canvas.draw()
    arrows = [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]
    return (
        {text.get_text(): text.get_position() for text in axes.texts},
        [arrow.get_path().vertices[[0, 2]] for arrow in arrows],
    )


def test_the_pipeline_figure_reads_its_shapes_from_the_model(random_model):
    words = words_on(plots.pipeline(random_model))
    for shape in ("77×24", "4×8×8", "3×32×32"):
        assert shape in words


def test_the_pipeline_of_image_to_image_begins_at_a_picture(random_model):
    """The picture on top comes from the scheduler's last latents, not from the U-Net's noise."""
    plain, with_picture = (
        words_on(plots.pipeline(random_model, from_picture=given)) for given in (False, True)
    )
    for name in ("VAE encoder", "Your picture"):
        assert name not in plain
        assert name in with_picture
    figure = plots.pipeline(random_model)
    texts, arrows = words_and_arrows(figure)
    into_decoder = min(arrows, key=lambda ends: np.abs(ends[1] - texts["VAE decoder"]).sum())
    assert abs(into_decoder[0] - texts["Scheduler"]).sum() < 15


def test_the_pipeline_with_a_controlnet_leads_from_the_mask_into_the_u_net(random_model):
    figure = plots.pipeline(random_model, from_mask=True)
    assert "ControlNet" not in words_on(plots.pipeline(random_model))
    texts, arrows = words_and_arrows(figure)
    for start, end in (("Your mask", "ControlNet"), ("ControlNet", "U-Net")):
        nearest = min(arrows, key=lambda a: np.abs(a - [texts[start], texts[end]]).sum())
        assert np.abs(nearest - [texts[start], texts[end]]).sum(axis=1).max() < 15
    top = figure.axes[0].get_ylim()[1]
    assert all(0 < y < top for _, y in texts.values())


@pytest.mark.parametrize("stages", ["unet", ("clip", "unet")])
def test_lit_stages_stand_out(random_model, stages):
    plain, lit = (
        [patch.get_facecolor() for patch in plots.pipeline(random_model, lit).axes[0].patches]
        for lit in ((), stages)
    )
    changed = [pair for pair in zip(plain, lit, strict=True) if pair[0] != pair[1]]
    assert len(changed) == (1 if stages == "unet" else 2)
    for before, after in changed:
        assert sum(after[:3]) < 0.7 * sum(before[:3])  # a dark box


def test_a_stage_that_the_pipeline_does_not_show_cannot_be_lit(random_model):
    with pytest.raises(ValueError, match="lit: of text, tokenizer, .*, got u-net"):
        plots.pipeline(random_model, lit="u-net")
    with pytest.raises(ValueError, match="got controlnet"):
        plots.pipeline(random_model, lit=("unet", "controlnet"))


@pytest.mark.parametrize("lines", [1, 2, 3])
@pytest.mark.parametrize("rows", [1, 2])
def test_the_titles_of_a_strip_are_not_cut_off(lines, rows):
    titles = ["\n".join("abc"[:lines])] * 4 * rows
    figure = plots.strip([Image.new("RGB", (30, 30))] * 4 * rows, titles, columns=4)
    figure.savefig(io.BytesIO(), format="png")
    for axes in figure.axes:
        assert axes.title.get_window_extent().y1 <= figure.bbox.height


def test_a_strip_shows_every_picture_with_its_title():
    pictures = [Image.new("RGB", (30, 20), colour) for colour in ("red", "green", "blue", "white")]
    figure = plots.strip(pictures, ["a", "b", "c", "d"], columns=3)
    assert [axes.get_title() for axes in figure.axes][:4] == ["a", "b", "c", "d"]
    assert np.array_equal(figure.axes[1].images[0].get_array(), np.asarray(pictures[1]))
    figure.savefig(io.BytesIO(), format="png")
    with pytest.raises(ValueError, match="titles: one for each of the 4 pictures, got 1"):
        plots.strip(pictures, ["a"])


# --- the scrubber ---------------------------------------------------------------------------------


def frames(count=3):
    return [Image.new("RGB", (20, 10), (60 * i, 0, 0)) for i in range(count)]


def test_a_scrubber_holds_every_picture_and_says_where_it_stands():
    scrubber = Scrubber(frames(), ["0", "500", "999"], name="t =")
    scrubber.index = 2
    shown = Image.open(io.BytesIO(scrubber.frames[scrubber.index]))
    assert abs(shown.getpixel((5, 5))[0] - 120) < 6
    assert scrubber.label == "999"
    assert repr(scrubber) == "Scrubber of 3 pictures, t = 999"


def test_a_scrubber_stays_within_its_pictures():
    scrubber = Scrubber(frames(), ["a", "b", "c"])
    scrubber.index = 7
    assert scrubber.index == 2
    scrubber.index = -1
    assert scrubber.index == 0


def test_a_scrubber_takes_figures():
    scrubber = Scrubber([plots.strip(frames(1), ["a"])], ["only"])
    assert Image.open(io.BytesIO(scrubber.frames[0])).width == 900


@pytest.mark.parametrize("labels", [["a"], []])
def test_a_scrubber_needs_a_label_for_every_picture(labels):
    with pytest.raises(ValueError, match="labels: one for each of the 3 pictures"):
        Scrubber(frames(), labels)


def test_a_scrubbers_marks_are_one_for_each_picture_or_none():
    assert Scrubber(frames(), ["a", "b", "c"], marks=[0.1, 0.5, 0.9]).marks == [0.1, 0.5, 0.9]
    with pytest.raises(ValueError, match="marks: one for each of the 3 pictures, or none, got 1"):
        Scrubber(frames(), ["a", "b", "c"], marks=[0.1])


def test_a_scrubber_leaves_its_picture_for_readers_without_a_kernel():
    scrubber = Scrubber(frames(), ["a", "b", "c"])
    data = scrubber._repr_mimebundle_()
    data = data[0] if isinstance(data, tuple) else data
    assert base64.b64decode(data["image/jpeg"]) == scrubber.frames[0]
    assert "application/vnd.jupyter.widget-view+json" in data
    assert "0x" not in data["text/plain"]


def test_several_pictures_can_stand_in_for_a_scrubber():
    scrubber = Scrubber(frames(), ["a", "b", "c"], stills=[2, 0])
    bundle = scrubber._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    still = np.asarray(Image.open(io.BytesIO(base64.b64decode(data["image/jpeg"]))), dtype=int)
    upper, lower = np.array_split(still, 2)
    reds = [(part[..., 0] - part[..., 1]).max() for part in (upper, lower)]
    assert reds[0] > 100  # the last frame has red 120, the first is black
    assert reds[1] < 30
    with pytest.raises(ValueError, match="stills: a whole number from 0 to 2, got 3"):
        Scrubber(frames(), ["a", "b", "c"], stills=[3])


def test_a_scrubber_through_rows_of_pictures_leaves_a_grid_with_a_column_for_each():
    red, blue, white = (Image.new("RGB", (30, 20), name) for name in ("red", "blue", "white"))
    rows = {"0": [white, red], "1": [white, white], "2": [blue, white]}
    scrubber = Scrubber.of_rows(rows, ["left", "right"], "strength", stills=(0, 2))
    assert scrubber.labels == ["0", "1", "2"]
    assert len(set(scrubber.frames)) == 3
    bundle = scrubber._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    still = np.asarray(Image.open(io.BytesIO(base64.b64decode(data["image/jpeg"]))), dtype=int)
    (bottom, left), (top, right) = (
        np.argwhere((still[..., a] > 200) & (still[..., b] < 50)).mean(0)
        for a, b in ((0, 2), (2, 0))
    )
    assert left < right  # the first of the stills, and beside it the last
    assert top < len(still) / 2 < bottom  # the first title, and below it the second
    alone = Scrubber.of_rows(rows, ["left", "right"])
    assert alone._still() == alone.frames[0]
    with pytest.raises(ValueError, match="titles: one for each of the 2 pictures, got 1"):
        Scrubber.of_rows(rows, ["left"])
    with pytest.raises(ValueError, match="stills: a whole number from 0 to 2, got 3"):
        Scrubber.of_rows(rows, ["left", "right"], stills=[3])
    with pytest.raises(ValueError, match="titles: all different, got"):
        Scrubber.of_rows(rows, ["same", "same"], stills=[0])


# --- the mixer ------------------------------------------------------------------------------------


@pytest.fixture
def mixer():
    return NoiseMixer(Image.effect_mandelbrot((64, 48), (-2, -1.2, 1, 1.2), 40))


def test_the_mixer_shows_the_closed_form(mixer):
    mixer.slider.value, mixer.choice.value = 600, "cosine"
    schedule = Schedule.named("cosine")
    noise = torch.randn(1, 3, 512, 512, generator=torch.Generator().manual_seed(0))
    expected = add_noise(schedule, to_pixels(np.asarray(mixer.picture)[None]), 600, noise)
    assert np.array_equal(mixer.noisy, to_pictures(expected)[0])
    assert mixer.image.value == to_jpeg(mixer.noisy)
    assert f"ᾱ = {schedule.alpha_bars[600]:.4f}" in mixer.said.value
    assert (mixer.t, repr(mixer)) == (600, "NoiseMixer(t=600, schedule='cosine')")


def uploaded(mixer, content: bytes, name="mine.png"):
    """What the browser sends when a file was chosen."""
    chosen = mixer.upload.chosen + 1
    mixer.upload.set_state({"name": name, "content": memoryview(content), "chosen": chosen})


def test_the_mixer_takes_a_picture_of_ones_own(mixer):
    mixer.slider.value = 0
    file = io.BytesIO()
    Image.new("RGBA", (30, 90), (0, 200, 0, 255)).save(file, "PNG")
    uploaded(mixer, file.getvalue())
    assert mixer.picture.size == (512, 512)
    assert mixer.picture.getpixel((256, 256)) == (0, 200, 0)
    assert abs(np.asarray(mixer.noisy)[..., 1].mean() - 200) < 5


def test_a_photo_that_was_taken_sideways_stands_upright(mixer):
    mixer.slider.value = 0
    lying, turned = Image.new("RGB", (64, 64), (0, 0, 200)), Image.Exif()
    lying.paste((200, 0, 0), (0, 0, 32, 64))  # red on the left: the top when turned upright
    turned[0x0112] = 6
    file = io.BytesIO()
    lying.save(file, "JPEG", exif=turned)
    uploaded(mixer, file.getvalue(), "mine.jpg")
    assert mixer.picture.getpixel((256, 60))[0] > 150
    assert mixer.picture.getpixel((60, 450))[2] > 150


def test_a_file_that_is_no_picture_is_said_and_the_old_one_stays(mixer):
    before = mixer.noisy
    uploaded(mixer, b"not a picture", "<b>x.png")
    assert np.array_equal(mixer.noisy, before)
    assert mixer.said.value == (
        "<b>&lt;b&gt;x.png</b> cannot be shown: it is not a picture that the browser can read."
    )
    assert mixer.upload.failure is not None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("photo.HEIC", "export the photo as JPEG"),
        ("drawing.svg", "not pixels; export it as PNG"),
        ("notes.txt", "not a picture that the browser can read"),
    ],
)
def test_a_file_that_the_browser_could_not_read_is_explained(mixer, name, why):
    uploaded(mixer, b"", name)
    assert mixer.said.value.startswith(f"<b>{name}</b> cannot be shown: ")
    assert why in mixer.said.value
    uploaded(mixer, b"", name)
    assert why in mixer.said.value


# --- there and back -------------------------------------------------------------------------------


def test_a_round_trip_shows_what_comes_back_and_says_how_close_it_is(random_model):
    trip = RoundTrip(random_model, Image.effect_mandelbrot((64, 48), (-2, -1.2, 1, 1.2), 40))
    pixels = to_pixels(np.asarray(trip.picture)[None])
    back = decode(random_model.vae, scale(random_model.vae, encode(random_model.vae, pixels).mean))
    assert trip.psnr == pytest.approx(psnr(back, pixels))
    assert trip.said.value == f"PSNR {trip.psnr:.1f} dB"
    before = trip.image.value
    file = io.BytesIO()
    Image.new("RGB", (50, 40), (200, 0, 0)).save(file, "PNG")
    uploaded(trip, file.getvalue())
    assert trip.picture.size == (32, 32)
    assert trip.image.value != before


# --- long work ------------------------------------------------------------------------------------


def counted(count, gate=None):
    for done in range(1, count + 1):
        if gate:
            gate.wait(10)
        yield Shown(done, f"<step> {done}", Image.new("RGB", (30, 20), (done * 20, 0, 0)))


def test_live_work_shows_its_latest_and_ends(capsys):
    live = Live(counted(5), 5)
    live.wait(10)
    assert (live.shown.done, live.progress.done, live.finished, live.error) == (5, 5, True, None)
    assert live.said.value == "5 of 5: &lt;step&gt; 5"
    assert live.image.value == to_jpeg(live.shown.picture)
    assert live.stop_button.disabled
    assert live.go_button.disabled
    assert capsys.readouterr().out == ""  # it was not displayed


def test_a_saved_notebook_has_the_latest_picture_of_live_work():
    start = """from PIL import Image
from sdlearn.widgets import Live, Shown

page = Image.new("RGB", (30, 20), "green")
live = Live(iter([Shown(1, "one", page)]), 1, start=False)
"""
    cells = [f"{start}live", "live.go_on()\nlive.wait()"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, kernel_name="python3").execute()
    (output,) = notebook.cells[0].outputs
    assert output.data["text/plain"] == "Live(1 of 1)"
    saved = Image.open(io.BytesIO(base64.b64decode(output.data["image/jpeg"])))
    assert saved.size == (30, 20)
    assert notebook.cells[1].outputs == []


def test_live_work_without_pictures_leaves_its_last_words():
    live = Live((Shown(done, f"loss {done}") for done in (1, 2)), 2, start=False)
    before = live._still()
    assert before == live.image.value
    live.go_on()
    live.wait(10)
    assert live.image.layout.display == "none"
    assert live._still() not in (before, live.image.value)
    with_pictures = Live(counted(2), 2)
    with_pictures.wait(10)
    assert with_pictures.image.layout.display is None
    assert with_pictures._still() == to_jpeg(with_pictures.shown.picture)


def test_live_work_moves_its_bar_at_every_step_and_keeps_the_latest_picture(monkeypatch):
    now, said = [100.0], []
    monkeypatch.setattr(live_work.time, "monotonic", lambda: now[0])

    def steps():
        for done in range(1, 5):
            now[0] += 50
            yield Shown(done, "", Image.new("RGB", (9, 9), "red") if done == 2 else None)
            said.append((live.progress.done, live.said.value, bytes(live.image.value)))

    live = Live(steps(), 4, start=False)
    empty = bytes(live.image.value)
    live.go_on()
    live.wait(10)
    assert [text for _, text, _ in said] == [
        "1 of 4, about 2 min left",
        "2 of 4, about 2 min left",
        "3 of 4, about 50 s left",
        "4 of 4",
    ]
    assert [value for value, _, _ in said] == [1, 2, 3, 4]
    red = said[1][2]
    assert [picture for _, _, picture in said] == [empty, red, red, red]
    assert red != empty


def test_the_time_left_counts_from_where_one_went_on(monkeypatch):
    now, gate = [0.0], threading.Event()
    monkeypatch.setattr(live_work.time, "monotonic", lambda: now[0])
    live = Live(counted(4, gate), 4)
    live.stop()
    gate.set()
    live.wait(10)
    assert live.progress.done == 1
    now[0], said = 1000.0, []
    live.said.observe(lambda change: said.append(change["new"]), names="value")
    live._steps = (step for step in list(live._steps) if not now.__setitem__(0, now[0] + 10))
    live.go_on()
    live.wait(10)
    assert said[0] == "starting …"
    assert said[1].startswith("2 of 4, about 20 s left")


def test_live_work_stops_and_goes_on_where_it_was():
    gate = threading.Event()
    live = Live(counted(4, gate), 4)
    live.stop_button.click()
    gate.set()
    live.wait(10)
    assert (live.shown.done, live.finished) == (1, False)
    assert not live.go_button.disabled
    live.go_button.click()
    live.wait(10)
    assert (live.shown.done, live.finished) == (4, True)


def test_live_work_stops_the_one_before_and_waits_for_it():
    gate, seen = threading.Event(), []
    first = Live(counted(4, gate), 4)

    def second():
        seen.append(first.running)
        yield from counted(2)

    live = Live(second(), 2)
    assert not live.finished
    gate.set()
    live.wait(10)
    assert seen == [False]
    assert (first.shown.done, first.finished) == (1, False)
    assert (live.shown.done, live.finished) == (2, True)


def test_an_interrupt_of_the_wait_stops_live_work(monkeypatch):
    gate = threading.Event()
    live = Live(counted(4, gate), 4)

    def interrupted(timeout):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(live._work.thread, "join", interrupted)
        with pytest.raises(KeyboardInterrupt) as stopped:
            live.wait()
    assert stopped.value._render_traceback_()[0].startswith("Stopped.")
    assert not live.stop_button.waiting
    gate.set()
    live.wait(10)
    assert (live.shown.done, live.finished) == (1, False)


def test_an_error_in_live_work_is_said():
    def broken():
        yield from counted(1)
        raise ValueError("a <bad> thing")

    live = Live(broken(), 2)
    live.wait(10)
    assert live.said.value == "<b>ValueError</b>: a &lt;bad&gt; thing"
    assert isinstance(live.error, ValueError)
    assert not live.running


def test_live_work_that_fails_before_its_first_picture_promises_none():
    def broken():
        yield Shown(1, "loss 0.1")
        raise ValueError("bad")

    live = Live(broken(), 2, start=False)
    promise = live._still()
    live.go_on()
    live.wait(10)
    assert live.image.layout.display == "none"
    assert live._still() == to_jpeg(live_work._note("1 of 2: ended by an error"))
    assert live._still() != promise
