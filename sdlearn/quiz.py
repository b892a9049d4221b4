"""Questions to answer before you look: `quiz.mean_of_hearts(plots.picture(mean))`.

The result is shown, with a comment on the choice, only after the learner has chosen. The first
choice is remembered, so the next time it is there at once; `check.reset()` forgets it.
"""

from __future__ import annotations

from collections.abc import Callable

from sdlearn.exercises import unknown
from sdlearn.exercises.grade import styled
from sdlearn.exercises.progress import read, write
from sdlearn.exercises.questions import questions
from sdlearn.widgets.guess import Guess


def __getattr__(name: str) -> Callable[[object], Guess]:
    if name.startswith("_"):
        raise AttributeError(name)
    if name not in questions():
        raise unknown("question", name, questions())
    question = questions()[name]

    def ask(answer: object) -> Guess:
        return Guess(
            styled(question.text),
            {option: styled(comment) for option, comment in question.options.items()},
            answer,
            dict(read().guesses).get(name),
            lambda option: write(read().with_guess(name, option)),
        )

    return ask
