"""Every exercise: its stub, its solution from the lesson, and the answers of `tests/answers`."""

import json
import re
import warnings
from importlib import import_module
from pathlib import Path

import answers
import nbformat
import pytest
import torch
from answers.noising import alpha_bars_by_hand, one_step_in_double

from sdlearn import check
from sdlearn._support.paths import NOTEBOOKS
from sdlearn.exercises import exercises
from sdlearn.exercises.engine import Exercise, Lesson

OF_LESSONS = [
    import_module(f"answers.{file.stem}")
    for file in sorted(Path(answers.__file__).parent.glob("[!_]*.py"))
]
RIGHT = {name: right for lesson in OF_LESSONS for name, right in lesson.RIGHT.items()}
WRONG = {name: wrong for lesson in OF_LESSONS for name, wrong in lesson.WRONG.items()}
SHOWN = {name: shown for lesson in OF_LESSONS for name, shown in lesson.SHOWN.items()}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SDLEARN_HOME", str(tmp_path))
    return tmp_path / "progress.json"


def cell_with(text: str, exercise: str) -> str:
    """The source of the only cell in the exercise's lesson that contains a text."""
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
    """The solution in the folded cell, which is its only copy."""
    folded = cell_with(f"solution of {name}", name)
    return function_from(re.search(r"```python\n(.*?)```", folded, re.DOTALL)[1], name)


@pytest.mark.parametrize("name", exercises())
def test_every_exercise_has_what_it_takes(name):
    exercise = exercises()[name]
    assert not isinstance(exercise, Exercise) or len(exercise.known) >= 3
    assert exercise.picture is not None
    assert len(RIGHT[name]) >= 4
    assert len(WRONG[name]) >= 10
    assert len({words for _, words in WRONG[name]}) >= 6


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
    assert json.loads(home.read_text())["solved"] == [name]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("name", ["noised", "attention", "clip_loss", "scaling", "ema"])
def test_a_right_answer_is_right_whatever_dtype_is_set_globally(name, dtype):
    torch.set_default_dtype(dtype)
    try:
        result = getattr(check, name)(solution_of(name))
    finally:
        torch.set_default_dtype(torch.float32)
    assert repr(result) == f"✓ {name}: right"


@pytest.mark.parametrize(
    ("name", "answer"), [(name, a) for name, answers in RIGHT.items() for a in answers]
)
def test_answers_written_another_way_are_right(name, answer):
    assert exercises()[name].grade(answer).message == "right"


@pytest.mark.parametrize(
    ("name", "answer", "word"), [(n, a, w) for n, wrong in WRONG.items() for a, w in wrong]
)
def test_a_wrong_answer_is_told_its_mistake(name, answer, word, home):
    result = getattr(check, name)(answer)
    assert result.passed is False
    assert word in re.sub(r" in line `.*?`: ", ": ", result.message)  # not in their own line
    assert not home.exists()


@pytest.mark.parametrize(
    ("name", "answer"), [(n, a) for n, shown in SHOWN.items() for a, _ in shown]
)
def test_a_wrong_answer_without_a_name_is_shown_at_a_case_to_redo(name, answer):
    result = exercises()[name].grade(answer)
    assert result.passed is False
    named = result.message in getattr(exercises()[name], "known", {})
    assert named or "was expected" in result.message
    assert result.case or "shape" in result.message or "a single number" in result.message


@pytest.mark.parametrize(
    "exercise", [e for e in exercises().values() if isinstance(e, Exercise)], ids=lambda e: e.name
)
def test_known_mistakes_are_wrong_and_differ(exercise):
    messages = [exercise.grade(wrong).message for wrong in exercise.known.values()]
    assert messages == list(exercise.known)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda b: None, "your function returned None; does it end with `return`?"),
        (lambda b: "0.5", "numbers were expected, got str"),
        (lambda b: b[:-1], "for betas = [0.5, 0.2]: shape 2 was expected, got 1"),
        (lambda b: b / 0 * 0, "for betas = [0.5, 0.2]: your result contains NaN or infinity"),
        (
            lambda b: b + 1,
            "was expected, got",
        ),
        (
            lambda b: torch.rand(len(b)),
            "the result changes from call to call: draw nothing yourself, and use what the "
            "function is given",
        ),
        (lambda: 1, "TypeError"),
        (3, "a function was expected, got int"),
    ],
)
def test_other_answers_are_told_where_they_first_go_wrong(answer, message):
    assert message in exercises()["alpha_bars"].grade(answer).message


def test_an_error_is_told_with_the_learners_own_line():
    def alpha_bars(betas):
        return betas.cumprod(dim=3)

    message = exercises()["alpha_bars"].grade(alpha_bars).message
    assert message.startswith(
        "IndexError in line `return betas.cumprod(dim=3)`: Dimension out of range"
    )


def test_an_answer_that_fails_on_the_picture_is_told_so():
    def fails_when_drawn(before, beta, noise):
        if before.shape[-1] == 96:
            raise RuntimeError("too large")
        return (1 - beta) ** 0.5 * before + beta**0.5 * noise

    message = exercises()["one_step"].grade(fails_when_drawn).message
    assert message.startswith("right on small cases, but not on a picture: RuntimeError")


def test_a_check_never_changes_what_the_right_answer_is_compared_with():
    def spoil(schedule, clean, t, noise):
        clean.zero_(), noise.zero_()
        return clean

    assert exercises()["noised"].grade(spoil).passed is False


@pytest.mark.bad_input
def test_mistakes_come_in_pairs():
    exercise = Lesson("04").exercise(cases=list)(abs)
    for wrong in (("one too many", abs, "and nothing for it"), (abs, "turned round"), ("a", 1)):
        with pytest.raises(TypeError, match="abs: mistakes are pairs of a new text and a function"):
            exercise.mistakes(*wrong)
    with pytest.raises(TypeError, match="a new text"):
        exercise.mistakes("twice", abs, "twice", abs)


def test_exercises_stand_in_the_order_of_their_lessons():
    asked = [
        name
        for file in sorted(NOTEBOOKS.glob("*.ipynb"))
        for cell in nbformat.read(file, 4).cells
        if cell.cell_type == "code"
        for name in re.findall(r"^check\.(\w+)\(\1\)$", cell.source, re.MULTILINE)
    ]
    assert list(exercises()) == asked


def test_an_exercise_that_does_not_exist_is_named():
    with pytest.raises(
        AttributeError,
        match="no exercise 'two_steps'; did you mean one_step. The course has critic_loss, best_g",
    ):
        check.two_steps  # noqa: B018


def test_progress_is_kept_and_can_be_forgotten(home):
    assert "0 of 5  left: one_step" in repr(check.progress())
    check.one_step(one_step_in_double)
    check.alpha_bars(alpha_bars_by_hand)
    check.alpha_bars(lambda b: b)
    (line,) = [line for line in repr(check.progress()).splitlines() if line.startswith("04")]
    assert line.startswith("04_forward_noising       ████████░░░░░░░░░░░░ 2 of 5  left: noised")
    assert "0 of 5" in repr(check.reset())
    assert not home.exists()


def test_progress_shows_a_card_for_each_lesson(home):
    check.alpha_bars(alpha_bars_by_hand)
    card = check.progress("04")._repr_html_()
    assert 'href="04_forward_noising.ipynb"><b>04</b> forward noising</a>' in card
    assert "width: 20%" in card
    assert "1 of 5 solved" in card
    assert "✓ alpha_bars" in card
    assert "· one_step" in card
    lessons = {exercise.lesson for exercise in exercises().values()}
    assert check.progress()._repr_html_().count("<a href") == len(lessons)


def test_a_damaged_progress_file_is_said_and_does_not_stop_the_lesson(home):
    home.write_text('{"solved": [')
    with pytest.warns(
        UserWarning, match=("progress.json cannot be read .* progress starts from zero")
    ):
        assert "0 of 5" in repr(check.progress())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert check.one_step(one_step_in_double).passed
    assert "1 of 5" in repr(check.progress())


def test_a_place_that_cannot_be_written_to_is_said(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SDLEARN_HOME", str(tmp_path / "file" / "below"))
    with pytest.warns(UserWarning, match="progress.json cannot be"):
        assert check.one_step(one_step_in_double).passed


@pytest.mark.parametrize("name", ["resnet_parameters", "one_step", "own_guidance", "lower_rungs"])
def test_a_check_never_raises_whatever_comes_back(name):
    for value in (None, "text", [], torch.zeros(2), torch.zeros(0), {}, float("nan"), 1j):
        result = check.exercises()[name].grade(lambda *_, value=value: value)
        assert result.passed is False
        assert result.message


def test_a_check_does_not_raise_for_an_answer_that_fails_the_second_time():
    calls = []

    def answer(before, beta, noise):
        calls.append(1)
        if len(calls) > 3:
            raise KeyError("again")
        return torch.rand_like(before)

    assert check.exercises()["one_step"].grade(answer).passed is False


def test_a_lesson_goes_on_with_what_the_learner_wrote_once_it_is_right(capsys, home):
    stub, solution = stub_of("discs"), solution_of("discs")
    places = [(0.5, 0.5, 0.3)]
    ours = check.use(stub)
    assert "until yours is right" in capsys.readouterr().out
    assert (ours(places, 8) == solution(places, 8)).all()
    assert check.use(solution) is solution
    assert capsys.readouterr().out == "discs: yours\n"
    assert not home.exists()  # only a check counts


@pytest.mark.parametrize("function", [len, exercises()["own_failure"].attempt])
def test_only_an_exercise_that_asks_for_a_function_can_be_used(function):
    with pytest.raises(AttributeError, match="there is no exercise"):
        check.use(function)
