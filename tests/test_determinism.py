"""Same seed, same picture: twice, recorded or not, alone or in a batch, on one thread or two."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from sdlearn.attention import record
from sdlearn.pipeline import text_to_image, text_to_latents

PROMPTS = ["a red house", "a blue tree in the snow", "a pink star at night", "a green boat"]
OPTIONS = {"size": 256, "steps": 4, "guidance": 3.0}
MOST_CHANGED = 2e-3
"""The share of 8-bit values that another number of threads may change, by two at most.

More or fewer threads add numbers in a different order.
"""


def last_latents(model, prompt, seed=7):
    *_, last = text_to_latents(model, prompt, seed=seed, **OPTIONS)
    return last.latents


def test_twice(tiny):
    assert torch.equal(last_latents(tiny, PROMPTS[0]), last_latents(tiny, PROMPTS[0]))


def test_recorded_or_not(tiny):
    plain = last_latents(tiny, PROMPTS[0])
    with record(tiny.unet):
        recorded = last_latents(tiny, PROMPTS[0])
    assert torch.equal(plain, recorded)


def test_whatever_was_drawn_before(tiny):
    """No state is left over from earlier drawings, in the scheduler or in the random numbers."""
    first = last_latents(tiny, PROMPTS[0])
    torch.manual_seed(99)
    last_latents(tiny, PROMPTS[1], seed=1)
    assert torch.equal(first, last_latents(tiny, PROMPTS[0]))


def test_the_global_random_numbers_are_left_alone(tiny):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    last_latents(tiny, PROMPTS[0])
    assert torch.equal(torch.rand(3), expected)


def test_the_first_of_a_batch_is_the_one_drawn_alone(tiny):
    """One seed gives the noise of the whole batch, so its first picture is the seed's own."""
    alone, batch = last_latents(tiny, PROMPTS[0]), last_latents(tiny, PROMPTS)
    assert_close(batch[:1], alone, rtol=1e-3, atol=1e-3)
    assert (batch[1] - batch[0]).abs().mean() > 0.1


@pytest.mark.parametrize("threads", [1, 2])
def test_one_thread_or_two(tiny, threads, tmp_path):
    drawn = np.asarray(text_to_image(tiny, PROMPTS[0], seed=7, **OPTIONS)).astype(int)
    script = (
        f"import torch; torch.set_num_threads({threads}); import numpy, sdlearn\n"
        f"picture = sdlearn.text_to_image(sdlearn.load('tiny', device='cpu'), {PROMPTS[0]!r}, "
        f"seed=7, **{OPTIONS!r})\n"
        f"numpy.save({str(tmp_path / 'drawn.npy')!r}, numpy.asarray(picture))"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    difference = np.abs(np.load(tmp_path / "drawn.npy").astype(int) - drawn)
    assert (difference > 0).mean() <= MOST_CHANGED
    assert difference.max() <= 2
