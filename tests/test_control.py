"""A picture as a second input: what a ControlNet adds, and where; and what is measured."""

import io
import threading
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from conftest import WIDTH, small_unet
from diffusers import ControlNetModel, StableDiffusionControlNetPipeline
from PIL import Image, ImageDraw
from torch.testing import assert_close

from sdlearn import text_to_image
from sdlearn._support.paths import TINY
from sdlearn.control import (
    EDGES,
    MASKS,
    control_pixels,
    controlled,
    find_edges,
    load_control,
    start_control,
)
from sdlearn.evaluate.judge import load_judge
from sdlearn.evaluate.placing import (
    HEAD,
    compare_control,
    edges_of,
    generate_where,
    iou,
    mask_of,
    overlaps,
    placed,
)
from sdlearn.evaluate.samples import drawn, unseen_scenes
from sdlearn.images import to_pictures
from sdlearn.loading import load
from sdlearn.picturebook import compose, draw, masks
from sdlearn.widgets import Placer
from sdlearn.widgets import placer as placer_module

DISC = Image.new("RGB", (64, 96))
ImageDraw.Draw(DISC).ellipse((4, 10, 34, 40), fill="white")


def untidy(control):
    """A ControlNet whose convolutions are no longer zero, as after some training."""
    torch.manual_seed(1)
    for parameter in control.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return control.requires_grad_(False).eval()


@pytest.fixture
def unet():
    return small_unet()


@pytest.fixture
def control(unet):
    return untidy(start_control(unet))


NOISY, STATES = torch.randn(2, 4, 12, 8), torch.randn(2, 7, WIDTH)


def test_a_new_control_has_the_encoders_weights_and_changes_nothing(unet):
    fresh = start_control(unet)
    for name, values in unet.down_blocks.state_dict().items():
        assert_close(fresh.down_blocks.state_dict()[name], values)
    plain = unet(NOISY, 500, STATES).sample
    with controlled(unet, fresh, DISC):
        assert torch.equal(unet(NOISY, 500, STATES).sample, plain)


@pytest.mark.parametrize("factor", [1, 2, 8])
def test_a_new_control_shrinks_pictures_as_the_autoencoder_does(unet, factor):
    fresh = start_control(unet, factor)
    picture = torch.rand(2, 3, 12 * factor, 8 * factor)
    down, _ = fresh(NOISY, 500, STATES, picture, return_dict=False)
    assert down[0].shape[2:] == NOISY.shape[2:]
    with pytest.raises(ValueError, match="factor: a power of two, got 6"):
        start_control(unet, 6)


def test_what_control_finds_is_added_to_skips_and_middle_times_the_scale(unet, control):
    pixels = control_pixels(DISC, (96, 64)).repeat(2, 1, 1, 1)
    down, middle = control(NOISY, 500, STATES, pixels, return_dict=False)
    expected = unet(
        NOISY,
        500,
        STATES,
        down_block_additional_residuals=[0.7 * found for found in down],
        mid_block_additional_residual=0.7 * middle,
    ).sample
    plain = unet(NOISY, 500, STATES).sample
    with controlled(unet, control, DISC, 0.7):
        assert_close(unet(NOISY, 500, STATES).sample, expected)
        by_name = unet(sample=NOISY, timestep=500, encoder_hidden_states=STATES).sample
        assert_close(by_name, expected)
    assert (expected - plain).abs().max() > 1e-2
    with controlled(unet, control, DISC, 0.0):
        assert_close(unet(NOISY, 500, STATES).sample, plain)
    assert torch.equal(unet(NOISY, 500, STATES).sample, plain)


def test_control_may_be_in_another_precision_than_the_unet(unet, control):
    with controlled(unet, control, DISC):
        expected = unet(NOISY, 500, STATES).sample
    with controlled(unet, torch.nn.Module.to(control, torch.float64), DISC):
        made = unet(NOISY, 500, STATES).sample
    assert made.dtype == torch.float32
    assert_close(made, expected, rtol=1e-3, atol=1e-4)


def test_each_drawing_of_a_batch_follows_its_own_picture_also_with_guidance(unet, control):
    other = DISC.transpose(Image.FLIP_TOP_BOTTOM)
    singles = []
    for number, picture in enumerate((DISC, other)):
        with controlled(unet, control, picture):
            singles.append(unet(NOISY[[number]], 500, STATES[[number]]).sample)
    with controlled(unet, control, [DISC, other]):
        twice = unet(NOISY.repeat(2, 1, 1, 1), 500, STATES.repeat(2, 1, 1)).sample
        assert_close(twice, torch.cat(singles * 2), rtol=1e-4, atol=1e-4)
        with pytest.raises(ValueError, match="picture: one, or one for each .* got 2 for a batch"):
            unet(NOISY[[0, 1, 1]], 500, STATES[[0, 1, 1]])


def test_control_ends_with_the_block_and_stays_on_its_thread(unet, control):
    plain, seen = unet(NOISY, 500, STATES).sample, []

    def interrupted():
        with controlled(unet, control, DISC):
            other = threading.Thread(target=lambda: seen.append(unet(NOISY, 500, STATES).sample))
            other.start()
            other.join()
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        interrupted()
    assert torch.equal(seen[0], plain)
    assert not unet._forward_pre_hooks


def test_pictures_are_read_in_zero_to_one_at_the_size_of_the_drawing():
    pixels = control_pixels([DISC, np.zeros((5, 7, 3), np.uint8)], (48, 32))
    assert pixels.shape == (2, 3, 48, 32)
    assert (pixels[0].max(), pixels.min()) == (1, 0)
    rows = pixels[0, 0].mean(dim=1)
    assert rows[5:20].mean() > 10 * rows[24:].mean()


@pytest.mark.bad_input
def test_what_does_not_fit_is_named(unet, control, random_model, tmp_path):
    other = start_control(small_unet(block_out_channels=(8, 24)))
    with (
        pytest.raises(ValueError, match=r"another U-Net, with block_out_channels \[8, 24\]"),
        controlled(unet, other, DISC),
    ):
        pass
    for wrong, words in (
        ({"scale": -1}, "scale: "),
        ({"picture": []}, "picture: at least one"),
        ({"picture": [DISC, "disc.png"]}, "picture"),
    ):
        arguments = {"picture": DISC, **wrong}
        with (
            pytest.raises((TypeError, ValueError), match=words),
            controlled(unet, control, **arguments),
        ):
            pass
    assert not unet._forward_pre_hooks
    with pytest.raises(FileNotFoundError, match="holds no ControlNet"):
        load_control(random_model, tmp_path)
    with pytest.raises(ValueError, match="control: made for another U-Net"):
        load_control(random_model)


# --- edges ----------------------------------------------------------------------------------------


def test_edges_are_where_a_colour_changes_in_any_channel():
    black = np.zeros((8, 12, 3), np.uint8)
    for colour in ((255, 255, 255), (0, 0, 40), (40, 0, 0)):
        wall, floor = black.copy(), black.copy()
        wall[:, 7:], floor[3:] = colour, colour
        upright, level = (np.asarray(find_edges(picture)) for picture in (wall, floor))
        assert (upright == 255).all(axis=(0, 2)).nonzero()[0].tolist() == [6, 7]
        assert (level == 255).all(axis=(1, 2)).nonzero()[0].tolist() == [2, 3]
        assert upright.sum() == 255 * 8 * 2 * 3
    red, green = np.uint8([150, 0, 0]), np.uint8([0, 76, 0])  # equally bright
    assert np.asarray(find_edges(np.where(np.arange(12)[:, None] < 6, red, green)[None])).any()


def test_a_smooth_sky_and_a_picture_of_one_colour_have_no_edges():
    sky = np.linspace(0, 255, 64).astype(np.uint8)[:, None, None].repeat(9, 1).repeat(3, 2)
    for picture in (sky, np.full((5, 7, 3), 200, np.uint8), np.zeros((1, 1, 3), np.uint8)):
        assert not np.asarray(find_edges(picture)).any()
        assert find_edges(picture).size == picture.shape[1::-1]


# --- the shipped ControlNets ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny():
    return load("tiny", device="cpu")


@pytest.fixture(scope="module")
def shipped(tiny):
    return load_control(tiny)


@pytest.mark.parametrize("folder", [MASKS, EDGES], ids=["masks", "edges"])
def test_ours_draws_what_diffusers_pipeline_draws(tiny, folder):
    picture = DISC.resize((128, 128))
    with controlled(tiny.unet, load_control(tiny, folder), picture, 0.8):
        ours = text_to_image(tiny, "a red house", size=128, steps=3, guidance=3, seed=4)
    network = ControlNetModel.from_pretrained(folder)
    pipeline = StableDiffusionControlNetPipeline.from_pretrained(
        TINY, controlnet=network, safety_checker=None
    )
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(
        "a red house",
        picture,
        height=128,
        width=128,
        num_inference_steps=3,
        guidance_scale=3.0,
        generator=torch.Generator().manual_seed(4),
        controlnet_conditioning_scale=0.8,
    ).images[0]
    apart = np.abs(np.asarray(ours, float) - np.asarray(theirs, float))
    assert apart.mean() < 1, apart.mean()


def test_things_stand_where_the_mask_is_white(tiny, shipped):
    """Four scenes: with their masks most things are in their places, without them few."""
    scenes, judge = unseen_scenes(4, held_out=False), load_judge()
    options = {"size": 256, "steps": 6, "guidance": 3.0}
    counts = {}
    for scale in (0.0, 1.0):
        made = generate_where(tiny, shipped, scenes, seed=0, scale=scale, **options)
        counts[scale] = sum(placed(judge, scenes, made))
    assert counts[1.0] >= 0.6 * sum(len(scene.things) for scene in scenes)
    assert counts[1.0] > counts[0.0] + 1


def test_edges_say_what_stands_there_even_without_a_caption(tiny):
    """Four scenes: from their edges alone, most things are recognised."""
    scenes, judge = unseen_scenes(4, held_out=False), load_judge()
    options = {"captioned": False, "size": 256, "steps": 6, "guidance": 1.0}
    edges, counts = load_control(tiny, EDGES), {}
    for scale in (0.0, 1.0):
        made = generate_where(tiny, edges, scenes, 0, scale, edges_of, **options)
        counts[scale] = sum(placed(judge, scenes, made))
    assert counts[1.0] >= 0.6 * sum(len(scene.things) for scene in scenes)
    assert counts[1.0] > counts[0.0] + 1


# --- what is measured -----------------------------------------------------------------------------

LEFT = compose([("red", "house"), ("blue", "tree")], "snow", "left of", rng=3)


def test_intersection_over_union_by_hand():
    found = np.zeros((4, 6), bool)
    wanted = found.copy()
    found[:2, :3], wanted[1:3, 1:4] = True, True
    assert iou(found, wanted) == 2 / 10
    assert iou(found, found) == 1
    assert iou(found, ~found) == 0
    assert iou(found & False, found & False) == 1


def test_the_books_own_drawing_fills_its_mask_and_another_scene_does_not():
    scenes = unseen_scenes(12, held_out=False)
    pictures = to_pictures(drawn(scenes, 256))
    own = [v for s, p in zip(scenes, pictures, strict=True) for v in overlaps(s, p)]
    others = [v for s, p in zip(scenes[1:], pictures, strict=False) for v in overlaps(s, p)]
    assert len(own) == sum(len(scene.things) for scene in scenes)
    assert np.mean(own) > 0.75
    assert np.mean(others) < 0.3
    assert all(placed(load_judge(), scenes, drawn(scenes, 256)))
    assert not any(placed(load_judge(), [LEFT], drawn([replace(LEFT, things=())], 256)))


def test_a_scenes_mask_is_white_at_its_things():
    mask = np.asarray(mask_of(LEFT, 64).convert("L"))
    assert_close(mask / 255, masks(LEFT, 64).max(axis=0), rtol=0, atol=0.003, check_dtype=False)


def test_every_row_of_the_table_is_measured(tiny, shipped):
    asked = []

    def watched(scene):
        asked.append(scene)
        return edges_of(scene)

    rows = list(compare_control(tiny, shipped, load_judge(), 1, watched))
    assert {len(row) for row in rows} == {len(HEAD)}
    assert [row[1] for row in rows] == ["–", "–", "0.5", "1", "1.5", "1"]
    assert len(asked) == 4


def test_a_scenes_edges_are_those_of_its_page():
    assert np.array_equal(edges_of(LEFT, 64), find_edges(draw(LEFT, 64)))


# --- the widget -----------------------------------------------------------------------------------


@pytest.fixture
def placer(random_model):
    control = untidy(start_control(random_model.unet, random_model.factor))
    made = Placer(random_model, control, "a red house", DISC, steps=2)
    yield made
    made.stop()
    made.wait(60)


def finished(placer):
    placer.wait(60)
    assert placer.error is None
    return np.asarray(placer.picture)


def test_the_picture_follows_mask_prompt_scale_and_seed(placer, random_model):
    placer.draw()
    pictures = [finished(placer)]
    for part, value in (("scale", 0.0), ("text", "a blue tree"), ("seed", 5)):
        getattr(placer, part).value = value
        pictures.append(finished(placer))
    placer.scale.value = 1.0
    pictures.append(finished(placer))
    placer.canvas.strokes = _png(Image.new("RGBA", placer.mask.size, "white"))
    pictures.append(finished(placer))
    for first, second in pairwise(pictures):
        assert not np.array_equal(first, second)
    size = placer.size
    with controlled(random_model.unet, placer.control, placer.mask):
        again = text_to_image(random_model, "a blue tree", size=size, steps=2, seed=5)
    assert np.array_equal(np.asarray(again), pictures[-1])


def test_the_placer_tells_of_the_prompt_and_of_a_stop(placer, monkeypatch):
    placer.text.value = ""
    assert finished(placer) is not None
    assert placer.said.value == "Without a prompt, the model draws whatever it likes."
    reached, go = threading.Event(), threading.Event()
    steps = placer_module.text_to_latents

    def slowly(*args, **kwargs):
        for step in steps(*args, **kwargs):
            yield step
            reached.set()
            go.wait(20)

    monkeypatch.setattr(placer_module, "text_to_latents", slowly)
    before = placer.picture
    placer.text.value = "a red house"
    assert reached.wait(30)
    placer.stop()
    go.set()
    placer.wait(30)
    assert placer.said.value == "Stopped: this picture is not finished."
    assert placer.picture is before
    assert not placer.model.unet._forward_pre_hooks


def _png(picture):
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def test_mask_and_picture_side_by_side_for_readers_without_a_kernel(placer):
    assert repr(placer) == "Placer('a red house', seed=0, scale=1)"
    bundle = placer._repr_mimebundle_()
    assert {"image/jpeg", "application/vnd.jupyter.widget-view+json"} <= bundle.keys()
    assert placer.mask.size == (placer.size, placer.size)
