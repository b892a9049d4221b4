"""What learners move and click. Widgets hold the state; what they show is computed elsewhere."""

from sdlearn.widgets.canvas import Canvas
from sdlearn.widgets.explorer import AttentionExplorer
from sdlearn.widgets.live import Live, Shown
from sdlearn.widgets.mixer import NoiseMixer
from sdlearn.widgets.painter import Painter
from sdlearn.widgets.placer import Placer
from sdlearn.widgets.round_trip import RoundTrip
from sdlearn.widgets.scrubber import Scrubber
from sdlearn.widgets.walker import Walker

__all__ = [
    "AttentionExplorer",
    "Canvas",
    "Live",
    "NoiseMixer",
    "Painter",
    "Placer",
    "RoundTrip",
    "Scrubber",
    "Shown",
    "Walker",
]
