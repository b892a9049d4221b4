"""For any input, a stage gives a finite result, or an error that names the argument.

It never hangs, crashes, or returns NaN.
"""

import dataclasses
import inspect

import diffusers
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from sdlearn import noising
from sdlearn._support.reading import SCHEDULERS
from sdlearn.compression import decode, encode, scale
from sdlearn.denoising import draw_noise
from sdlearn.noising import Schedule
from sdlearn.picturebook import COLOURS, KINDS, SETTINGS, compose
from sdlearn.picturebook.drawing import draw
from sdlearn.pipeline import image_to_image, inpaint, text_to_image
from sdlearn.text import encode_text, pieces, positions_of

pytestmark = pytest.mark.bad_input

fuzzed = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
few = settings(fuzzed, max_examples=60)

JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=3),
)
PROMPTS = st.one_of(st.text(max_size=400), st.lists(st.text(max_size=20), max_size=3), JUNK)
SIDES = st.one_of(st.sampled_from([16, 32, 48]), st.integers(-8, 40), JUNK)
OPTIONS = {
    "size": st.one_of(SIDES, st.tuples(SIDES, SIDES)),
    "steps": st.one_of(st.integers(1, 3), JUNK),
    "guidance": st.one_of(st.floats(0, 100), JUNK),
    "seed": st.one_of(st.integers(0, 2**31), JUNK),
}


@st.composite
def pictures(draw):
    """Pictures and arrays with odd shapes, types and contents."""
    shape = draw(st.lists(st.integers(0, 40), max_size=4).map(tuple))
    dtype = draw(st.sampled_from([np.uint8, np.float32, np.int64, bool]))
    filled = np.full(
        shape, draw(st.sampled_from([0, 1, 255, float("nan")])) if dtype == np.float32 else 1, dtype
    )
    mode = draw(st.sampled_from(["array", "L", "RGB", "RGBA", "P", "1"]))
    return (
        filled
        if mode == "array"
        else Image.new(mode, draw(st.tuples(st.integers(1, 40), st.integers(1, 40))))
    )


def result_or_named_error(work, *names):
    """The result of the work, or None if an error refused one of the named arguments by name."""
    try:
        return work()
    except (TypeError, ValueError) as error:
        said = str(error)
    assert said.startswith(tuple(f"{name}:" for name in names)), said
    return None


@pytest.mark.filterwarnings("ignore::UserWarning")
@fuzzed
@given(prompt=PROMPTS, negative=PROMPTS, options=st.fixed_dictionaries({}, optional=OPTIONS))
def test_any_text_to_image(random_model, prompt, negative, options):
    options = {"size": 16, "steps": 1, **options}
    found = result_or_named_error(
        lambda: text_to_image(random_model, prompt, negative_prompt=negative, **options),
        *("prompt", "negative_prompt", *OPTIONS),
    )
    for picture in [] if found is None else found if isinstance(found, list) else [found]:
        assert isinstance(picture, Image.Image)


@pytest.mark.filterwarnings("ignore::UserWarning")
@few
@given(picture=pictures(), strength=st.one_of(st.floats(0, 1), JUNK))
def test_any_image_to_image(random_model, picture, strength):
    found = result_or_named_error(
        lambda: image_to_image(random_model, picture, "a red house", strength, steps=2),
        "picture",
        "strength",
    )
    assert found is None or isinstance(found, Image.Image)


@pytest.mark.filterwarnings("ignore::UserWarning")
@few
@given(picture=pictures(), mask=pictures())
def test_any_inpainting(random_model, picture, mask):
    found = result_or_named_error(
        lambda: inpaint(random_model, picture, mask, "a red house", steps=1), "picture", "mask"
    )
    assert found is None or isinstance(found, Image.Image)


@fuzzed
@given(text=st.text(max_size=600))
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_any_text_is_read(random_model, text):
    states = encode_text(random_model.tokenizer, random_model.text_encoder, text)
    assert states.shape[1] == 77
    assert states.isfinite().all()
    assert len(pieces(random_model.tokenizer, text)) <= 77


@fuzzed
@given(prompt=st.text(max_size=60), word=st.text(max_size=8))
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_any_word_is_found_or_refused(random_model, prompt, word):
    found = result_or_named_error(
        lambda: positions_of(random_model.tokenizer, prompt, word), "word", "prompt"
    )
    assert found is None or all(0 < position < 77 for position in found)


SOLVERS = sorted(SCHEDULERS - {"DPMSolverSDEScheduler", "LMSDiscreteScheduler"})
"""Without those that need another library."""
WITH_NOISE = [name for name in SOLVERS if "Ancestral" in name]
WITH_NOISE += ["DDPMScheduler", "DDPMParallelScheduler", "LCMScheduler", "TCDScheduler"]
PAGES = np.random.default_rng(0).integers(0, 255, (8, 48, 48, 3), dtype=np.uint8)


@st.composite
def drawings(draw):
    """Everything that our pipelines and diffusers' can be asked alike."""
    wide, high = draw(st.sampled_from([16, 24, 32, 48])), draw(st.sampled_from([16, 24, 32, 48]))
    return {
        "kind": draw(st.sampled_from(["text", "image", "inpaint"])),
        "scheduler": draw(st.sampled_from(SOLVERS)),
        "prediction": draw(st.sampled_from(["epsilon", "v_prediction"])),
        "spacing": draw(st.sampled_from(["leading", "trailing", "linspace"])),
        "karras": draw(st.booleans()),
        "prompt": draw(st.text(max_size=100)),
        "negative": draw(st.sampled_from(["", "a blue tree", "🎈" * 40])),
        "picture": PAGES[draw(st.integers(0, 7)), :high, :wide],
        "mask": np.arange(wide)[None].repeat(high, 0) < draw(st.integers(1, wide)),
        "steps": draw(st.integers(2, 9)),
        "guidance": draw(st.one_of(st.just(1.0), st.floats(1.1, 20))),
        "strength": draw(st.one_of(st.just(1.0), st.floats(0.5, 1))),
        "seed": draw(st.integers(0, 2**32)),
    }


class Asked(dict):
    """Shown in short if the test fails."""

    def __repr__(self):
        return str({k: getattr(v, "shape", v) for k, v in self.items()})


def ours(model, asked):
    common = {
        "negative_prompt": asked["negative"],
        "steps": asked["steps"],
        "guidance": asked["guidance"],
        "seed": asked["seed"],
    }
    if asked["kind"] == "text":
        return text_to_image(model, asked["prompt"], size=asked["picture"].shape[:2], **common)
    common |= {"prompt": asked["prompt"], "strength": asked["strength"]}
    if asked["kind"] == "image":
        return image_to_image(model, asked["picture"], **common)
    return inpaint(model, asked["picture"], asked["mask"], **common)


def theirs(pipeline, scheduler, asked):
    kind, extra = {
        "text": (diffusers.StableDiffusionPipeline, {}),
        "image": (diffusers.StableDiffusionImg2ImgPipeline, {}),
        "inpaint": (
            diffusers.StableDiffusionInpaintPipeline,
            {"mask_image": Image.fromarray(asked["mask"].astype(np.uint8) * 255)},
        ),
    }[asked["kind"]]
    high, wide = asked["picture"].shape[:2]
    if asked["kind"] != "text":
        extra |= {"image": Image.fromarray(asked["picture"]), "strength": asked["strength"]}
    if asked["kind"] != "image":
        extra |= {"height": high, "width": wide}
    parts = {**pipeline.components, "scheduler": scheduler}
    other = kind(**parts, requires_safety_checker=False)
    other.set_progress_bar_config(disable=True)
    return other(
        prompt=asked["prompt"],
        negative_prompt=asked["negative"],
        num_inference_steps=asked["steps"],
        guidance_scale=asked["guidance"],
        generator=torch.Generator().manual_seed(asked["seed"]),
        output_type="np",
        **extra,
    ).images[0]


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(fuzzed, max_examples=150)
@given(asked=drawings().map(Asked))
def test_any_picture_is_the_one_that_diffusers_draws(random_model, random_pipeline, asked):
    """Another picture without a word would be the worst answer of all."""
    if asked["kind"] == "inpaint" and asked["scheduler"] in WITH_NOISE:
        asked["kind"] = "image"  # diffusers draws numbers that it then does not use
    changes = {"prediction_type": asked["prediction"], "timestep_spacing": asked["spacing"]}
    kind = getattr(diffusers, asked["scheduler"])
    if "use_karras_sigmas" in inspect.signature(kind).parameters:
        changes["use_karras_sigmas"] = asked["karras"]
    scheduler = kind.from_config(random_model.scheduler.config, **changes)
    model = dataclasses.replace(random_model, scheduler=scheduler)
    try:
        found = np.asarray(ours(model, asked)).astype(float)
    except ValueError as error:
        refused = str(error)
        assert refused.startswith(("steps: ", "strength: ")), refused
        return
    expected = np.round(theirs(random_pipeline, scheduler, asked) * 255)
    assert np.abs(found - expected).max() <= 1


SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)
TIMES = st.one_of(
    st.integers(-5, 1005), st.lists(st.integers(-5, 1005), max_size=4).map(torch.tensor)
)
WAYS = (
    noising.add_noise,
    noising.clean_from_noise,
    noising.velocity,
)


@settings(fuzzed, max_examples=600)
@given(way=st.sampled_from(WAYS), first=SHAPES, second=SHAPES, same=st.booleans(), t=TIMES)
def test_any_noising(way, first, second, same, t):
    schedule = Schedule.named("scaled_linear")
    names = ("t", "noise", "clean", "noisy")
    found = result_or_named_error(
        lambda: way(schedule, torch.zeros(first), t, torch.ones(first if same else second)), *names
    )
    assert found is None or (found.shape == torch.Size(first) and found.isfinite().all())


@few
@given(shape=st.one_of(SHAPES, st.lists(st.integers(-1, 3), max_size=5).map(tuple)))
def test_any_latents(random_model, shape):
    """The autoencoder takes pictures n×3×h×w with sides it can halve, and refuses all others."""
    like = torch.zeros(1)
    noise = result_or_named_error(lambda: draw_noise(shape, 0, like=like), "shape")
    if noise is None:
        return
    found = result_or_named_error(
        lambda: scale(random_model.vae, encode(random_model.vae, noise).mean), "pixels"
    )
    if found is not None:
        assert found.isfinite().all()
    found = result_or_named_error(lambda: decode(random_model.vae, noise), "latents")
    assert found is None or found.isfinite().all()


WORDS = st.one_of(
    st.sampled_from([*COLOURS, *KINDS, *SETTINGS, "left of", "above", "and", "small", "big"]), JUNK
)


@fuzzed
@given(
    things=st.lists(st.tuples(WORDS, WORDS), max_size=4),
    setting=WORDS,
    relation=WORDS,
    sizes=st.one_of(st.none(), st.lists(WORDS, max_size=3).map(tuple)),
    side=st.one_of(st.integers(1, 64), JUNK),
)
def test_any_scene(things, setting, relation, sizes, side):
    scene = result_or_named_error(
        lambda: compose(things, setting, relation, sizes, rng=0),
        "things",
        "setting",
        "relation",
        "sizes",
    )
    if scene is not None:
        found = result_or_named_error(lambda: draw(scene, side), "size")
        assert found is None or found.size == (side, side)


@settings(fuzzed, max_examples=100)
@given(
    first=st.sampled_from(COLOURS),
    second=st.sampled_from(COLOURS),
    kinds=st.tuples(st.sampled_from(KINDS), st.sampled_from(KINDS)),
    setting=st.sampled_from(list(SETTINGS)),
    seed=st.integers(0, 2**32),
)
def test_any_known_words_make_a_page(first, second, kinds, setting, seed):
    if (first, kinds[0]) == (second, kinds[1]):
        return
    scene = compose([(first, kinds[0]), (second, kinds[1])], setting, rng=seed)
    assert all(0 <= thing.x <= 1 and 0 <= thing.y <= 1 for thing in scene.things)
