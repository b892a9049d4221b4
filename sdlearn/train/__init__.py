"""How the small Stable Diffusion was made: `python -m sdlearn.train all` makes it again from
nothing.
"""
