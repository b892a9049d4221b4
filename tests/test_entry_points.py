"""Every public function, given what does not fit: a result, or an error that names the argument.

Errors from the libraries below, such as an AttributeError or a RuntimeError, are failures.
"""

import contextlib
import copy
import importlib
import inspect
import math
import pkgutil
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image

import sdlearn
from sdlearn import (
    adapters,
    compression,
    denoising,
    families,
    images,
    noising,
    picturebook,
    pipeline,
    plane,
    plots,
    similarity,
    text,
    unet,
    widgets,
)
from sdlearn._support.share import Share
from sdlearn.adapters import MIMO
from sdlearn.attention import (
    attention_layers,
    maps,
    record,
    remember_looks,
    repeat_looks,
    reweight,
    watching,
)
from sdlearn.control import control_pixels, controlled, find_edges, load_control, start_control
from sdlearn.evaluate import judge, map_scores, sample_scores, solvers, taught
from sdlearn.evaluate.adapters import FEW_STEPS
from sdlearn.flow import as_velocity, flow, from_the_side, paths_of
from sdlearn.noising import Schedule
from sdlearn.picturebook import drawing, newcomers, pages, pencil, scenes
from sdlearn.plots import look
from sdlearn.widgets.guess import Guess
from sdlearn.widgets.mixer import mix
from sdlearn.widgets.round_trip import there_and_back

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

PROMPT = "a red house"
SCENE = picturebook.compose([("red", "house")], "snow", rng=1)
SCHEDULE = Schedule.named("scaled_linear")
TINY = sdlearn.load("tiny", "cpu")
PAGE = Image.fromarray(drawing.draw_array(SCENE, 32))
POINTS = torch.linspace(-1, 1, 18).reshape(9, 2)
NUMBERS = torch.linspace(-1, 1, 4 * 64).reshape(1, 4, 8, 8)


def calls(model) -> dict:
    """For every checked function: itself, and arguments that fit."""
    states = text.encode_text(model.tokenizer, model.text_encoder, PROMPT)
    control = start_control(model.unet, model.factor)
    with record(model.unet) as found, remember_looks(model.unet) as looks:
        model.unet(NUMBERS, 5, states)
        model.unet(NUMBERS, 4, states)
    with record(model.unet, positions=(), points=[(0.5, 0.5)]) as own:
        model.unet(NUMBERS, 5, states)
    stops = list(unet.tour(model.unet, NUMBERS, 5, states))
    step = next(denoising.denoise(model.unet, model.scheduler, NUMBERS, states, states, 2, 3.0))
    (watched, *_) = watching.watch(model, PROMPT, 1, 2.0, 0)
    heat, inside = torch.rand(8, 8), torch.rand(16, 16) > 0.5
    pixels, z = torch.rand(2, 3, 16, 16), torch.rand(2, 4, 4, 4)
    family, vectors, others = families.VAE(), torch.rand(5, 3), torch.rand(4, 3)
    clip = {"tokenizer": TINY.tokenizer, "clip": TINY.clip}
    draws = {"model": model, "prompt": PROMPT, "negative_prompt": "", "size": 16, "steps": 2}
    draws |= {"guidance": 2.0, "seed": 3}
    redraws = {"model": model, "picture": PAGE, "prompt": PROMPT, "strength": 0.6}
    redraws |= {"negative_prompt": "", "steps": 2, "guidance": 2.0, "seed": 3}
    mask = Image.new("L", PAGE.size, 255)
    noised = {"schedule": SCHEDULE, "t": 3}
    table = [
        (text.tokenize, {"tokenizer": model.tokenizer, "prompts": [PROMPT]}),
        (
            text.encode_text,
            {
                "tokenizer": model.tokenizer,
                "text_encoder": model.text_encoder,
                "prompts": PROMPT,
            },
        ),
        (text.pieces, {"tokenizer": model.tokenizer, "text": PROMPT}),
        (text.cut_off, {"tokenizer": model.tokenizer, "text": PROMPT}),
        (text.positions_of, {"tokenizer": model.tokenizer, "text": PROMPT, "word": "red"}),
        (text.words_in, {"text": PROMPT}),
        (text.split_words, {"tokenizer": model.tokenizer, "text": PROMPT}),
        (images.to_pixels, {"pictures": np.zeros((2, 4, 6, 3), np.uint8)}),
        (images.to_pictures, {"pixels": pixels}),
        (images.square, {"picture": PAGE, "side": 8}),
        (images.figure_to_picture, {"figure": Figure((1, 1))}),
        (images.contact_sheet, {"pictures": np.zeros((4, 3, 5, 3), np.uint8), "columns": 2}),
        (images.to_jpeg, {"picture": PAGE, "quality": 80}),
        (images.psnr, {"first": pixels, "second": pixels / 2}),
        (similarity.text_vectors, {**clip, "prompts": [PROMPT]}),
        (
            similarity.image_vectors,
            {"image_processor": TINY.image_processor, "clip": TINY.clip, "pictures": [PAGE]},
        ),
        (
            similarity.pixel_vectors,
            {"image_processor": TINY.image_processor, "clip": TINY.clip, "pixels": pixels},
        ),
        (similarity.cosine_similarity, {"first": vectors, "second": others}),
        (similarity.temperature, {"clip": TINY.clip}),
        (similarity.contrastive_loss, {"similarity": torch.rand(3, 3), "temperature": 0.1}),
        (compression.encode, {"vae": model.vae, "pixels": pixels}),
        (compression.scale, {"vae": model.vae, "z": z}),
        (compression.unscale, {"vae": model.vae, "latents": z}),
        (compression.decode, {"vae": model.vae, "latents": z}),
        (compression.latents_of, {"vae": model.vae, "pictures": [PAGE], "at_once": 2}),
        (adapters.with_lora, {"model": TINY, "folder": FEW_STEPS}),
        (adapters.with_word, {"model": TINY, "folder": MIMO}),
        (compression.compression_ratio, {"pixels": pixels, "latents": z}),
        (noising.Schedule, {"betas": torch.rand(5) / 2}),
        (noising.Schedule.named, {"name": "linear", "steps": 10, "start": 0.1, "end": 0.2}),
        (noising.Schedule.of, {"scheduler": model.scheduler}),
        (noising.add_noise, {**noised, "clean": z, "noise": z}),
        (noising.posterior, {**noised, "noisy": z, "clean": z}),
        (noising.clean_from_noise, {**noised, "noisy": z, "noise": z}),
        (noising.velocity, {**noised, "clean": z, "noise": z}),
        (unet.time_embedding, {"unet": model.unet, "t": torch.tensor([3])}),
        (unet.tour, {"unet": model.unet, "latents": NUMBERS, "t": 3, "states": states}),
        (unet.without_skips, {"unet": model.unet, "up_blocks": [0]}),
        (unet.parameters_by_kind, {"unet": model.unet}),
        (
            denoising.check_denoising,
            {"scheduler": model.scheduler, "steps": 3, "guidance": 2.0, "strength": 0.5},
        ),
        (denoising.draw_noise, {"shape": (2, 3), "seed": 0, "like": z}),
        (denoising.slerp, {"first": z, "second": 1 - z, "share": 0.5}),
        (denoising.guided, {"unconditional": z, "conditional": z, "guidance": 2.0}),
        (
            denoising.ddim_step,
            {"noisy": z, "predicted": z, "alpha_bar": 0.5, "alpha_bar_next": 0.6},
        ),
        *(
            (way, {"predict": lambda x, t: x, "schedule": SCHEDULE, name: z, "timesteps": [9, 5]})
            for way, name in ((denoising.ddim, "noisy"), (denoising.ddim_inversion, "clean"))
        ),
        (
            denoising.denoise,
            {
                "unet": model.unet,
                "scheduler": model.scheduler,
                "noise": NUMBERS,
                "states": states,
                "negative_states": states,
                "steps": 2,
                "guidance": 2.0,
                "start": NUMBERS,
                "strength": 0.6,
                "mask": torch.ones(1, 1, 8, 8),
                "generator": torch.Generator(),
            },
        ),
        (denoising.ladder, {"scheduler": model.scheduler, "steps": 3, "strength": 0.5}),
        (
            denoising.noise_from,
            {
                "kind": "epsilon",
                "noisy": z,
                "signal": torch.tensor(0.5),
                "sigma": torch.tensor(0.5),
                "predicted": z,
            },
        ),
        (pipeline.text_to_latents, draws),
        (pipeline.text_to_image, draws),
        (pipeline.image_to_latents, {**redraws, "mask": mask}),
        (pipeline.image_to_image, redraws),
        (pipeline.inpaint, {**redraws, "mask": mask}),
        (pipeline.or_defaults, {"model": model, "steps": None, "guidance": None}),
        (pipeline.predictor, {"model": model, "prompt": PROMPT, "guidance": 2.0}),
        (pipeline.latents_to_images, {"model": model, "latents": z}),
        (pipeline.picture_size, {"model": model, "size": (16, 24)}),
        (families.pages, {"count": 2, "seed": 0}),
        (families.drawn, {"scenes": [SCENE]}),
        (
            families.train,
            {"family": family, "pixels": torch.rand(4, 3, 64, 64), "steps": 1, "batch": 2},
        ),
        (families.untrained, {"vae": model.vae}),
        (families.trained, {"vae": TINY.vae}),
        (
            maps.Maps.select,
            {"self": found, "kind": "cross", "layers": ["mid.0"], "steps": [0], "side": 4},
        ),
        (maps.Maps.of_words, {"self": found, "positions": [2], "head": 0}),
        (maps.Maps.of_point, {"self": own, "point": 0, "head": 0}),
        (attention_layers, {"unet": model.unet}),
        (
            record,
            {
                "unet": model.unet,
                "positions": [2],
                "points": [(0.5, 0.5)],
                "layers": ["mid.0"],
                "largest": 8,
                "pictures": 1,
                "limit": 10**6,
            },
        ),
        (reweight, {"unet": model.unet, "positions": [2], "factor": 2.0, "pictures": 1}),
        (remember_looks, {"unet": model.unet, "kind": "cross"}),
        (repeat_looks, {"unet": model.unet, "looks": looks, "steps": 1, "kind": "cross"}),
        (plane.shapes, {"count": 9}),
        (plane.average_clean, {"points": POINTS, "noisy": POINTS, "alpha_bar": 0.5}),
        (plane.predicted_noise, {"points": POINTS, "noisy": POINTS, "alpha_bar": 0.5}),
        (plane.ddim, {"points": POINTS, "start": POINTS, "schedule": SCHEDULE, "steps": 2}),
        (plane.flow, {"points": POINTS, "start": POINTS, "steps": 2}),
        (flow, {"velocity": lambda x, t: x, "noise": POINTS, "steps": 2}),
        (as_velocity, {"predict": lambda x, t: x, "schedule": SCHEDULE}),
        (paths_of, {"walk": [POINTS, POINTS]}),
        (from_the_side, {"path": [POINTS, POINTS + 1]}),
        (plots.plane, {"points": POINTS, "noisy": POINTS, "towards": POINTS, "title": "t"}),
        (plots.paths, {"points": POINTS, "walks": {"a": [POINTS, POINTS]}, "columns": 2}),
        (plots.one_path, {"points": POINTS, "way": POINTS}),
        (families.film, {"name": "GAN"}),
        (watching.Watched.heat, {"self": watched, "word": "red", "layer": "mid.0", "head": 0}),
        (
            watching.Watched.shares,
            {"self": watched, "point": (0.5, 0.5), "layer": "mid.0", "head": 0},
        ),
        (watching.Watched.looks, {"self": watched, "point": (0.5, 0.5)}),
        (
            watching.watch,
            {"model": model, "prompt": PROMPT, "steps": 1, "guidance": 2.0, "seed": 0},
        ),
        (watching.words_of, {"model": model, "prompt": PROMPT}),
        (drawing.draw, {"scene": SCENE, "size": 16}),
        (drawing.draw_array, {"scene": SCENE, "size": 16}),
        (drawing.masks, {"scene": SCENE, "size": 16}),
        (
            newcomers.page_with,
            {"thing": Image.new("RGB", (9, 5), "red"), "word": "box", "rng": 0, "size": 32},
        ),
        (newcomers.mimo_page, {"word": "mimo", "rng": 0, "size": 32, "shade": 0.5}),
        (pencil.in_pencil, {"page": PAGE}),
        (pages.scene_at, {"page": 3, "book": 0, "held_out": False}),
        (pages.is_held_out, {"things": [("red", "house"), ("blue", "star")]}),
        (pages.random_scene, {"rng": 0, "held_out": False, "count": 2}),
        (
            pages.twin,
            {
                "scene": picturebook.compose([("red", "house"), ("blue", "tree")], "snow", rng=0),
                "rng": np.random.default_rng(0),
            },
        ),
        (
            scenes.Thing,
            {"kind": "house", "colour": "red", "size": "big", "x": 0.5, "y": 0.5},
        ),
        (
            scenes.Scene,
            {name: getattr(SCENE, name) for name in SCENE.__dataclass_fields__},
        ),
        (scenes.possible_relations, {"kinds": ["house", "tree"]}),
        (
            scenes.compose,
            {
                "things": [("red", "house"), ("blue", "tree")],
                "setting": "snow",
                "relation": "left of",
                "sizes": ("big", "small"),
                "rng": 0,
            },
        ),
        (scenes.words, {}),
        (plots.schedules, {"named": {"ours": SCHEDULE}}),
        (
            plots.rung,
            {
                "schedule": SCHEDULE,
                "t": 5,
                "pixels": pixels[0],
                "latents": z[0],
                "noises": (pixels[1], z[1]),
            },
        ),
        (
            plots.lines,
            {
                "panels": {"a": {"loss": ([1, 2], [0.5, 0.4])}},
                **{"x": "step", "y": "y", "log": True, "joined": False},
            },
        ),
        (plots.table, {"panels": {"a": torch.rand(1, 2)}, "rows": ["r"], "columns": ["b", "c"]}),
        (plots.mixture, {"values": [10.0, 20.0], "weights": [0.2, 0.8]}),
        (plots.grid, {"rows": {"a": [PAGE]}, "columns": ["x"], "notes": {"a": ["y"]}}),
        (
            plots.similarity,
            {
                "matrix": torch.rand(1, 2),
                "pictures": [PAGE],
                "captions": ["a", "b"],
                "title": "t",
                "limits": (-1, 1),
            },
        ),
        (plots.pipeline, {"model": model, "lit": "unet", "from_picture": True}),
        (plots.unet_ladder, {"stops": stops, "lit": 0}),
        (plots.blocks_of, {"stops": stops}),
        (plots.ladder_marks, {"stops": stops}),
        (plots.control_net, {"unet": model.unet}),
        (plots.low_rank, {"out": 6, "wide": 4, "rank": 2}),
        (plots.new_row, {"words": ["a", "b"], "new": "b", "rows": 4, "wide": 2}),
        (plots.shares, {"named": {"a": Share(1, 2)}}),
        (plots.moved, {"panels": {"a": {"b": (0.1, 0.2)}}, "x": "cosine"}),
        (plots.tokens, {"read": text.pieces(model.tokenizer, PROMPT), "per_row": 4}),
        (plots.strip, {"pictures": [PAGE], "titles": ["page"], "columns": 2}),
        (plots.beside_bars, {"picture": PAGE, "values": {"a": 0.5}, "title": "t"}),
        (
            plots.on_a_map,
            {"pictures": [PAGE], "points": torch.rand(1, 2), **{"x": "x", "y": "y"}},
        ),
        (plots.to_scale, {"pictures": [PAGE], "titles": ["page"]}),
        (
            plots.latent_channels,
            {"latents": z[0], "title": "z", "names": list("abcd"), "limit": 2.0},
        ),
        (plots.denoising, {"step": step, "picture": PAGE}),
        (plots.heat_over, {"picture": PAGE, "heat": heat}),
        (plots.outlined, {"picture": PAGE, "mask": PAGE}),
        (plots.overlay, {"picture": PAGE, "heats": [heat], "titles": ["red"]}),
        (look.new_figure, {"height": 2.0, "layout": None}),
        (judge.Judge.read, {"self": judge.load_judge(), "pixels": pixels}),
        (judge.shrink, {"pixels": pixels}),
        (taught.likeness, {"pixels": pixels, "thing": PAGE}),
        (judge.verdict_on, {"scene": SCENE, "setting": "snow", "seen": []}),
        (
            judge.in_words,
            {"scene": SCENE, "verdict": judge.verdict_on(SCENE, "snow", [])},
        ),
        (judge.load_judge, {}),
        (map_scores.score_maps, {"model": model, "scenes": [SCENE], "t": 5}),
        (
            map_scores.score_heads,
            {"model": model, "scenes": [SCENE], "layer": "up.0.1", "t": 5},
        ),
        (map_scores.maps_of, {"model": model, "scene": SCENE, "t": 5, "seed": 0}),
        (map_scores.points_at, {"heat": heat, "mask": inside}),
        (map_scores.overlap, {"heat": heat, "mask": inside}),
        (sample_scores.fidelity, {"real": torch.rand(9, 3), "made": torch.rand(8, 3)}),
        (sample_scores.diversity, {"real": torch.rand(9, 3), "made": torch.rand(8, 3)}),
        (sample_scores.sharpness, {"pixels": pixels}),
        (solvers.with_solver, {"model": model, "name": next(iter(solvers.SOLVERS))}),
        (widgets.Canvas, {"picture": PAGE, "mask": True}),
        (
            widgets.AttentionExplorer,
            {"model": model, "prompt": PROMPT, "steps": 1},
        ),
        (
            widgets.Walker,
            {"points": POINTS, "way": lambda start: [start, start], "start": (1.0, 1.0)},
        ),
        (Guess, {"question": "?", "comments": {"a": "Yes"}, "answer": "b", "chosen": "a"}),
        (widgets.Shown, {"done": 1, "text": "x", "picture": PAGE}),
        (widgets.Live, {"work": iter(()), "total": 3, "start": False}),
        (mix, {"pixels": pixels[:1], "noise": pixels[1:], "schedule": SCHEDULE, "t": 3}),
        (there_and_back, {"model": model, "picture": PAGE}),
        (widgets.NoiseMixer, {"picture": PAGE, "seed": 0}),
        (widgets.Painter, {"model": model, "prompt": "", "steps": 2, "every": 1, "seed": 0}),
        (
            widgets.Placer,
            {"model": model, "control": control, "prompt": "", "mask": PAGE, "steps": 2},
        ),
        (start_control, {"unet": model.unet, "factor": model.factor}),
        (load_control, {"model": TINY}),
        (find_edges, {"picture": PAGE}),
        (control_pixels, {"picture": [PAGE], "size": (16, 24)}),
        (
            controlled,
            {"unet": model.unet, "control": control, "picture": PAGE, "scale": 0.5},
        ),
        (widgets.RoundTrip, {"model": model, "picture": PAGE}),
        (
            widgets.Scrubber,
            {"pictures": [PAGE, PAGE], "labels": ["a", "b"], "name": "step", "marks": [0, 1]},
        ),
    ]
    return {function.__qualname__: (function, good) for function, good in table}


@pytest.fixture(scope="module")
def table(random_model):
    return Table(calls(random_model))


class Table(dict):
    """Shown in short if a test fails."""

    def __repr__(self):
        return f"{len(self)} calls"


def checked_functions() -> set[str]:
    """The names of all functions, methods and classes of the package that check their arguments."""
    found = set()
    for module in pkgutil.walk_packages(sdlearn.__path__, "sdlearn."):
        if module.name.split(".")[-1] == "__main__" or ".train" in module.name:
            continue
        loaded = importlib.import_module(module.name)
        here = [v for v in vars(loaded).values() if getattr(v, "__module__", 0) == module.name]
        inside = [m for v in here if inspect.isclass(v) for m in vars(v).values()]
        for thing in [*here, *(getattr(m, "__func__", m) for m in inside)]:
            if getattr(thing, "is_checked", False):
                found.add(thing.__qualname__.removesuffix(".__init__"))
    return found


LEFT_OUT = {
    "load": "checks each of its arguments itself, see test_loading",
    "to_rgb": "takes anything, see test_images",
    "seeded": "checks its only argument itself",
    "best_device": "takes nothing",
    "cut_silently": "takes nothing",
}


def test_every_public_function_of_a_stage_checks_its_arguments(table):
    assert checked_functions() == set(table)
    stages = (text, images, similarity, compression, noising, unet, denoising, pipeline)
    names = {
        name
        for stage in (*stages, importlib.import_module("sdlearn.loading"))
        for name, value in vars(stage).items()
        if isinstance(value, types.FunctionType)
        and value.__module__ == stage.__name__
        and not name.startswith("_")
    }
    assert names - set(table) == set(LEFT_OUT)


def finish(result):
    """Whatever a call gives, brought to its end."""
    if isinstance(result, types.GeneratorType):
        return list(result)
    if isinstance(result, contextlib.AbstractContextManager):
        with result:
            return None
    return result


def test_arguments_that_fit_are_taken(table):
    for function, good in table.values():
        finish(function(**good))


JUNK = {
    "None": None,
    "True": True,
    "0": 0,
    "-1": -1,
    "3": 3,
    "10**30": 10**30,
    "2.5": 2.5,
    "nan": math.nan,
    "inf": math.inf,
    "numpy's 2": np.int64(2),
    "numpy's 0.5": np.float32(0.5),
    "empty text": "",
    "text": "junk 🎈",
    "bytes": b"junk",
    "path": Path("nowhere"),
    "object": object(),
    "function": lambda *_: None,
    "empty list": [],
    "[None]": [None],
    "list of texts": ["red", ""],
    "list of numbers": [1, 2.5],
    "[-1]": [-1],
    "list of pairs": [(0.5, 0.5), (1, 2)],
    "pair": (1, 2),
    "empty dict": {},
    "dict": {"a": 1},
    "picture": PAGE,
    "tall picture": Image.new("RGBA", (3, 9)),
    "list of pictures": [PAGE, PAGE],
    "scene": SCENE,
    "schedule": SCHEDULE,
    "nothing recorded": maps.Maps(None, ()),
    "module": torch.nn.Module(),
    "generator": torch.Generator(),
    "figure": Figure((1, 1)),
}
ARRAYS = st.builds(
    lambda shape, dtype, kind: (np if kind == "numpy" else torch).zeros(
        shape, **({"device": kind} if kind != "numpy" else {}), dtype=dtype[kind == "numpy"]
    ),
    st.lists(st.integers(0, 5), max_size=5).map(tuple),
    st.sampled_from(
        [
            (torch.float32, np.float32),
            (torch.float64, np.float64),
            (torch.float16, np.float16),
            (torch.int64, np.int64),
            (torch.uint8, np.uint8),
            (torch.bool, bool),
            (torch.complex64, np.complex64),
        ]
    ),
    st.sampled_from(["numpy", "cpu", "meta"]),
)


def alike(value, how):
    """Something close to what fits: another kind of array, dtype, device, size or number."""
    changes = {
        "numpy": lambda: value.numpy() if isinstance(value, torch.Tensor) else torch.tensor(value),
        "half": lambda: value.half(),
        "double": lambda: value.double(),
        "whole": lambda: value.long() if isinstance(value, torch.Tensor) else int(value),
        "elsewhere": lambda: value.to("meta"),
        "one less": lambda: value[:-1],
        "none of it": lambda: value[:0],
        "transposed": lambda: value.transpose(-1, -2),
        "one axis more": lambda: value[None],
        "not finite": lambda: value * math.nan,
        "enormous": lambda: value * 1e30,
        "negative": lambda: -value,
        "list": lambda: [value],
        "float": lambda: float(value),
        "text": lambda: str(value),
        "generator": lambda: iter(value),
    }
    if isinstance(value, torch.nn.Module):
        if how == "elsewhere":
            return value  # there is no other real device here
        value = copy.deepcopy(value)  # its own methods change it
    try:
        return changes[how]()
    except (TypeError, AttributeError, LookupError, ValueError, RuntimeError, OverflowError):
        return value


HOW = ["numpy", "half", "double", "whole", "elsewhere", "one less", "none of it", "transposed"]
HOW += ["one axis more", "not finite", "enormous", "negative", "list", "float", "text", "generator"]


@pytest.mark.bad_input
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # numpy's, where numbers are not finite
@settings(
    max_examples=2000,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_what_does_not_fit_is_refused_by_name(table, data):
    function, good = table[data.draw(st.sampled_from(sorted(table)))]
    names = [name for name in good if name != "self"]
    if not names:
        return
    given = dict(good)
    for name in data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=2)):
        kind = data.draw(st.sampled_from(["junk", "array", "alike"]))
        if kind == "junk":
            given[name] = JUNK[data.draw(st.sampled_from(list(JUNK)))]
        elif kind == "array":
            given[name] = data.draw(ARRAYS)
        else:
            given[name] = alike(given[name], data.draw(st.sampled_from(HOW)))
    try:
        finish(function(**given))
    except Exception as error:
        said = error
    else:
        return
    where = f"{function.__qualname__}: {said!r}"
    if "meta" in str(said) and isinstance(said, RuntimeError | NotImplementedError):
        return  # the only other device here, which is none that computes
    assert isinstance(said, CLEAR), where
    assert str(said).split(":")[0] in {*good, *ALSO_NAMED}, where


CLEAR = (TypeError, ValueError, FloatingPointError, MemoryError, FileNotFoundError)
ALSO_NAMED = {
    "pixels",
    "latents",
    "scheduler",
    "unet",
    "vae",
    "maps",
    "predicted",
    "the maps take more than 1 MB",
}
"""What an error may name besides an argument: what was computed from it."""


X = torch.linspace(-1, 1, 256).reshape(2, 2, 8, 8)


@pytest.mark.bad_input  # what fits, but is not what the annotations say
@pytest.mark.parametrize(
    "call",
    [
        lambda model: denoising.ddim_step(X, X, SCHEDULE.alpha_bars[500], SCHEDULE.alpha_bars[400]),
        lambda model: denoising.ddim_step(X, X, *torch.rand(2, 2, 1, 1, 1)),
        lambda model: denoising.guided(X, X, torch.tensor([1.0, 3.0]).reshape(2, 1, 1, 1)),
        lambda model: [denoising.slerp(X, X + 1, share) for share in torch.linspace(0, 1, 3)],
        lambda model: denoising.ddim(
            lambda x, t: x, SCHEDULE, X, denoising.ladder(model.scheduler, 3)[1]
        ),
        lambda model: noising.add_noise(SCHEDULE, X, [5, 6], X),
        lambda model: noising.add_noise(SCHEDULE, X, range(5, 7), X),
        lambda model: noising.add_noise(SCHEDULE, X, np.array([5, 6]), X),
        lambda model: noising.add_noise(SCHEDULE, X, torch.tensor(5), X),
        lambda model: noising.add_noise(SCHEDULE, X, np.int64(5), X),
        lambda model: plots.strip(np.zeros((2, 8, 8, 3), np.uint8), ["", ""]),
        lambda model: plots.overlay(PAGE, [torch.rand(64, 64), torch.rand(8, 8)], ["a", "b"]),
        lambda model: plots.grid({"a": np.zeros((2, 8, 8, 3), np.uint8), "b": [PAGE, PAGE]}),
        lambda model: maps.Maps((2,), ()).select(steps=np.array([1])),
        lambda model: finish(record(model.unet, np.array([2]), np.full((2, 2), 0.5))),
        lambda model: finish(reweight(model.unet, {2: "red"}.keys(), 2)),
        lambda model: unet.parameters_by_kind(model.vae),
        lambda model: pages.random_scene(1, np.bool_(True)),
        lambda model: compression.scale(model.vae, X[0]),
        lambda model: pipeline.picture_size(model, [16, 24]),
        lambda model: widgets.RoundTrip(model, np.asarray(PAGE)),
        lambda model: look.new_figure(np.float32(2), "tight"),
        lambda model: torch.compile(denoising.guided, backend="eager", fullgraph=True)(X, X, 2.0),
    ],
    ids=range(23),
)
def test_what_works_is_not_refused(random_model, call):
    call(random_model)


def test_a_temperature_can_be_learned():
    temperature = torch.nn.Parameter(torch.tensor(0.5))
    similarity.contrastive_loss(torch.rand(3, 3), temperature).backward()
    assert temperature.grad != 0


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: plots.strip([PAGE, 3], ["", ""]),
            "pictures: a list of PIL pictures or arrays, got 3 (int) at 1",
        ),
        (
            lambda: plots.grid({"a": [PAGE], "b": ["x"]}),
            "rows: a dict, with a list of PIL pictures or arrays for each name, got ['x'] (list) "
            "at 'b'",
        ),
        (
            lambda: plots.strip({"a": PAGE}.values(), [""]),
            "pictures: a list of PIL pictures or arrays, got a dict_values; list(x) makes a list",
        ),
        (lambda: text.words_in(str), "text: a text, got the class str itself"),
        (
            lambda: pipeline.text_to_image("tiny", PROMPT),
            "model: a model from sdlearn.load, got 'tiny' (str); sdlearn.load('tiny') makes one",
        ),
        (
            lambda: noising.add_noise(SCHEDULE, X.numpy(), 5, X),
            "clean: a tensor of floats [n, …], "
            "got an array of float32 [2, 2, 8, 8]; torch.from_numpy(x).float() makes a tensor",
        ),
        (
            lambda: denoising.guided(X, X[:1], 2.0),
            "conditional: a tensor of floats [2, 2, 8, 8], got a tensor of float32 [1, 2, 8, 8]",
        ),
        (
            lambda: similarity.temperature(None),
            "clip: a CLIPModel, got None; the folder of this model has no CLIP",
        ),
        (
            lambda: map_scores.points_at(X[0, 0], X[0, 0]),
            "mask: a tensor of bools [H, W], got a tensor of float32 [8, 8]; x > 0.5 makes bools",
        ),
        (lambda: denoising.seeded("2"), "seed: a whole number from 0 to"),
    ],
)
def test_the_error_names_what_came_and_what_fits(call, message):
    with pytest.raises((TypeError, ValueError)) as refused:
        call()
    assert str(refused.value).startswith(message)
