"""Flow matching: straight walks, and the velocity inside a noise predictor."""

import copy
import re

import nbformat
import numpy as np
import pytest
import torch
from torch.testing import assert_close

from sdlearn._support.paths import NOTEBOOKS
from sdlearn.compression import decode
from sdlearn.denoising import ddim_step
from sdlearn.flow import as_velocity, flow, from_the_side, paths_of
from sdlearn.images import to_pictures
from sdlearn.noising import Schedule

SCHEDULE = Schedule.named("scaled_linear")
SIGNAL, SIGMA = SCHEDULE.sqrt_alpha_bars, SCHEDULE.sqrt_one_minus_alpha_bars


def seeded(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_along_one_straight_line_a_single_step_arrives():
    clean, noise = seeded(2, 3, 4, 6), seeded(2, 3, 4, 6, seed=1)
    for steps in (1, 3, 7):
        told = []

        def velocity(x, t):
            told.append(t)  # noqa: B023
            return noise - clean

        path = list(flow(velocity, noise, steps))
        assert len(path) == steps + 1
        assert_close(path[-1], clean)
        assert told == [left / steps for left in range(steps, 0, -1)]


@pytest.mark.parametrize("step", [0, 20, 400, 700, 998])
def test_the_velocity_in_a_perfect_predictor_leads_from_the_picture_to_the_noise(step):
    clean, noise = seeded(1, 2, 4, 6), seeded(1, 2, 4, 6, seed=1)

    def predict(latents, at):
        return (latents - SIGNAL[at] * clean) / SIGMA[at]

    t = float(SIGMA[step] / (SIGNAL[step] + SIGMA[step]))
    mixed = (1 - t) * clean + t * noise
    found = as_velocity(predict, SCHEDULE)(mixed, t)
    assert_close(found, noise - clean, atol=2e-3, rtol=1e-3)


def test_a_step_of_ddim_is_a_step_of_the_flow():
    """The same predicted noise, between the same two mixtures, leads to the same place."""
    later, before = 700, 300
    x = seeded(2, 4, 4, 6)
    whole = float(SIGNAL[later] + SIGMA[later])
    t, to = (float(SIGMA[k] / (SIGNAL[k] + SIGMA[k])) for k in (later, before))
    flat = x / whole  # on the straight line
    size = ((1 - t) ** 2 + t**2) ** 0.5
    predicted = torch.tanh(flat / size)
    velocity = as_velocity(lambda latents, at: torch.tanh(latents), SCHEDULE)(flat, t)
    by_flow = flat + (to - t) * velocity
    bars = SCHEDULE.alpha_bars
    by_ddim = ddim_step(x, predicted, float(bars[later]), float(bars[before]))
    assert_close(by_flow * float(SIGNAL[before] + SIGMA[before]), by_ddim, atol=1e-5, rtol=1e-4)


def test_the_start_is_pure_noise_as_the_network_knows_it():
    seen = []
    as_velocity(lambda latents, at: seen.append((latents, at)) or latents, SCHEDULE)(
        noise := seeded(1, 4, 4, 6), 1.0
    )
    ((latents, at),) = seen
    assert at == 999
    assert_close(latents, noise)


@pytest.mark.parametrize("t", [0.0, 0.3, 0.77, 1.0])
def test_the_conversion_gets_a_mixture_at_a_timestep_of_the_schedule(t):
    """Its x and t belong together, and what it gives back is the velocity."""
    clean, noise = seeded(1, 2, 4, 6), seeded(1, 2, 4, 6, seed=1)
    told = []

    def convert(x, near, predicted):
        told.append(near)
        assert_close((1 - near) * clean + near * noise, x, atol=1e-4, rtol=1e-4)
        return predicted - clean

    def predict(latents, at):
        nonlocal noise
        noise = (latents - SIGNAL[at] * clean) / SIGMA[at]
        return noise

    found = as_velocity(predict, SCHEDULE, convert)((1 - t) * clean + t * noise, t)
    assert_close(found, noise - clean)
    assert min(abs(SIGMA / (SIGNAL + SIGMA) - told[0])) < 1e-6


def test_the_paths_of_a_walk_have_the_velocities_that_were_walked():
    noise, told = seeded(2, 3, 4, 6), []

    def velocity(x, t):
        told.append(x.cos() + t)
        return told[-1]

    walk = list(flow(velocity, noise, 5))
    paths = list(paths_of(walk))
    assert len(paths) == 2
    for number, (velocities, start, end) in enumerate(paths):
        assert_close(
            velocities, torch.stack([v[number].flatten() for v in told]), atol=1e-5, rtol=0
        )
        assert_close(start, noise[number].flatten())
        assert_close(end, walk[-1][number].flatten())


def test_a_path_is_seen_from_the_side_as_it_lies_in_the_plane():
    """A path whose sides are known, turned and shifted into 24 dimensions."""
    flat = torch.tensor([[0.0, 0.0], [0.5, 1.5], [2.0, -1.0], [5.0, 0.0]])
    turned, _ = torch.linalg.qr(seeded(24, 2))
    path = [(turned @ place + 3).reshape(2, 3, 4) for place in flat]
    along, off = from_the_side(path)
    assert_close(along, flat[:, 0] / 5, atol=1e-5, rtol=0)
    assert_close(off, flat[:, 1].abs() / 5, atol=1e-5, rtol=0)


def test_a_path_needs_two_places_and_somewhere_to_go():
    place = seeded(2, 3)
    with pytest.raises(ValueError, match="at least one step, got 1"):
        list(paths_of([place]))
    with pytest.raises(ValueError, match="a start and an end at least, got 1"):
        from_the_side([place])
    with pytest.raises(ValueError, match="ends where it starts"):
        from_the_side([place, place + 1, place])


def test_the_pipeline_of_lesson_14_walks_by_a_velocity(tiny):
    """The code in its fold, with a U-Net whose velocity always points away from one picture."""
    clean = 0.5 * seeded(1, 4, 16, 16)
    flowing = copy.deepcopy(tiny.unet).float()

    def velocity(x, t, **_):
        return ((x - clean) * 1000 / t,)  # x = (1 - t) · clean + t · noise

    flowing.forward = velocity
    lesson = nbformat.read(NOTEBOOKS / "14_fewer_and_straighter.ipynb", 4)
    (fold,) = (cell.source for cell in lesson.cells if "flow_prediction" in cell.source)
    (code,) = re.findall(r"```python\n(.*?flow_prediction.*?)```", fold, re.DOTALL)
    at_hand = {"copy": copy, "torch": torch, "model": tiny, "flowing": flowing, "side": 128}
    at_hand["asked"] = ["a red house"]
    exec(code.replace("pipeline(asked", "picture = pipeline(asked"), at_hand)
    (expected,) = to_pictures(decode(copy.deepcopy(tiny.vae).float(), clean))
    apart = np.asarray(at_hand["picture"], int) - np.asarray(expected, int)
    assert np.abs(apart).max() <= 1
