"""How the small Stable Diffusion is made: `python -m sdlearn.train all` makes it from scratch."""
