"""The judge and the figures: what counts as right, and that the shipped judge reads drawn pictures."""

import math

import numpy as np
import pytest
import torch

from sdlearn import evaluate
from sdlearn.drawing import draw_array
from sdlearn.evaluate import as_table, drawn, shares, unseen_scenes, variety, verdicts, write_into_card
from sdlearn.images import contact_sheet, psnr, to_pictures, to_pixels
from sdlearn.judge import Seen, judge_picture, load_judge
from sdlearn.loading import TINY
from sdlearn.picturebook import KINDS, compose

SCENE = compose([("red", "house"), ("blue", "tree")], "snow", "left of", rng=0)
HOUSE, TREE = Seen("house", "red", 0.3, 0.7), Seen("tree", "blue", 0.7, 0.7)


def test_a_right_picture_is_right():
    verdict = judge_picture(SCENE, "snow", [TREE, HOUSE])
    assert verdict.whole
    assert verdict.kinds == verdict.colours == (True, True)


@pytest.mark.parametrize(
    ("place", "seen", "wrong"),
    [
        ("night", [HOUSE, TREE], "place"),
        ("snow", [HOUSE], "kinds"),
        ("snow", [HOUSE, Seen("boat", "blue", 0.7, 0.7)], "kinds"),
        ("snow", [HOUSE, Seen("tree", "green", 0.7, 0.7)], "colours"),
        ("snow", [Seen("house", "blue", 0.3, 0.7), Seen("tree", "red", 0.7, 0.7)], "colours"),
        ("snow", [Seen("house", "red", 0.8, 0.7), TREE], "relation"),
        ("snow", [HOUSE, TREE, Seen("star", "red", 0.5, 0.2)], "nothing_else"),
        ("snow", [HOUSE, TREE, Seen("house", "red", 0.5, 0.7)], "nothing_else"),
    ],
)
def test_each_mistake_is_found_and_only_that_one(place, seen, wrong):
    verdict = judge_picture(SCENE, place, seen)
    assert not verdict.whole
    right = {
        "place": verdict.place,
        "kinds": all(verdict.kinds),
        "colours": all(verdict.colours),
        "relation": verdict.relation,
        "nothing_else": verdict.nothing_else,
    }
    assert not right[wrong]
    if wrong in ("place", "relation", "nothing_else"):
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
    assert judge_picture(scene, "snow", seen).relation is right


def test_two_things_of_a_kind_are_told_apart_by_colour():
    scene = compose([("red", "house"), ("blue", "house")], "snow", "left of", rng=0)
    seen = [Seen("house", "blue", 0.7, 0.7), Seen("house", "red", 0.3, 0.7)]
    assert judge_picture(scene, "snow", seen).whole
    assert judge_picture(scene, "snow", seen[:1]).colours == (False, True)


def test_shares_count_what_they_say():
    found = [judge_picture(SCENE, "snow", [HOUSE, TREE]), judge_picture(SCENE, "night", [HOUSE])]
    assert shares(found) == {"place": 0.5, "kind": 0.75, "colour": 0.75, "relation": 0.5, "whole": 0.5}
    assert math.isnan(shares([judge_picture(compose([("red", "car")], "snow"), "snow", [])])["relation"])


def test_the_shipped_judge_reads_unseen_drawn_pictures():
    judge = load_judge(TINY.parent / "judge")
    for held_out in (False, True):
        scenes = unseen_scenes(60, held_out)
        found = shares(verdicts(judge, scenes, drawn(scenes, 256)))
        assert min(value for name, value in found.items() if name != "whole") >= 0.97, found


def test_the_shipped_judge_sees_a_wrong_picture():
    judge = load_judge(TINY.parent / "judge")
    for kind, other in zip(KINDS, KINDS[1:] + KINDS[:1], strict=True):
        asked = compose([("red", kind)], "meadow", rng=1)
        shown = compose([("red", other)], "meadow", rng=1)
        (verdict,) = verdicts(judge, [asked], drawn([shown], 256))
        assert verdict.place
        assert verdict.kinds == (False,)


# --- figures --------------------------------------------------------------------------------------


def test_two_drawings_of_a_scene_have_full_variety_and_one_picture_has_none():
    scenes = unseen_scenes(12, False)
    first, second = (drawn([evaluate._redrawn(scene, seed) for scene in scenes], 64) for seed in (1, 2))
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


def test_the_table_goes_into_the_card_and_nothing_else_changes(tmp_path):
    card = tmp_path / "README.md"
    card.write_text(f"before\n{evaluate.CARD_START}\nold\n{evaluate.CARD_END}\nafter\n")
    write_into_card(card, as_table([("a", "1", "2", "3")]))
    text = card.read_text()
    assert "| a | 1 | 2 | 3 |" in text
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")


@pytest.mark.parametrize(
    ("option", "name", "said"),
    [
        ("--sheet", "sheet", "should end in .jpg or .png"),
        ("--samples", "nowhere/samples.jpg", "there is no folder"),
        ("--card", "no_card.md", "is not a model card"),
    ],
)
def test_what_cannot_be_written_is_said_before_anything_is_measured(option, name, said, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["evaluate", option, name])
    monkeypatch.setattr(evaluate, "load", lambda name: pytest.fail("the model was loaded"))
    with pytest.raises(SystemExit):
        evaluate.main()
    assert said in capsys.readouterr().err


def test_the_judge_shrinks_large_pictures():
    judge = load_judge(TINY.parent / "judge")
    scene = unseen_scenes(1, False)[0]
    small, large = (judge.read(to_pixels(draw_array(scene, size)[None]))[0] for size in (128, 512))
    assert small[0] == large[0]
    assert [(s.kind, s.colour) for s in small[1]] == [(s.kind, s.colour) for s in large[1]]
