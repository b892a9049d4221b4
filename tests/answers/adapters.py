"""Answers to the exercises of lesson 12_a_new_word."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from answers import on_copies


def cosines(vector, table):
    return (table @ vector) / (table.norm(dim=1) * vector.norm())


def nearest_one_by_one(vector, table, count):
    rows = sorted(range(len(table)), key=lambda row: -cosines(vector, table)[row])
    return rows[:count]


def layer(x, weight, bias, change):
    return x @ weight.T + bias + change


def lora_by_einsum(x, weight, bias, down, up, alpha):
    change = torch.einsum("...i,ri,or->...o", x, down, up)
    return layer(x, weight, bias, change * alpha / down.shape[0])


def lora_merged(x, weight, bias, down, up, alpha):
    return x @ (weight + alpha / len(down) * up @ down).T + bias


def merged_in_place(weight, adapters):
    for down, up, strength in adapters:
        weight += strength * up @ down
    return weight


def merged_at_once(weight, adapters):
    downs = torch.cat([strength * down for down, _, strength in adapters])
    return weight + torch.cat([up for _, up, _ in adapters], dim=1) @ downs


TOOLS = {
    "snow": "prompt",
    "lumo": "inversion",
    "crest": "LoRA",
    "film": "LoRA",
    "xrays": "all weights",
}


def choosing(**changes):
    return lambda: {name: tool for name, tool in (TOOLS | changes).items() if tool is not None}


def size(shape, rank):
    return rank * math.prod(shape[1:]) + rank * shape[0]


RIGHT = {
    "nearest_rows": (
        lambda v, table, n: cosines(v, table).argsort(descending=True)[:n],
        nearest_one_by_one,
        lambda v, table, n: (F.normalize(table) @ v).topk(n).indices,
        lambda v, table, n: np.argsort(-cosines(v, table).numpy())[:n].copy(),
        lambda v, table, n: (F.normalize(table) - F.normalize(v[None])).norm(dim=1).argsort()[:n],
    ),
    "lora_layer": (
        lora_by_einsum,
        lora_merged,
        lambda x, w, b, down, up, a: layer(
            x, w, b, F.linear(F.linear(x, down), up) * a / len(down)
        ),
        lambda x, w, b, down, up, a: (
            F.linear(x.double(), w.double(), b.double())
            + (a / down.shape[0]) * (x.double() @ (up.double() @ down.double()).T)
        ),
    ),
    "lora_size": (
        size,
        lambda shape, r: r * (math.prod(shape) // shape[0] + shape[0]),
        lambda shape, r: torch.tensor(size(shape, r)),
        lambda shape, r: torch.zeros(r, *shape[1:]).numel() + torch.zeros(shape[0], r).numel(),
        lambda shape, r: np.int64(size(shape, r)),
    ),
    "merged": (
        on_copies(merged_in_place),
        merged_at_once,
        lambda w, adapters: torch.stack([w, *(s * up @ down for down, up, s in adapters)]).sum(0),
        lambda w, adapters: w.double() + sum(s * (u.double() @ d.double()) for d, u, s in adapters),
    ),
    "tools": (
        choosing(),
        lambda: dict(reversed(TOOLS.items())),
        lambda: TOOLS | {"another": "prompt"},
        lambda: {name: str(tool) for name, tool in TOOLS.items()},
    ),
}

WRONG = {
    "nearest_rows": (
        (lambda v, table, n: None, "your function returned None"),
        (lambda v, table, n: "cat", "numbers were expected, got str"),
        (lambda v, table, n: (v @ table.T).argsort(descending=True)[:n], "a long row wins"),
        (lambda v, table, n: cosines(v, table).argsort()[:n], "point *away*"),
        (lambda v, table, n: (table @ v).argsort()[:n], "these products are the smallest"),
        (lambda v, table, n: torch.cdist(v[None], table)[0].argsort()[:n], "compares distances"),
        (lambda v, table, n: cosines(v, table).topk(n).values, "these are the cosines"),
        (lambda v, table, n: cosines(v, table).topk(n).indices.flip(0), "the nearest comes last"),
        (lambda v, table, n: (table / table.norm(dim=0) @ v).topk(n).indices, "each *column*"),
        (lambda v, table, n: cosines(v, table).abs().topk(n).indices, "the absolute value"),
        (lambda v, table, n: cosines(v, table).argsort(descending=True), "shape"),
        (lambda v, table, n: cosines(v, table).argmax(), "shape 2 was expected"),
        (lambda v, table, n: cosines(v, table).topk(n).indices + 1, "1 too large"),
        (lambda v, table: 0, "TypeError"),
    ),
    "lora_layer": (
        (lambda x, w, b, down, up, a: None, "your function returned None"),
        (lambda x, w, b, down, up, a: layer(x, w, b, x @ down.T @ up.T), "alpha / r is missing"),
        (
            lambda x, w, b, down, up, a: layer(x, w, b, a * x @ down.T @ up.T),
            "not divided by the rank",
        ),
        (
            lambda x, w, b, down, up, a: layer(x, w, b, x @ down.T @ up.T / len(down)),
            "not multiplied by alpha",
        ),
        (
            lambda x, w, b, down, up, a: layer(x, w, b, len(down) / a * x @ down.T @ up.T),
            "upside down",
        ),
        (
            lambda x, w, b, down, up, a: layer(x, w, b, a / x.shape[-1] * x @ down.T @ up.T),
            "divided by the number of inputs",
        ),
        (
            lambda x, w, b, down, up, a: a / len(down) * x @ down.T @ up.T,
            "this is the change alone",
        ),
        (
            lambda x, w, b, down, up, a: x @ w.T + a / len(down) * x @ down.T @ up.T,
            "the bias is missing",
        ),
        (
            lambda x, w, b, down, up, a: a / len(down) * layer(x, w, b, x @ down.T @ up.T),
            "the frozen layer was scaled",
        ),
        (
            lambda x, w, b, down, up, a: layer(x, w, b, -a / len(down) * x @ down.T @ up.T),
            "the change is subtracted",
        ),
        (lambda x, w, b, down, up, a: x @ down @ up, "RuntimeError"),
    ),
    "lora_size": (
        (lambda shape, r: None, "your function returned None"),
        (lambda shape, r: math.prod(shape), "this is the whole layer"),
        (lambda shape, r: 2 * r * math.prod(shape[1:]), "have different sizes"),
        (lambda shape, r: r * math.prod(shape[1:]), "only `down` was counted"),
        (lambda shape, r: r * shape[0], "only `up` was counted"),
        (lambda shape, r: r * math.prod(shape), "added, not multiplied"),
        (lambda shape, r: r * (shape[0] + shape[1]), "the kernel of a convolution is missing"),
        (
            lambda shape, r: r * math.prod(shape[2:]) * (shape[0] + shape[1]),
            "only `down` has the 3×3 kernel",
        ),
        (lambda shape, r: size(shape, r) + shape[0], "the bias stays frozen"),
        (lambda shape, r: size(shape, r) + r**2, "r² is not a part of it"),
        (lambda shape, r: shape[:2], "a single number was expected"),
        (lambda shape, r: shape * "2", "TypeError"),
        (lambda shape, r: math.prod(shape[1:]) + shape[0], "the rank is missing"),
        (lambda shape, r: size(shape, r) + 1, "every number is 1 too large"),
    ),
    "merged": (
        (lambda w, adapters: None, "your function returned None"),
        (lambda w, adapters: w + sum(u @ d for d, u, _ in adapters), "the factors are missing"),
        (
            lambda w, adapters: w + (lambda d, u, s: s * u @ d)(*adapters[-1]),
            "only the last adapter",
        ),
        (
            lambda w, adapters: w + (lambda d, u, s: s * u @ d)(*adapters[0]),
            "only the first adapter",
        ),
        (lambda w, adapters: sum(w + s * u @ d for d, u, s in adapters), "once for each adapter"),
        (
            lambda w, adapters: w + sum(s * u @ d for d, u, s in adapters) / len(adapters),
            "were averaged",
        ),
        (lambda w, adapters: sum(s * u @ d for d, u, s in adapters), "this is the change alone"),
        (lambda w, adapters: w - sum(s * u @ d for d, u, s in adapters), "are subtracted"),
        (lambda w, adapters: w + sum(s**2 * u @ d for d, u, s in adapters), "squared"),
        (lambda w, adapters: w @ adapters[0][0], "RuntimeError"),
        (lambda w, adapters: w, "was expected"),
    ),
    "tools": (
        (lambda: None, "your function returned None"),
        (lambda: list(TOOLS.values()), "a dict with snow, lumo"),
        (choosing(snow=None, xrays=None), "there is no tool yet for snow, xrays"),
        (choosing(snow=...), "snow: one of prompt, inversion, LoRA, all weights, got Ellipsis"),
        (choosing(lumo="DreamBooth"), "lumo: one of prompt"),
        (choosing(lumo="prompt"), "its pieces mean nothing"),
        (choosing(lumo="LoRA"), "thousands of times as many numbers"),
        (choosing(crest="inversion"), "only finds what the U-Net can draw already"),
        (choosing(crest="all weights"), "as large as the model"),
        (choosing(film="inversion"), "something with a strength"),
        (choosing(film="all weights"), "no dial to turn back"),
        (choosing(xrays="LoRA"), "here everything changes"),
        (choosing(snow="LoRA"), "is there something simpler, or stronger? (4 of 5 are right)"),
    ),
}

SHOWN = {
    "nearest_rows": (
        (
            lambda v, table, n: (table @ v / table.norm(dim=1) ** 2).topk(n).indices,
            "divided by the length twice",
        ),
        (lambda v, table, n: cosines(v, table).topk(n).indices.sort().values, "in table order"),
    ),
    "lora_layer": (
        (
            lambda x, w, b, down, up, a: layer(x, w, b, (a / len(down)) ** 2 * x @ down.T @ up.T),
            "the factor is squared",
        ),
        (
            lambda x, w, b, down, up, a: layer(x, w, 2 * b, a / len(down) * x @ down.T @ up.T),
            "the bias is added twice",
        ),
        (
            lambda x, w, b, down, up, a: layer(x, w, b, a / len(up) * x @ down.T @ up.T),
            "divided by the number of outputs",
        ),
    ),
    "lora_size": (
        (lambda shape, r: r * sum(shape), "sides of the kernel are added"),
        (lambda shape, r: r * (math.prod(shape[1:]) + shape[1]), "`up` has as many rows as `down`"),
    ),
    "merged": (
        (
            lambda w, adapters: w + sum(s * (u @ d).abs() for d, u, s in adapters),
            "changes without their sign",
        ),
        (
            lambda w, adapters: w + sum(abs(s) * u @ d for d, u, s in adapters),
            "strengths without their sign",
        ),
    ),
}
