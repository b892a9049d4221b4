"""Every exercise: its stub, its solution from the notebook, other right answers, wrong ones and
what they are told.
"""

import copy
import json
import math
import re
import warnings
from itertools import pairwise
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.image_processor import VaeImageProcessor
from diffusers.models.embeddings import get_timestep_embedding
from diffusers.models.resnet import ResnetBlock2D
from PIL import Image

import sdlearn
from sdlearn import check
from sdlearn.check import Exercise, Mistake, OpenExercise, exercises
from sdlearn.exercises.image_to_image import page
from sdlearn.noising import Schedule, clean_from_noise, clean_from_velocity
from sdlearn.picturebook import compose
from sdlearn.text import encode_text

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


# --- other right answers: another order, in place, other broadcasting, float64
# ---------------------


def one_step_in_place(before, beta, noise):
    before *= (1 - beta) ** 0.5
    before += beta**0.5 * noise
    return before


def one_step_in_double(before, beta, noise):
    beta = torch.tensor(beta, dtype=torch.float64)
    return (before.double() ** 2 * (1 - beta)).sqrt() * before.sign() + noise.double() * beta.sqrt()


def alpha_bars_by_hand(betas):
    found, kept = [], 1.0
    for beta in betas.tolist():
        kept *= 1 - beta
        found.append(kept)
    return torch.tensor(found)


def alpha_bars_by_logarithms(betas):
    return torch.log1p(-betas.double()).cumsum(0).exp()


def noised_one_by_one(schedule, clean, t, noise):
    rows = []
    for x, at, e in zip(clean, t, noise, strict=True):
        kept = schedule.alpha_bars[at]
        rows.append(kept.sqrt() * x + (1 - kept).sqrt() * e)
    return torch.stack(rows)


def noised_by_einsum(schedule, clean, t, noise):
    kept = schedule.alpha_bars.double()[t]
    scaled = torch.einsum("n,n...->n...", kept.sqrt(), clean.double())
    return torch.einsum("n,n...->n...", (1 - kept).sqrt(), noise.double()) + scaled


def estimate_one_by_one(schedule, noisy, t, noise):
    kept = schedule.alpha_bars[t]
    rows = [(x - (1 - k) ** 0.5 * e) / k**0.5 for x, k, e in zip(noisy, kept, noise, strict=True)]
    return torch.stack(rows)


def estimate_in_place(schedule, noisy, t, noise):
    kept = schedule.alpha_bars[t].view(-1, *[1] * (noisy.ndim - 1))
    noise *= (1 - kept).sqrt()
    noisy -= noise
    return noisy / kept.sqrt()


def linear_schedule(steps):
    return torch.linspace(1e-4, 0.02, steps)


def cosine_schedule(steps):
    return Schedule.named("cosine", steps).betas


def cosines_one_by_one(first, second):
    return torch.tensor([[torch.dot(a, b) / (a.norm() * b.norm()) for b in second] for a in first])


def cosines_by_broadcasting(first, second):
    return F.cosine_similarity(first.double()[:, None], second.double()[None], dim=-1)


def probabilities_by_hand(similarities, temperature):
    e = torch.exp(similarities / temperature)
    return e / e.sum(dim=1, keepdim=True)


def probabilities_in_place(similarities, temperature):
    similarities /= temperature
    return F.softmax(similarities.double(), dim=-1)


def loss_by_diagonals(similarities, temperature):
    logits = similarities / temperature
    return -(logits.log_softmax(0).diagonal().mean() + logits.log_softmax(1).diagonal().mean()) / 2


def loss_by_one_hot(similarities, temperature):
    target = torch.eye(len(similarities))
    sides = (similarities, similarities.T)
    return (
        torch.stack([F.cross_entropy(side / temperature, target) for side in sides]).mean().double()
    )


def best_caption_by_loop(picture, captions):
    found = [float(picture @ caption / caption.norm()) for caption in captions]
    return found.index(max(found))


def best_caption_as_tensor(picture, captions):
    return F.cosine_similarity(picture[None], captions).argmax()


def sampled_by_distribution(mean, log_variance, noise):
    return torch.addcmul(
        mean.double(), torch.sqrt(torch.exp(log_variance.double())), noise.double()
    )


def sampled_in_place(mean, log_variance, noise):
    mean += noise * 0.5 * 2 * torch.exp(log_variance).pow(0.5)
    return mean


def divergence_by_torch(mean, log_variance):
    normal = torch.distributions.Normal
    kl = torch.distributions.kl_divergence(normal(mean, (log_variance / 2).exp()), normal(0.0, 1.0))
    return kl.reshape(len(mean), -1).sum(-1)


def divergence_one_by_one(mean, log_variance):
    rows = [
        (m**2 + v.exp() - v - 1).sum() / 2
        for m, v in zip(mean.double(), log_variance.double(), strict=True)
    ]
    return torch.stack(rows)


def scaling_without_correction(z):
    return (z - z.mean()).square().mean() ** -0.5


def scaling_as_a_number(z):
    return float(1 / np.std(z.numpy()))


def psnr_as_a_number(first, second):
    return 20 * math.log10(2) - 10 * math.log10(
        float(((first.double() - second.double()) ** 2).mean())
    )


def psnr_of_halves(first, second):
    return -10 * torch.log10(F.mse_loss(first / 2, second / 2))


def darker_left(latents):
    return torch.cat([latents[..., :10] * -1, latents[..., 10:]], dim=3)


def swapped_halves(latents):
    edited = latents.clone()
    edited[:, :, :16, :12], edited[:, :, 16:, :12] = (
        latents[:, :, 16:, :12],
        latents[:, :, :16, :12],
    )
    return edited


def sinusoids_by_powers(t, width):
    frequencies = 10_000.0 ** (-torch.arange(0, width, 2).double() / width)
    angles = torch.outer(t.double(), frequencies)
    return torch.hstack([torch.cos(angles), torch.sin(angles)])


def sinusoids_from_one(t, width):
    angles = torch.outer(t.double(), 10_000.0 ** (-torch.arange(2, width + 2, 2).double() / width))
    return torch.hstack([torch.cos(angles), torch.sin(angles)])


def sinusoids_by_diffusers(t, width):
    return get_timestep_embedding(t, width, flip_sin_to_cos=True, downscale_freq_shift=0)


def attention_by_torch(q, k, v):
    return F.scaled_dot_product_attention(q, k, v)


def attention_by_einsum(q, k, v):
    scores = torch.einsum("...qd,...kd->...qk", q.double(), k.double()) / math.sqrt(q.shape[-1])
    weights = scores.exp() / scores.exp().sum(-1, keepdim=True)
    return torch.einsum("...qk,...ke->...qe", weights, v.double())


def split_heads_by_chunks(states, heads):
    return torch.stack(states.chunk(heads, dim=2), dim=1)


def split_heads_by_permute(states, heads):
    return states.view(*states.shape[:2], heads, -1).permute(0, 2, 1, 3).contiguous()


def cross_attention_by_torch(picture, text, to_q, to_k, to_v):
    return F.scaled_dot_product_attention(
        (picture @ to_q)[None], (text @ to_k)[None], (text @ to_v)[None]
    )[0]


def cross_attention_by_linear(picture, text, to_q, to_k, to_v):
    q, k, v = F.linear(picture, to_q.T), F.linear(text, to_k.T), F.linear(text, to_v.T)
    return attention_by_einsum(q, k, v)


def unet_of(**changes):
    options = dict(
        block_out_channels=(32, 48, 64),
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        norm_num_groups=8,
        cross_attention_dim=128,
        attention_head_dim=4,
    )
    return UNet2DConditionModel(**{**options, **changes})


def word_map_by_columns(probabilities, places, size):
    columns = [probabilities[..., place].double() for place in places]
    return torch.stack(columns).sum(0).mean(0).view(*size)


def word_map_by_einsum(probabilities, places, size):
    chosen = torch.zeros(probabilities.shape[2])
    chosen[places] = 1
    return (torch.einsum("hqw,w->q", probabilities, chosen) / len(probabilities)).unflatten(0, size)


def inside_by_numpy(heat, mask):
    row, column = np.unravel_index(heat.numpy().argmax(), heat.shape)
    y = int((row + 0.5) * mask.shape[0] / heat.shape[0])
    return mask[y, int((column + 0.5) * mask.shape[1] / heat.shape[1])]


def inside_by_enlarging(heat, mask):
    size = tuple(2 * side for side in mask.shape)
    large, rows = (
        F.interpolate(heat[None, None], size, mode="nearest")[0, 0],
        F.interpolate(mask[None, None].float(), size, mode="nearest")[0, 0],
    )
    ys, xs = (large == large.max()).nonzero(as_tuple=True)
    middle = (ys.min() + ys.max() + 1) // 2, (xs.min() + xs.max() + 1) // 2
    return float(rows[middle])


def iou_by_sorting(heat, mask):
    least = heat.flatten().sort(descending=True).values[int(mask.sum()) - 1]
    chosen = heat >= least
    return float((chosen & mask).sum()) / float((chosen | mask).sum())


def iou_by_sets(heat, mask):
    order = heat.flatten().argsort(descending=True)[: mask.sum()]
    chosen, true = set(order.tolist()), set(mask.flatten().nonzero()[:, 0].tolist())
    return torch.tensor(len(chosen & true) / len(chosen | true))


def reweighted_by_logarithm(scores, place, factor):
    scores[..., place] += math.log(factor) if factor else -math.inf
    return scores.softmax(dim=-1)


def reweighted_by_exp(scores, place, factor):
    e = scores.double().exp()
    e[..., place] *= factor
    return e / e.sum(-1, keepdim=True)


def map_of_up_layers(maps, places):
    return maps.select(layers=["up.2.1", "up.1.1", "up.2.0"]).of_words(places)[0]


def map_of_three_layers(maps, places):
    chosen = [
        maps.select(layers=[name]).of_words(places) for name in ("up.1.1", "up.2.0", "up.2.1")
    ]
    return sum(F.interpolate(heat[None], (32, 32), mode="bilinear")[0, 0] for heat in chosen)


def ddim_by_velocity(noisy, noise, alpha_bar, alpha_bar_next):
    clean = noisy.double() / alpha_bar**0.5 - math.sqrt(1 / alpha_bar - 1) * noise.double()
    return clean * alpha_bar_next**0.5 + noise * (1 - alpha_bar_next) ** 0.5


def ddim_in_place(noisy, noise, alpha_bar, alpha_bar_next):
    noisy -= (1 - alpha_bar) ** 0.5 * noise
    noisy *= (alpha_bar_next / alpha_bar) ** 0.5
    noisy += (1 - alpha_bar_next) ** 0.5 * noise
    return noisy


def ddpm_mean(noisy, noise, alpha_bar, beta):
    return (1 - beta) ** -0.5 * (noisy.double() - noise * beta * (1 - alpha_bar) ** -0.5)


def ddpm_by_posterior(noisy, noise, fresh, alpha_bar, before):
    """Eq. 7 of Ho et al. 2020, with x₀ put in."""
    alpha = alpha_bar / before
    clean = (noisy - (1 - alpha_bar) ** 0.5 * noise) / alpha_bar**0.5
    mean = (before**0.5 * (1 - alpha) * clean + alpha**0.5 * (1 - before) * noisy) / (1 - alpha_bar)
    return mean + math.sqrt((1 - before) * (1 - alpha) / (1 - alpha_bar)) * fresh


def ddpm_in_double(noisy, noise, fresh, alpha_bar, after):
    beta = 1 - alpha_bar / after
    fresh *= math.sqrt(beta * (1 - after) / (1 - alpha_bar))
    return ddpm_mean(noisy, noise, alpha_bar, beta) + fresh


def guided_from_the_caption(unconditional, conditional, scale):
    return conditional + (scale - 1) * (conditional - unconditional)


def guided_by_weights(unconditional, conditional, scale):
    return torch.lerp(unconditional.double(), conditional.double(), scale)


def loop_by_scheduler(predict, schedule, noise, timesteps):
    latents = noise.double()
    for index, t in enumerate(timesteps):
        said = predict(latents.float(), t)
        latents = ddim_by_velocity(
            latents, said, schedule.alpha_bars[t].item(), next_kept(schedule, timesteps, index)
        )
    return latents


def next_kept(schedule, timesteps, index):
    return schedule.alpha_bars[timesteps[index + 1]].item() if index + 1 < len(timesteps) else 1.0


def loop_backwards(predict, schedule, noise, timesteps):
    remaining = list(timesteps)[::-1]
    while remaining:
        t = remaining.pop()
        following = schedule.alpha_bars[remaining[-1]].item() if remaining else 1.0
        noise = ddim_in_place(
            noise.clone(), predict(noise, t), schedule.alpha_bars[t].item(), following
        )
    return noise


def guidance_rescaled(unconditional, conditional, scale):
    """Lin et al. 2023, Eq. 15."""
    plain = unconditional + scale * (conditional - unconditional)
    return plain * (conditional.std() / plain.std())


def guidance_limited(unconditional, conditional, scale):
    strength = min(scale, 1 + 0.08 * (scale - 1))
    plain = unconditional + strength * (conditional - unconditional)
    return plain / max(1.0, float(plain.std() / conditional.std()))


def start_noise_by_side(model, height, width, seed):
    generator = torch.manual_seed(seed)
    return torch.randn((1, 4, height // 8, width // 8), generator=generator)


def start_noise_from_a_row(model, height, width, seed):
    count = 4 * (height // 8) * (width // 8)
    return torch.randn(1, count, generator=torch.Generator().manual_seed(seed)).view(
        1, 4, height // 8, width // 8
    )


def to_picture_by_numpy(model, latents):
    with torch.no_grad():
        pixels = model.vae.decode(latents / model.vae.config.scaling_factor, return_dict=False)[0][
            0
        ]
    return ((pixels.numpy().transpose(1, 2, 0) + 1) * 127.5).clip(0, 255).astype(np.uint8)


def to_picture_by_diffusers(model, latents):
    with torch.no_grad():
        pixels = model.vae.decode(latents / model.vae.config.scaling_factor).sample
    return VaeImageProcessor().postprocess(pixels)[0]


def to_latents_by_diffusers(model, prompt, noise, steps, guidance):
    parts = (
        model.vae,
        model.text_encoder,
        model.tokenizer,
        model.unet,
        copy.deepcopy(model.scheduler),
        None,
        None,
    )
    pipeline = StableDiffusionPipeline(*parts, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    options = {"guidance_scale": guidance, "output_type": "latent", "height": 8 * noise.shape[2]}
    return pipeline(
        prompt, num_inference_steps=steps, latents=noise, width=8 * noise.shape[3], **options
    ).images


@torch.no_grad()
def to_latents_in_one_batch(model, prompt, noise, steps, guidance):
    scheduler = type(model.scheduler).from_config(model.scheduler.config)
    scheduler.set_timesteps(steps)
    states = encode_text(model.tokenizer, model.text_encoder, ["", prompt])
    latents = noise * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        both = scheduler.scale_model_input(torch.cat([latents, latents]), t)
        empty, said = model.unet(both, t, states).sample.chunk(2)
        latents = scheduler.step(torch.lerp(empty, said, guidance), t, latents).prev_sample
    return latents


def slerp_by_frame(first, second, share):
    angle = math.acos(
        min(1.0, float(F.cosine_similarity(first.flatten(), second.flatten(), dim=0)))
    )
    if angle < 1e-3:
        return first + share * (second - first)
    weights = (
        math.sin((1 - share) * angle) / math.sin(angle),
        math.sin(share * angle) / math.sin(angle),
    )
    return weights[0] * first.double() + weights[1] * second.double()


def slerp_without_care(first, second, share):
    angle = torch.acos((first * second).sum() / (first.norm() * second.norm()))
    return (torch.sin((1 - share) * angle) * first + torch.sin(share * angle) * second) / torch.sin(
        angle
    )


def slerp_in_place(first, second, share):
    angle = torch.acos(
        (first * second).sum().double() / first.norm().double() / second.norm().double()
    )
    first *= torch.nan_to_num(((1 - share) * angle).sin() / angle.sin(), nan=1 - share)
    first += second * torch.nan_to_num((share * angle).sin() / angle.sin(), nan=share)
    return first


def rungs_by_negative_index(timesteps, strength):
    count = int(strength * len(timesteps))
    return timesteps[-count:] if count else []


def rungs_by_popping(timesteps, strength):
    for _ in range(len(timesteps) - int(len(timesteps) * strength)):
        timesteps.pop(0)
    return timesteps


def rungs_as_tensor(timesteps, strength):
    return torch.tensor(timesteps)[len(timesteps) - int(len(timesteps) * strength) :]


def redraw_step_by_step(predict, schedule, clean, noise, timesteps, strength):
    rungs = rungs_by_negative_index(timesteps, strength)
    kept = schedule.alpha_bars[rungs[0]]
    return loop_by_scheduler(
        predict, schedule, kept.sqrt() * clean + (1 - kept).sqrt() * noise, rungs
    )


def redraw_in_place(predict, schedule, clean, noise, timesteps, strength):
    rungs = rungs_by_negative_index(timesteps, strength)
    clean *= schedule.kept[rungs[0]]
    clean += schedule.added[rungs[0]] * noise
    return loop_backwards(predict, schedule, clean, rungs)


def outside_by_where(drawn, clean, noise, mask, alpha_bar):
    original = math.sqrt(alpha_bar) * clean.double() + math.sqrt(1 - alpha_bar) * noise.double()
    return torch.where(mask.bool(), drawn.double(), original)


def outside_by_lerp(drawn, clean, noise, mask, alpha_bar):
    return torch.lerp(alpha_bar**0.5 * clean + (1 - alpha_bar) ** 0.5 * noise, drawn, mask)


def inverted_in_place(predict, schedule, clean, timesteps):
    before = 1.0
    for t in timesteps:
        after = schedule.alpha_bars[t].item()
        clean = ddim_in_place(clean.clone(), predict(clean, t), before, after)
        before = after
    return clean


def inverted_in_double(predict, schedule, clean, timesteps):
    latents, kept = clean.double(), [1.0, *schedule.alpha_bars.double()[timesteps].tolist()]
    for index, t in enumerate(timesteps):
        latents = ddim_by_velocity(
            latents, predict(latents.float(), t), kept[index], kept[index + 1]
        )
    return latents


def painted_over(picture):
    return pasted(picture, "yellow", "fish")


def pasted(picture, colour, kind):
    """A thing drawn by hand, not by the model, where the house was."""
    drawn = sdlearn.draw(compose([(colour, kind)], "meadow", sizes=("big",), rng=4), 512)
    house = page()
    thing = house.things[0]
    half = int(512 * thing.side * 0.55)
    x, y = int(512 * thing.x), int(512 * thing.y)
    edited = picture.copy()
    edited.paste(drawn.crop((x - half, y - half, x + half, y + half)), (x - half, y - half))
    return edited


def resnet_by_diffusers(c_in, c_out, time_width):
    with torch.device("meta"):
        block = ResnetBlock2D(
            in_channels=c_in, out_channels=c_out, temb_channels=time_width, groups=1
        )
    return sum(p.numel() for p in block.parameters())


def resnet_by_layers(c_in, c_out, time_width):
    convolutions = [(c_in, c_out, 9), (c_out, c_out, 9), (time_width, c_out, 1)]
    convolutions += [(c_in, c_out, 1)] * (c_in != c_out)
    return torch.tensor(sum(a * b * k + b for a, b, k in convolutions) + 2 * c_in + 2 * c_out)


def estimate_by_course(noisy, predicted, alpha_bar, prediction_type):
    """By one step whose β is all of 1 - ᾱ."""
    schedule = Schedule(torch.tensor([1 - alpha_bar], dtype=torch.float64))
    by = {"epsilon": clean_from_noise, "v_prediction": clean_from_velocity}[prediction_type]
    return by(schedule, noisy.double(), 0, predicted.double())


def estimate_by_scheduler(noisy, predicted, alpha_bar, prediction_type):
    scheduler = DDIMScheduler(
        1, trained_betas=[1 - alpha_bar], prediction_type=prediction_type, clip_sample=False
    )
    scheduler.set_timesteps(1)
    return scheduler.step(predicted, 0, noisy).pred_original_sample


def flow_by_ends(noisy, velocity, t, t_next):
    """Both ends of the line, then the point on it."""
    clean, noise = noisy - t * velocity, noisy + (1 - t) * velocity
    return (1 - t_next) * clean + t_next * noise


def flow_in_place(noisy, velocity, t, t_next):
    noisy.add_(velocity, alpha=t_next - t)
    return noisy


def loss_by_hand(predict, schedule, clean, t, noise):
    return ((predict(loss_input(schedule, clean, t, noise), t) - noise) ** 2).mean()


def loss_input(schedule, clean, t, noise):
    kept = schedule.alpha_bars[t].reshape(-1, *[1] * (clean.ndim - 1))
    return kept.sqrt() * clean + (1 - kept).sqrt() * noise


def loss_one_by_one(predict, schedule, clean, t, noise):
    losses = [
        loss_by_hand(predict, schedule, x[None], at[None], e[None]).double()
        for x, at, e in zip(clean, t, noise, strict=True)
    ]
    return float(sum(losses) / len(losses))


def drop_in_place(states, empty, dropped):
    states[dropped] = empty
    return states


def drop_one_by_one(states, empty, dropped):
    return torch.stack(
        [empty if drop else said for said, drop in zip(states, dropped.tolist(), strict=True)]
    )


def ema_of_decay(history, decay):
    average = history[0].clone()
    for weights in history[1:]:
        average.lerp_(weights, 1 - decay)
    return average


def ema_by_shares(history, half_life):
    """What every step counts in the end, all at once."""
    ages = torch.arange(len(history) - 1, -1, -1).double()
    shares = (1 - 0.5 ** (1 / half_life)) * 0.5 ** (ages / half_life)
    shares[0] = 0.5 ** (ages[0] / half_life)
    return torch.einsum("n,n...->...", shares, history.double())


def ema_by_logarithm(history, half_life):
    return ema_of_decay(history, math.exp(-math.log(2) / half_life))


def train_with(optimizer, rate, forget=True, **options):
    """A training loop with any optimizer, which is right if it forgets the gradients of the step
    before.
    """

    def run(unet, schedule, batch_at, steps):
        chosen = optimizer(unet.parameters(), lr=rate, **options)
        for step in range(steps):
            clean, states = batch_at(step)
            t, noise = torch.randint(1000, (len(clean),)), torch.randn_like(clean)
            loss = loss_by_hand(
                lambda x, at, states=states: unet(x, at, states).sample, schedule, clean, t, noise
            )
            if forget:
                chosen.zero_grad()
            loss.backward()
            chosen.step()

    return run


RIGHT = {
    "noise_loss": (loss_by_hand, loss_one_by_one),
    "drop_captions": (drop_in_place, drop_one_by_one),
    "ema": (ema_by_shares, ema_by_logarithm),
    "min_snr": (
        lambda snr, most: torch.minimum(torch.ones_like(snr), most / snr),
        lambda snr, most: torch.tensor([min(float(s), most) / float(s) for s in snr]),
    ),
    "own_training": (
        train_with(torch.optim.AdamW, 2e-3),
        train_with(torch.optim.Adam, 1e-3, betas=(0.9, 0.99)),
    ),
    "resnet_parameters": (
        resnet_by_diffusers,
        resnet_by_layers,
        lambda a, b, t: np.int64(resnet_by_diffusers(a, b, t)),
    ),
    "training_memory": (
        lambda count, bits: sum([count / 1e9 * (bits // 8)] * 4),
        lambda count, bits: torch.tensor(count * bits / 2e9),
    ),
    "clean_estimate": (estimate_by_course, estimate_by_scheduler),
    "flow_step": (flow_by_ends, flow_in_place),
    "lower_rungs": (rungs_by_negative_index, rungs_as_tensor, rungs_by_popping),
    "redraw": (redraw_step_by_step, redraw_in_place),
    "kept_outside": (outside_by_where, outside_by_lerp),
    "inverted": (inverted_in_place, inverted_in_double),
    "own_edit": (painted_over, lambda picture: np.asarray(painted_over(picture))),
    "start_noise": (start_noise_by_side, start_noise_from_a_row),
    "to_picture": (to_picture_by_numpy, to_picture_by_diffusers),
    "text_to_latents": (to_latents_by_diffusers, to_latents_in_one_batch),
    "slerp": (slerp_by_frame, slerp_in_place),
    "own_failure": (
        lambda: compose([("red", "house"), ("red", "house")], "snow", "left of", rng=1),
        lambda: compose(
            [("white", "cat"), ("white", "cat")], "snow", "left of", ("small", "small"), rng=3
        ),
    ),
    "ddim_step": (ddim_by_velocity, ddim_in_place),
    "ddpm_step": (ddpm_by_posterior, ddpm_in_double),
    "guided": (guided_from_the_caption, guided_by_weights),
    "draw_latents": (loop_by_scheduler, loop_backwards),
    "own_guidance": (guidance_rescaled, guidance_limited),
    "word_map": (word_map_by_columns, word_map_by_einsum),
    "inside": (inside_by_numpy, inside_by_enlarging),
    "iou": (iou_by_sorting, iou_by_sets),
    "reweighted": (reweighted_by_logarithm, reweighted_by_exp),
    "own_map": (map_of_up_layers, map_of_three_layers),
    "sinusoids": (sinusoids_by_powers, sinusoids_by_diffusers),
    "attention": (attention_by_torch, attention_by_einsum),
    "split_heads": (split_heads_by_chunks, split_heads_by_permute),
    "cross_attention": (cross_attention_by_torch, cross_attention_by_linear),
    "own_unet": (unet_of, lambda: unet_of(block_out_channels=(16, 32, 64))),
    "sampled": (sampled_by_distribution, sampled_in_place),
    "divergence": (divergence_by_torch, divergence_one_by_one),
    "scaling": (scaling_without_correction, scaling_as_a_number),
    "peak_signal_to_noise": (psnr_as_a_number, psnr_of_halves),
    "edited": (darker_left, swapped_halves),
    "critic_loss": (
        lambda real, forged: -(real.sigmoid().log().mean() + (1 - forged.sigmoid()).log().mean()),
        lambda real, forged: (
            -F.logsigmoid(real.double()).mean() - F.logsigmoid(-forged.double()).mean()
        ),
    ),
    "best_guess": (
        lambda pictures: pictures.sum(dim=0) / len(pictures),
        lambda pictures: torch.stack([x.double() for x in pictures]).mean(0),
    ),
    "covered": (
        lambda real, made, radius: (
            (torch.cdist(real, made).min(dim=1).values <= radius).float().mean()
        ),
        lambda real, made, radius: (
            sum(any((r - m).norm() <= radius for m in made) for r in real) / len(real)
        ),
    ),
    "cosines": (cosines_one_by_one, cosines_by_broadcasting),
    "caption_probabilities": (probabilities_by_hand, probabilities_in_place),
    "clip_loss": (loss_by_diagonals, loss_by_one_hot),
    "best_caption": (best_caption_by_loop, best_caption_as_tensor),
    "confused_pair": (
        lambda: (
            "a pink star, a red cat and a blue tree at night",
            "a pink star, a blue cat and a red tree at night",
        ),
        lambda: [
            "a red house, a big blue tree and a green car in the snow",
            "a red house, a blue tree and a big green car in the snow",
        ],
    ),
    "one_step": (one_step_in_place, one_step_in_double),
    "alpha_bars": (alpha_bars_by_hand, alpha_bars_by_logarithms),
    "noised": (noised_one_by_one, noised_by_einsum),
    "estimate_clean": (estimate_one_by_one, estimate_in_place),
    "own_schedule": (linear_schedule, cosine_schedule),
}

# --- wrong answers of learners, and a word of the message that each must get
# -----------------------


def loop_without_rungs(predict, schedule, noise, timesteps):
    for t in timesteps:
        noise = noise - predict(noise, t)
    return noise


def loop_that_stops_early(predict, schedule, noise, timesteps):
    for now, following in pairwise(timesteps):
        kept = schedule.alpha_bars[[now, following]].tolist()
        noise = ddim_by_velocity(noise, predict(noise, now).double(), *kept).float()
    last = schedule.alpha_bars[timesteps[-1]].item()
    return ddim_by_velocity(noise, predict(noise, timesteps[-1]), last, last)


def decoded(model, latents):
    with torch.no_grad():
        return model.vae.decode(latents).sample[0].permute(1, 2, 0)


def to_latents_without(what):
    """diffusers' loop, with a part of it left out."""

    def draw(model, prompt, noise, steps, guidance):
        scheduler = copy.deepcopy(model.scheduler)
        scheduler.set_timesteps(steps)
        states = encode_text(
            model.tokenizer, model.text_encoder, [prompt, ""] if what == "order" else ["", prompt]
        )
        latents = noise if what in ("sigma", "both") else noise * scheduler.init_noise_sigma
        for t in scheduler.timesteps:
            seen = (
                latents if what in ("scaling", "both") else scheduler.scale_model_input(latents, t)
            )
            with torch.no_grad():
                empty, said = model.unet(torch.cat([seen, seen]), t, states).sample.chunk(2)
            guided = said if what == "guidance" else torch.lerp(empty, said, guidance)
            latents = scheduler.step(guided, t, latents).prev_sample
        return latents

    return draw


def redraw_from(start):
    def run(predict, schedule, clean, noise, timesteps, strength):
        rungs = rungs_by_negative_index(timesteps, strength)
        return loop_by_scheduler(predict, schedule, start(schedule, clean, noise, timesteps), rungs)

    return run


def train_without_steps(unet, schedule, batch_at, steps):
    for step in range(steps):
        clean, states = batch_at(step)
        unet(clean, 500, states).sample.square().mean().backward()


WRONG = {
    "noise_loss": (
        (lambda p, s, x, t, e: F.mse_loss(p(loss_input(s, x, t, e), t), x), "predicts the *noise*"),
        (lambda p, s, x, t, e: ((p(x, t) - e) ** 2).mean(), "shown the clean latents"),
        (lambda p, s, x, t, e: ((p(x + e, t) - e) ** 2).mean(), "just added"),
        (lambda p, s, x, t, e: (p(loss_input(s, x, t, e), t) - e).abs().mean(), "absolute errors"),
        (lambda p, s, x, t, e: ((p(loss_input(s, x, t, e), t) - e) ** 2).sum(), "summed"),
    ),
    "drop_captions": (
        (lambda s, e, d: torch.where(d[:, None, None], torch.zeros(()), s), "becomes zeros"),
        (lambda s, e, d: drop_in_place(s, e, ~d), "True means drop"),
        (lambda s, e, d: s, "nothing was dropped"),
        (lambda s, e, d: s[~d], "keep its size"),
    ),
    "ema": (
        (lambda history, half_life: ema_of_decay(history, 1 - 2 ** (-1 / half_life)), "wrong one"),
        (lambda history, half_life: ema_of_decay(history, 1 - 1 / half_life), "more than half"),
        (lambda history, half_life: ema_of_decay(history, math.exp(-1 / half_life)), "only 37 %"),
        (lambda history, half_life: ema_of_decay(history, 0.5), "at *every* step"),
        (lambda history, half_life: torch.stack(list(history)).mean(0), "plain mean"),
        (lambda history, half_life: history[0], "never moves"),
    ),
    "min_snr": (
        (
            lambda snr, most: torch.minimum(snr, torch.tensor(most)),
            "division by the SNR is missing",
        ),
        (lambda snr, most: torch.maximum(snr, torch.tensor(most)) / snr, "take the smaller"),
        (lambda snr, most: most / snr, "every weight is"),
    ),
    "own_training": (
        (lambda unet, schedule, batch_at, steps: None, "0 different steps"),
        (train_without_steps, "no parameter changed"),
        (train_with(torch.optim.SGD, 1e-5), "the loss on fresh noise went"),
        (train_with(torch.optim.AdamW, 2e-3, forget=False), "gradients of 0"),
    ),
    "resnet_parameters": (
        (
            lambda a, b, t: 9 * a * b + 9 * b * b + t * b + 2 * a + 2 * b + (a != b) * a * b,
            "biases are missing",
        ),
        (lambda a, b, t: resnet_by_diffusers(a, b, t) + (a == b) * (a * b + b), "counted always"),
        (lambda a, b, t: resnet_by_diffusers(a, b, t) - (a != b) * (a * b + b), "never counted"),
        (lambda a, b, t: resnet_by_diffusers(a, b, t) - 2 * a - 2 * b, "GroupNorms are missing"),
    ),
    "training_memory": (
        (lambda count, bits: count * bits / 2.5e8, "gigabits"),
        (lambda count, bits: count * bits / 2**31, "GiB"),
        (lambda count, bits: count * bits // 8 / 1e9, "the file alone"),
        (lambda count, bits: 2 * count * bits / 8e9, "two averages are missing"),
        (lambda count, bits: 3 * count * bits / 8e9, "one number is missing"),
    ),
    "clean_estimate": (
        (
            lambda x, said, bar, kind: estimate_by_course(x, said, bar, "epsilon"),
            "taken for the noise",
        ),
        (
            lambda x, said, bar, kind: estimate_by_course(x, said, bar, "v_prediction"),
            "right for v",
        ),
        (
            lambda x, said, bar, kind: estimate_by_course(
                x, said if kind == "epsilon" else -said, bar, kind
            ),
            "sign is wrong",
        ),
        (lambda x, said, bar, kind: said, "was expected, got"),
    ),
    "flow_step": (
        (lambda x, v, t, after: x - (after - t) * v, "towards the noise"),
        (lambda x, v, t, after: x - t * v, "at once"),
        (lambda x, v, t, after: x - v, "length of the step"),
    ),
    "lower_rungs": (
        (lambda ts, strength: ts[: int(strength * len(ts))], "the *upper* rungs"),
        (lambda ts, strength: ts[int(strength * len(ts)) :], "upside down"),
        (
            lambda ts, strength: ts[len(ts) - math.ceil(strength * len(ts)) :],
            "rounded the other way",
        ),
        (lambda ts, strength: int(strength * len(ts)), "the number of rungs"),
        (lambda ts, strength: ts.clear() or ts, "shape 2 was expected, got 0"),
    ),
    "redraw": (
        (redraw_from(lambda schedule, clean, noise, ts: noise), "pure noise"),
        (redraw_from(lambda schedule, clean, noise, ts: clean), "without noise"),
        (
            redraw_from(lambda s, clean, noise, ts: s.kept[ts[0]] * clean + s.added[ts[0]] * noise),
            "*whole* ladder",
        ),
        (
            lambda p, s, clean, noise, ts, strength: redraw_from(lambda *_: clean + noise)(
                p, s, clean, noise, ts, strength
            ),
            "just added",
        ),
    ),
    "kept_outside": (
        (
            lambda drawn, clean, noise, mask, bar: outside_by_where(
                drawn, clean, noise, 1 - mask, bar
            ),
            "wrong way round",
        ),
        (
            lambda drawn, clean, noise, mask, bar: torch.where(mask.bool(), drawn, clean),
            "without noise",
        ),
        (lambda drawn, clean, noise, mask, bar: drawn * mask, "nothing now"),
    ),
    "inverted": (
        (lambda p, s, clean, ts: loop_backwards(p, s, clean, ts[::-1]), "downwards"),
        (lambda p, s, clean, ts: s.kept[ts[-1]] * clean, "only made smaller"),
        (lambda p, s, clean, ts: clean + p(clean, ts[0]), "largest difference"),
    ),
    "own_edit": (
        (lambda picture: picture, "still sees a red house"),
        (
            lambda picture: sdlearn.draw(
                compose([("blue", "house")], "meadow", sizes=("big",), rng=4), 512
            ),
            "another *kind* of thing",
        ),
        (lambda picture: pasted(picture, "yellow", "cat"), "a cat was drawn in the lesson already"),
        (lambda picture: 3, "was expected back, got int"),
        (lambda picture: picture.resize((64, 64)), "got (64, 64)"),
        (
            lambda picture: sdlearn.draw(compose([("blue", "boat")], "night", rng=3)),
            "picture changed",
        ),
        (lambda picture: Image.new("RGB", (512, 512)), "the judge sees nothing"),
    ),
    "start_noise": (
        (
            lambda model, h, w, seed: torch.randn(1, 4, h, w, generator=torch.manual_seed(seed)),
            "size in pixels",
        ),
        (
            lambda model, h, w, seed: start_noise_by_side(model, w, h, seed),
            "height and width are exchanged",
        ),
        (lambda model, h, w, seed: start_noise_by_side(model, h // 8, w // 8, seed), "64 pixels"),
        (lambda model, h, w, seed: start_noise_by_side(model, h, w, seed)[0], "batch is missing"),
    ),
    "to_picture": (
        (lambda model, z: (decoded(model, z) / 2 + 0.5).clamp(0, 1) * 255, "scaling is not undone"),
        (
            lambda model, z: (
                (decoded(model, z * model.vae.config.scaling_factor) / 2 + 0.5).clamp(0, 1) * 255
            ),
            "multiplied by the scaling factor",
        ),
        (lambda model, z: to_picture_by_numpy(model, z).transpose(2, 0, 1), "channels come first"),
        (lambda model, z: to_picture_by_numpy(model, z) / 255.0, "from 0 to 1"),
    ),
    "text_to_latents": (
        (to_latents_without("order"), "unconditional and conditional are exchanged"),
        (to_latents_without("guidance"), "no guidance"),
        (to_latents_without("scaling"), "scale_model_input(latents, t)` is missing"),
        (to_latents_without("sigma"), "init_noise_sigma"),
        (to_latents_without("both"), "both missing"),
        (
            lambda m, prompt, noise, steps, g: to_latents_in_one_batch(
                m, prompt, noise, steps, g + 1
            ),
            "one too strong",
        ),
    ),
    "slerp": (
        (lambda a, b, share: torch.lerp(a, b, share), "straight line"),
        (lambda a, b, share: slerp_by_frame(b, a, share), "exchanged"),
        (slerp_without_care, "0/0 is not a number"),
        (lambda a, b, share: (1 - share) ** 0.5 * a + share**0.5 * b, "square roots"),
        (
            lambda a, b, share: (
                math.cos(share * math.pi / 2) * a + math.sin(share * math.pi / 2) * b
            ),
            "for 90°",
        ),
    ),
    "own_failure": (
        (lambda: "a red house", "a scene was expected"),
        (
            lambda: compose([("red", "house"), ("blue", "tree"), ("white", "cat")], "snow"),
            "at most two, got 3",
        ),
        (
            lambda: compose([("red", "heart")], "desert", sizes=("big",), rng=1),
            "find something harder",
        ),
    ),
    "ddim_step": (
        (lambda x, e, kept, after: (x - math.sqrt(1 - kept) * e) / math.sqrt(kept), "put it back"),
        (lambda x, e, kept, after: ddim_by_velocity(x, e, after, kept), "exchanged"),
        (
            lambda x, e, kept, after: after * (x - (1 - kept) * e) / kept + (1 - after) * e,
            "square roots are missing",
        ),
        (
            lambda x, e, kept, after: x - (math.sqrt(1 - kept) - math.sqrt(1 - after)) * e,
            "rescale the picture",
        ),
    ),
    "ddpm_step": (
        (
            lambda x, e, fresh, bar, after: ddpm_mean(x, e, bar, 1 - bar / after),
            "fresh noise is missing",
        ),
        (
            lambda x, e, fresh, bar, after: (
                ddpm_mean(x, e, bar, 1 - bar / after) + math.sqrt(1 - bar / after) * fresh
            ),
            "√β̃ was asked for",
        ),
        (lambda x, e, fresh, bar, after: ddim_by_velocity(x, e, bar, after), "that is DDIM"),
        (
            lambda x, e, fresh, bar, after: (
                ddpm_mean(x, e, bar, 1 - bar)
                + math.sqrt((1 - bar) * (1 - after) / (1 - bar)) * fresh
            ),
            "ᾱ is taken for α",
        ),
        (
            lambda x, e, fresh, bar, after: (
                ddpm_mean(x, e, bar, 1 - after / bar) + (1 - after / bar) ** 0.5 * fresh
            ),
            "your result is complex",
        ),
        (
            lambda x, e, fresh, bar, after: (
                ddpm_by_posterior(x, e, fresh, bar, after) * math.sqrt(bar / after)
            ),
            "was expected, got",
        ),
        (
            lambda x, e, fresh, bar, after: (
                ddpm_by_posterior(x, e, fresh, bar, after)
                - ddpm_mean(x, e, bar, 1 - bar / after)
                + ddpm_mean(x, e, bar, 1 - bar)
            ),
            "was expected, got",
        ),
    ),
    "guided": (
        (lambda u, c, s: c + s * (c - u), "one too strong"),
        (lambda u, c, s: (1 - s) * c + s * u, "exchanged"),
        (lambda u, c, s: s * c - s * u, "only the difference"),
    ),
    "draw_latents": (
        (loop_that_stops_early, "the last step stops"),
        (
            lambda p, s, noise, ts: loop_backwards(lambda x, t: p(x, ts.index(t)), s, noise, ts),
            "about its t",
        ),
        (loop_without_rungs, "just subtracted"),
        (
            lambda p, s, noise, ts: loop_backwards(lambda _, t: p(noise, t), s, noise, ts),
            "latents of *this* step",
        ),
        (lambda p, s, noise, ts: loop_backwards(p, s, noise, ts[::-1]), "upwards"),
    ),
    "own_guidance": (
        (guided_from_the_caption, "at scale 12 your result spreads"),
        (lambda u, c, s: c, "it does not guide"),
        (lambda u, c, s: guidance_rescaled(u, c, min(s, 3)), "does not follow the scale"),
        (lambda u, c, s: u + s * (c - u) / 10, "at scale 1 the conditional"),
        (lambda u, c, s: (u + c).mean(), "was expected back, got"),
        (lambda u, c, s: (c - u) / 0, "NaN or infinity"),
        (
            lambda u, c, s: guidance_rescaled(u, c, s) if s > 1 else None,
            "at scale 1: a prediction of shape",
        ),
    ),
    "word_map": (
        (
            lambda p, places, size: p[:, :, places].mean(2).mean(0).reshape(size),
            "*add* their shares",
        ),
        (lambda p, places, size: p[:, :, places[0]].mean(0).reshape(size), "only the first piece"),
        (lambda p, places, size: p[:, :, places].sum(2).sum(0).reshape(size), "heads are added up"),
        (
            lambda p, places, size: p[:, :, places].sum(2).mean(0).reshape(size[::-1]).T,
            "row by row",
        ),
        (
            lambda p, places, size: p[:, :, places].sum(2).mean(0).reshape(size[::-1]),
            "size is (height, width)",
        ),
    ),
    "inside": (
        (lambda h, m: m[divmod(int(h.argmax()), h.shape[1])], "scale them"),
        (lambda h, m: inside_by_numpy(h.T, m), "row and column are exchanged"),
        (lambda h, m: inside_by_numpy(-h, m), "*weakest*"),
        (lambda h, m: ~inside_by_numpy(h, m), "the opposite"),
        (
            lambda h, m: m[
                int(h.argmax()) // h.shape[1] * m.shape[0] // h.shape[0],
                int(h.argmax()) % h.shape[1] * m.shape[1] // h.shape[1],
            ],
            "take its centre",
        ),
    ),
    "iou": (
        (
            lambda h, m: (
                (h.flatten()[m.flatten()] >= h.flatten().topk(int(m.sum())).values[-1])
                .double()
                .mean()
            ),
            "*union*",
        ),
        (lambda h, m: iou_by_sets(-h, m), "weakest places"),
        (
            lambda h, m: ((h > h.max() / 2) & m).sum() / ((h > h.max() / 2) | m).sum(),
            "half of the maximum",
        ),
    ),
    "reweighted": (
        (
            lambda s, place, f: s.index_copy(
                -1, torch.tensor([place]), s[..., [place]] * f
            ).softmax(-1),
            "*scores*",
        ),
        (
            lambda s, place, f: s.index_add(
                -1, torch.tensor([place]), torch.full_like(s[..., :1], f)
            ).softmax(-1),
            "added",
        ),
        (
            lambda s, place, f: (
                s.softmax(-1) * (1 + (f - 1) * F.one_hot(torch.tensor(place), s.shape[-1]))
            ),
            "sum to 1",
        ),
        (lambda s, place, f: s.softmax(-1), "nothing was changed"),
    ),
    "own_map": (
        (lambda maps, places: maps.of_words(places), "one map [h, w] was expected, got 1×32×32"),
        (
            lambda maps, places: maps.select(side=8).of_words(places)[0],
            "at least 60% was asked for",
        ),
        (lambda maps, places: maps.of_words(places)[0] / 0, "NaN or infinity"),
        (lambda maps, places: maps.of_words(places)[0], "combine layers that score well"),
    ),
    "sinusoids": (
        (lambda t, w: sinusoids_by_powers(t, w).roll(w // 2, dims=1), "the other way round"),
        (lambda t, w: get_timestep_embedding(t, w, downscale_freq_shift=0), "the other way round"),
        (
            lambda t, w: sinusoids_by_powers(t, w).unflatten(1, (2, -1)).transpose(1, 2).flatten(1),
            "alternate",
        ),
        (
            lambda t, w: sinusoids_by_powers(t, 2 * w)[:, [*range(w // 2), *range(w, w + w // 2)]],
            "too slowly",
        ),
        (
            lambda t, w: get_timestep_embedding(t, w, flip_sin_to_cos=True, downscale_freq_shift=1),
            "width / 2 - 1",
        ),
        (sinusoids_from_one, "k counts from 1"),
    ),
    "attention": (
        (lambda q, k, v: torch.softmax(q @ k.mT / v.shape[-1] ** 0.5, -1) @ v, "the values' width"),
        (lambda q, k, v: torch.softmax(q @ k.mT / q.shape[-1], -1) @ v, "it is √d"),
        (lambda q, k, v: torch.softmax(q @ k.mT, -1) @ v, "division by √d is missing"),
        (
            lambda q, k, v: torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, -2) @ v,
            "softmax over the queries",
        ),
        (lambda q, k, v: torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, -1), "mix the values"),
    ),
    "split_heads": (
        (lambda s, heads: s.reshape(len(s), heads, s.shape[1], -1), "wrong places"),
        (lambda s, heads: s.reshape(*s.shape[:2], heads, -1), "still exchanged"),
        (
            lambda s, heads: s.reshape(*s.shape[:2], -1, heads).permute(0, 3, 1, 2),
            "cut the wrong way",
        ),
    ),
    "cross_attention": (
        (lambda x, c, q, k, v: attention_by_torch(x @ q, x @ k, x @ v), "this is self-attention"),
        (lambda x, c, q, k, v: attention_by_torch(c @ q, x @ k, x @ v), "turned round"),
        (
            lambda x, c, q, k, v: attention_by_torch(x @ q, c @ k, x @ v),
            "values still come from the picture",
        ),
        (
            lambda x, c, q, k, v: torch.softmax((x @ q) @ (c @ k).mT, -1) @ (c @ v),
            "division by √d is missing",
        ),
        (lambda x, c, q, k, v: attention_by_torch(x @ q, c @ k, c), "to_v is not used"),
        (lambda x, c, q, k, v: cross_attention_by_linear(x, c, q.T, k.T, v.T), "turned over"),
        (lambda x, c, q, k, v: x + cross_attention_by_linear(x, c, q, k, v), "that comes later"),
    ),
    "own_unet": (
        (lambda: torch.nn.Linear(2, 2), "a UNet2DConditionModel was expected, got Linear"),
        (lambda: unet_of(block_out_channels=(64, 128, 128)), "fewer than 3,000,000"),
        (lambda: unet_of(out_channels=3), "4×32×32 has to come out, got 3×32×32"),
        (
            lambda: unet_of(down_block_types=("DownBlock2D",) * 3),
            "the one in the middle: 5; at least 6",
        ),
    ),
    "sampled": (
        (lambda mean, v, e: mean + torch.exp(v) * e, "multiplied by the variance"),
        (lambda mean, v, e: mean + v * e, "logarithm is not undone"),
        (lambda mean, v, e: mean, "nothing was sampled"),
    ),
    "divergence": (
        (lambda m, v: (m**2 + v.exp() - 1 - v).flatten(1).sum(1), "½ is missing"),
        (lambda m, v: (m**2 + v.exp() - 1 - v).flatten(1).mean(1) / 2, "is their *sum*"),
        (lambda m, v: -(m**2 + v.exp() - 1 - v).flatten(1).sum(1) / 2, "never negative"),
        (lambda m, v: (m**2 + v.exp() - v).flatten(1).sum(1) / 2, "the -1 is missing"),
    ),
    "scaling": (
        (lambda z: torch.std(z), "upside down"),
        (lambda z: 1 / torch.var(z), "divides by the variance"),
        (lambda z: 1 / z.std(dim=(0, 2, 3)), "not one for each channel"),
        (lambda z: 1 / z.std(dim=0), "not one for each place"),
    ),
    "peak_signal_to_noise": (
        (lambda a, b: -10 * torch.log10(F.mse_loss(a, b)), "the peak is 1"),
        (lambda a, b: 10 * torch.log(4 / F.mse_loss(a, b)), "natural logarithm"),
        (lambda a, b: 10 * torch.log10(F.mse_loss(a, b) / 4), "upside down"),
    ),
    "edited": (
        (lambda latents: latents, "the left half changes by 0.000"),
        (lambda latents: latents * 0.5, "You changed columns up to 31; the left half ends at 15"),
        (
            lambda latents: torch.cat([latents[..., :16] + 2, latents[..., 16:]], 3),
            "Your columns are right",
        ),
        (lambda latents: latents[:, :, :, :12], "were expected back"),
        (lambda latents: None, "returned None"),
        (lambda latents: latents / 0, "NaN or infinity"),
    ),
    "critic_loss": (
        (lambda real, forged: F.softplus(real).mean() + F.softplus(-forged).mean(), "exchanged"),
        (lambda real, forged: F.softplus(-real).mean(), "only the real pages count"),
        (lambda real, forged: F.softplus(forged).mean(), "only the forged pages count"),
        (
            lambda real, forged: F.softplus(-real).mean() + F.softplus(-forged).mean(),
            "painter's loss",
        ),
        (lambda real, forged: F.softplus(-real).sum() + F.softplus(forged).sum(), "summed"),
    ),
    "best_guess": (
        (lambda pictures: pictures.median(dim=0).values, "median"),
        (lambda pictures: pictures[0], "one of the pictures"),
        (lambda pictures: pictures.sum(dim=0), "summed"),
        (lambda pictures: pictures.mean(), "each pixel has its own"),
    ),
    "covered": (
        (
            lambda real, made, radius: (
                (torch.cdist(made, real) <= radius).any(dim=1).float().mean()
            ),
            "fidelity",
        ),
        (
            lambda real, made, radius: (torch.cdist(real, made) <= radius).float().mean(),
            "all near pairs",
        ),
        (
            lambda real, made, radius: (torch.cdist(real, made) <= radius).any(dim=1).sum(),
            "divide by how many",
        ),
    ),
    "cosines": (
        (lambda a, b: a @ b.T, "not normalised"),
        (lambda a, b: F.normalize(a, dim=0) @ F.normalize(b, dim=0).T, "wrong dimension"),
        (lambda a, b: F.cosine_similarity(b[:, None], a[None], dim=2), "exchanged"),
        (lambda a, b: F.normalize(a, dim=1) @ b.T, "only one of the two"),
    ),
    "caption_probabilities": (
        (lambda s, tau: torch.softmax(s / tau, 0), "softmax over the wrong dimension"),
        (lambda s, tau: torch.softmax(s * tau, 1), "multiplied by the temperature"),
        (lambda s, tau: torch.softmax(s, 1), "temperature is not used"),
        (lambda s, tau: s / tau, "softmax is missing"),
    ),
    "clip_loss": (
        (lambda s, tau: F.cross_entropy(s / tau, torch.arange(len(s))), "one-sided: captions"),
        (lambda s, tau: F.cross_entropy(s.T / tau, torch.arange(len(s))), "one-sided: pictures"),
        (lambda s, tau: 2 * loss_by_diagonals(s, tau), "take their mean"),
        (lambda s, tau: -loss_by_diagonals(s, tau), "sign is wrong"),
        (lambda s, tau: len(s) * loss_by_diagonals(s, tau), "summed over the pairs"),
        (lambda s, tau: loss_by_diagonals(s, 1 / tau), "divide by it"),
    ),
    "best_caption": (
        (lambda p, c: (c @ p).argmax(), "not normalised"),
        (lambda p, c: F.cosine_similarity(p[None], c).argmin(), "least"),
        (lambda p, c: (c - p).norm(dim=1).argmin(), "directions"),
        (lambda p, c: F.cosine_similarity(p[None], c), "these are the similarities"),
        (lambda p, c: F.cosine_similarity(p[None], c).max(), "largest similarity itself"),
    ),
    "confused_pair": (
        (lambda: ("a red house", "a red house"), "are the same"),
        (lambda: ("a red dragon", "dragon a red"), "not in the picture book: dragon"),
        (lambda: ("a red house", "a red tree"), "do not have the same words"),
        (
            lambda: ("a red house in the snow", "in the snow, a red house"),
            "describe the same picture",
        ),
        (
            lambda: ("a red house and a blue tree", "a blue tree and a red house"),
            "describe the same picture",
        ),
        (
            lambda: ("a big red house in the snow", "a red big house in the snow"),
            "describe the same picture",
        ),
        (
            lambda: ("a house red in the snow", "a red house in the snow"),
            "needs its colour before it",
        ),
        (lambda: ("a red house", "a blue house", "a cat"), "ValueError"),
    ),
    "one_step": (
        (lambda x, b, e: (1 - b) * x + b * e, "square roots are missing"),
        (lambda x, b, e: x + b**0.5 * e, "not made smaller"),
        (lambda x, b, e: (b**0.5) * x + (1 - b) ** 0.5 * e, "swapped"),
    ),
    "alpha_bars": (
        (lambda b: torch.cumprod(b, 0), "this multiplies β"),
        (lambda b: 1 - torch.cumsum(b, 0), "shares multiply"),
        (lambda b: 1.0 - b, "this is α"),
    ),
    "noised": (
        (lambda s, x, t, e: _wide(s.betas, t, x, e), "this is β where ᾱ belongs"),
        (lambda s, x, t, e: _wide(s.alphas, t, x, e), "this is α where ᾱ belongs"),
        (lambda s, x, t, e: _wide(s.alpha_bars, t, x, e, swap=True), "swapped"),
        (
            lambda s, x, t, e: s.kept[t].view(-1, 1, 1, 1) * x + s.added[t].view(-1, 1, 1, 1) * e,
            "three ones fit",
        ),
        (lambda s, x, t, e: s.kept[t[0]] * x + s.added[t[0]] * e, "takes the first one for all"),
    ),
    "estimate_clean": (
        (lambda s, x, t, e: x - s.at(s.added, t, x) * e, "last division is missing"),
        (lambda s, x, t, e: (x + s.at(s.added, t, x) * e) / s.at(s.kept, t, x), "wrong sign"),
        (lambda s, x, t, e: (x - e) / s.at(s.kept, t, x), "subtract that much"),
    ),
    "own_schedule": (
        (lambda steps: torch.linspace(1e-4, 0.02, steps - 1), "got (19,)"),
        (lambda steps: torch.linspace(1e-4, 0.02, 1000), "for steps=20 shape 20, got (1000,)"),
        (lambda steps: None, "your function returned None"),
        (lambda steps: torch.linspace(-0.1, 0.02, steps), "a share above 0 and below 1"),
        (lambda steps: torch.full((steps,), 0.02), "of the picture's variance is gone"),
        (lambda steps: torch.full((steps,), 1e-4), "still picture"),
        (
            lambda steps: torch.cat([torch.full((100,), 1e-4), torch.full((steps - 100,), 0.1)]),
            "noise already",
        ),
    ),
}


def _wide(share, t, x, noise, swap=False):
    """A closed form with another share in ᾱ's place."""
    kept = share[t].view(-1, *[1] * (x.ndim - 1))
    kept, added = (1 - kept, kept) if swap else (kept, 1 - kept)
    return kept**0.5 * x + added**0.5 * noise


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SDLEARN_HOME", str(tmp_path))
    return tmp_path / "progress.json"


def cell_with(text: str, exercise: str) -> str:
    """The one cell of the exercise's lesson that holds a text."""
    notebook = nbformat.read(NOTEBOOKS / f"{exercises()[exercise].lesson}.ipynb", 4)
    (found,) = [cell.source for cell in notebook.cells if text in cell.source]
    return found


def function_from(source: str, name: str):
    scope = {}
    exec("import torch\nimport sdlearn\n" + source, scope)
    return scope[name]


def stub_of(name: str):
    source = cell_with(f"check.{name}({name})", name)
    return function_from(source.rsplit("\n", 1)[0].replace("from sdlearn import check", ""), name)


def solution_of(name: str):
    """From the folded cell: the only copy of the solution."""
    folded = cell_with(f"solution of {name}", name)
    return function_from(re.search(r"```python\n(.*?)```", folded, re.DOTALL)[1], name)


@pytest.mark.parametrize("name", exercises())
def test_every_exercise_has_what_it_takes(name):
    assert len(WRONG[name]) >= 3
    assert len(RIGHT[name]) >= 2
    assert len({word for _, word in WRONG[name]}) >= 3


@pytest.mark.parametrize("name", exercises())
def test_the_stub_is_not_attempted(name, capsys, home):
    result = getattr(check, name)(stub_of(name))
    assert repr(result) == f"· {name}: not attempted yet"
    assert not home.exists()


@pytest.mark.parametrize("name", exercises())
def test_the_notebooks_own_solution_is_right(name, home):
    result = getattr(check, name)(solution_of(name))
    assert repr(result) == f"✓ {name}: right"
    assert result.picture is not None
    assert json.loads(home.read_text()) == {"solved": [name]}


@pytest.mark.parametrize(
    ("name", "answer"), [(name, a) for name, answers in RIGHT.items() for a in answers]
)
def test_answers_written_another_way_are_right(name, answer):
    assert exercises()[name].judge(answer).message == "right"


@pytest.mark.parametrize(
    ("name", "answer", "word"), [(n, a, w) for n, wrong in WRONG.items() for a, w in wrong]
)
def test_a_wrong_answer_is_told_its_mistake(name, answer, word, home):
    result = getattr(check, name)(answer)
    assert result.passed is False
    assert word in result.message
    assert not home.exists()


@pytest.mark.parametrize(
    "exercise", [e for e in exercises().values() if isinstance(e, Exercise)], ids=lambda e: e.name
)
def test_known_mistakes_are_wrong_and_differ(exercise):
    messages = [exercise.judge(mistake.wrong).message for mistake in exercise.mistakes]
    assert messages == [mistake.says for mistake in exercise.mistakes]


# --- the checks themselves ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda b: None, "your function returned None; does it end with `return`?"),
        (lambda b: "0.5", "a tensor was expected, got str"),
        (lambda b: b[:-1], "for (tensor 2): shape 2 was expected, got 1"),
        (lambda b: b / 0 * 0, "for (tensor 2): your result holds NaN or infinity"),
        (lambda b: b + 1, "for (tensor 2): the shape is right, the largest difference is 1"),
        (
            lambda b: torch.rand(len(b)),
            "the result is another one each time; use what the function is given",
        ),
        (lambda: 1, "TypeError"),
        (3, "a function was expected, got int"),
    ],
)
def test_other_answers_are_told_where_they_first_go_wrong(answer, message):
    assert message in exercises()["alpha_bars"].judge(answer).message


def test_an_error_is_told_with_the_learners_own_line():
    def alpha_bars(betas):
        return betas.cumprod(dim=3)

    message = exercises()["alpha_bars"].judge(alpha_bars).message
    assert message.startswith(
        "IndexError in line `return betas.cumprod(dim=3)`: Dimension out of range"
    )


def test_an_answer_that_fails_on_the_picture_is_told_so():
    def fails_when_drawn(before, beta, noise):
        if before.shape[-1] == 96:
            raise RuntimeError("too large")
        return (1 - beta) ** 0.5 * before + beta**0.5 * noise

    message = exercises()["one_step"].judge(fails_when_drawn).message
    assert message.startswith("right on small cases, but not on a picture: RuntimeError")


def test_a_check_never_changes_what_the_right_answer_is_compared_with():
    def spoil(schedule, clean, t, noise):
        clean.zero_(), noise.zero_()
        return clean

    assert exercises()["noised"].judge(spoil).passed is False


def test_an_exercise_knows_at_least_three_mistakes():
    two = (Mistake("a", abs),) * 2
    with pytest.raises(ValueError, match="x: an exercise knows at least 3 mistakes, got 2"):
        Exercise("04", "x", abs, list, two)
    with pytest.raises(ValueError, match="x: an exercise knows at least 3"):
        OpenExercise("04", "x", abs, (lambda _: None,))


def test_an_exercise_that_does_not_exist_is_named():
    with pytest.raises(
        AttributeError,
        match="there is no exercise 'two_steps'; the course has critic_loss, best_guess",
    ):
        check.two_steps  # noqa: B018


def test_progress_is_kept_and_can_be_forgotten(home):
    assert "0 of 5  left: one_step" in repr(check.progress())
    check.one_step(one_step_in_place)
    check.alpha_bars(alpha_bars_by_hand)
    check.alpha_bars(lambda b: b)
    (line,) = [line for line in repr(check.progress()).splitlines() if line.startswith("04")]
    assert line.startswith("04_forward_noising       ████████░░░░░░░░░░░░ 2 of 5  left: noised")
    assert "0 of 5" in repr(check.reset())
    assert not home.exists()


def test_a_damaged_progress_file_is_said_and_does_not_stop_the_lesson(home):
    home.write_text('{"solved": [')
    with pytest.warns(UserWarning, match="progress.json cannot be read .* progress starts anew"):
        assert "0 of 5" in repr(check.progress())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert check.one_step(one_step_in_place).passed
    assert "1 of 5" in repr(check.progress())


def test_a_place_that_cannot_be_written_to_is_said(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SDLEARN_HOME", str(tmp_path / "file" / "below"))
    with pytest.warns(UserWarning, match="progress.json cannot be"):
        assert check.one_step(one_step_in_place).passed


@pytest.mark.parametrize("name", ["resnet_parameters", "one_step", "own_guidance", "lower_rungs"])
def test_a_check_never_raises_whatever_comes_back(name):
    for value in (None, "text", [], torch.zeros(2), torch.zeros(0), {}, float("nan"), 1j):
        result = check.exercises()[name].judge(lambda *_, value=value: value)
        assert result.passed is False
        assert result.message


def test_a_check_does_not_raise_for_an_answer_that_fails_the_second_time():
    calls = []

    def answer(before, beta, noise):
        calls.append(1)
        if len(calls) > 3:
            raise KeyError("again")
        return torch.rand_like(before)

    assert check.exercises()["one_step"].judge(answer).passed is False
