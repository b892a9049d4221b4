"""`python benchmarks/recording.py`: what recording attention costs, as ratios of one run.

It is compared with the usual way: the plain attention processor, with `get_attention_scores`
wrapped. `--sd15` builds Stable Diffusion 1.5's true configuration with
random weights; give it a GPU, or patience.
"""

from __future__ import annotations

import argparse

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention, AttnProcessor, AttnProcessor2_0
from stopwatch import taking_turns

import sdlearn
from sdlearn.attention import record

WORDS = (3, 6)
"""The positions of two words, as a lesson does."""


def plain(unet, latents, states) -> torch.Tensor:
    return unet(latents, 500, states).sample


def recorded(unet, latents, states) -> torch.Tensor:
    with record(unet, positions=WORDS):
        return plain(unet, latents, states)


def with_points(unet, latents, states) -> torch.Tensor:
    with record(unet, positions=WORDS, points=[(0.5, 0.5)]):
        return plain(unet, latents, states)


def eager(unet, latents, states) -> torch.Tensor:
    """The usual way: a plain processor, from whose cross-attention the two words are kept."""
    kept, original = [], Attention.get_attention_scores

    def keep(self, query, key, attention_mask=None):
        scores = original(self, query, key, attention_mask)
        if scores.shape[-1] == states.shape[1]:
            kept.append(scores[len(scores) // 2 :, :, list(WORDS)].clone())
        return scores

    unet.set_attn_processor(AttnProcessor())
    Attention.get_attention_scores = keep
    try:
        return plain(unet, latents, states)
    finally:
        Attention.get_attention_scores = original
        unet.set_attn_processor(AttnProcessor2_0())


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sd15", action="store_true", help="Stable Diffusion 1.5's configuration, random weights"
    )
    parser.add_argument("--repeat", type=int, default=15)
    choice = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if choice.sd15:
        unet = (
            UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8)
            .to(device)
            .eval()
        )
    else:
        unet = sdlearn.load(device=device, dtype=torch.float32).unet
    latents = torch.randn(2, 4, 64, 64, device=device)
    states = torch.randn(2, 77, unet.config.cross_attention_dim, device=device)
    ways = (plain, recorded, with_points, eager)
    calls = [lambda way=way: way(unet, latents, states) for way in ways]
    times = taking_turns(calls, choice.repeat)
    reference = plain(unet, latents, states)
    print("| one guided step | ms | ratio | largest difference of the result |\n|---|---|---|---|")
    for way, seconds in zip(ways, times, strict=True):
        differs = (way(unet, latents, states) - reference).abs().max().item()
        print(
            f"| {way.__name__} | {1000 * seconds:.0f} | {seconds / times[0]:.3f} | {differs:.1e} |"
        )


if __name__ == "__main__":
    main()
