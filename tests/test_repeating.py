"""Old looks in a new drawing: the maps are the old ones, and the values are new."""

import pytest
import torch
from conftest import WIDTH, small_unet
from torch.testing import assert_close

from sdlearn.attention import record, remember_looks, repeat_looks
from sdlearn.pipeline import text_to_image


def run(unet, seed, n=1, height=6):
    generator = torch.Generator().manual_seed(seed)
    latents = torch.randn(n, 4, height, 10, generator=generator)
    states = torch.randn(n, 9, WIDTH, generator=generator)
    return unet(latents, 3, states).sample


@pytest.mark.parametrize("kind", ["cross", "self"])
def test_queries_and_keys_are_the_old_ones_and_only_these(kind):
    unet, seen = small_unet(), {}

    def see(name):
        return lambda module, args, output: seen.setdefault(name, []).append(output)

    with remember_looks(unet, kind) as looks:
        old = run(unet, 1)
    assert len(looks) == 2 * sum(m.kind == kind for m in _layers(unet))
    with repeat_looks(unet, looks, 1, kind):
        for path, module in unet.named_modules():
            if path.endswith(("to_q", "to_k", "to_v")):
                module.register_forward_hook(see(path))
        run(unet, 2)
    of_kind = "attn2" if kind == "cross" else "attn1"
    values = [torch.stack(v) for path, v in seen.items() if of_kind in path]
    remembered = [torch.stack(v) for v in looks.values()]
    same = [any(v.shape == r.shape and torch.equal(v, r) for r in remembered) for v in values]
    names = [path for path in seen if of_kind in path]
    assert same == [not path.endswith("to_v") for path in names]
    assert old.shape == (1, 4, 6, 10)


def _layers(unet):
    from sdlearn.attention import attention_layers

    return attention_layers(unet)


def test_the_same_text_and_noise_give_the_same_picture():
    unet = small_unet()
    with remember_looks(unet) as looks:
        plain = run(unet, 1)
    with repeat_looks(unet, looks, 1):
        assert_close(run(unet, 1), plain)


def test_after_the_steps_a_drawing_looks_for_itself(random_model):
    options = dict(steps=3, size=64, seed=1)
    unet = random_model.unet
    with remember_looks(unet) as looks:
        text_to_image(random_model, "a red house", **options)
    pictures = []
    for steps in (0, 1, 3):
        with repeat_looks(unet, looks, steps):
            pictures.append(text_to_image(random_model, "a blue tree", **options))
    assert pictures[0] == text_to_image(random_model, "a blue tree", **options)
    assert pictures[0] != pictures[1] != pictures[2]


def test_every_drawing_in_the_block_looks_where_the_old_one_looked(random_model):
    options = dict(steps=3, size=64, seed=1)
    with remember_looks(random_model.unet) as looks:
        text_to_image(random_model, "a red house", **options)
    with repeat_looks(random_model.unet, looks, 2):
        first, again = (text_to_image(random_model, "a blue tree", **options) for _ in range(2))
    assert first == again
    assert first != text_to_image(random_model, "a blue tree", **options)


def test_no_hooks_are_left_after_an_error():
    unet = small_unet()
    with remember_looks(unet) as looks:
        run(unet, 1)
    with pytest.raises(RuntimeError, match="stop"), repeat_looks(unet, looks, 1):
        raise RuntimeError("stop")
    assert not [m for m in unet.modules() if m._forward_hooks]
    with record(unet) as maps:
        run(unet, 2)
    assert len(maps) > 0


@pytest.mark.bad_input
def test_looks_that_do_not_fit_are_an_error():
    unet = small_unet()
    with remember_looks(unet) as looks:
        run(unet, 1)
    with pytest.raises(ValueError, match="kind: one of cross, self"), remember_looks(unet, "words"):
        pass
    with (
        pytest.raises(ValueError, match="of the self attention"),
        repeat_looks(unet, looks, 1, "self"),
    ):
        pass
    with pytest.raises(ValueError, match="steps"), repeat_looks(unet, looks, 2):
        pass
    with repeat_looks(unet, looks, 1), pytest.raises(ValueError, match="draw with the same size"):
        run(unet, 1, height=8)
