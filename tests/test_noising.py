"""Forward noising against diffusers' schedulers and closed forms, on non-square shapes."""

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler
from torch.testing import assert_close

from sdlearn.exercises.noising import one_step
from sdlearn.noising import (
    SCHEDULES,
    Schedule,
    add_noise,
    clean_from_noise,
    posterior,
    velocity,
)

STABLE_DIFFUSION = Schedule.named("scaled_linear")
SHAPE = (3, 4, 5, 7)


@pytest.fixture
def clean():
    torch.manual_seed(1)
    return torch.randn(SHAPE)


@pytest.fixture
def noise():
    torch.manual_seed(2)
    return torch.randn(SHAPE)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_equal_diffusers(name):
    theirs = {"cosine": "squaredcos_cap_v2"}.get(name, name)
    for scheduler in (DDPMScheduler, DDIMScheduler):
        expected = scheduler(beta_schedule=theirs, beta_start=0.00085, beta_end=0.012)
        assert_close(Schedule.named(name).betas, expected.betas, rtol=1e-5, atol=1e-7)
        assert_close(Schedule.named(name).alpha_bars, expected.alphas_cumprod, rtol=1e-4, atol=1e-7)


def test_stable_diffusions_alpha_bars_are_the_published_ones():
    found = STABLE_DIFFUSION.alpha_bars[[0, 250, 500, 750, 999]]
    assert_close(found, torch.tensor([0.99915, 0.674, 0.276, 0.0562, 0.00466]), rtol=2e-3, atol=0)


def test_signal_and_noise_share_the_variance():
    assert_close(
        STABLE_DIFFUSION.snr * (1 - STABLE_DIFFUSION.alpha_bars), STABLE_DIFFUSION.alpha_bars
    )
    assert (STABLE_DIFFUSION.snr.diff() < 0).all()


@pytest.mark.parametrize("t", [0, 17, 999, torch.tensor([0, 500, 999])])
def test_the_closed_form_equals_diffusers(clean, noise, t):
    scheduler = DDPMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
    times = torch.as_tensor(t).expand(3)
    assert_close(
        add_noise(STABLE_DIFFUSION, clean, t, noise), scheduler.add_noise(clean, noise, times)
    )
    assert_close(
        velocity(STABLE_DIFFUSION, clean, t, noise), scheduler.get_velocity(clean, noise, times)
    )


def test_many_single_steps_have_the_closed_forms_mean_and_variance():
    torch.manual_seed(0)
    schedule = Schedule.named("linear", steps=30, start=0.01, end=0.2)
    x = torch.full((200_000,), 1.5)
    for t in range(30):
        x = one_step(x, schedule.betas[t].item(), torch.randn_like(x))
    alpha_bar = schedule.alpha_bars[-1]
    assert x.mean() == pytest.approx((alpha_bar.sqrt() * 1.5).item(), abs=0.01)
    assert x.var() == pytest.approx((1 - alpha_bar).item(), abs=0.01)


@pytest.mark.parametrize("t", [1, 400, 999])
def test_the_posterior_equals_ddpms_step(clean, noise, t):
    """Given the true noise, DDPM's mean and variance are those of the posterior."""
    scheduler = DDPMScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, clip_sample=False
    )
    noisy = add_noise(STABLE_DIFFUSION, clean, t, noise)
    mean, variance = posterior(STABLE_DIFFUSION, noisy, clean, t)
    samples = [
        scheduler.step(noise, t, noisy, generator=torch.Generator().manual_seed(s)).prev_sample
        for s in range(300)
    ]
    assert_close(variance, scheduler._get_variance(t), rtol=1e-4, atol=1e-9)
    deviation = (torch.stack(samples).mean(0) - mean).abs().max()
    assert deviation < 6 * (variance / 300).sqrt() + 1e-4


def test_the_posterior_is_bayes_rule(clean, noise):
    """q(x_{t-1}|x_t,x_0) ∝ q(x_t|x_{t-1}) q(x_{t-1}|x_0).

    The two Gaussians are multiplied by hand, in float64.
    """
    t = 321
    s = STABLE_DIFFUSION
    noisy = add_noise(s, clean, t, noise)
    alpha, beta, before = s.alphas[t].double(), s.betas[t].double(), s.alpha_bars[t - 1].double()
    precision = alpha / beta + 1 / (1 - before)
    expected = (
        alpha.sqrt() * noisy.double() / beta + before.sqrt() * clean.double() / (1 - before)
    ) / precision
    mean, variance = posterior(s, noisy, clean, t)
    assert_close(mean.double(), expected, rtol=1e-4, atol=1e-4)
    assert variance == pytest.approx((1 / precision).item(), rel=1e-3)


@pytest.mark.parametrize("t", [0, 600, torch.tensor([3, 300, 900])])
def test_every_way_back_is_the_inverse(clean, noise, t):
    s = STABLE_DIFFUSION
    noisy = add_noise(s, clean, t, noise)
    assert_close(clean_from_noise(s, noisy, t, noise), clean, rtol=1e-3, atol=1e-4)
    signal, sigma = s.rates(t, noisy)
    v = velocity(s, clean, t, noise)
    # √ᾱ x_t - √(1 - ᾱ) v: the noise cancels, which leaves (ᾱ + 1 - ᾱ) x₀
    assert_close(signal * noisy - sigma * v, clean, rtol=1e-3, atol=1e-4)


def test_half_precision_stays_half(clean, noise):
    """It is also as exact as possible: √(1 - ᾱ) near t = 0 must not come from a rounded ᾱ."""
    half = add_noise(STABLE_DIFFUSION, clean.half(), 0, noise.half())
    assert half.dtype == torch.float16
    assert_close(half.float(), add_noise(STABLE_DIFFUSION, clean, 0, noise), rtol=2e-3, atol=2e-3)
    left = (
        half.double() - STABLE_DIFFUSION.sqrt_alpha_bars[0].half().double() * clean.half().double()
    ) / noise.double()
    assert left.median() == pytest.approx(
        STABLE_DIFFUSION.sqrt_one_minus_alpha_bars[0].item(), rel=0.02
    )


def test_the_schedule_of_a_scheduler_is_its_own():
    scheduler = DDIMScheduler(beta_schedule="scaled_linear", num_train_timesteps=50)
    assert_close(Schedule.of(scheduler).alpha_bars, scheduler.alphas_cumprod)
    assert len(Schedule.of(scheduler)) == 50


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("t", "error"),
    [
        (-1, ValueError),
        (1000, ValueError),
        (0.5, TypeError),
        (True, TypeError),
        (torch.tensor([1, 2]), ValueError),
        (torch.tensor([]), TypeError),
        (torch.zeros(3, 1, dtype=torch.long), ValueError),
    ],
)
def test_a_t_that_does_not_exist_is_refused(clean, noise, t, error):
    with pytest.raises(error, match="^t: "):
        add_noise(STABLE_DIFFUSION, clean, t, noise)


@pytest.mark.bad_input
def test_other_mistakes_are_named(clean, noise):
    with pytest.raises(
        ValueError, match=r"noise: a tensor of floats \[3, 4, 5, 7\], got .* \[4, 5, 7\]"
    ):
        add_noise(STABLE_DIFFUSION, clean, 5, noise[0])
    with pytest.raises(
        ValueError, match="t: 1 or more, because step 0 has no step before it, got 0"
    ):
        posterior(STABLE_DIFFUSION, clean, clean, 0)
    with pytest.raises(ValueError, match="t: at least one number"):
        posterior(STABLE_DIFFUSION, clean, clean, torch.tensor([], dtype=torch.long))
    with pytest.raises(
        ValueError, match="t: with this schedule there is no picture at all in x_t, got 9"
    ):
        clean_from_noise(Schedule.named("linear", 10, 0.5, 1.0), clean, 9, noise)
    with pytest.raises(
        ValueError, match="t: with this schedule there is no noise at all in x_t, got 3"
    ):
        posterior(Schedule.named("linear", 10, 0.0, 0.0), clean, clean, 3)
    with pytest.raises(
        ValueError, match="name: one of linear, scaled_linear, cosine, got 'square'"
    ):
        Schedule.named("square")
    with pytest.raises(ValueError, match="end: a number from 0.5 to 1, got 0.1"):
        Schedule.named("linear", start=0.5, end=0.1)
