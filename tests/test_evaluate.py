"""The judge and its figures: what counts as right, and the shipped judge on drawn pictures."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from sdlearn._support.paths import ASSETS
from sdlearn.evaluate import __main__ as command
from sdlearn.evaluate import samples
from sdlearn.evaluate.judge import Seen, in_words, load_judge, verdict_on
from sdlearn.evaluate.samples import (
    Share,
    drawn,
    generate,
    generate_by_diffusers,
    grain,
    shares,
    unseen_scenes,
    variety,
    verdicts,
    whole_by_count,
)
from sdlearn.evaluate.solvers import SOLVERS, TRIALS, compare_solvers, with_solver
from sdlearn.evaluate.table import as_table, marks, measure, write_into_card
from sdlearn.images import contact_sheet, psnr, to_pictures, to_pixels
from sdlearn.picturebook import KINDS, SETTINGS, compose
from sdlearn.picturebook.drawing import draw_array

SCENE = compose([("red", "house"), ("blue", "tree")], "snow", "left of", rng=0)
HOUSE, TREE = Seen("house", "red", 0.3, 0.7), Seen("tree", "blue", 0.7, 0.7)


def test_a_right_picture_is_right():
    verdict = verdict_on(SCENE, "snow", [TREE, HOUSE])
    assert verdict.whole
    assert verdict.kinds == verdict.colours == (True, True)


@pytest.mark.parametrize(
    ("setting", "seen", "said"),
    [
        ("snow", [TREE, HOUSE], "✓ right"),
        ("night", [TREE, HOUSE], "✗ setting"),
        ("snow", [HOUSE, HOUSE], "✗ blue tree"),
        ("snow", [replace(TREE, colour="red"), HOUSE], "✗ blue tree"),
        ("snow", [replace(TREE, x=0.1), HOUSE], "✗ place"),
        ("snow", [TREE, HOUSE, HOUSE], "✗ too many things"),
        ("night", [], "✗ red house, blue tree, setting"),
    ],
)
def test_a_verdict_in_words_names_what_is_wrong(setting, seen, said):
    assert in_words(SCENE, verdict_on(SCENE, setting, seen)) == said


@pytest.mark.parametrize(
    ("setting", "seen", "wrong"),
    [
        ("night", [HOUSE, TREE], "setting"),
        ("snow", [HOUSE], "kinds"),
        ("snow", [HOUSE, Seen("boat", "blue", 0.7, 0.7)], "kinds"),
        ("snow", [HOUSE, Seen("tree", "green", 0.7, 0.7)], "colours"),
        ("snow", [Seen("house", "blue", 0.3, 0.7), Seen("tree", "red", 0.7, 0.7)], "colours"),
        ("snow", [Seen("house", "red", 0.8, 0.7), TREE], "relation"),
        ("snow", [HOUSE, TREE, Seen("star", "red", 0.5, 0.2)], "nothing_else"),
        ("snow", [HOUSE, TREE, Seen("house", "red", 0.5, 0.7)], "nothing_else"),
    ],
)
def test_each_mistake_is_found_and_only_that_one(setting, seen, wrong):
    verdict = verdict_on(SCENE, setting, seen)
    assert not verdict.whole
    right = {
        "setting": verdict.setting,
        "kinds": all(verdict.kinds),
        "colours": all(verdict.colours),
        "relation": verdict.relation,
        "nothing_else": verdict.nothing_else,
    }
    assert not right[wrong]
    if wrong in ("setting", "relation", "nothing_else"):
        assert all(value for name, value in right.items() if name != wrong)


@pytest.mark.parametrize(
    ("relation", "first", "second", "right"),
    [
        ("above", (0.5, 0.2), (0.5, 0.7), True),
        ("above", (0.5, 0.7), (0.5, 0.2), False),
        ("above", (0.1, 0.2), (0.9, 0.7), False),
        ("right of", (0.7, 0.5), (0.3, 0.5), True),
        ("beside", (0.5, 0.2), (0.5, 0.7), False),
        ("and", (0.5, 0.2), (0.5, 0.7), None),
    ],
)
def test_relations_are_directions(relation, first, second, right):
    scene = compose([("red", "star"), ("blue", "house")], "snow", relation, rng=0)
    seen = [Seen("star", "red", *first), Seen("house", "blue", *second)]
    assert verdict_on(scene, "snow", seen).relation is right


def test_two_things_of_a_kind_are_told_apart_by_colour():
    scene = compose([("red", "house"), ("blue", "house")], "snow", "left of", rng=0)
    seen = [Seen("house", "blue", 0.7, 0.7), Seen("house", "red", 0.3, 0.7)]
    assert verdict_on(scene, "snow", seen).whole
    assert verdict_on(scene, "snow", seen[:1]).colours == (False, True)


def test_shares_count_what_they_say():
    found = [verdict_on(SCENE, "snow", [HOUSE, TREE]), verdict_on(SCENE, "night", [HOUSE])]
    assert {name: (share.right, share.of) for name, share in shares(found).items()} == {
        "setting": (1, 2),
        "kind": (3, 4),
        "colour": (3, 4),
        "relation": (1, 2),
        "nothing else": (2, 2),
        "whole": (1, 2),
    }
    assert math.isnan(
        shares([verdict_on(compose([("red", "car")], "snow"), "snow", [])])["relation"].value
    )
    one = compose([("red", "car")], "snow")
    by_count = whole_by_count(
        [SCENE, SCENE, one], [*found, verdict_on(one, "snow", [Seen("car", "red", 0.5, 0.7)])]
    )
    assert [(share.right, share.of) for share in by_count.values()] == [(1, 1), (1, 2), (0, 0)]


@pytest.mark.parametrize(("right", "of"), [(0, 20), (1, 7), (57, 100), (273, 300), (50, 50)])
def test_the_interval_holds_the_shares_that_explain_what_was_seen(right, of):
    """Each end of Wilson's interval is 1.96 of its own standard errors from the observed share."""
    low, high = Share(right, of).interval
    assert 0 <= low <= right / of <= high <= 1
    for end in (low, high):
        if 0 < end < 1:
            assert abs(right / of - end) == pytest.approx(
                1.96 * math.sqrt(end * (1 - end) / of), rel=1e-6
            )


def test_the_shipped_judge_reads_unseen_drawn_pictures():
    judge = load_judge()
    for held_out in (False, True):
        scenes = unseen_scenes(60, held_out)
        found = shares(verdicts(judge, scenes, drawn(scenes, 256)))
        assert min(share.value for name, share in found.items() if name != "whole") >= 0.97, found


def test_the_shipped_judge_sees_a_wrong_picture():
    judge = load_judge()
    for kind, other in zip(KINDS, KINDS[1:] + KINDS[:1], strict=True):
        asked = compose([("red", kind)], "meadow", rng=1)
        shown = compose([("red", other)], "meadow", rng=1)
        (verdict,) = verdicts(judge, [asked], drawn([shown], 256))
        assert verdict.setting
        assert verdict.kinds == (False,)


# --- figures --------------------------------------------------------------------------------------


def test_two_drawings_of_a_scene_have_full_variety_and_one_picture_has_none():
    scenes = unseen_scenes(12, False)
    first, second = (
        drawn([samples._redrawn(scene, seed) for scene in scenes], 64) for seed in (1, 2)
    )
    assert variety(scenes, first, second) == pytest.approx(1)
    assert variety(scenes, first, first) == 0


def test_psnr_is_the_textbook_formula():
    first = torch.zeros(1, 3, 4, 6)
    assert psnr(first + 0.2, first) == pytest.approx(20)


def test_pictures_and_pixels_are_inverse():
    pictures = np.random.default_rng(0).integers(0, 256, (2, 4, 6, 3), dtype=np.uint8)
    assert np.array_equal(to_pictures(to_pixels(pictures)), pictures)
    assert to_pixels(pictures).shape == (2, 3, 4, 6)


def test_a_contact_sheet_keeps_reading_order():
    pictures = np.stack([np.full((2, 3, 3), value, np.uint8) for value in range(6)])
    sheet = contact_sheet(pictures, 3)
    assert sheet.shape == (4, 9, 3)
    assert sheet[0, ::3, 0].tolist() == [0, 1, 2]
    assert sheet[2, ::3, 0].tolist() == [3, 4, 5]


def test_grain_is_what_was_added_to_a_sky_and_a_thing_in_the_sky_does_not_count():
    plain = [
        compose([("red", "house")], setting, rng=seed) for setting in SETTINGS for seed in range(4)
    ]
    starry = [compose([("red", "star")], "sunset", sizes=("big",), rng=seed) for seed in range(2)]
    pages = drawn(plain + starry, 128)
    assert grain(plain + starry, pages) == pytest.approx(0, abs=0.02)
    noise = (
        torch.randn(len(plain), 1, 128, 128, generator=torch.Generator().manual_seed(0)) * 2 / 127.5
    )
    grainy = torch.cat([pages[: len(plain)] + noise, torch.rand(2, 3, 128, 128)])
    assert grain(plain + starry, grainy) == pytest.approx(2, rel=0.05)
    assert math.isnan(grain(starry, pages[-2:]))


@pytest.mark.parametrize("name", ["figures", "solvers", "few-steps"])
def test_a_table_goes_into_the_card_and_nothing_else_changes(tmp_path, name):
    card, (start, end) = tmp_path / "README.md", marks(name)
    card.write_text(f"before\n{start}\nold\n{end}\nafter\n")
    write_into_card(card, name, as_table(("a", "b", "c"), [("1", "2", "3")]))
    assert (
        card.read_text()
        == f"before\n{start}\n| a | b | c |\n|---|---|---|\n| 1 | 2 | 3 |\n{end}\nafter\n"
    )


def test_generated_pictures_are_the_defaults_of_the_model_and_diffusers_are_its_own(random_model):
    """Our pictures with diffusers' defaults typed in equal diffusers' with nothing typed in."""
    prompts = ["a red house", "a blue tree in the snow"]
    few = replace(random_model, default_steps=3, default_guidance=2.0)
    assert_close(
        generate(few, prompts, seed=5),
        generate(random_model, prompts, seed=5, steps=3, guidance=2.0),
    )
    ours = generate(random_model, prompts, seed=5, steps=50, guidance=7.5).clamp(-1, 1)
    assert_close(generate_by_diffusers(random_model, prompts, seed=5), ours, rtol=1e-3, atol=1e-3)


def test_every_solver_is_what_it_is_called(tiny):
    assert set(TRIALS) == set(SOLVERS)
    for name in SOLVERS:
        other = with_solver(tiny, name).scheduler
        assert torch.equal(other.betas, tiny.scheduler.betas)
        assert other.config.timestep_spacing == ("leading" if "PNDM" in name else "trailing")
        other.set_timesteps(10)
        assert other.timesteps[0] == (901 if "PNDM" in name else 999)
        assert not other.config.get("clip_sample", False)


def test_the_comparison_of_solvers_has_a_row_for_each_setting(tiny, monkeypatch):
    asked = []

    def picture(model, prompts, seed, steps, guidance):
        asked.append((type(model.scheduler).__name__, steps, guidance))
        return drawn(unseen_scenes(len(prompts), False), 64)

    monkeypatch.setattr("sdlearn.evaluate.solvers.generate", picture)
    rows = list(compare_solvers(tiny, load_judge(), count=6))
    trials = [(name, *trial) for name, of_name in TRIALS.items() for trial in of_name]
    assert asked == [
        (SOLVERS[name][0].__name__, steps, guidance) for name, steps, guidance, _ in trials
    ]
    for row, (name, steps, guidance, part) in zip(rows, trials, strict=True):
        assert row[:5] == (
            name,
            str(steps),
            f"{guidance:g}",
            str(6 // part),
            str(Share(6 // part, 6 // part)),
        )


def test_every_figure_of_the_shipped_model_is_measured(tiny, monkeypatch, tmp_path):
    """With drawn pages instead of generated ones, everything is right.

    So every row measures what its name says.
    """

    def draw(model, prompts, seed, size=128, **options):
        return drawn(unseen_scenes(len(prompts), held_out=seed == 90_000), size)

    monkeypatch.setattr("sdlearn.evaluate.table.generate", draw)
    monkeypatch.setattr("sdlearn.evaluate.table.generate_by_diffusers", draw)
    monkeypatch.setattr("sdlearn.evaluate.table.PAGES", 3)
    rows = measure(tiny, load_judge(), count=16, sheet=tmp_path / "sheet.png")
    measured = {figure: value for figure, value, _, _ in rows}
    assert len(measured) == len(rows) == 26
    for figure, value in measured.items():
        if figure.startswith(("generated", "…", "whole")):
            assert value.startswith("100.0%"), (figure, value)
    assert measured["… relation right"] == "100.0% (57–100)"
    assert sum(figure.startswith("attention, ") for figure in measured) == 7
    assert (tmp_path / "sheet-held-out.png").exists()
    assert len((tmp_path / "sheet.txt").read_text().splitlines()) == 10


def test_the_shipped_model_draws_what_unseen_captions_say(tiny):
    """At half the side, to be quick; the model card has figures for many more captions."""
    judge, scenes = load_judge(), unseen_scenes(20, held_out=False)
    for guidance in (None, 7.5):
        pixels = generate(tiny, samples.captions(scenes), seed=0, size=256, guidance=guidance)
        assert shares(verdicts(judge, scenes, pixels))["whole"].right >= 17


def test_the_shipped_models_skies_are_smooth(tiny):
    scenes = [
        compose([("red", "house")], setting, rng=1)
        for setting in ("sunset", "meadow", "night", "snow")
    ]
    assert grain(scenes, generate(tiny, samples.captions(scenes), seed=0)) < 1


@pytest.mark.parametrize(
    ("option", "name", "said"),
    [
        ("--sheet", "sheet", "should end in .jpg or .png"),
        ("--samples", "nowhere/samples.jpg", "there is no folder"),
        ("--card", "no_card.md", "is not a card with the line"),
        ("--count", "0", "should be a whole number of at least 1"),
    ],
)
def test_what_cannot_be_written_is_said_before_anything_is_measured(
    option, name, said, monkeypatch, capsys
):
    monkeypatch.setattr("sys.argv", ["evaluate", option, name])
    monkeypatch.setattr(command, "load", lambda *_, **__: pytest.fail("the model was loaded"))
    with pytest.raises(SystemExit):
        command.main()
    assert said in capsys.readouterr().err


def test_the_judge_shrinks_large_pictures():
    judge = load_judge()
    scene = unseen_scenes(1, False)[0]
    small, large = (judge.read(to_pixels(draw_array(scene, size)[None]))[0] for size in (128, 512))
    assert small[0] == large[0]
    assert [(s.kind, s.colour) for s in small[1]] == [(s.kind, s.colour) for s in large[1]]


def test_a_judge_of_another_picture_book_is_refused(tmp_path):
    weights = load_file(ASSETS / "judge" / "judge.safetensors")
    last = [name for name, value in weights.items() if value.shape[0] == len(KINDS)]
    assert last
    weights |= {name: torch.cat([weights[name], weights[name][:1]]) for name in last}
    save_file(weights, tmp_path / "judge.safetensors")
    with pytest.raises(ValueError, match=r"another picture book; `python -m sdlearn.train judge`"):
        load_judge(tmp_path)
