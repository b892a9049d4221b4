"""Answers to the exercises as learners might give them, one module a lesson.

`RIGHT` holds right answers written another way: in another order, in place, with other
broadcasting, in float64. `WRONG` holds wrong ones, each with words of the message that it must get,
and `SHOWN` wrong ones that no message names, each with what was done wrong.
"""

from copy import deepcopy


def on_copies(answer):
    """The same answer, which leaves its arguments as they are."""

    def run(*arguments):
        return answer(*map(deepcopy, arguments))

    return run
