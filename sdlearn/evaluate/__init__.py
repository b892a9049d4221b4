"""How good a model is, measured on scenes that it has never seen: `python -m sdlearn.evaluate`."""
