"""Figures show what they were given: titles, numbers and order, all at the same width."""

from itertools import groupby, pairwise

import numpy as np
import pytest
import torch
from conftest import WIDTH, small_unet
from matplotlib.patches import Circle, FancyArrowPatch, Polygon, Rectangle
from PIL import Image

from sdlearn import plots
from sdlearn._support.share import Share
from sdlearn.denoising import Step
from sdlearn.images import figure_to_picture
from sdlearn.noising import Schedule
from sdlearn.unet import tour

GREY = Image.new("RGB", (40, 30), "grey")


def texts_of(figure) -> str:
    return " ".join(text.get_text() for axes in figure.axes for text in [axes.title, *axes.texts])


def test_schedules_show_their_own_numbers():
    schedule = Schedule.named("linear", steps=20)
    figure = plots.schedules({"one": schedule, "two": Schedule.named("cosine", steps=20)})
    (line, _) = figure.axes[1].lines
    assert np.allclose(line.get_ydata(), schedule.alpha_bars)
    assert [text.get_text() for text in figure.axes[1].get_legend().texts] == ["one", "two"]


def test_a_rung_shows_the_noised_values():
    schedule, noises = (
        Schedule.named("linear", steps=20),
        (torch.randn(3, 16, 24), torch.randn(4, 2, 3)),
    )
    figure = plots.rung(schedule, 7, torch.zeros(3, 16, 24), torch.zeros(4, 2, 3), noises)
    shown = figure.axes[1].images[0].get_array()
    assert np.allclose(shown, schedule.sqrt_one_minus_alpha_bars[7] * noises[1][0], atol=1e-6)
    assert f"ᾱ = {schedule.alpha_bars[7]:.3f}" in texts_of(figure)


def test_latents_are_shown_place_by_place_around_zero():
    latents = torch.randn(4, 3, 5)
    figure = plots.latent_channels(latents)
    images = [axes.images[0] for axes in figure.axes[:4]]
    assert np.allclose(np.stack([image.get_array() for image in images]), latents)
    assert all(image.get_clim() == (-latents.abs().max(), latents.abs().max()) for image in images)


def test_a_similarity_matrix_has_a_number_in_every_field():
    matrix = torch.tensor([[0.91, 0.12, -0.3], [0.05, 0.88, 0.2]])
    figure = plots.similarity(matrix, [GREY, GREY], ["one", "two", "three"])
    assert texts_of(figure).split() == ["0.91", "0.12", "-0.30", "0.05", "0.88", "0.20"]
    with pytest.raises(ValueError, match="matrix: 1×3 for these, got 2×3"):
        plots.similarity(matrix, [GREY], ["one", "two", "three"])


def test_a_map_lies_over_the_whole_picture():
    heat = torch.rand(3, 4)
    figure = plots.overlay(GREY, [heat, heat], ["house", "red"])
    assert np.array_equal(figure.axes[1].images[0].get_array(), plots.heat_over(GREY, heat))
    span = f"{heat.min():.2g} to {heat.max():.2g}"  # none below 0.001
    assert texts_of(figure).split() == f"picture house {span} red {span}".split()
    with pytest.raises(ValueError, match="titles: one for each of the 2 maps, got 1"):
        plots.overlay(GREY, [heat, heat], ["house"])


def test_a_denoising_step_shows_its_latents_noise_and_picture():
    values = [torch.randn(1, 4, 6, 8) for _ in range(5)]
    step = Step(2, 9, 400, *values)
    figure = plots.denoising(step, GREY)
    assert np.allclose(figure.axes[0].images[0].get_array(), step.latents[0, 0])
    assert np.allclose(figure.axes[1].images[0].get_array(), step.noise[0, 0])
    assert np.array_equal(figure.axes[2].images[0].get_array(), np.asarray(GREY))


def test_the_brightest_place_of_an_overlay_is_the_maps_strongest():
    """With a 20×30 picture and a 2×3 map, swapped rows and columns would show."""
    heat = torch.tensor([[0.0, 0.1, 0.0], [0.0, 0.0, 0.3]])
    over = np.asarray(plots.heat_over(Image.new("RGB", (30, 20)), heat)).astype(float)
    assert over.shape == (20, 30, 3)
    cells = over.reshape(2, 10, 3, 10, 3).mean(axis=(1, 3))
    yellow = cells[..., 0] + cells[..., 1] - cells[..., 2]
    assert np.unravel_index(yellow.argmax(), yellow.shape) == (1, 2)
    plots.heat_over(GREY, torch.full((2, 2), 0.5))


def test_the_unet_ladder_tells_every_change_of_shape():
    stops = list(tour(small_unet(), torch.randn(1, 4, 6, 8), 10, torch.randn(1, 77, WIDTH)))
    figure = plots.unet_ladder(stops)
    labels = [text.get_text() for text in figure.axes[0].texts]
    for below in figure.axes[1:]:
        shares = [
            int(text.get_text().rstrip("%")) for text in below.texts if "%" in text.get_text()
        ]
        assert sum(shares) == pytest.approx(100, abs=3)
    channels = [
        str(shape[0]) for shape, _ in groupby(stop.after for stop in stops if len(stop.after) == 3)
    ]
    assert labels == [*channels, "6×8", "3×4", "6×8"]
    skips = [line.get_xdata()[[0, -1]] for line in figure.axes[0].lines if len(line.get_xdata())]
    names = [stop.name for stop in plots.blocks_of(stops)]
    assert [(names[start], names[end]) for start, end in skips] == [
        ("down_blocks.0.resnets.0", "up_blocks.1.resnets.0"),
        ("down_blocks.1.attentions.0", "up_blocks.0.resnets.0"),
    ]
    lit = plots.unet_ladder(stops, lit=3)
    assert "down_blocks.1.resnets.0: ResnetBlock2D, 8×3×4 → 16×3×4" in texts_of(lit)


def test_the_ladders_marks_are_where_its_bars_stand():
    stops = list(tour(small_unet(), torch.randn(1, 4, 6, 8), 10, torch.randn(1, 77, WIDTH)))
    figure = plots.unet_ladder(stops)
    bars = [bar.get_x() + bar.get_width() / 2 for bar in figure.axes[1].patches]
    figure.canvas.draw()
    pixels = figure.axes[1].transData.transform([(bar, 0) for bar in bars])[:, 0]
    assert plots.ladder_marks(stops) == pytest.approx(pixels / figure.bbox.width)


def test_a_name_has_one_colour_in_every_panel_of_lines():
    panels = {"left": {"a": ([1, 2], [3, 4]), "b": 0.5}, "right": {"b": ([0, 1], [5, 6])}}
    left, right = plots.lines(panels, x="t", y="error", log=True).axes
    assert left.lines[0].get_xydata().tolist() == [[1, 3], [2, 4]]
    assert left.lines[1].get_ydata() == [0.5, 0.5]
    assert left.lines[1].get_color() == right.lines[0].get_color() != left.lines[0].get_color()
    assert (left.get_title(), left.get_xlabel(), left.get_ylabel()) == ("left", "t", "error")
    assert left.get_yscale() == "log"
    assert left.get_legend()
    assert right.get_legend()
    same = plots.lines({"left": panels["left"], "right": panels["left"]}, x="t")
    assert not any(axes.get_legend() for axes in same.axes)
    assert [text.get_text() for text in same.legends[0].get_texts()] == ["a", "b"]
    dots = plots.lines(panels, x="t", joined=False).axes[0].lines[0]
    assert (dots.get_linestyle(), dots.get_marker()) == ("None", "o")
    with pytest.raises(ValueError, match="as many x as y for 'a' in 'left', got 2 and 1"):
        plots.lines({"left": {"a": ([1, 2], [3])}}, x="t")
    with pytest.raises(ValueError, match="panels: at least one, got none"):
        plots.lines({}, x="t")


def test_a_table_has_a_number_in_every_cell():
    numbers = torch.tensor([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    figure = plots.table({"a": numbers, "b": numbers.flip(1)}, ["r", "s"], ["x", "y", "z"])
    right = {text.get_position(): text.get_text() for text in figure.axes[1].texts}
    assert (right[0, 0], right[2, 1]) == ("0.30", "0.40")
    assert np.allclose(figure.axes[1].images[0].get_array(), numbers.flip(1))
    with pytest.raises(ValueError, match="panels: 1×3 numbers for 'a', got 2×3"):
        plots.table({"a": numbers}, ["r"], ["x", "y", "z"])


def test_what_counts_more_has_the_wider_line_to_the_mixture():
    figure = plots.mixture([10.0, 20.0], [0.25, 0.75])
    thin, wide = (line.get_linewidth() for line in figure.axes[0].lines)
    assert (thin, wide) == (6, 16)
    words = [text.get_text() for text in figure.axes[0].texts]
    assert words == ["10", "weight 0.25", "20", "weight 0.75", "17.5", "the mixture"]
    with pytest.raises(ValueError, match="weights: 2, one for each value, got 1"):
        plots.mixture([1.0, 2.0], [1.0])


def test_doubling_lines_have_a_tick_at_each_power_of_two():
    (axes,) = plots.lines({"": {"a": ([1, 4, 16], [3, 4, 5])}}, "x", doubling=True).axes
    axes.figure.canvas.draw()
    told = {label.get_text() for label in axes.get_xticklabels()}
    assert {"1", "2", "4", "8", "16"} <= told
    places = axes.transData.transform([(1, 3), (4, 3), (16, 3)])[:, 0]
    assert np.isclose(places[1] - places[0], places[2] - places[1])


def test_doubling_lines_have_a_tick_at_every_point():
    few = {"a": ([2, 8, 24], [3, 4, 5]), "b": ([1, 4], [3, 4])}
    (axes,) = plots.lines({"": few}, "x", doubling=True).axes
    axes.figure.canvas.draw()
    told = [label.get_text() for label in axes.get_xticklabels()]
    assert told == ["1", "2", "4", "8", "16", "24"]


def test_lines_that_coincide_stay_visible():
    same = ((1, 2, 3), (0.1, 0.4, 0.2))
    (axes,) = plots.lines({"": {"under": same, "over": same}}, "x").axes
    under, over = axes.lines
    assert under.get_zorder() <= over.get_zorder()
    assert under.get_linewidth() > over.get_linewidth() + 0.5
    assert under.get_markersize() > over.get_markersize() + 0.5


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (4, 4), (5, 3), (6, 6)])
def test_a_strip_has_no_blank_band(count, columns):
    pictures, titles = [np.zeros((64, 64, 3), np.uint8)] * count, ["a title of some words"] * count
    shown = np.asarray(figure_to_picture(plots.strip(pictures, titles, columns)).convert("L"))
    used = np.flatnonzero((shown < 200).any(axis=1))
    assert used[0] in range(2, 16)
    assert len(shown) - used[-1] in range(2, 16)


def test_logarithmic_lines_have_plain_numbers_at_their_ticks():
    (axes,) = plots.lines({"": {"a": ([1, 2, 3], [0.08, 0.4, 3])}}, "x", log=True).axes
    axes.figure.canvas.draw()
    told = {label.get_text() for label in axes.get_yticklabels()}
    assert {"0.1", "0.2", "0.5", "1", "2"} <= told
    (wide,) = plots.lines({"": {"a": ([1, 2], [1e-9, 1])}}, "x", log=True).axes
    low, high = wide.get_ylim()
    assert sum(low <= tick <= high for tick in wide.get_yticks()) >= 4


def test_level_panels_of_lines_have_the_same_heights():
    panels = {"low": {"a": ([0, 1], [0, 1])}, "high": {"a": ([0, 1], [0, 9])}}
    low, high = plots.lines(panels, "x", level=True).axes
    assert low.get_ylim() == high.get_ylim()
    low, high = plots.lines(panels, "x").axes
    assert low.get_ylim()[1] < high.get_ylim()[1] / 5


def test_a_title_keeps_its_own_lines():
    figure = plots.strip([GREY], ["told 50\n1.5 noise"])
    assert figure.axes[0].get_title() == "told 50\n1.5 noise"


def test_a_strip_leaves_no_room_above_and_below_wide_pictures():
    square, wide = Image.new("RGB", (20, 20)), Image.new("RGB", (40, 10))
    heights = [
        plots.strip(pictures, [""] * len(pictures)).get_figheight()
        for pictures in ([square], [wide], [np.asarray(square), wide])
    ]
    assert heights == pytest.approx([9.23, 9 / 4 + 0.23, 4.73])


def test_pictures_of_several_sizes_keep_their_scale():
    figure = plots.to_scale([Image.new("RGB", (10, 40)), Image.new("RGB", (30, 20))], ["a", "b"])
    figure.draw_without_rendering()
    tall, wide = (axes.get_window_extent() for axes in figure.axes)
    assert tall.height / wide.height == pytest.approx(2, rel=0.05)
    assert wide.width / tall.width == pytest.approx(3, rel=0.05)
    assert tall.y0 == pytest.approx(wide.y0, abs=1)
    with pytest.raises(ValueError, match="titles: one for each of the 1 pictures, got 2"):
        plots.to_scale([GREY], ["a", "b"])


def test_a_limit_sets_the_strongest_colour_of_latents():
    figure = plots.latent_channels(torch.randn(2, 3, 5), names=["a", "b"], limit=2)
    assert [axes.get_title() for axes in figure.axes[:2]] == ["a", "b"]
    assert figure.axes[0].images[0].get_clim() == (-2, 2)
    with pytest.raises(ValueError, match="names: one for each of the 2 channels, got 1"):
        plots.latent_channels(torch.randn(2, 3, 5), names=["a"])


def test_bars_beside_a_picture_have_their_length_and_number():
    figure = plots.beside_bars(GREY, {"a car": 0.7, "a cat": -0.2}, "cosine")
    bars = figure.axes[1].patches
    assert [bar.get_width() for bar in bars] == [0.7, -0.2]
    assert [text.get_text() for text in figure.axes[1].texts] == ["0.70", "-0.20"]
    with pytest.raises(ValueError, match="values: at least one, got none"):
        plots.beside_bars(GREY, {})


def test_pictures_lie_on_their_points_of_the_map():
    points = torch.tensor([[0.0, 1.0], [2.0, -3.0]])
    figure = plots.on_a_map([GREY, GREY], points, x="right", y="up")
    boxes = [artist for artist in figure.axes[0].artists if hasattr(artist, "xybox")]
    assert [tuple(box.xybox) for box in boxes] == [(0, 1), (2, -3)]
    with pytest.raises(ValueError, match="points: one for each of the 2 pictures, got 1"):
        plots.on_a_map([GREY, GREY], points[:1], x="", y="")


def test_a_grid_puts_every_picture_in_its_row_and_under_its_heading():
    red, blue = (Image.new("RGB", (8, 4), colour) for colour in ("red", "blue"))
    rows = {"upper": [red, blue], "lower": [blue, red]}
    figure = plots.grid(rows, ["left", "right"], {"lower": ["a", "b"]})
    where = {text.get_text(): text.get_position() for text in figure.texts}
    for axes, colour, row, column in zip(
        figure.axes,
        [(255, 0, 0), (0, 0, 255), (0, 0, 255), (255, 0, 0)],
        ["upper", "upper", "lower", "lower"],
        ["left", "right"] * 2,
        strict=True,
    ):
        box = axes.get_position()
        assert tuple(axes.images[0].get_array()[0, 0]) == colour
        assert box.y0 < where[row][1] < box.y1
        assert where[row][0] < box.x0 < where[column][0] < box.x1
        assert where[column][1] > box.y1
    below = [axes.get_position() for axes in figure.axes[2:]]
    assert all(b.x0 < where[note][0] < b.x1 for note, b in zip("ab", below, strict=True))
    assert all(0 < where[note][1] < box.y0 for note, box in zip("ab", below, strict=True))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({},), "rows: at least one"),
        (({"a": []},), "rows: as many for 'a' as pictures in the first row, 1, got 0"),
        (({"a": [GREY], "b": [GREY] * 2},), "for 'b' as pictures in the first row, 1, got 2"),
        (({"a": [GREY]}, ["x", "y"]), "columns: as many .* first row, 1, got 2"),
        (({"a": [GREY]}, (), {"a": []}), "notes: as many for 'a' .* 1, got 0"),
        (({"a": [GREY]}, (), {"b": ["x"]}), "notes: names of rows, got 'b'"),
    ],
)
def test_a_grid_says_what_does_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        plots.grid(*arguments)


def test_every_figure_has_the_one_width():
    schedule = Schedule.named("linear", steps=9)
    noises = (torch.randn(3, 8, 8), torch.randn(4, 2, 2))
    figures = [
        plots.schedules({"a": schedule}),
        plots.rung(schedule, 3, torch.zeros(3, 8, 8), torch.zeros(4, 2, 2), noises),
        plots.latent_channels(torch.randn(4, 3, 5)),
        plots.overlay(GREY, [torch.rand(2, 2)], ["a"]),
        plots.strip([GREY], ["a"]),
        plots.grid({"a": [GREY]}),
    ]
    assert {figure_to_picture(figure).width for figure in figures} == {900}


def test_long_headings_of_a_grid_stay_in_their_columns():
    long = "a small red heart above a big blue mushroom in a meadow"
    figure = plots.grid({"row": [GREY] * 4}, [long] * 4)
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.texts if "heart" in text.get_text()]
    assert len(boxes) == 4
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))
    pictures = max(axes.get_window_extent().y1 for axes in figure.axes)
    assert all(pictures <= box.y0 and box.y1 <= figure.bbox.y1 for box in boxes)


def test_a_layer_with_lora_is_drawn_to_scale_and_counts_its_numbers():
    figure = plots.low_rank(out=40, wide=100, rank=5)
    (weight,) = (p for p in figure.axes[0].patches if isinstance(p, Rectangle))
    unit = weight.get_width() / 100
    assert np.isclose(weight.get_height() / unit, 40)
    down, up = (p.get_xy() / unit for p in figure.axes[0].patches if isinstance(p, Polygon))
    sides = [
        [np.ptp(y[x == end]) for end in (x.min(), x.max())] for x, y in (down[:-1].T, up[:-1].T)
    ]
    assert np.allclose(sides, [(100, 5), (5, 40)])
    areas = [np.mean(pair) * np.ptp(p[:, 0]) for pair, p in zip(sides, (down, up), strict=True)]
    assert np.allclose(areas, [5 * 100, 40 * 5])
    assert "W: 4,000 numbers.  A and B: 700 numbers, 18% as many." in texts_of(figure)


def test_each_word_of_a_prompt_has_an_arrow_to_a_row_and_only_the_new_row_is_lit():
    words = ["a", "<mimo>", "and", "a", "hat"]
    (axes,) = plots.new_row(words, "<mimo>", rows=631, wide=128).axes
    rows = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    colours = {row.get_y() + row.get_height() / 2: row.get_facecolor() for row in rows}
    arrows = [p for p in axes.patches if isinstance(p, FancyArrowPatch)][: len(words)]
    ends = [max(arrow.get_path().vertices.tolist())[1] for arrow in arrows]  # furthest right
    reached = [min(colours, key=lambda y, end=end: abs(y - end)) for end in ends]
    assert reached[0] == reached[3]  # one word, one row
    assert len(set(reached)) == 4
    assert np.allclose(reached, ends, atol=0.2)
    looks = [colours[y] for y in reached]
    assert looks[0] == looks[2] == looks[4] != looks[1]
    assert reached[1] == min(colours)  # the new row comes last in the table
    assert list(colours.values()).count(looks[1]) == 1
    assert list(colours.values()).count(looks[0]) == 3  # the rows that nobody reads are pale
    assert "631 rows of 128 numbers" in texts_of(axes.figure)
    with pytest.raises(ValueError, match="new: one of the words, got 'cat', which is not"):
        plots.new_row(words, "cat", 631, 128)
    with pytest.raises(ValueError, match="words: at most 15 different ones, got 16"):
        plots.new_row([f"{n}" for n in range(16)], "3", 631, 128)
    plots.new_row([f"{n}" for n in range(15)], "3", 631, 128)


def test_a_share_is_a_bar_with_its_range_and_its_count():
    named = {"before": Share(48, 50), "after": Share(5, 20)}
    (axes,) = plots.shares(named).axes
    assert [bar.get_width() for bar in axes.patches] == [96, 25]
    ranges = [line.get_xdata() for line in axes.lines]
    assert np.allclose(ranges, [np.multiply(100, share.interval) for share in named.values()])
    assert texts_of(axes.figure).split("  ")[0].strip() == "48 of 50"
    assert [tick.get_text() for tick in axes.get_yticklabels()] == list(named)
    with pytest.raises(ValueError, match="at least one answer, but 'none' has none"):
        plots.shares({"none": Share(0, 0)})
    with pytest.raises(ValueError, match="named: at least one share, got none"):
        plots.shares({})


def test_what_moved_has_a_ring_before_a_dot_now_and_numbers_on_the_outer_sides():
    panels = {"left": {"cat": (1.0, 0.6), "fog": (-0.1, 0.37)}, "right": {"sun": (-0.001, 0.2)}}
    figure = plots.moved(panels, "cosine")
    for axes, named in zip(figure.axes, panels.values(), strict=True):
        points = [line.get_xdata()[0] for line in axes.lines]
        assert points == [value for pair in named.values() for value in pair]
        hollow = [line.get_markerfacecolor() == "#ffffff" for line in axes.lines]
        assert hollow == [True, False] * len(named)
        for pair, texts in zip(named.values(), (axes.texts[:2], axes.texts[2:]), strict=False):
            sides = [text.get_ha() for text in texts]
            assert sides == (["left", "right"] if pair[0] > pair[1] else ["right", "left"])
    assert [text.get_text() for text in figure.axes[1].texts] == ["0.00", "0.20"]  # not "-0.00"
    assert "−0.10" in [text.get_text() for text in figure.axes[0].texts]  # a minus, not a hyphen
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.texts] == ["at the start", "now"]
    assert legend.legend_handles[0].get_markerfacecolor() == "#ffffff"
    with pytest.raises(ValueError, match="panels: at least one name in each, but 'a' has none"):
        plots.moved({"a": {}}, "cosine")
    with pytest.raises(ValueError, match="panels: at least one, got none"):
        plots.moved({}, "cosine")


def test_a_white_picture_of_a_grid_has_an_edge():
    (axes,) = plots.grid({"row": [Image.new("RGB", (8, 8), "white")]}).axes
    assert axes.axison
    assert all(spine.get_visible() for spine in axes.spines.values())
    assert [*axes.get_xticks(), *axes.get_yticks()] == []


def test_the_links_of_consistency_join_neighbouring_answers_and_end_in_the_picture():
    (axes,) = plots.consistency().axes
    middles = {text.get_text(): text.get_position()[0] for text in axes.texts}
    answers = sorted(t.get_position()[0] for t in axes.texts if t.get_text() == "answer")
    dots = sorted(patch.center[0] for patch in axes.patches if isinstance(patch, Circle))
    assert dots == [*answers, middles["the picture"]]  # an answer above each place
    assert middles["the picture"] == middles["no noise left"] == max(dots)
    assert middles["t = 999: noise"] == min(dots)
    signs = [
        t.get_position()[0] for t in axes.texts if "=" in t.get_text() and len(t.get_text()) < 9
    ]
    assert all(any(left < x < right for x in signs) for left, right in pairwise(dots))


def test_the_diagram_of_a_control_net_has_a_zero_convolution_for_each_output_and_the_mask():
    unet = small_unet()
    figure = plots.control_net(unet)
    blocks = len(unet.config.block_out_channels)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts.count("0") == blocks + 2  # each block, the middle, and the mask
    assert texts.count("middle") == 2
    assert texts.count("block 1") == 2  # in the U-Net and in its copy
    assert texts.count("up 1") == 1  # the decoder is not copied
