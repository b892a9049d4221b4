"""Pictures of values: functions that return matplotlib Figures, without pyplot's hidden state."""

from sdlearn.plots.adapters import control_net, low_rank, who_reads_whom
from sdlearn.plots.changes import moved, shares
from sdlearn.plots.curves import lines, rung, schedules, similarity, table
from sdlearn.plots.diagrams import consistency, mixture, new_row, tokens
from sdlearn.plots.history import scoreboard, timeline
from sdlearn.plots.ladder import blocks_of, ladder_marks, unet_ladder
from sdlearn.plots.look import DIVERGING, INK, LINES, PAPER, SEQUENTIAL, new_figure
from sdlearn.plots.pictures import (
    beside_bars,
    denoising,
    grid,
    heat_over,
    latent_channels,
    on_a_map,
    outlined,
    overlay,
    strip,
    to_scale,
)
from sdlearn.plots.pipeline import pipeline
from sdlearn.plots.planes import one_path, paths, plane

__all__ = [
    "DIVERGING",
    "INK",
    "LINES",
    "PAPER",
    "SEQUENTIAL",
    "beside_bars",
    "blocks_of",
    "consistency",
    "control_net",
    "denoising",
    "grid",
    "heat_over",
    "ladder_marks",
    "latent_channels",
    "lines",
    "low_rank",
    "mixture",
    "moved",
    "new_figure",
    "new_row",
    "on_a_map",
    "one_path",
    "outlined",
    "overlay",
    "paths",
    "pipeline",
    "plane",
    "rung",
    "schedules",
    "scoreboard",
    "shares",
    "similarity",
    "strip",
    "table",
    "timeline",
    "to_scale",
    "tokens",
    "unet_ladder",
    "who_reads_whom",
]
