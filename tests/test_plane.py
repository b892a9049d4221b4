"""Diffusion in the plane: the exact denoiser, its pictures, and the widget."""

import pytest
import torch
from diffusers import DDIMScheduler
from torch.testing import assert_close

from sdlearn import Walker, plane, plots
from sdlearn.noising import Schedule, add_noise

SCHEDULE = Schedule.named("scaled_linear")


def test_shapes_have_mean_0_and_variance_1_together():
    made = plane.shapes(50)
    both = torch.cat(list(made.values()))
    assert list(made) == ["heart", "star"]
    assert both.shape == (100, 2)
    assert_close(both.mean(dim=0), torch.zeros(2), atol=1e-5, rtol=0)
    assert_close(both.var(dim=0, correction=0), torch.ones(2))


@pytest.mark.parametrize("count", [7, 50, 333])
def test_points_lie_close_together_on_every_outline(count):
    for points in plane.shapes(count).values():
        steps = (points - points.roll(1, dims=0)).norm(dim=1)
        assert steps.max() < 5 * steps.mean()


@pytest.mark.parametrize("t", [100, 500, 900])
def test_the_average_clean_point_is_what_a_million_noised_points_say(t):
    """Among points of the set, noised by chance, those that end up near a place."""
    points = torch.cat(list(plane.shapes(20).values()))
    generator = torch.Generator().manual_seed(0)
    clean = points[torch.randint(len(points), (1_000_000,), generator=generator)]
    noisy = add_noise(SCHEDULE, clean, t, torch.randn(clean.shape, generator=generator))
    place = torch.tensor([[0.3, -0.4]])
    near = (noisy - place).norm(dim=1) < 0.05
    expected = clean[near].mean(dim=0, keepdim=True)
    seen = plane.average_clean(points, place, SCHEDULE.alpha_bars[t])
    assert_close(seen, expected, atol=0.07, rtol=0)


def test_under_nothing_but_noise_every_point_is_equally_likely():
    points = torch.randn(9, 2)
    everywhere = plane.average_clean(points, 3 * torch.randn(4, 2), 0.0)
    assert_close(everywhere, points.mean(dim=0).expand(4, 2))


def test_the_predicted_noise_is_the_noise_of_a_set_of_one_point():
    point, noise = torch.tensor([[0.5, -1.0]]), torch.randn(6, 2)
    noisy = add_noise(SCHEDULE, point.expand(6, 2), 400, noise)
    seen = plane.predicted_noise(point, noisy, SCHEDULE.alpha_bars[400])
    assert_close(seen, noise, atol=1e-5, rtol=1e-4)


def test_diffusers_ddim_walks_to_the_set_with_the_perfect_denoiser():
    points = torch.cat(list(plane.shapes().values()))
    start = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    walk = torch.stack(list(plane.ddim(points, start, SCHEDULE, 50)))
    assert walk.shape == (51, 40, 2)
    assert torch.cdist(walk[-1], points).min(dim=1).values.quantile(0.9) < 0.1
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        timestep_spacing="trailing",
    )
    scheduler.set_timesteps(50)
    x = walk[0]
    for t in scheduler.timesteps:
        predicted = plane.predicted_noise(points, x, SCHEDULE.alpha_bars[t])
        x = scheduler.step(predicted, t, x).prev_sample
    assert_close(walk[-1], x, atol=1e-3, rtol=0)


@pytest.mark.bad_input
def test_a_flow_to_one_point_is_a_straight_line_in_equal_steps():
    one, start = torch.tensor([[1.0, -2.0]]), torch.randn(5, 2)
    walk = torch.stack(list(plane.flow(one, start, 4)))
    parts = torch.linspace(0, 1, 5)[:, None, None]
    assert_close(walk, start + parts * (one - start))


def test_a_flow_ends_at_points_of_the_set_and_at_several_of_them():
    points = torch.cat(list(plane.shapes().values()))
    *_, ends = plane.flow(
        points, torch.randn(60, 2, generator=torch.Generator().manual_seed(0)), 200
    )
    apart = torch.cdist(ends, points)
    assert apart.min(dim=1).values.mean() < 0.05
    assert len(set(apart.argmin(dim=1).tolist())) > 20


def test_a_share_outside_its_range_is_an_error():
    with pytest.raises(ValueError, match="alpha_bar"):
        plane.average_clean(torch.zeros(3, 2), torch.zeros(1, 2), 1.0)


def test_figures_show_every_walk():
    points, walk = torch.randn(5, 2), [torch.randn(3, 2) for _ in range(4)]
    figure = plots.paths(points, {"a": walk, "b": walk, "c": walk}, columns=2)
    assert [axes.get_title() for axes in figure.axes] == ["a", "b", "c", ""]
    assert len(figure.axes[0].lines) == 9  # a line, a ring and an end for each of three points
    assert len(plots.plane(points, points, points, "t = 3").axes) == 2


def test_a_click_drops_a_point_that_walks():
    points = torch.cat(list(plane.shapes().values()))
    walker = Walker(points, lambda start: list(plane.ddim(points, start, SCHEDULE, 20)))
    first, picture = walker.walk[-1], walker.picker.picture
    walker.picker.x = 0.1
    walker.picker.y = 0.9
    assert_close(walker.walk[0], torch.tensor([-2.4, -2.4]))
    assert walker.point == pytest.approx((-2.4, -2.4))
    assert walker.picker.picture != picture
    assert (walker.walk[-1] - first).norm() > 0.1
    assert "image/jpeg" in walker._repr_mimebundle_()


@pytest.mark.parametrize(
    "way", [lambda start: None, lambda start: [], lambda start: 3, lambda start: [start[0]]]
)
def test_a_way_that_leads_nowhere_is_refused_by_name(way):
    with pytest.raises(ValueError, match=r"way: a function that gives .* shape \[1, 2\], got one"):
        Walker(torch.randn(5, 2), way)
