"""Look at attention, and change it, while a U-Net runs.

`recording` records what a run attends to, as `maps` of words and points. `reweighting` makes a word
count more or less, and `repeating` lets a drawing look where another one looked. `watching` draws a
picture and keeps the maps of every step.
"""

from sdlearn.attention.maps import Layer, Map, Maps
from sdlearn.attention.recording import attention_layers, record
from sdlearn.attention.repeating import remember_looks, repeat_looks
from sdlearn.attention.reweighting import reweight

__all__ = [
    "Layer",
    "Map",
    "Maps",
    "attention_layers",
    "record",
    "remember_looks",
    "repeat_looks",
    "reweight",
]
