"""Recorded maps against softmax(QKᵀ/√d) in float64; and recording changes nothing."""

import pytest
import torch
from conftest import WIDTH, small_unet
from diffusers import UNet2DModel
from torch.testing import assert_close

from sdlearn._support.paths import NOTEBOOKS
from sdlearn.attention import attention_layers, record, reweight
from sdlearn.attention.maps import Layer, Map, Maps
from sdlearn.evaluate.map_scores import overlap, points_at
from sdlearn.pipeline import text_to_image, text_to_latents
from sdlearn.text import positions_of

PROMPT = "a red house in the snow"
SHAPE = (4, 6, 10)


def run(unet, n=1, positions=77):
    torch.manual_seed(1)
    return unet(torch.randn(n, *SHAPE), 3, torch.randn(n, positions, WIDTH)).sample


def recomputed(unet, path, n=1, positions=77):
    """One layer's attention from its own input, in float64: [n, heads, queries, keys]."""
    module, inputs = unet.get_submodule(path), {}

    def keep(module, args, kwargs):
        inputs["hidden"], inputs["text"] = args[0], kwargs.get("encoder_hidden_states")

    handle = module.register_forward_pre_hook(keep, with_kwargs=True)
    run(unet, n, positions)
    handle.remove()
    hidden = inputs["hidden"].double()
    text = hidden if inputs["text"] is None else inputs["text"].double()
    q = hidden @ module.to_q.weight.double().T
    k = text @ module.to_k.weight.double().T
    q, k = (x.unflatten(2, (module.heads, -1)).transpose(1, 2) for x in (q, k))
    return torch.softmax(q @ k.transpose(2, 3) / q.shape[-1] ** 0.5, dim=-1)


PATHS = {
    "down.1.0": "down_blocks.1.attentions.0.transformer_blocks.0.",
    "mid.0": "mid_block.attentions.0.transformer_blocks.0.",
    "up.0.1": "up_blocks.0.attentions.1.transformer_blocks.0.",
}


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("n", [1, 3])
def test_cross_attention_is_the_softmax_over_the_words(name, n):
    unet = small_unet()
    with record(unet, layers=[name], pictures=n) as maps:
        run(unet, n)
    (found,) = maps
    expected = recomputed(unet, PATHS[name] + "attn2", n)
    assert found.values.shape == (n, expected.shape[1], 77, 3, 5)
    assert_close(
        found.values.double(), expected.transpose(2, 3).unflatten(3, (3, 5)), rtol=1e-5, atol=1e-7
    )
    assert_close(found.values.sum(dim=2), torch.ones(n, expected.shape[1], 3, 5))


@pytest.mark.parametrize("name", PATHS)
def test_self_attention_is_where_the_chosen_point_looks(name):
    unet = small_unet()
    with record(unet, positions=(), points=[(0.9, 0.4), (0.0, 0.99)], layers=[name]) as maps:
        run(unet)
    (found,) = maps
    expected = recomputed(unet, PATHS[name] + "attn1")
    for index, query in enumerate((1 * 5 + 4, 2 * 5 + 0)):
        row = expected[:, :, query].unflatten(2, (3, 5))
        assert_close(found.values[:, :, index].double(), row, rtol=1e-5, atol=1e-7)


def test_only_the_conditional_half_is_kept(random_model):
    with record(random_model.unet, pictures=2) as guided:
        steps = list(
            text_to_latents(
                random_model, [PROMPT, "a blue tree"], "red", size=(32, 48), steps=3, guidance=5.0
            )
        )
    first = guided.select(steps=[0])
    noise_before_the_first_step = torch.randn(
        2, 4, 8, 12, generator=torch.Generator().manual_seed(0)
    )
    from sdlearn.text import encode_text

    states = encode_text(random_model.tokenizer, random_model.text_encoder, [PROMPT, "a blue tree"])
    with record(random_model.unet, pictures=2) as alone:
        random_model.unet(noise_before_the_first_step, steps[0].t, states)
    assert len(first) == len(alone) > 0
    for one, other in zip(first, alone, strict=True):
        assert_close(one.values, other.values, rtol=1e-4, atol=1e-6)


def test_a_recorded_picture_is_the_same_to_the_last_bit(random_model):
    plain = list(text_to_latents(random_model, PROMPT, steps=3))
    with record(random_model.unet, points=[(0.5, 0.5)]) as maps:
        recorded = list(text_to_latents(random_model, PROMPT, steps=3))
    assert len(maps) == len({m.step for m in maps}) * len(attention_layers(random_model.unet))
    for one, other in zip(plain, recorded, strict=True):
        assert torch.equal(one.latents, other.latents)


def hooks_of(unet) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in unet.modules())


def test_nothing_stays_hooked(random_model):
    with record(random_model.unet):
        assert hooks_of(random_model.unet) > 0
    assert hooks_of(random_model.unet) == 0
    with pytest.raises(KeyError), record(random_model.unet):
        raise KeyError
    assert hooks_of(random_model.unet) == 0


def test_steps_and_timesteps_are_noted(random_model):
    with record(random_model.unet, positions=[1], layers=["mid.0"]) as maps:
        steps = list(text_to_latents(random_model, PROMPT, steps=4))
    assert [m.step for m in maps] == list(range(len(steps)))
    assert [m.t for m in maps] == [step.t for step in steps]


def test_only_what_was_asked_for_is_kept(random_model):
    with record(random_model.unet, positions=[2, 5], largest=3) as small:
        text_to_image(random_model, PROMPT, steps=2)
    assert len(small) == 0
    with record(
        random_model.unet, positions=[2, 5], layers=["down.1.0", "mid.0"], largest=4
    ) as maps:
        text_to_image(random_model, PROMPT, steps=2)
    assert {m.layer.name for m in maps} == {"down.1.0", "mid.0"}
    assert {m.layer.kind for m in maps} == {"cross"}
    assert all(m.values.shape[2] == 2 for m in maps)
    assert maps.bytes == sum(m.values.numel() * 4 for m in maps)


def test_a_words_map_adds_its_pieces_and_averages_the_rest(random_model):
    text = "a dragon and a red house"
    positions = positions_of(random_model.tokenizer, text, "dragon")
    with record(random_model.unet) as maps:
        text_to_image(random_model, text, steps=2)
    merged = maps.select(layers=["mid.0"]).of_words(positions)
    by_hand = torch.stack(
        [m.values[:, :, positions].sum(dim=2).mean(dim=1) for m in maps if m.layer.name == "mid.0"]
    )
    assert len(positions) > 1
    assert_close(merged, by_hand.mean(dim=0))
    one_head = maps.select(layers=["mid.0"], steps=[0]).of_words(positions, head=1)
    assert_close(
        one_head,
        next(m for m in maps if m.layer.name == "mid.0").values[:, 1, positions].sum(dim=1),
    )


def test_maps_are_bounded():
    unet = small_unet()
    with (
        pytest.raises(MemoryError, match="the maps take more than 0 MB: ask for fewer"),
        record(unet, limit=20_000),
    ):
        run(unet)
    assert hooks_of(unet) == 0


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"layers": ["up.9.9"]},
            ValueError,
            "layers: no up.9.9 in this U-Net, which has down.1.0, mid.0",
        ),
        ({"positions": (), "points": ()}, ValueError, "nothing to record"),
        ({"positions": [-1]}, ValueError, "positions: a whole number"),
        (
            {"positions": ["house"]},
            TypeError,
            "positions: a list of whole numbers or None, got 'house' .str. at 0",
        ),
        ({"points": [(1.5, 0)]}, ValueError, "points: a number from 0 to 1, got 1.5"),
        ({"pictures": 0}, ValueError, "pictures: a whole number"),
    ],
)
def test_a_recording_of_nothing_is_refused(arguments, error, message):
    with pytest.raises(error, match=message), record(small_unet(), **arguments):
        pytest.fail("recorded")


def test_places_beyond_the_text_and_other_batches_are_refused():
    unet = small_unet()
    with (
        pytest.raises(ValueError, match="positions: from 0 to 76, got 77"),
        record(unet, positions=[77]),
    ):
        run(unet)
    announced = "pictures: 2 were announced, so a batch of 2 or 4 with guidance; the U-Net got 3"
    with pytest.raises(ValueError, match=announced), record(unet, pictures=2):
        run(unet, n=3)


@pytest.mark.bad_input
def test_a_unet_without_text_attention_is_refused():
    unet = UNet2DModel(
        block_out_channels=(8, 16),
        down_block_types=("DownBlock2D",) * 2,
        up_block_types=("UpBlock2D",) * 2,
        norm_num_groups=4,
        add_attention=False,
        in_channels=4,
        out_channels=4,
    )
    with (
        pytest.raises(TypeError, match="unet: a UNet2DConditionModel, got a UNet2DModel"),
        record(unet),
    ):
        pytest.fail("recorded")


def test_fused_projections_are_an_error_not_an_empty_recording():
    unet = small_unet()
    unet.fuse_qkv_projections()
    with (
        pytest.raises(ValueError, match="unet: its queries and keys are fused; unet.unfuse"),
        record(unet),
    ):
        pytest.fail("recorded")
    unet.unfuse_qkv_projections()
    with record(unet) as maps:
        run(unet)
    assert len(maps)


def test_attention_that_asks_no_queries_is_an_error_not_an_empty_recording():
    unet = small_unet()
    unet.set_attn_processor(lambda attention, states, *_, **__: states)
    with (
        pytest.raises(RuntimeError, match="queries and keys were not seen; has its processor been"),
        record(unet),
    ):
        run(unet)


def test_two_prompts_that_were_not_announced_are_an_error_not_the_maps_of_the_last(random_model):
    """A batch of two looks like one picture with guidance, but its halves differ."""
    prompts = [PROMPT, "a blue tree"]
    for watch in (record(random_model.unet), reweight(random_model.unet, [2], 3)):
        with (
            pytest.raises(ValueError, match="pictures: .* 2 different pictures.* say pictures=2"),
            watch,
        ):
            text_to_image(random_model, prompts, steps=1, guidance=1)
    with record(random_model.unet, pictures=2) as maps:
        text_to_image(random_model, prompts, steps=1, guidance=1)
    assert maps.of_words([2]).shape[0] == 2


def test_maps_of_half_precision_are_those_of_its_queries_and_keys_in_full():
    unet = small_unet().to(torch.bfloat16)
    attention = unet.mid_block.attentions[0].transformer_blocks[0].attn2
    for part in (attention.to_q, attention.to_k):
        part.weight.data *= 30
    heard = {}
    for name in ("to_q", "to_k"):
        getattr(attention, name).register_forward_hook(
            lambda m, a, out, name=name: heard.update({name: out})
        )
    with record(unet, layers=["mid.0"]) as maps:
        unet(torch.randn(1, *SHAPE).bfloat16(), 3, torch.randn(1, 77, WIDTH).bfloat16())
    q, k = (
        heard[name].double().unflatten(2, (attention.heads, -1)).transpose(1, 2)
        for name in ("to_q", "to_k")
    )
    expected = torch.softmax(q @ k.transpose(2, 3) * attention.scale, dim=-1)
    assert_close(
        next(iter(maps)).values.flatten(3).transpose(2, 3).double(), expected, rtol=1e-3, atol=1e-5
    )


def test_places_that_no_text_has_and_masks_without_a_place_are_named():
    unet = small_unet()
    with record(unet) as maps:
        run(unet)
    for positions, message in (
        ([], "at least one position"),
        ([-1], "from 0 to 76, got -1"),
        ([200], "from 0 to 76"),
    ):
        with pytest.raises(ValueError, match=f"positions: .*{message}"):
            maps.of_words(positions)
    with pytest.raises(ValueError, match="mask: at least one pixel inside"):
        overlap(torch.rand(4, 4), torch.zeros(8, 8, dtype=torch.bool))


def test_the_pointing_game_and_the_overlap():
    mask = torch.zeros(20, 30, dtype=torch.bool)
    mask[2:10, 20:28] = True
    heat = torch.zeros(2, 3)
    heat[0, 2] = 1.0
    assert points_at(heat, mask)
    assert not points_at(heat.flip(1), mask)
    assert not points_at(heat.flip(0), mask)
    exact = mask.float()
    assert overlap(exact, mask) == 1.0
    assert overlap(exact.flip(1), mask) == 0.0


def test_scores_are_of_the_true_masks(tiny, monkeypatch):
    """Maps equal to a thing's mask point into it and cover it; its neighbour's mask does not."""
    from sdlearn.evaluate import map_scores
    from sdlearn.picturebook import compose

    scene = compose([("red", "house"), ("blue", "tree")], "snow", "left of", rng=5)
    house, tree = torch.from_numpy(map_scores.masks(scene, 64))
    read = {position: tree for position in positions_of(tiny.tokenizer, scene.caption, "tree")}
    read |= {position: house for position in positions_of(tiny.tokenizer, scene.caption, "house")}

    def perfect(exchanged):
        values = torch.zeros(1, 2, 77, 64, 64)
        for position, mask in read.items():
            values[:, :, position] = house + tree - mask if exchanged else mask
        return Maps(None, (), [Map(0, 250, Layer("mid.0", "cross", 2), values)])

    for exchanged, low, high in ((False, 0.9, 1.0), (True, 0.0, 0.1)):
        monkeypatch.setattr(
            map_scores, "maps_of", lambda *_, exchanged=exchanged, **__: perfect(exchanged)
        )
        ((points, overlaps),) = map_scores.score_maps(tiny, [scene]).values()
        assert points == (not exchanged)
        assert low <= overlaps <= high


def test_real_maps_are_scored_by_part_and_side(tiny):
    from sdlearn.evaluate.map_scores import score_maps
    from sdlearn.picturebook import random_scene

    scores = score_maps(tiny, [random_scene(seed) for seed in range(3)])
    assert list(scores) == [
        "down 32²",
        "down 16²",
        "down 8²",
        "mid 8²",
        "up 8²",
        "up 16²",
        "up 32²",
    ]
    assert all(0 <= value <= 1 for pair in scores.values() for value in pair)


def test_places_that_are_masked_get_no_attention():
    unet, mask = small_unet(), torch.ones(1, 77)
    mask[:, 10:] = 0
    with record(unet) as maps:
        unet(torch.randn(1, *SHAPE), 3, torch.randn(1, 77, WIDTH), encoder_attention_mask=mask)
    for found in maps:
        assert found.values[:, :, 10:].max() < 1e-6
        assert_close(found.values.sum(dim=2), torch.ones_like(found.values[:, :, 0]))


def test_lesson_06_names_the_margin_that_exercise_5_asks_for():
    from sdlearn.exercises.attention import BETTER

    lesson = (NOTEBOOKS / "06_attention_maps.ipynb").read_text(encoding="utf-8")
    assert f"by at least {BETTER}" in lesson
