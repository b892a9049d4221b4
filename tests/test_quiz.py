"""Questions before a result: it stays hidden until one has chosen, and the choice is kept."""

import re

import ipywidgets
import nbformat
import pytest
from matplotlib.figure import Figure
from PIL import Image

from sdlearn import check, quiz
from sdlearn._support.paths import NOTEBOOKS
from sdlearn.exercises.grade import styled
from sdlearn.exercises.progress import read
from sdlearn.exercises.questions import Question, questions
from sdlearn.widgets import Scrubber
from sdlearn.widgets.guess import Guess

COMMENTS = {"sharper": "No, look at the edge.", "softer": "Yes: it is a mean."}
RED = Image.new("RGB", (8, 6), "red")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SDLEARN_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def asked(monkeypatch):
    """A question under the name `edge`."""
    question = Question("99_test", "edge", "What happens at the *edge*?", COMMENTS)
    monkeypatch.setattr(quiz, "questions", lambda: {"edge": question})
    return quiz.edge


def visible(guess: Guess) -> bool:
    return guess.hidden.layout.display != "none"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (RED, ipywidgets.HTML),
        (Figure(), ipywidgets.HTML),
        ("0.8 <dB>", ipywidgets.HTML),
        (3.5, ipywidgets.HTML),
        (ipywidgets.IntSlider(), ipywidgets.IntSlider),
    ],
)
def test_the_answer_appears_with_the_first_choice(asked, answer, kind):
    guess = asked(answer)
    assert isinstance(guess.hidden.children[0], kind)
    assert not visible(guess)
    assert guess.comment.value == ""
    guess.buttons["sharper"].click()
    assert visible(guess)
    assert guess.comment.value == COMMENTS["sharper"]
    assert guess.chosen == "sharper"


def test_the_first_choice_is_kept_and_shown_the_next_time(asked):
    first = asked(RED)
    first.choose("sharper")
    first.choose("softer")
    again = asked(RED)
    assert visible(again)
    assert again.chosen == "sharper"
    assert again.buttons["sharper"].button_style == "info"
    check.reset()
    assert asked(RED).chosen is None


def test_a_choice_that_is_offered_no_longer_is_no_choice():
    assert not visible(Guess("What?", COMMENTS, RED, chosen="greener"))


def test_solved_exercises_and_guesses_do_not_overwrite_each_other(asked):
    check.write(read().with_solved("one_step"))
    asked(RED).choose("softer")
    check.write(read().with_solved("iou"))
    assert read().solved == {"one_step", "iou"}
    assert dict(read().guesses) == {"edge": "softer"}


def test_a_file_from_before_there_were_questions_is_read(home):
    (home / "progress.json").write_text('{"solved": ["iou"]}')
    assert read().solved == {"iou"}
    assert read().guesses == ()


@pytest.mark.parametrize("answer", [RED, Figure(), Scrubber([RED], ["one"])])
def test_without_a_kernel_options_and_picture_are_folded(asked, answer):
    page = asked(answer)._repr_mimebundle_()["text/html"]
    outside = re.sub("<details>.*?</details>", "", page)
    assert outside == "<div><b>Your guess.</b> What happens at the <em>edge</em>?</div>"
    assert '<img src="data:image/jpeg;base64,' in page
    assert all(comment in page for comment in COMMENTS.values())


def test_texts_are_escaped(asked):
    assert "0.8 &lt;dB&gt;" in asked("0.8 <dB>")._repr_mimebundle_()["text/html"]


def test_an_unknown_question_names_the_nearest():
    name = next(iter(questions()))
    with pytest.raises(AttributeError, match=f"did you mean {name}"):
        getattr(quiz, f"{name}s")


# --- the questions of the lessons -----------------------------------------------------------------


LESSONS = sorted(NOTEBOOKS.glob("*.ipynb"))


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda file: file.stem)
def test_a_lesson_asks_each_of_its_questions_once_and_no_other(lesson):
    code = [c.source for c in nbformat.read(lesson, 4).cells if c.cell_type == "code"]
    asked = re.findall(r"\bquiz\.(\w+)\(", "\n".join(code))
    own = [question.name for question in questions().values() if question.lesson == lesson.stem]
    assert sorted(asked) == sorted(own)


def test_every_question_belongs_to_a_lesson():
    assert {q.lesson for q in questions().values()} <= {file.stem for file in LESSONS}


@pytest.mark.parametrize("name", questions())
def test_one_option_is_right_and_its_place_is_not_always_the_same(name):
    comments = list(questions()[name].options.values())
    assert sum(comment.startswith("Yes") for comment in comments) == 1
    assert 2 <= len(comments) <= 4


def test_the_right_option_is_not_always_at_the_same_place():
    places = [
        [comment.startswith("Yes") for comment in question.options.values()].index(True)
        for question in questions().values()
    ]
    assert max(map(places.count, places)) < 0.6 * len(places)


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda file: file.stem)
def test_a_saved_lesson_asks_what_the_questions_say_today(lesson):
    """Otherwise it was not run again after a question had changed."""
    outputs = [o for c in nbformat.read(lesson, 4).cells for o in c.get("outputs", [])]
    saved = "".join(o.data["text/html"] for o in outputs if "text/html" in o.get("data", {}))
    own = [question for question in questions().values() if question.lesson == lesson.stem]
    for question in own:
        assert styled(question.text) in saved
        assert all(styled(comment) in saved for comment in question.options.values())
