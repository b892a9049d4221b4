"""The exercises of every lesson, one module a lesson: what is asked for and which mistakes are
known.
"""
