"""The sibling: the small model and a small Stable Diffusion 3, judged on the same prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from diffusers import SD3Transformer2DModel, StableDiffusion3Pipeline
from diffusers.models.attention_processor import Attention
from jaxtyping import Float
from torch import Tensor, nn

from sdlearn._support.hooks import of_this_thread
from sdlearn._support.paths import ASSETS
from sdlearn._support.reading import quietly
from sdlearn.attention.recording import by_head
from sdlearn.evaluate.judge import Judge
from sdlearn.evaluate.samples import (
    captions,
    draw_with,
    generate,
    shares,
    unseen_scenes,
    verdicts,
    whole_by_count,
)
from sdlearn.loading import Components

SIBLING = ASSETS / "tiny-sd3"
SIZE = 256
STEPS, GUIDANCE = 28, 3.0
PARTS = ("setting", "kind", "colour", "relation", "nothing else", "whole")
THINGS = {1: "with one thing", 2: "with two", 3: "with three"}
HEAD = ("drawn by", "steps", "guidance", "prompts", *PARTS, *THINGS.values())


def load_sibling(folder: Path = SIBLING) -> StableDiffusion3Pipeline:
    """The pipeline that `python -m sdlearn.train sd3` saved: by default, the one that ships.

    Raises:
        FileNotFoundError: there is none.
    """
    if not (folder / "model_index.json").is_file():
        raise FileNotFoundError(
            f"{folder} holds no pipeline; `python -m sdlearn.train sd3` makes one"
        )
    # without the third text encoder, as diffusers allows: it must be told so
    with quietly():
        pipeline = StableDiffusion3Pipeline.from_pretrained(
            folder, text_encoder_3=None, tokenizer_3=None
        )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@torch.no_grad()
def sibling_texts(pipeline: StableDiffusion3Pipeline, prompts: list[str]) -> torch.Tensor:
    """What the transformer reads for each prompt: float32 [n, 155, width].

    That is 154 rows for the tokens, of which the last 77, T5's place, are zeros, and the pooled
    vector as one more row.
    """
    states, _, pooled, _ = pipeline.encode_prompt(
        prompts, None, None, do_classifier_free_guidance=False, max_sequence_length=77
    )
    return torch.cat([states, pooled[:, None]], dim=1)


def sibling_velocity(
    pipeline: StableDiffusion3Pipeline,
) -> Callable[[torch.Tensor, float, torch.Tensor], torch.Tensor]:
    """The transformer's own answer, a velocity, to x, t and texts as `sibling_texts` makes them."""

    def velocity(x: torch.Tensor, t: float, texts: torch.Tensor) -> torch.Tensor:
        times = torch.full((len(x),), 1000 * t).to(x)
        return pipeline.transformer(x, texts[:, :-1], texts[:, -1], times).sample

    return velocity


@contextmanager
def text_looks(
    transformer: SD3Transformer2DModel, block: int
) -> Iterator[list[Float[Tensor, "n tokens patches+tokens"]]]:
    """Record where the tokens of the text look, in one block, at every run inside the `with`.

    Each run adds the attention of every token: first to the patches of the picture, row by row,
    then to the tokens of the text. It is averaged over the heads, and a token's shares sum to 1.
    The picture does not change: the same softmax(QKᵀ/√d) (Vaswani et al. 2017, Eq. 1) is computed
    a second time.

    Raises:
        ValueError: the transformer has no such block.
    """
    count = len(transformer.transformer_blocks)
    if block not in range(count):
        raise ValueError(f"block: from 0 to {count - 1}, got {block}")
    looks = []

    @torch.no_grad()
    def keep(attention: Attention, args: tuple, given: dict, output: tuple) -> None:
        looks.append(_looks(attention, given["hidden_states"], given["encoder_hidden_states"]))

    attention = transformer.transformer_blocks[block].attn
    hook = attention.register_forward_hook(of_this_thread(keep), with_kwargs=True)
    try:
        yield looks
    finally:
        hook.remove()


def _looks(
    attention: Attention,
    picture: Float[Tensor, "n patches width"],
    text: Float[Tensor, "n tokens width"],
) -> Float[Tensor, "n tokens patches+tokens"]:
    """The attention of every token to the patches and the tokens, averaged over the heads."""

    def states(
        layer: nn.Linear, norm: nn.Module | None, read: Tensor
    ) -> Float[Tensor, "n heads positions d"]:
        split = by_head(layer(read), attention.heads)
        return split if norm is None else norm(split)

    queries = states(attention.add_q_proj, attention.norm_added_q, text)
    of_picture = states(attention.to_k, attention.norm_k, picture)
    of_text = states(attention.add_k_proj, attention.norm_added_k, text)
    keys = torch.cat([of_picture, of_text], dim=2)
    scores = queries @ keys.transpose(-1, -2) * attention.scale
    return scores.float().softmax(dim=-1).mean(dim=1)


def generate_by_sibling(
    pipeline: StableDiffusion3Pipeline, prompts: list[str], seed: int
) -> torch.Tensor:
    """One picture for each prompt: float32 [n, 3, 256, 256] on the CPU, in [-1, 1]."""
    return draw_with(
        pipeline,
        prompts,
        seed,
        height=SIZE,
        width=SIZE,
        num_inference_steps=STEPS,
        guidance_scale=GUIDANCE,
        max_sequence_length=77,
    )


def compare_sibling(
    model: Components, pipeline: StableDiffusion3Pipeline, judge: Judge, count: int
) -> Iterator[tuple[str, ...]]:
    """Yield a row for each of the two, as soon as it is measured."""
    scenes = unseen_scenes(count, held_out=False)
    lines = captions(scenes)
    trials = {
        "the small model": (
            (model.default_steps, model.default_guidance),
            lambda: generate(model, lines, seed=0, size=SIZE),
        ),
        "its sibling": (
            (STEPS, GUIDANCE),
            lambda: generate_by_sibling(pipeline, lines, seed=0),
        ),
    }
    for name, ((steps, guidance), draw) in trials.items():
        read = verdicts(judge, scenes, draw())
        right, by_count = shares(read), whole_by_count(scenes, read)
        yield (
            name,
            f"{steps}",
            f"{guidance:g}",
            f"{count}",
            *(f"{right[part]}" for part in PARTS),
            *(f"{by_count[number]}" for number in THINGS),
        )
