"""Exercises of lesson 11, the real Stable Diffusion and what came after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real

import torch
from matplotlib.figure import Figure
from torch import Tensor

from sdlearn import plots
from sdlearn.exercises.diagnosis import calls
from sdlearn.exercises.engine import Lesson
from sdlearn.exercises.given import latents_of, numbers, picture_of, pixels_of, several, tiny
from sdlearn.exercises.results import RETURNED_NONE, Unmet
from sdlearn.noising import Schedule, add_noise, clean_from_noise, velocity
from sdlearn.picturebook.scenes import compose
from sdlearn.text import encode_text

lesson = Lesson("11_the_real_thing")

# --- exercise 1: parameters of a block ------------------------------------------------------------


def _count(
    c_in: int,
    c_out: int,
    time: int,
    *,
    biases: int = 1,
    norms: int = 1,
    shortcut: bool | None = None,
) -> int:
    """The parameters of a ResNet block, or of one with something left out."""
    convolutions = 9 * c_in * c_out + 9 * c_out * c_out + biases * 2 * c_out
    with_shortcut = c_in != c_out if shortcut is None else shortcut
    return (
        convolutions
        + norms * 2 * (c_in + c_out)
        + time * c_out
        + biases * c_out
        + with_shortcut * (c_in * c_out + biases * c_out)
    )


SHAPES = ((1, 1, 1), (1, 2, 1), (2, 3, 5), (320, 320, 1280), (320, 640, 1280), (2560, 1280, 1280))
"""By hand, and Stable Diffusion 1.5's own."""


def _same_number(value: object, expected: object) -> bool:
    """Equal, not merely close: a bias is a small part of a block."""
    return _is_number(value) and float(value) == float(expected)


def _bars(answer: Callable) -> Figure:
    figure = plots.new_figure(2.6)
    axes = figure.subplots()
    for offset, (count, name) in enumerate(((answer, "yours"), (resnet_parameters, "target"))):
        values = [float(count(*shape)) / 1e6 for shape in SHAPES[3:]]
        xs = [x + 0.4 * offset for x in range(len(values))]
        axes.bar(xs, values, 0.38, color=plots.LINES[offset], label=name)
    axes.set_xticks([0.2, 1.2, 2.2], [f"{c_in} → {c_out}" for c_in, c_out, _ in SHAPES[3:]])
    axes.set_ylabel("million parameters")
    axes.legend(fontsize=8, frameon=False)
    return figure


@lesson.exercise(
    cases=lambda: list(SHAPES),
    picture=_bars,
    near=_same_number,
    by_hand=lambda c_in, c_out, time_width: {
        "first convolution with biases": 9 * c_in * c_out + c_out,
        "second": 9 * c_out * c_out + c_out,
        "two GroupNorms": 2 * c_in + 2 * c_out,
        "time layer with biases": time_width * c_out + c_out,
        "1×1 convolution with biases": c_in * c_out + c_out if c_in != c_out else 0,
    },
)
def resnet_parameters(c_in: int, c_out: int, time_width: int) -> int:
    """The parameters of one of Stable Diffusion's ResNet blocks."""
    return _count(c_in, c_out, time_width)


resnet_parameters.mistakes(
    "the biases are missing: one for each output channel",
    lambda a, b, t: _count(a, b, t, biases=0),
    "the GroupNorms are missing: 2 numbers a channel",
    lambda a, b, t: _count(a, b, t, norms=0),
    "the shortcut's bias is missing: it is a convolution too",
    lambda a, b, t: _count(a, b, t) - (a != b) * b,
    "the second GroupNorm is over c_out channels",
    lambda a, b, t: _count(a, b, t) + 2 * a - 2 * b,
    "the shortcut is counted always; it has parameters only where c_in and c_out differ",
    lambda a, b, t: _count(a, b, t, shortcut=True),
    "the shortcut is never counted; where c_in and c_out differ it is a 1×1 convolution",
    lambda a, b, t: _count(a, b, t, shortcut=False),
    "the linear layer for the time is missing",
    lambda a, b, t: _count(a, b, t) - t * b - b,
    "the 3×3 kernels are missing: a convolution has 9 weights for each pair of channels",
    lambda a, b, t: _count(a, b, t) - 8 * a * b - 8 * b * b,
    "the bias of the linear layer for the time is missing",
    lambda a, b, t: _count(a, b, t) - b,
    "the biases of the two 3×3 convolutions are missing",
    lambda a, b, t: _count(a, b, t) - 2 * b,
    "the second convolution goes from c_out to c_out",
    lambda a, b, t: _count(a, b, t) - 9 * b * b + 9 * a * b,
    "the time is added to c_out channels, so its layer goes from time_width to c_out",
    lambda a, b, t: _count(a, b, t) - t * b - b + t * a + a,
    "a GroupNorm has *two* numbers a channel, a factor and a summand",
    lambda a, b, t: _count(a, b, t) - a - b,
    "the shortcut is a 1×1 convolution; this counts a 3×3",
    lambda a, b, t: _count(a, b, t) + (a != b) * 8 * a * b,
)

# --- exercise 2: bytes ----------------------------------------------------------------------------

PER_PARAMETER = 4
"""The weight, its gradient, and AdamW's averages of the gradient and of its square."""


def _sizes(answer: Callable) -> Figure:
    parts = {"text encoder": 123_060_480, "U-Net": 859_520_964, "VAE": 83_653_863}
    figure = plots.new_figure(2.6)
    axes = figure.subplots()
    for row, bits in enumerate((32, 16)):
        left = 0.0
        for (name, count), colour in zip(parts.items(), plots.LINES, strict=False):
            size = float(answer(count, bits))
            axes.barh(row, size, left=left, color=colour, label=name if row == 0 else None)
            left += size
    axes.set_yticks(range(2), ["32 bits", "16 bits"])
    axes.set_xlabel("GB to train all of Stable Diffusion 1.5, by your function")
    axes.legend(fontsize=8, frameon=False)
    return figure


@lesson.exercise(
    cases=lambda: [
        (1_000_000_000, 32),
        (859_520_964, 16),
        (12_000_000_000, 8),
        (7_000_000_000, 4),
    ],
    picture=_sizes,
    by_hand=lambda parameters, bits: {
        "bytes a number": bits / 8,
        "GB of weights": parameters * bits / 8e9,
    },
)
def training_memory(parameters: int, bits: int) -> float:
    """GB that training needs for weights, gradients and AdamW's averages."""
    return PER_PARAMETER * parameters * bits / 8 / 1e9


training_memory.mistakes(
    "these are gigabits: a byte has 8 bits",
    lambda count, bits: 4 * count * bits / 1e9,
    "this is GiB, of 1024³ bytes; a GB is 10⁹ bytes",
    lambda count, bits: 4 * count * bits / 8 / 1024**3,
    "these are bytes; divide by 10⁹",
    lambda count, bits: 4 * count * bits / 8,
    "this is the file alone; training keeps more",
    lambda count, bits: count * bits / 8 / 1e9,
    "AdamW's two averages are missing",
    lambda count, bits: 2 * count * bits / 8 / 1e9,
    "one number is missing: a weight, its gradient, and *two* averages",
    lambda count, bits: 3 * count * bits / 8 / 1e9,
    "the bits are not used: at 32 bits a number has 4 bytes, at 16 only 2",
    lambda count, bits: 4 * count * 4 / 1e9,
    "one number is too many: a weight, its gradient, and two averages are four",
    lambda count, bits: 5 * count * bits / 8 / 1e9,
    "these are MB, of 10⁶ bytes; a GB is 10⁹ bytes",
    lambda count, bits: 4 * count * bits / 8 / 1e6,
    "divided by the bits; a number of more bits takes more room",
    lambda count, bits: 4 * count / (bits / 8) / 1e9,
)

# --- exercise 3: what a network predicts ----------------------------------------------------------


def _with_v(of_v: Callable) -> Callable:
    """Right for the noise, and for v as given."""

    def estimate(
        noisy: Tensor, predicted: Tensor, alpha_bar: float, prediction_type: str
    ) -> Tensor:
        if prediction_type == "v_prediction":
            return of_v(noisy, predicted, alpha_bar**0.5, (1 - alpha_bar) ** 0.5)
        return clean_estimate(noisy, predicted, alpha_bar, prediction_type)

    return estimate


@torch.no_grad()
def _two_ways(answer: Callable) -> Figure:
    """x̂₀ of a noised page from the small model's noise, and from the same prediction as v."""
    model, t = tiny(), 600
    schedule = Schedule.of(model.scheduler)
    scene = compose([("red", "house")], "meadow", rng=4)
    clean = latents_of(pixels_of(scene, 256))
    noisy = add_noise(schedule, clean, t, numbers(*clean.shape))
    states = encode_text(model.tokenizer, model.text_encoder, scene.caption)
    noise = model.unet(noisy, t, states).sample
    target = clean_from_noise(schedule, noisy, t, noise)
    v, alpha_bar = velocity(schedule, target, t, noise), schedule.alpha_bars[t].item()
    shown = {
        "noised to t = 600": noisy,
        "target": target,
        "yours, from the noise": answer(noisy.clone(), noise.clone(), alpha_bar, "epsilon"),
        "yours, from v": answer(noisy.clone(), v.clone(), alpha_bar, "v_prediction"),
    }
    return plots.strip([picture_of(latents) for latents in shown.values()], list(shown), columns=4)


@lesson.exercise(
    cases=lambda: [
        (torch.tensor([1.1]), torch.tensor([0.5]), 0.64, "epsilon"),
        (torch.tensor([1.1]), torch.tensor([-0.2]), 0.64, "v_prediction"),
        (*several(2, (2, 3)), 0.3, "epsilon"),
        (*several(2, (1, 4, 3, 5)), 0.3, "v_prediction"),
    ],
    picture=_two_ways,
    by_hand=lambda noisy, predicted, alpha_bar, prediction_type: {
        "√ᾱ": alpha_bar**0.5,
        "√(1 - ᾱ)": (1 - alpha_bar) ** 0.5,
    },
)
def clean_estimate(
    noisy: Tensor, predicted: Tensor, alpha_bar: float, prediction_type: str
) -> Tensor:
    """x̂₀ from a predicted noise or a predicted v, as the configuration says."""
    signal, sigma = alpha_bar**0.5, (1 - alpha_bar) ** 0.5
    if prediction_type == "v_prediction":
        return signal * noisy - sigma * predicted
    return (noisy - sigma * predicted) / signal


clean_estimate.mistakes(
    "v is taken for the noise; where it says v_prediction, another formula is needed",
    _with_v(lambda x, v, signal, sigma: (x - sigma * v) / signal),
    "√ᾱ and √(1 - ᾱ) are exchanged for v",
    _with_v(lambda x, v, signal, sigma: sigma * x - signal * v),
    "for v the sign is wrong: v points away from x₀",
    _with_v(lambda x, v, signal, sigma: signal * x + sigma * v),
    "this is the noise that follows from v; x̂₀ was asked for",
    _with_v(lambda x, v, signal, sigma: signal * v + sigma * x),
    "this v is that of flow matching; Stable Diffusion 2's is √ᾱ·ε - √(1-ᾱ)·x₀",
    _with_v(lambda x, v, signal, sigma: x - sigma * v),
    "for v there is one division too many: √ᾱ times √ᾱ and √(1-ᾱ) times √(1-ᾱ) add up to 1 already",
    _with_v(lambda x, v, signal, sigma: (signal * x - sigma * v) / signal),
    "right for v; where the configuration says epsilon the network predicts the noise",
    lambda x, e, bar, kind: clean_estimate(x, e, bar, "v_prediction"),
    "for the noise: multiplied by √ᾱ; divide by it",
    lambda x, said, bar, kind: (
        clean_estimate(x, said, bar, kind) * (bar if kind == "epsilon" else 1)
    ),
    "for the noise: the division by √ᾱ is missing",
    lambda x, said, bar, kind: (
        clean_estimate(x, said, bar, kind) * (bar**0.5 if kind == "epsilon" else 1)
    ),
    "the square roots are missing",
    lambda x, said, bar, kind: (
        (x - (1 - bar) * said) / bar if kind == "epsilon" else bar * x - (1 - bar) * said
    ),
    "√ᾱ and √(1 - ᾱ) are exchanged for the noise",
    lambda x, said, bar, kind: (
        (x - bar**0.5 * said) / (1 - bar) ** 0.5
        if kind == "epsilon"
        else clean_estimate(x, said, bar, kind)
    ),
    "for the noise the sign is wrong: it was added, so subtract it",
    lambda x, said, bar, kind: clean_estimate(x, -said if kind == "epsilon" else said, bar, kind),
)

# --- exercise 4: a flow ---------------------------------------------------------------------------


def _to_ring(x: Tensor, t: float) -> Tensor:
    """The exact velocity at points [n, 2], where the data are 40 points on a circle.

    It is E[ε - x₀ | x_t] = (x_t - E[x₀ | x_t]) / t.
    """
    t = max(t, 1e-2)  # a wrong answer may pass t = 0
    angles = torch.linspace(0, 2 * torch.pi, 41)[:-1]
    data = torch.stack([angles.cos(), angles.sin()], dim=1)
    share = (-torch.cdist(x, (1 - t) * data).square() / (2 * t**2)).softmax(dim=1)
    return (x - share @ data) / t


def _ring(answer: Callable) -> Figure:
    """Points that walk from noise to a circle, with the learner's loop and with the course's."""
    noise = numbers(300, 2)
    ends = {
        "the noise": noise,
        "yours, 12 steps": answer(_to_ring, noise.clone(), 12),
        "target": flow(_to_ring, noise, 12),
    }
    figure = plots.new_figure(2.8)
    for axes, (name, points) in zip(figure.subplots(1, 3), ends.items(), strict=True):
        axes.plot(*torch.as_tensor(points).T.numpy(), ".", ms=2, color=plots.LINES[0])
        axes.set(xlim=(-3, 3), ylim=(-3, 3), xticks=[], yticks=[], aspect="equal", title=name)
    return figure


def _toy_velocity(x: Tensor, t: float) -> Tensor:
    """x + t · t, a stand-in for what a network predicts."""
    return x + t * t


@lesson.exercise(
    cases=lambda: [
        (_toy_velocity, torch.tensor([0.7]), 1),
        (_toy_velocity, torch.tensor([0.7, -1.0]), 2),
        (_toy_velocity, torch.tensor([0.7]), 3),
        (_toy_velocity, torch.tensor([-0.7]), 49),
        (_toy_velocity, numbers(2, 4, 3, 5), 5),
        (_toy_velocity, numbers(3, 2, seed=1), 12),
    ],
    picture=_ring,
    asks=calls,
)
def flow(velocity: Callable[[Tensor, float], Tensor], noise: Tensor, steps: int) -> Tensor:
    """From noise at t = 1 to a picture at t = 0 in equal Euler steps (Liu et al. 2022, Alg. 1)."""
    return _walked(velocity, noise, range(steps), steps)


def _walked(
    velocity: Callable,
    noise: Tensor,
    walked: range,
    steps: int,
    sign: float = 1.0,
    asked: float = 0.0,
    length: float | None = None,
) -> Tensor:
    """The walk over some of the steps, with one thing wrong in it.

    asked: by how many steps too late the velocity is evaluated. length: of a step.
    """
    x = noise
    for step in walked:
        t = 1 - (step + asked) / steps
        x = x - sign * (1 / steps if length is None else length) * velocity(x, t)
    return x


def _heun(velocity: Callable, noise: Tensor, steps: int) -> Tensor:
    x = noise
    for step in range(steps):
        t, after = 1 - step / steps, 1 - (step + 1) / steps
        first = velocity(x, t)
        x = x - (first + velocity(x - first / steps, after)) / 2 / steps
    return x


flow.mistakes(
    "it walks towards the noise: the velocity points from picture to noise, so walk against it",
    lambda v, x, n: _walked(v, x, range(n), n, sign=-1),
    "the last step is missing: it ends at t = 1 / steps, where there is noise left",
    lambda v, x, n: _walked(v, x, range(n - 1), n),
    "a step is missing, and the network is never asked at t = 1, where the walk begins",
    lambda v, x, n: _walked(v, x, range(1, n), n),
    "there is one step too many, beyond t = 0",
    lambda v, x, n: _walked(v, x, range(n + 1), n),
    "the velocity is asked at the t where the step *ends*; ask at the t where x is",
    lambda v, x, n: _walked(v, x, range(n), n, asked=1),
    "the velocity is asked at the middle of the step; Euler's step asks where x is",
    lambda v, x, n: _walked(v, x, range(n), n, asked=0.5),
    "every step has the length 1; together they have to be 1, so each is 1 / steps",
    lambda v, x, n: _walked(v, x, range(n), n, length=1.0),
    "the steps are divided by steps - 1 and go too far",
    lambda v, x, n: _walked(v, x, range(n), n, length=1 / max(n - 1, 1)),
    "the velocity is always asked at t = 1; ask at the t of each step",
    lambda v, x, n: _walked(lambda y, t: v(y, 1.0), x, range(n), n),
    "the velocity is always asked at the noise; ask where x is by now",
    lambda v, x, n: _walked(lambda y, t: v(x, t), x, range(n), n),
    "all of the way is walked in one step",
    lambda v, x, n: x - v(x, 1.0),
    "t runs upwards; drawing begins at the noise, t = 1",
    lambda v, x, n: _walked(lambda y, t: v(y, 1 - t + 1 / n), x, range(n), n),
    "this averages two velocities a step (Heun's method); Euler's takes the first",
    _heun,
    "it walks towards the noise, and stops one step early",
    lambda v, x, n: _walked(v, x, range(n - 1), n, sign=-1),
    "it walks towards the noise, and asks for the velocity at the t where the step ends",
    lambda v, x, n: _walked(v, x, range(n), n, sign=-1, asked=1),
    "these are the faults as given: it walks towards the noise, asks at the t where the step ends, "
    "and leaves out the last step",
    lambda v, x, n: _walked(v, x, range(n - 1), n, sign=-1, asked=1),
)

# --- exercise 5: claims of popular articles -------------------------------------------------------


@dataclass(frozen=True)
class Claim:
    """A number that articles get wrong."""

    said: float
    right: float
    how: str
    """How to find the right one, without saying it."""
    slips: dict[float, str]
    """Wrong numbers that people arrive at, and why."""


CLAIMS = {
    "days": Claim(
        3,
        150_000 / 256 / 24,
        "divide the GPU hours by the number of GPUs, and the hours by those of a day",
        {150_000 / 256: "these are hours, not days", 150_000 / 24: "this is for a single GPU"},
    ),
    "times_smaller": Claim(
        64,
        48,
        "count the numbers of a picture, 3×512×512, and of its latents, 4×64×64",
        {
            64: "64 times fewer *positions*; but a latent has 4 channels, and a pixel 3",
            8: "8 is the factor for a side",
            24: "24 is the factor in bytes; here the *numbers* are counted",
            1 / 48: "upside down: how many times *smaller*?",
        },
    ),
    "times_fewer_bytes": Claim(
        48,
        24,
        "a number of an 8-bit picture takes 1 byte, a latent in fp16 takes 2",
        {
            48: "there are 48 times fewer numbers; but each latent takes 2 bytes, a pixel value 1",
            96: "the latents take *more* bytes each, not fewer",
            12: "fp16 takes 16 bits, so 2 bytes; 4 bytes would be fp32",
            1 / 24: "upside down: how many times *fewer*?",
        },
    ),
    "unet_share": Claim(
        1,
        859_520_964 / 1_066_235_307,
        "the table of section 2 has the U-Net's parameters, and those of all three together",
        {
            859_520_964 / 123_060_480: "this compares the U-Net with the text encoder alone",
            1_066_235_307 / 859_520_964: "upside down: a share is at most 1",
            100 * 859_520_964 / 1_066_235_307: "a share is from 0 to 1; 80% is 0.8",
        },
    ),
    "runs": Claim(
        25,
        50,
        "with guidance, how often does a step ask the U-Net? (lesson 08)",
        {75: "two runs in each step: with and without the caption; their difference needs no run"},
    ),
    "picture_left": Claim(
        0,
        0.00466**0.5,
        "0.00466 is ᾱ, a share of the *variance*; the numbers themselves are multiplied by its "
        "root (lesson 04)",
        {
            0.00466: "this is ᾱ, the share of the variance; what are the numbers multiplied by?",
            (1 - 0.00466) ** 0.5: "this is the factor of the noise",
        },
    ),
}
NEAR = 0.01
"""A number may be rounded: 1% off is near enough."""


def _near(number: float, other: float) -> bool:
    return abs(number - other) <= NEAR * abs(other)


def _claims_table(right: dict[str, float]) -> Figure:
    figure = plots.new_figure(2.4)
    axes = figure.subplots()
    axes.axis("off")
    rows = [[name, f"{CLAIMS[name].said:g}", f"{number:.3g}"] for name, number in right.items()]
    table = axes.table(rows, colLabels=["", "as told", "as it is"], loc="center", cellLoc="left")
    table.scale(1, 1.4)
    return figure


@lesson.open_exercise(picture=_claims_table)
def claims(answer: Callable[[], dict[str, float]]) -> dict[str, float]:
    """The right number for every claim; each may be rounded."""
    answered = answer()
    if answered is None:
        raise Unmet(RETURNED_NONE)
    if not isinstance(answered, dict):
        raise Unmet(f"a dict with {', '.join(CLAIMS)} was expected, got {type(answered).__name__}")
    if missing := [name for name in CLAIMS if name not in answered]:
        raise Unmet(f"there is no number yet for {', '.join(missing)}")
    if odd := [name for name in CLAIMS if not _is_number(answered[name])]:
        raise Unmet(f"{odd[0]}: a number was expected, got {type(answered[odd[0]]).__name__}")
    wrong = {name: said for name in CLAIMS if (said := _slip(CLAIMS[name], answered[name]))}
    if wrong:
        name, said = next(iter(wrong.items()))
        right = len(CLAIMS) - len(wrong)
        others = f" ({right} of {len(CLAIMS)} are right)" if right else ""
        raise Unmet(f"{name}: {said}{others}")
    return {name: float(answered[name]) for name in CLAIMS}


def _is_number(value: object) -> bool:
    return isinstance(value, Real) or (isinstance(value, Tensor) and value.numel() == 1)


def _slip(claim: Claim, value: Real | Tensor) -> str | None:
    """What is wrong with a number; nothing if it is near the right one."""
    number = float(value)
    if _near(number, claim.right):
        return None
    known = [why for slip, why in claim.slips.items() if _near(number, slip)]
    if not known and _near(number, claim.said):
        return f"{claim.said:g} is the article's number; {claim.how}"
    return known[0] if known else f"{number:.4g} is not it; {claim.how}"
