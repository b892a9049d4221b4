"""The tour of the U-Net against its own modules and Stable Diffusion 1.5's real configuration."""

import math
import threading

import pytest
import torch
from conftest import WIDTH, small_unet
from diffusers import UNet2DConditionModel
from torch.testing import assert_close

from sdlearn.attention import attention_layers
from sdlearn.unet import parameters_by_kind, time_embedding, tour, without_skips


@pytest.fixture(scope="module")
def sd15() -> UNet2DConditionModel:
    """Stable Diffusion 1.5's U-Net without weights: the meta device only knows shapes."""
    with torch.device("meta"):
        return UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8)


def test_the_tour_names_every_block_in_order_with_its_shapes():
    stops = list(tour(small_unet(), torch.randn(2, 4, 6, 8), 10, torch.randn(2, 77, WIDTH)))
    shapes = [(stop.name, stop.kind, stop.before, stop.after) for stop in stops]
    assert shapes == [
        ("time_proj", "Timesteps", (), (8,)),
        ("time_embedding", "TimestepEmbedding", (8,), (32,)),
        ("conv_in", "Conv2d", (4, 6, 8), (8, 6, 8)),
        ("down_blocks.0.resnets.0", "ResnetBlock2D", (8, 6, 8), (8, 6, 8)),
        ("down_blocks.0.downsamplers.0", "Downsample2D", (8, 6, 8), (8, 3, 4)),
        ("down_blocks.1.resnets.0", "ResnetBlock2D", (8, 3, 4), (16, 3, 4)),
        ("down_blocks.1.attentions.0", "Transformer2DModel", (16, 3, 4), (16, 3, 4)),
        ("mid_block.resnets.0", "ResnetBlock2D", (16, 3, 4), (16, 3, 4)),
        ("mid_block.attentions.0", "Transformer2DModel", (16, 3, 4), (16, 3, 4)),
        ("mid_block.resnets.1", "ResnetBlock2D", (16, 3, 4), (16, 3, 4)),
        ("up_blocks.0.resnets.0", "ResnetBlock2D", (32, 3, 4), (16, 3, 4)),
        ("up_blocks.0.attentions.0", "Transformer2DModel", (16, 3, 4), (16, 3, 4)),
        ("up_blocks.0.resnets.1", "ResnetBlock2D", (24, 3, 4), (16, 3, 4)),
        ("up_blocks.0.attentions.1", "Transformer2DModel", (16, 3, 4), (16, 3, 4)),
        ("up_blocks.0.upsamplers.0", "Upsample2D", (16, 3, 4), (16, 6, 8)),
        ("up_blocks.1.resnets.0", "ResnetBlock2D", (24, 6, 8), (8, 6, 8)),
        ("up_blocks.1.resnets.1", "ResnetBlock2D", (16, 6, 8), (8, 6, 8)),
        ("conv_norm_out", "GroupNorm", (8, 6, 8), (8, 6, 8)),
        ("conv_out", "Conv2d", (8, 6, 8), (4, 6, 8)),
    ]


def test_the_tour_leaves_nothing_behind_also_when_it_fails(monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("halfway")

    unet = small_unet()
    monkeypatch.setattr(unet.mid_block, "forward", fail)
    with pytest.raises(RuntimeError, match="halfway"):
        list(tour(unet, torch.randn(1, 4, 4, 4), 10, torch.randn(1, 77, WIDTH)))
    assert not any(module._forward_hooks for module in unet.modules())


def test_the_time_embedding_is_sinusoids_and_what_the_unet_makes_of_them():
    unet, t = small_unet(), torch.tensor([0, 7, 999])
    sinusoids, vector = time_embedding(unet, t)
    frequencies = torch.exp(-math.log(10_000) * torch.arange(4) / 4)
    angles = t[:, None] * frequencies
    assert_close(sinusoids, torch.cat([angles.cos(), angles.sin()], dim=1))
    assert_close(vector, unet.time_embedding(sinusoids))
    assert vector.shape == (3, 32)


def test_parameters_add_up():
    unet = small_unet()
    total = sum(p.numel() for p in unet.parameters())
    assert sum(parameters_by_kind(unet).values()) == total
    assert all(parameters_by_kind(unet).values())


def test_sd15_has_its_published_number_of_parameters(sd15):
    assert sum(parameters_by_kind(sd15).values()) == 859_520_964


def test_sd15_has_16_self_and_16_cross_attentions(sd15):
    layers = attention_layers(sd15)
    assert [layer.kind for layer in layers].count("self") == 16
    assert [layer.kind for layer in layers].count("cross") == 16
    names = list(dict.fromkeys(layer.name for layer in layers))
    assert names == [
        *("down.0.0", "down.0.1", "down.1.0", "down.1.1", "down.2.0", "down.2.1", "mid.0"),
        *("up.1.0", "up.1.1", "up.1.2", "up.2.0", "up.2.1", "up.2.2", "up.3.0", "up.3.1", "up.3.2"),
    ]


def test_sd15s_shapes_are_those_of_the_paper(sd15):
    meta = {"device": "meta"}
    stops = list(
        tour(
            sd15,
            torch.empty(1, 4, 64, 64, **meta),
            torch.tensor(5, **meta),
            torch.empty(1, 77, 768, **meta),
        )
    )
    after = {stop.name: stop.after for stop in stops}
    assert after["time_embedding"] == (1280,)
    for level, channels in enumerate((320, 640, 1280, 1280)):
        side = 64 // 2**level
        assert after[f"down_blocks.{level}.resnets.1"] == (channels, side, side)
        assert after[f"up_blocks.{3 - level}.resnets.2"] == (channels, side, side)
        if level < 3:
            assert after[f"down_blocks.{level}.attentions.1"] == (channels, side, side)
            assert after[f"up_blocks.{3 - level}.attentions.2"] == (channels, side, side)
    assert after["mid_block.attentions.0"] == (1280, 8, 8)
    assert after["conv_out"] == (4, 64, 64)
    kinds = [stop.kind for stop in stops]
    assert kinds.count("ResnetBlock2D") == 22
    assert kinds.count("Transformer2DModel") == 16


def test_cut_skips_carry_zeros_into_their_block_only():
    unet = small_unet()
    inputs = torch.randn(1, 4, 6, 8), 10, torch.randn(1, 77, WIDTH)
    seen = {}
    for index, block in enumerate(unet.up_blocks):
        block.resnets[0].register_forward_pre_hook(
            lambda _, args, index=index: seen.update({index: args[0]})
        )
    whole = unet(*inputs).sample
    channels = {index: seen[index].shape[1] for index in seen}
    with without_skips(unet, [1]):
        cut = unet(*inputs).sample
    assert (seen[1][:, channels[1] - 8 :] == 0).all()
    assert (seen[0][:, channels[0] - 16 :] != 0).any()
    assert not torch.equal(cut, whole)
    assert torch.equal(unet(*inputs).sample, whole)
    with (
        pytest.raises(ValueError, match=r"up_blocks: from 0 to 1, got \[5\]"),
        without_skips(unet, [5]),
    ):
        pytest.fail("ran")


def test_the_tour_does_not_see_what_another_thread_draws():
    unet = small_unet()
    inputs = torch.randn(1, 4, 6, 10), 5, torch.randn(1, 77, WIDTH)
    alone = [stop.name for stop in tour(unet, *inputs)]

    def draw_beside(*_):
        if threading.current_thread() is threading.main_thread():
            thread = threading.Thread(target=unet, args=inputs)
            thread.start()
            thread.join()

    handle = unet.mid_block.register_forward_pre_hook(draw_beside)
    beside = [stop.name for stop in tour(unet, *inputs)]
    handle.remove()
    assert beside == alone
