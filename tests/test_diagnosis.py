"""What a check says about a wrong result that is no known mistake; and what the engine guards."""

import re

import pytest
import torch

from sdlearn.exercises import exercises, training
from sdlearn.exercises.diagnosis import asked_wrongly, calls, relation, written
from sdlearn.exercises.engine import Lesson
from sdlearn.exercises.given import numbers, toy_noise
from sdlearn.exercises.results import unlike
from sdlearn.noising import Schedule

PAIRS = [numbers(2, 3), numbers(4, 5, seed=1), numbers(3, 3, seed=2)]
POSITIVE = [x.square() + 0.1 for x in PAIRS]


def said(right, wrong):
    return relation([(wrong(x).double(), x.double()) for x in right])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda x: -x, "the sign is wrong"),
        (lambda x: x.square(), "this is the square of what was asked for"),
        (lambda x: x.sqrt(), "this is the square root of what was asked for"),
        (lambda x: x.log(), "this is the logarithm of what was asked for"),
        (lambda x: x.exp(), "a logarithm is missing at the end"),
        (lambda x: (-x).exp(), "minus the logarithm is missing at the end"),
        (lambda x: 1 / x, "this is 1 divided by what was asked for"),
        (lambda x: 1 - x, "this is 1 minus what was asked for"),
        (lambda x: x.T, "the last two axes are exchanged"),
        (lambda x: x.flip(0), "it is in reverse order along axis 0"),
        (lambda x: x.flip(1), "it is in reverse order along axis 1"),
        (lambda x: x.roll(1, 1), "every number comes one place too late along axis 1"),
        (lambda x: x.roll(-1, 0), "every number comes one place too early along axis 0"),
        (lambda x: x / 2, "every number is 0.5 times what was asked for"),
        (lambda x: 3 * x, "every number is 3 times what was asked for"),
        (lambda x: x + 0.25, "every number is 0.25 too large"),
        (lambda x: x - 2, "every number is 2 too small"),
        (lambda x: x * x.numel(), "these are 6, 20, 9 times the right numbers"),
        (lambda x: x / x.numel(), "summed where a mean was asked for, or divided once too often"),
        (lambda x: x.half(), "nearly right, but only nearly"),
        (lambda x: x[:1].expand_as(x), "only the first of the batch is right"),
        (lambda x: x.flatten().sort().values.reshape(x.shape), "stand in other places"),
    ],
)
def test_how_a_result_follows_from_the_right_one_is_said(wrong, message):
    assert re.search(message, said(POSITIVE, wrong))


def test_a_softmax_that_is_missing_is_said_with_its_axis():
    scores = PAIRS
    pairs = [(x.double(), x.softmax(1).double()) for x in scores]
    assert relation(pairs) == "these are the scores before a softmax along axis 1"


def test_nothing_is_said_about_what_does_not_follow():
    assert said(PAIRS, lambda x: torch.rand_like(x)) is None
    assert said(PAIRS[:1], lambda x: x[0]) is None
    one = [(torch.tensor(3.0), torch.tensor(1.0))]
    assert relation(one) is None  # any two numbers are multiples of each other


def test_small_values_are_written_out_and_large_ones_by_their_shape():
    assert written(torch.tensor([[0.12345, 2.0]])) == "[[0.1235, 2]]"
    assert written(numbers(4, 5)) == "tensor 4×5"
    assert written(0.1) == "0.1"
    assert written([1, 2]) == "[1, 2]"
    assert written(list(range(20))) == "[0, 1, 2, …, 19]"
    assert written(toy_noise).startswith("tanh(latents · (0.5 + t / 1000)) + 0.1")
    assert "0x" not in written(lambda x: x) + written(object())


@pytest.mark.parametrize(
    ("value", "bound", "texts"),
    [
        (0.6396, 0.64, ("0.6396", "0.64")),
        (23.96, 24.0, ("23.96", "24")),
        (5.004, 5.0, ("5.004", "5")),
        (1.3, 1.15, ("1.30", "1.15")),
    ],
)
def test_a_value_and_its_bound_never_look_alike(value, bound, texts):
    assert unlike(value, bound) == texts


# --- what a wrong way asks a network --------------------------------------------------------------


def walk(network, x, ts):
    for t in ts:
        x = x - network(x, t)
    return x


@pytest.mark.parametrize(
    ("way", "message"),
    [
        (
            lambda network, x, ts: walk(network, x, ts[:-1]),
            "called 2 times, where 3 calls were expected",
        ),
        (lambda network, x, ts: walk(network, x, ts[::-1]), "call 1 of the network its `t` is 1"),
        (lambda network, x, ts: walk(network, -x, ts), "call 1 of the network its `latents` is"),
        (lambda network, x, ts: -walk(network, x, ts), "all the right questions"),
        (
            lambda network, x, ts: walk(lambda z, t: 2 * network(latents=z, t=t), x, ts),
            "call 2 of the network its `latents` is",
        ),
        (
            lambda network, x, ts: walk(lambda z, t: network(z[:1], t)[0], x, ts),
            "has the shape 1, where 2 was expected",
        ),
    ],
)
def test_the_first_wrong_question_to_a_network_is_said(way, message):
    case = toy_noise, torch.tensor([1.0, 2.0]), [3, 2, 1]
    assert message in asked_wrongly(calls(way, case), calls(walk, case))


def test_the_bar_of_own_training_is_below_what_a_network_reaches_that_has_learned_nothing():
    schedule = Schedule.named("scaled_linear")
    reached = {name: training._loss_of(n, schedule) for name, n in training.LAZY.items()}
    assert {name: round(loss, 2) for name, loss in reached.items()} == {
        "says 0": 1.0,
        "repeats its input": 0.87,
    }
    assert min(reached.values()) > 1.4 * training.LEAST


# --- what the engine guards -----------------------------------------------------------------------


def halves(values, share):
    """An exercise for these tests."""
    return values * share


def exercise(**options):
    return Lesson("00").exercise(
        cases=lambda: [(torch.tensor([1.0, 3.0]), 0.5), (numbers(3, 2), 0.25)], **options
    )(halves)


def test_an_answer_that_changes_its_arguments_is_told_which():
    def answer(values, share):
        values *= share
        return values.clone()

    assert exercise().grade(lambda v, s: v * s).passed
    assert "changes its argument `values`" in exercise().grade(answer).message
    assert "changes its argument `timesteps`" in exercises()["lower_rungs"].grade(popped).message


def popped(timesteps, strength):
    while len(timesteps) > strength:
        timesteps.pop(0)
    return timesteps


def test_an_error_names_the_case_that_it_happens_in():
    def fails_later(values, share):
        return values * share if values.ndim == 1 else values[5]

    result = exercise().grade(fails_later)
    assert "IndexError" in result.message
    assert "(for values = [[1.541, -0.2934]" in result.message
    assert result.case.startswith("values = [[1.541")


def test_a_wrong_result_is_said_before_an_error_in_a_later_case():
    def wrong_and_fails_later(values, share):
        return values * share**2 if values.ndim == 1 else values[5]

    assert "0.5 times" in exercise().grade(wrong_and_fails_later).message


def test_where_the_first_case_is_right_the_later_one_is_shown():
    def right_for_vectors(values, share):
        return values * share if values.ndim == 1 else values.square() * share + values

    result = exercise().grade(right_for_vectors)
    assert "1 of 2 cases is right" in result.message
    assert "numbers are wrong, first the one at [0, 0]" in result.message


def test_intermediate_results_are_shown_where_no_mistake_is_known():
    shown = exercise(by_hand=lambda values, share: {"half of the first": values[0] * share})
    result = shown.grade(lambda values, share: values.square() + share)
    assert "By hand" not in result.message
    assert "\n\nby hand:\nhalf of the first = 0.5\n" in result.case


def test_a_model_or_a_result_in_place_of_a_function_is_named():
    linear = torch.nn.Linear(2, 2)
    for answer in (linear, torch.ones(2), None):
        assert "hand in the function itself, without ()" in exercise().grade(answer).message


def test_an_answer_that_stops_the_gradient_cannot_be_learned_from():
    def learns():
        weights = torch.ones(3, requires_grad=True)
        return (weights, 0.5), weights

    def total(values, share):
        return (values * share).sum()

    guarded = Lesson("00").exercise(cases=lambda: [(numbers(3), 0.5)], learns=learns)(total)
    assert guarded.grade(lambda v, s: s * v.sum()).passed
    for stops in (
        lambda v, s: (v * s).sum().item(),
        lambda v, s: (v * s).sum().detach(),
        torch.no_grad()(total),
    ):
        assert "gradient was cut off" in guarded.grade(stops).message
    half = guarded.grade(lambda v, s: (v[:1] * s).sum() + (v[1:] * s).sum().detach())
    assert "its gradient is not" in half.message


def test_an_answer_that_seeds_everybodys_random_numbers_is_told_so():
    def answer(values, share):
        torch.manual_seed(0)
        return values * share

    state = torch.random.get_rng_state()
    assert "*global* random numbers" in exercise().grade(answer).message
    assert torch.equal(torch.random.get_rng_state(), state)


def test_arrays_lists_and_results_with_gradient_are_right_and_drawn():
    from sdlearn.exercises import pictures

    def draw(answer):
        shown = answer(numbers(30, 1), 0.5)
        assert isinstance(shown, torch.Tensor)
        return pictures.curves(range(30), {"yours": shown.isfinite().float()}, "x", "y")

    for turn in (
        lambda x: x.numpy(),
        lambda x: x.tolist(),
        lambda x: x.double(),
        lambda x: x.requires_grad_(),
        lambda x: torch.stack([x, x], dim=-1)[..., 0],
    ):
        grade = exercise(picture=draw).grade(lambda v, s, turn=turn: turn(v * s))
        assert grade.message == "right"
        assert grade.picture is not None


def test_a_learner_who_exits_stays():
    assert "SystemExit" in exercise().grade(lambda v, s: exit()).message


def test_a_wrong_answer_has_a_case_to_redo_and_a_picture():
    grade = exercises()["alpha_bars"].grade(lambda betas: 1 - betas / 2)
    assert grade.case == (
        "betas = [0.5, 0.2]\n\n"
        "by hand:\n1 - β of every step = [0.5, 0.8]\n\n"
        "expected: [0.5, 0.4]\n"
        "got:      [0.75, 0.9]\n"
        "They first differ at [0]: expected 0.5, got 0.75."
    )
    assert grade.picture is not None
    html = grade._repr_html_()
    assert "<details>" in html
    assert "betas = [0.5, 0.2]" in html


def test_a_message_is_shown_with_code_and_emphasis_and_nothing_of_the_learners_is_run():
    def one_step(before, beta, noise):
        raise ValueError("<script>alert(1)</script> and *this*")

    html = exercises()["one_step"].grade(one_step)._repr_html_()
    assert "<script>" not in html
    assert "<code>" in html
    assert "<em>this</em>" in html
