"""Look at attention, and change it, while a U-Net runs.

`recording` records what a run attends to, as `maps` of words and points. `reweighting` makes a word
count more or less. `watching` draws a picture and keeps the maps of every step.
"""

from sdlearn.attention.maps import Layer, Map, Maps
from sdlearn.attention.recording import attention_layers, record
from sdlearn.attention.reweighting import reweight

__all__ = ["Layer", "Map", "Maps", "attention_layers", "record", "reweight"]
