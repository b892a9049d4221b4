"""The families of lessons 01 and 03, and the measures of the pictures that they make."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from sdlearn import families
from sdlearn._support.paths import FAMILIES
from sdlearn.evaluate import sample_scores
from sdlearn.images import contact_sheet, to_pictures
from sdlearn.train import families as training

NAMES = ("GAN", "VAE", "pixel diffusion", "mended diffusion", "latent diffusion")


@pytest.fixture(scope="module")
def trained(tiny):
    return families.trained(tiny.vae)


@pytest.mark.parametrize("name", NAMES)
def test_shipped_families_paint_pictures_that_a_seed_decides(trained, name):
    first, again, other = (trained[name].sample(2, seed=seed) for seed in (3, 3, 4))
    assert first.shape == (2, 3, families.SIDE, families.SIDE)
    assert first.abs().max() <= 1
    assert_close(first, again, rtol=0, atol=0)
    assert (first - other).abs().mean() > 0.01


@pytest.mark.parametrize("name", NAMES)
def test_shipped_families_are_small_files(name):
    assert (FAMILIES / families.file_name(name)).stat().st_size < 3e6


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_film_ends_with_what_the_shipped_model_draws(trained, name):
    frames, steps = families.film(name)
    assert steps == sorted(steps)
    assert steps[-1] == training.STEPS[name]
    assert len(frames) == len(steps) == len(training.MOMENTS)
    last = np.asarray(frames[-1].resize((64 * training.ACROSS, 64))).astype(float)
    drawn = contact_sheet(to_pictures(trained[name].sample(training.ACROSS, seed=0)), 6)
    assert np.abs(last - drawn).mean() < 0.5 * np.abs(last - last[:, ::-1]).mean()
    assert frames[0].height == 128


def test_the_film_of_the_weights_has_two_rows_a_weight():
    frames, weights = families.film("KL weights")
    assert tuple(weights) == training.KL_WEIGHTS
    assert len(frames) == len(weights)
    assert all(frame.size == (128 * training.ACROSS, 256) for frame in frames)


def test_a_larger_weight_leaves_less_in_the_code():
    pixels = families.drawn(families.pages(8))
    kls = []
    for weight in (0.01, 100):
        torch.manual_seed(0)
        vae = families.VAE(weight)
        kls.append([vae.learn(pixels)["kl"] for _ in range(15)][-1])
    assert kls[1] < kls[0] / 5


def test_a_vae_repaints_from_the_middle_of_the_cloud():
    vae, pixels = families.VAE().eval(), families.drawn(families.pages(2))
    mean = vae.encoder(pixels).chunk(2, dim=1)[0]
    assert_close(vae.repainted(pixels), vae.decoder(mean))


def test_a_missing_film_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"GAN\.jpg is missing"):
        families.film("GAN", tmp_path)


def test_pages_are_of_the_six_sorts_and_reproducible():
    scenes = families.pages(60, seed=5)
    assert {(scene.things[0].kind, scene.setting) for scene in scenes} == {
        (kind, setting) for kind in families.SHOWN_KINDS for setting in families.SHOWN_SETTINGS
    }
    assert all(len(scene.things) == 1 for scene in scenes)
    assert scenes == families.pages(60, seed=5) != families.pages(60, seed=6)


def test_gan_learns_a_real_pages_score_from_a_forged_ones():
    torch.manual_seed(0)
    gan, page = families.GAN(), torch.full((8, 3, 64, 64), 0.9)
    losses = [gan.learn(page)["critic"] for _ in range(25)]
    assert losses[-1] < losses[0] / 3
    assert (
        gan.critic(page).mean()
        > gan.critic(gan.generator(torch.randn(8, families.CODE))).mean() + 1
    )


def test_a_generators_step_leaves_the_critic_alone():
    torch.manual_seed(0)
    gan = families.GAN()
    forged = gan.generator(torch.randn(4, families.CODE))
    before = [p.clone() for p in gan.critic.parameters()]
    families._descend(gan._generating, torch.nn.functional.softplus(-gan.critic(forged)).mean())
    assert_close(before, list(gan.critic.parameters()))


def test_vae_repaints_what_it_learned():
    torch.manual_seed(0)
    vae, page = families.VAE(), families.drawn(families.pages(1)).expand(8, -1, -1, -1)
    for _ in range(150):
        vae.learn(page)
    vae.eval()
    mean = vae.encoder(page[:1]).chunk(2, dim=1)[0]
    assert (vae.decoder(mean) - page[:1]).abs().mean() < 0.1


def test_vae_adds_the_closed_form_of_the_divergence(monkeypatch):
    vae = families.VAE()
    mean, log_variance = torch.randn(4, families.CODE), torch.randn(4, families.CODE).clamp(-2, 2)
    read = torch.cat([mean, log_variance], dim=1).requires_grad_()
    monkeypatch.setattr(vae.encoder, "forward", lambda _: read)
    normal = torch.distributions.Normal(mean, (log_variance / 2).exp())
    expected = (
        torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0))
        .sum(dim=1)
        .mean()
    )
    assert vae.learn(torch.zeros(4, 3, 64, 64))["kl"] == pytest.approx(expected.item(), rel=1e-4)


def test_a_broken_loss_is_not_trained_on(monkeypatch):
    vae = families.VAE()
    monkeypatch.setattr(vae, "learn", lambda batch: {"error": float("nan")})
    with pytest.raises(FloatingPointError, match="VAE broke at step 0"):
        next(families.train(vae, torch.zeros(4, 3, 64, 64), 3))


def test_diffusion_asks_for_the_noise_that_it_added(monkeypatch):
    class Knows(torch.nn.Module):
        """Subtracts the clean pages from its input.

        The rest is the noise, if the input was made with the closed form.
        """

        def forward(self, noisy, t):
            kept, added = (
                values[t].reshape(-1, 1, 1, 1).float()
                for values in (schedule.sqrt_alpha_bars, schedule.sqrt_one_minus_alpha_bars)
            )
            return type("Said", (), {"sample": (noisy - kept * clean) / added + 0 * self.unused})

        unused = torch.nn.Parameter(torch.zeros(1))

    diffusion = families.Diffusion()
    schedule, clean = diffusion._schedule, torch.rand(5, 3, 64, 64)
    diffusion.unet = Knows()
    assert diffusion.learn(clean)["loss"] < 1e-4


def test_mended_diffusion_ends_in_nothing_but_noise_and_asks_for_the_velocity():
    class Knows(torch.nn.Module):
        """Finds v from the input and the clean pages, where the noise is not lost in rounding."""

        def forward(self, noisy, t):
            kept, added = (
                values[t].reshape(-1, 1, 1, 1).float()
                for values in (schedule.sqrt_alpha_bars, schedule.sqrt_one_minus_alpha_bars)
            )
            said = (kept * noisy - clean) / added + 0 * self.unused
            return type("Said", (), {"sample": said})

        unused = torch.nn.Parameter(torch.zeros(1))

    mended, clean = families.MendedDiffusion(), torch.rand(5, 3, 64, 64)
    schedule = mended._schedule
    assert families.Diffusion()._schedule.sqrt_alpha_bars[-1] > 0.05
    assert schedule.sqrt_alpha_bars[-1] < 0.001
    unet, mended.unet = mended.unet, Knows()
    mended._average.update_parameters = lambda unet: None
    torch.manual_seed(0)
    assert mended.learn(clean)["loss"] < 1e-4
    mended.unet = unet


def test_mended_diffusion_draws_with_the_average_of_its_weights():
    mended = families.MendedDiffusion()
    for value in (1.0, 2.0):
        for parameter in mended.unet.parameters():
            parameter.data.fill_(value)
        mended._average.update_parameters(mended.unet)
    weight = next(mended.artist.parameters())
    assert_close(weight, torch.full_like(weight, 1 + (1 - families.EMA_DECAY)))
    seen = []
    mended.artist.register_forward_hook(lambda *_: seen.append(1))
    mended.sample(1, seed=0)
    assert len(seen) == families.DRAW_STEPS


def test_latent_diffusion_learns_from_scaled_latents(tiny):
    pixels = families.drawn(families.pages(6))
    latents = families.LatentDiffusion(tiny.vae).prepare(pixels)
    assert latents.shape == (6, 4, 8, 8)
    assert_close(latents, tiny.vae.encode(pixels).latent_dist.mean * tiny.vae.config.scaling_factor)
    assert 0.5 < latents.std() < 2


def test_the_command_writes_what_trained_loads(tiny, tmp_path):
    tiny.vae.save_pretrained(tmp_path / "model" / "vae")
    training.train(tmp_path / "model", steps=1, pages=20)
    found = families.trained(tiny.vae, tmp_path / "families")
    assert list(found) == list(NAMES)
    assert found["VAE"].sample(1, seed=0).shape == (1, 3, 64, 64)


def test_missing_families_say_which_command_makes_them(tiny, tmp_path):
    with pytest.raises(FileNotFoundError, match="python -m sdlearn.train families"):
        families.trained(tiny.vae, tmp_path)


# --- measures -------------------------------------------------------------------------------------


def by_loops(points, others, neighbour=3):
    """Equations 1 and 2, written out as loops."""
    inside = 0
    for point in points:
        for i, other in enumerate(others):
            distances = sorted(
                (other - others[j]).norm().item() for j in range(len(others)) if j != i
            )
            if (point - other).norm().item() <= distances[neighbour - 1]:
                inside += 1
                break
    return inside / len(points)


def test_fidelity_and_diversity_are_the_papers():
    generator = torch.Generator().manual_seed(0)
    real, made = (
        torch.randn(20, 3, generator=generator),
        0.6 * torch.randn(15, 3, generator=generator) + 0.5,
    )
    assert sample_scores.fidelity(real, made) == pytest.approx(by_loops(made, real))
    assert sample_scores.diversity(real, made) == pytest.approx(by_loops(real, made))
    assert sample_scores.fidelity(real, made) != sample_scores.diversity(real, made)


def test_a_collapsed_model_is_faithful_and_not_diverse():
    real = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    made = 0.05 * torch.randn(200, 2, generator=torch.Generator().manual_seed(1))
    assert sample_scores.fidelity(real, made) > 0.95
    assert sample_scores.diversity(real, made) < 0.1


def test_too_few_pictures_are_refused():
    with pytest.raises(ValueError, match="at least 4 pictures"):
        sample_scores.fidelity(torch.randn(3, 2), torch.randn(9, 2))


def test_a_blur_is_less_sharp_and_a_grain_is_no_edge():
    pixels = families.drawn(families.pages(3))
    blurred = torch.nn.functional.avg_pool2d(pixels, 5, stride=1, padding=2)
    grain = 0.05 * torch.randn(pixels.shape, generator=torch.Generator().manual_seed(0))
    sharp = sample_scores.sharpness(pixels)
    assert sample_scores.sharpness(blurred) < 0.6 * sharp
    assert sample_scores.sharpness(blurred + grain) < 0.7 * sharp


def test_sharpness_by_hand():
    """An edge from 0 to 1 fills one column of steps in twenty, more than the top 2%."""
    wall = torch.zeros(2, 3, 20, 21)
    wall[..., 10:] = 1
    assert sample_scores.sharpness(wall) == pytest.approx(1.0)
    assert sample_scores.sharpness(0.5 * wall) == pytest.approx(0.5)
    assert sample_scores.sharpness(wall.transpose(-1, -2)) == pytest.approx(1.0)
