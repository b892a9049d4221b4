"""Record attention: which positions of the picture look at a word, and where a point looks.

`record` watches a U-Net at work. The library's own attention computes the picture, unchanged. The
probabilities softmax(QKᵀ/√d) (Vaswani et al. 2017, Eq. 1) are computed a second time from the same
queries and keys, and only those that you ask for. So recording does not change a single bit of the
picture.

Batch order: with guidance the U-Net gets the unconditional half first, then the conditional half,
as in diffusers. The maps are those of the conditional half.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention, FusedAttnProcessor2_0
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from jaxtyping import Float
from torch import Tensor, nn

from sdlearn._support.arguments import number, whole_number
from sdlearn._support.checked import checked
from sdlearn._support.hooks import of_this_thread
from sdlearn._support.wrapping import uncompiled, unwrapped
from sdlearn.attention.maps import CROSS, SELF, Layer, Map, Maps

LIMIT = 2**30
"""How many bytes the maps of one recording may take, unless told otherwise."""


@checked
def attention_layers(unet: UNet2DConditionModel) -> list[Layer]:
    """Every attention layer of a U-Net, in order of computation."""
    return [layer for layer, _, _ in find_attentions(unet)]


def find_attentions(
    unet: UNet2DConditionModel,
) -> list[tuple[Layer, Transformer2DModel, Attention]]:
    """Every attention layer, the transformer around it and its module, in order of computation."""
    attentions = []
    for path, transformer in unwrapped(unet).named_modules():
        if not isinstance(transformer, Transformer2DModel):
            continue
        for depth, block in enumerate(transformer.transformer_blocks):
            for module in (block.attn1, block.attn2):
                if isinstance(module, Attention):
                    kind = CROSS if module.is_cross_attention else SELF
                    attentions.append(
                        (Layer(_short(path, depth), kind, module.heads), transformer, module)
                    )
    others = [
        path
        for path, module in unwrapped(unet).named_modules()
        if isinstance(module, Attention)
        and not any(module is known for *_, known in attentions)
        and ".fuser." not in path  # GLIGEN's, which does nothing unless it is given boxes
    ]
    if others:
        raise ValueError(
            f"unet: attention outside of its transformers cannot be watched: {', '.join(others)}"
        )
    return sorted(
        attentions, key=lambda watched: ("down", "mid", "up").index(watched[0].name.split(".")[0])
    )


def _short(path: str, depth: int) -> str:
    """`down_blocks.1.attentions.0` becomes `down.1.0`; a second transformer block, `down.1.0.1`."""
    block = path.replace("_blocks", "").replace("_block", "").replace(".attentions", "")
    return f"{block}.{depth}" if depth else block


@checked
@contextmanager
def record(
    unet: UNet2DConditionModel,
    positions: Sequence[int] | None = None,
    points: Sequence[tuple[float, float]] = (),
    layers: Collection[str] | None = None,
    largest: int | None = None,
    pictures: int = 1,
    limit: int = LIMIT,
) -> Iterator[Maps]:
    """Record the attention of every U-Net run inside the `with` block, on this thread.

    Args:
        positions: the positions of the text to record cross-attention for; None for all of them, ()
            for none.
        points: the points of the picture, (x, y) in [0, 1), to record self-attention for.
        layers: names from `attention_layers`; None for all.
        largest: leave out maps with a side longer than this.
        pictures: how many pictures are made at once; if the U-Net's batch is twice as large, it is
            a run with guidance.
        limit: how many bytes the maps may take.

    Raises:
        ValueError: a layer, position or point does not exist, or there is nothing to record.
        MemoryError: the maps exceed the limit; what was recorded until then is kept.
    """
    watcher = _Watcher(positions, points, largest, pictures, limit)
    known = find_attentions(unet)
    _check_layers(layers, known)
    kinds = [CROSS] * (positions is None or len(positions) > 0) + [SELF] * (len(points) > 0)
    wanted = [w for w in known if w[0].kind in kinds and (layers is None or w[0].name in layers)]
    if not kinds:
        raise ValueError("positions: nothing to record; give positions of the text, or points")
    if not wanted:
        raise ValueError(f"layers: at least one that looks at {' or '.join(kinds)}, got {layers}")
    if any(isinstance(module.processor, FusedAttnProcessor2_0) for _, _, module in wanted):
        raise ValueError(
            "unet: its queries and keys are fused; unet.unfuse_qkv_projections() separates them"
        )
    with uncompiled(unet), ExitStack() as hooks:
        for handle in watcher.hooks(unwrapped(unet), wanted):
            hooks.callback(handle.remove)
        yield watcher.maps


def _check_layers(layers: Collection[str] | None, known: list) -> None:
    names = {layer.name for layer, _, _ in known}
    if not names:
        raise ValueError("unet: it has no attention that can be recorded")
    unknown = set(() if layers is None else layers) - names
    if unknown:
        raise ValueError(
            f"layers: no {', '.join(sorted(unknown))} in this U-Net, which has "
            f"{', '.join(sorted(names))}"
        )


def check_batch(latents: Float[Tensor, "batch c h w"], pictures: int) -> None:
    """Raise ValueError unless a batch has this many pictures, or with guidance twice as many."""
    count = len(latents)
    if count not in (pictures, 2 * pictures):
        raise ValueError(
            f"pictures: {pictures} were announced, so a batch of {pictures} or {2 * pictures} with "
            f"guidance; the U-Net got {count}"
        )
    # with guidance, both halves of the batch are the same pictures
    if count == 2 * pictures and not torch.equal(latents[:pictures], latents[pictures:]):
        raise ValueError(
            f"pictures: the U-Net got {count} different pictures, but {pictures} were announced; "
            f"say pictures={count}"
        )


class _Watcher:
    """Hooks that note queries, keys and sizes as they pass, and keep the wanted probabilities."""

    def __init__(self, positions, points, largest, pictures, limit):
        self.largest, self.limit = largest, limit
        self.pictures = whole_number("pictures", pictures, 1, 10_000)
        for position in positions or ():
            whole_number("positions", position, 0, 10_000)
        for x, y in points:
            number("points", x, 0, 1), number("points", y, 0, 1)
        self.maps = Maps(None if positions is None else tuple(positions), tuple(points))
        self.step, self.t, self.size, self.kept_bytes = -1, -1, (0, 0), 0
        self.queries: Tensor | None = None
        self.keys: Tensor | None = None

    def hooks(
        self, unet: nn.Module, wanted: list[tuple[Layer, Transformer2DModel, Attention]]
    ) -> Iterator:
        yield unet.register_forward_pre_hook(of_this_thread(self._starts), with_kwargs=True)
        for transformer in dict.fromkeys(transformer for _, transformer, _ in wanted):
            yield transformer.register_forward_pre_hook(
                of_this_thread(self._sees_size), with_kwargs=True
            )
        for layer, _, module in wanted:
            yield module.to_q.register_forward_hook(of_this_thread(self._sees_queries))
            yield module.to_k.register_forward_hook(of_this_thread(self._sees_keys))
            yield module.register_forward_hook(
                of_this_thread(partial(self._keep, layer)), with_kwargs=True
            )

    def _starts(self, unet, args, kwargs) -> None:
        check_batch(args[0] if args else kwargs["sample"], self.pictures)
        self.step += 1
        t = kwargs["timestep"] if "timestep" in kwargs else args[1]
        self.t = int(torch.as_tensor(t).flatten()[0])

    def _sees_size(self, transformer, args, kwargs) -> None:
        states = args[0] if args else kwargs["hidden_states"]
        self.size = tuple(states.shape[-2:])

    def _sees_queries(self, module, args, output) -> None:
        self.queries = output

    def _sees_keys(self, module, args, output) -> None:
        self.keys = output

    @torch.no_grad()
    def _keep(self, layer: Layer, module: Attention, args, kwargs, output) -> None:
        mask: Float[Tensor, "batch 1 keys"] | None = kwargs.get("attention_mask")
        queries, keys = self.queries, self.keys
        self.queries = self.keys = None
        if queries is None or keys is None:
            raise RuntimeError(
                f"{layer.name} {layer.kind}: its queries and keys were not seen; has its "
                "processor been replaced?"
            )
        if self.largest is not None and max(self.size) > self.largest:
            return
        queries, keys = self._conditional(queries), self._conditional(keys)
        if layer.kind == SELF:
            queries = queries[:, [self._row(x, y) for x, y in self.maps.points]]
        # in float32, because half precision overflows
        queries, keys = (by_head(states.float(), module.heads) for states in (queries, keys))
        # Q Kᵀ / √d, because the scale is 1 / √d
        scores = queries * module.scale @ keys.transpose(-1, -2)
        if mask is not None:
            scores = scores + self._conditional(mask)[:, None]
        self._store(layer, scores.softmax(dim=-1))  # [n, heads, queries, keys]; rows sum to 1

    def _conditional(
        self, states: Float[Tensor, "batch positions width"]
    ) -> Float[Tensor, "n positions width"]:
        """The second half of a batch with guidance; the whole batch without guidance."""
        return states[-self.pictures :]

    def _row(self, x: float, y: float) -> int:
        height, width = self.size
        return min(int(y * height), height - 1) * width + min(int(x * width), width - 1)

    def _store(self, layer: Layer, probabilities: Float[Tensor, "n heads queries keys"]) -> None:
        if layer.kind == CROSS:
            probabilities = probabilities.transpose(2, 3)
            if self.maps.positions is not None:
                _check_positions(self.maps.positions, probabilities.shape[2])
                probabilities = probabilities[:, :, list(self.maps.positions)]
        values = probabilities.unflatten(3, self.size).contiguous()
        self.kept_bytes += values.nbytes
        if self.kept_bytes > self.limit:
            raise MemoryError(
                f"the maps take more than {self.limit / 1e6:.0f} MB: ask for fewer positions, "
                "layers or steps, set "
                "`largest`, or raise `limit`"
            )
        self.maps.maps.append(Map(self.step, self.t, layer, values))


def _check_positions(positions: tuple[int, ...], count: int) -> None:
    if max(positions) >= count:
        raise ValueError(f"positions: from 0 to {count - 1}, got {max(positions)}")


def by_head(
    states: Float[Tensor, "n positions width"], heads: int
) -> Float[Tensor, "n heads positions d"]:
    """Queries, keys or values, split into those of each head."""
    return states.unflatten(2, (heads, -1)).transpose(1, 2)
