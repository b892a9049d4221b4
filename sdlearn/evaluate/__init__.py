"""Measure a model on scenes that it has never seen: `python -m sdlearn.evaluate`."""
