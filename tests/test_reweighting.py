"""Words made weaker or stronger: against a softmax by hand; nothing remains after the block."""

import threading

import pytest
import torch
from conftest import WIDTH, small_unet
from torch.testing import assert_close

from sdlearn.attention import record
from sdlearn.attention.reweighting import reweight
from sdlearn.pipeline import text_to_image, text_to_latents

PROMPT = "a red house in the snow"


def run(unet, n=1, **options):
    torch.manual_seed(1)
    return unet(torch.randn(n, 4, 6, 10), 3, torch.randn(n, 9, WIDTH), **options).sample


def recorded(unet, n=1, pictures=1, **options):
    with record(unet, layers=["down.1.0"], pictures=pictures) as maps:
        run(unet, n, **options)
    return next(iter(maps)).values


@pytest.mark.parametrize("factor", [0, 0.25, 3])
def test_the_words_get_so_many_times_the_weight_and_weights_still_sum_to_one(factor):
    """Only the first layer is compared: the input of later layers has already changed."""
    unet = small_unet()
    before = recorded(unet)
    with reweight(unet, [2, 5], factor):
        after = recorded(unet)
    expected = before.clone()
    expected[:, :, [2, 5]] *= factor
    assert_close(after, expected / expected.sum(dim=2, keepdim=True))


def test_the_picture_is_the_one_of_the_changed_weights():
    """Hiding every position but one gives the same picture as a text of that one state."""
    unet = small_unet()
    with reweight(unet, [p for p in range(9) if p != 4], 0):
        hidden = run(unet)
    torch.manual_seed(1)
    latents, states = torch.randn(1, 4, 6, 10), torch.randn(1, 9, WIDTH)
    assert_close(hidden, unet(latents, 3, states[:, 4:5]).sample)


def test_only_the_conditional_half_is_changed():
    unet = small_unet()
    torch.manual_seed(1)
    latents, states = (
        torch.randn(1, 4, 6, 10).repeat(4, 1, 1, 1),
        torch.randn(1, 9, WIDTH).repeat(4, 1, 1),
    )
    plain = unet(latents, 3, states).sample
    with reweight(unet, [2], 9, pictures=2):
        changed = unet(latents, 3, states).sample
    assert_close(changed[:2], plain[:2])
    assert (changed[2:] - plain[2:]).abs().amax(dim=(1, 2, 3)).min() > 1e-4


def test_a_factor_of_one_changes_nothing_and_a_mask_is_kept():
    unet = small_unet()
    mask = torch.tensor([[1] * 6 + [0] * 3])
    plain = run(unet, encoder_attention_mask=mask)
    with reweight(unet, [2], 1):
        assert_close(run(unet, encoder_attention_mask=mask), plain)
    with reweight(unet, [2], 5):
        values = recorded(unet, encoder_attention_mask=mask)
    assert values[:, :, 6:].max() == 0


def test_nothing_stays_hooked_also_after_an_exception(random_model):
    plain = text_to_image(random_model, PROMPT, steps=2)
    with pytest.raises(ZeroDivisionError), reweight(random_model.unet, [2], 0):
        raise ZeroDivisionError
    assert text_to_image(random_model, PROMPT, steps=2) == plain


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([2], -1), ValueError, "factor: a number from 0"),
        (([2], float("nan")), ValueError, "factor: a number from 0"),
        (([2], "3"), TypeError, "factor: a number, got '3'"),
        (([-1], 2), ValueError, "positions: a whole number from 0"),
        (([2], 2, 0), ValueError, "pictures: a whole number from 1"),
    ],
)
def test_bad_arguments_are_refused_before_the_unet_runs(arguments, error, message):
    with pytest.raises(error, match=message), reweight(small_unet(), *arguments):
        pass


def test_places_beyond_the_text_and_other_batches_are_refused():
    unet = small_unet()
    with pytest.raises(ValueError, match="positions: from 0 to 8, got 9"), reweight(unet, [9], 2):
        run(unet)
    with (
        pytest.raises(ValueError, match="pictures: 1 were announced, .* the U-Net got 3"),
        reweight(unet, [2], 2),
    ):
        run(unet, n=3)


def test_what_another_thread_draws_is_neither_changed_nor_recorded(random_model):
    """A widget may draw on its own thread while a cell watches the same U-Net."""
    plain, drawn = text_to_image(random_model, PROMPT, steps=3), []
    with record(random_model.unet) as maps, reweight(random_model.unet, [2], 0):
        other = threading.Thread(
            target=lambda: drawn.append(text_to_image(random_model, PROMPT, steps=3))
        )
        other.start()
        other.join()
        assert len(maps) == 0
        list(text_to_latents(random_model, PROMPT, steps=1))
    assert drawn == [plain]
    assert len(maps) > 0


def test_hiding_every_place_is_refused(random_model):
    with (
        reweight(random_model.unet, range(77), 0),
        pytest.raises(ValueError, match="positions: with factor 0"),
    ):
        text_to_image(random_model, "a house", steps=1)
