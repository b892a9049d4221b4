"""A U-Net that is compiled, or wrapped in another way, is watched and changed like the U-Net."""

import pytest
import torch
from conftest import WIDTH, small_unet
from peft import LoraConfig
from torch.testing import assert_close

from sdlearn.attention import attention_layers, record, reweight
from sdlearn.pipeline import text_to_image
from sdlearn.unet import parameters_by_kind, tour, without_skips

# the contracts know the U-Net's own class only
pytestmark = pytest.mark.bad_input


def compiled_in_place(unet):
    unet.compile(backend="eager")
    return unet


def compiled_in_blocks(unet):
    unet.compile_repeated_blocks(backend="eager")
    return unet


def with_adapter(unet):
    unet.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_k"]))  # its start changes nothing
    return unet


WAYS = {
    "compiled": lambda unet: torch.compile(unet, backend="eager"),
    "compiled in place": compiled_in_place,
    "compiled in blocks": compiled_in_blocks,
    "on several devices": torch.nn.DataParallel,
    "with an adapter": with_adapter,
}
GIVEN = torch.randn(1, 4, 8, 8), 3, torch.randn(1, 7, WIDTH)


@pytest.fixture(scope="module", params=WAYS)
def wrapped(request):
    """A U-Net that has run once, so that compiled code is there and knows of no hook."""
    unet = WAYS[request.param](small_unet())
    with torch.no_grad():
        unet(*GIVEN)
    return unet


def test_it_is_recorded(wrapped):
    plain = small_unet()
    with record(plain) as expected:
        plain(*GIVEN)
    with torch.no_grad(), record(wrapped) as found:
        wrapped(*GIVEN)
    assert [m.layer for m in found] == [m.layer for m in expected]
    for mine, theirs in zip(found, expected, strict=True):
        assert_close(mine.values, theirs.values)
    assert attention_layers(wrapped) == attention_layers(plain)


def test_its_words_are_reweighted(wrapped):
    plain = small_unet()
    with torch.no_grad():
        before = wrapped(*GIVEN).sample
        with reweight(wrapped, [2], 30):
            changed = wrapped(*GIVEN).sample
        with reweight(plain, [2], 30):
            expected = plain(*GIVEN).sample
        assert_close(changed, expected)
        assert (changed - before).abs().max() > 1e-3
        assert_close(wrapped(*GIVEN).sample, before)


def test_its_blocks_are_toured(wrapped):
    plain = list(tour(small_unet(), *GIVEN))
    found = list(tour(wrapped, *GIVEN))
    assert [(s.name, s.before, s.after) for s in found] == [
        (s.name, s.before, s.after) for s in plain
    ]


def test_its_skips_are_cut(wrapped):
    plain = small_unet()
    with torch.no_grad(), without_skips(wrapped, [0]), without_skips(plain, [0]):
        assert_close(wrapped(*GIVEN).sample, plain(*GIVEN).sample)


def test_its_parameters_are_counted(wrapped):
    expected, found = parameters_by_kind(small_unet()), parameters_by_kind(wrapped)
    added = sum(p.numel() for name, p in wrapped.named_parameters() if "lora" in name)
    assert list(found) == list(expected)
    assert sum(found.values()) == sum(expected.values()) + added


def test_a_model_with_a_compiled_unet_draws_the_same_and_says_so(random_model):
    fields = dict(vars(random_model))
    compiled = type(random_model)(
        **{**fields, "unet": torch.compile(small_unet(), backend="eager")}
    )
    assert repr(compiled) == repr(random_model)
    with record(compiled.unet) as maps:
        made = text_to_image(compiled, "a red house", steps=2)
    assert len(maps)
    assert made.tobytes() == text_to_image(random_model, "a red house", steps=2).tobytes()
