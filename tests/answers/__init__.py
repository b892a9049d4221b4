"""Answers to the exercises as learners might give them, one module a lesson.

`RIGHT` holds right answers written another way: in another order, in place, with other
broadcasting, in float64. `WRONG` holds wrong ones, each with words of the message that it must get.
"""
