"""The picture book: captions fit their scenes, held-out scenes stay out, bad input is named."""

import itertools

import numpy as np
import pytest
from PIL import Image, ImageDraw

from sdlearn import picturebook
from sdlearn.picturebook import (
    COLOURS,
    KINDS,
    SETTINGS,
    SIZES,
    compose,
    draw,
    in_pencil,
    is_held_out,
    mimo_page,
    page_with,
    random_scene,
    rocket,
    words,
)
from sdlearn.picturebook.newcomers import LARGER
from sdlearn.picturebook.pages import twin


def scenes(count, held_out=False):
    return [random_scene(np.random.default_rng((7, i)), held_out) for i in range(count)]


def pairs(scene):
    return [(thing.colour, thing.kind) for thing in scene.things]


def test_the_same_seed_gives_the_same_scene():
    assert scenes(20) == scenes(20)
    assert len({scene.caption for scene in scenes(50)}) > 40


@pytest.mark.parametrize("held_out", [False, True])
def test_scenes_keep_to_their_part_of_the_world(held_out):
    assert all(is_held_out(pairs(scene)) == held_out for scene in scenes(300, held_out))


def test_one_colour_of_every_kind_and_twelve_pairs_of_kinds_are_held_out():
    unseen = [(c, k) for c in COLOURS for k in KINDS if is_held_out([(c, k)])]
    assert sorted({kind for _, kind in unseen}) == sorted(KINDS)
    assert len(unseen) == len(KINDS)
    seen = {kind: next(c for c in COLOURS if (c, kind) not in unseen) for kind in KINDS}
    pairs_of_kinds = [
        (a, b)
        for a, b in itertools.combinations(KINDS, 2)
        if is_held_out([(seen[a], a), (seen[b], b)])
    ]
    assert len(pairs_of_kinds) == 12


def test_captions_name_every_thing_in_order_and_the_place():
    for scene in scenes(200):
        at = [scene.caption.index(f"{thing.colour} {thing.kind}") for thing in scene.things]
        assert at == sorted(at) or len(set(pairs(scene))) < len(at)
        assert SETTINGS[scene.setting] in scene.caption
        if len(scene.things) == 2:
            assert f" {scene.relation} " in scene.caption


def test_captions_use_known_words_and_articles():
    known = set(picturebook.words())
    for scene in scenes(300):
        words = scene.caption.replace(",", "").split()
        assert set(words) <= known
        for article, word in itertools.pairwise(words):
            if article in ("a", "an"):
                assert (article == "an") == (word[0] in "aeiou"), scene.caption


def test_things_stand_as_the_relation_says():
    for scene in scenes(400):
        if scene.relation in ("left of", "right of", "above", "below"):
            first, second = scene.things
            stands = {
                "left of": first.x < second.x,
                "right of": first.x > second.x,
                "above": first.y < second.y,
                "below": first.y > second.y,
            }
            assert stands[scene.relation], scene


def test_things_stay_inside_and_apart():
    for scene in scenes(400):
        for i, thing in enumerate(scene.things):
            half = thing.side / 2
            assert thing.x - half >= 0
            assert thing.x + half <= 1
            assert thing.y - half >= 0
            assert thing.y + half <= 1
            for other in scene.things[:i]:
                reach = (thing.side + other.side) / 2 - 1e-9
                assert abs(thing.x - other.x) >= reach or abs(thing.y - other.y) >= reach, scene


def test_a_twin_differs_from_its_scene_and_stays_in_the_training_part():
    for i, scene in enumerate(scenes(200)):
        other = twin(scene, np.random.default_rng(i))
        before = (pairs(scene), scene.setting, scene.relation)
        assert (pairs(other), other.setting, other.relation) != before
        assert not is_held_out(pairs(other))
        assert len(other.things) == len(scene.things)


def test_compose_takes_what_it_is_told():
    scene = compose([("red", "star"), ("blue", "house")], "snow", "above", ("small", "big"), rng=3)
    assert (scene.setting, scene.relation) == ("snow", "above")
    assert [thing.side for thing in scene.things] == [SIZES["small"], SIZES["big"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], "snow"), "1 to 3 things, got 0"),
        (([("red", "dragon")], "snow"), "unknown kind 'dragon'; the picture book has house, tree"),
        (([("beige", "house")], "snow"), "unknown colour 'beige'"),
        (([("red", "house")], "moon"), "unknown setting 'moon'"),
        (([("red", "house"), ("blue", "tree")], "snow", "above"), "relation: 'above' does not fit"),
        (([("red", "house")], "snow", None, ("huge",)), "sizes: one of"),
        (
            (
                [("red", "house"), ("red", "tree"), ("red", "car")],
                "snow",
                None,
                ("big", "big", "small"),
            ),
            "at most one",
        ),
    ],
)
def test_bad_scenes_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        compose(*arguments)


@pytest.mark.parametrize("count", [0, -1, 4, 97])
def test_a_count_that_no_page_has_is_refused(count):
    with pytest.raises(ValueError, match=f"count: a whole number from 1 to 3, got {count}"):
        random_scene(0, count=count)


def box(colour="#ff00ff", size=(40, 20), margin=13):
    """A box of a colour that the book does not have, on white, as wide again as high."""
    thing = Image.new("RGB", (size[0] + 2 * margin, size[1] + 2 * margin), "white")
    ImageDraw.Draw(thing).rectangle(
        (margin, margin, margin + size[0] - 1, margin + size[1] - 1), fill=colour
    )
    return thing


def test_a_newcomer_stands_in_its_page_whole_and_in_its_own_shape():
    for number in range(12):
        page, caption = page_with(box(), "gadget", number, 256)
        rows, columns = np.nonzero((np.asarray(page) == (255, 0, 255)).all(axis=2))
        wide, high = np.ptp(columns) + 1, np.ptp(rows) + 1
        assert abs(wide - LARGER * SIZES["big"] * 256) <= 4, caption
        assert abs(wide / high - 2) < 0.15
        assert len(rows) > 0.9 * wide * high  # nothing of the white around it, no other thing


@pytest.mark.parametrize("number", [162, 345])  # its place is close to the left, or the right, edge
def test_a_newcomer_as_wide_as_high_is_not_cut_off_at_the_edge(number):
    page, _ = page_with(box(size=(40, 40)), "gadget", number, 512)
    columns = np.nonzero((np.asarray(page) == (255, 0, 255)).all(axis=2).any(axis=0))[0]
    assert abs(np.ptp(columns) + 1 - LARGER * SIZES["big"] * 512) <= 2


def test_a_newcomers_caption_has_its_word_and_otherwise_the_books():
    captions = [page_with(box(), "ufo", number, 32)[1].replace(",", "") for number in range(60)]
    known = {*words(), "ufo"}
    for caption in captions:
        assert caption.split().count("ufo") == 1
        assert " an ufo" in f" {caption}"
        assert set(caption.split()) <= known
        assert "car" not in caption.split()
    alone = [c for c in captions if not set(KINDS) & set(c.split())]
    assert 15 < len(alone) < 45
    others = [c.split() for c in captions if c not in alone]
    for caption in others:  # the book's own held-out pairs stay out
        (at,) = [i for i, word in enumerate(caption) if word in KINDS]
        assert not is_held_out([(caption[at - 1], caption[at])])
    assert {caption.index("ufo") < len(caption) / 2 for caption in others} == {True, False}


def test_a_seed_decides_a_newcomers_page():
    first, other = (page_with(box(), "gadget", seed, 64) for seed in (3, 4))
    again = page_with(box(), " gadget ", 3, 64)  # space around the word does not count
    assert first[1] == again[1]
    assert np.array_equal(first[0], again[0])
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize(
    ("thing", "word", "message"),
    [
        (Image.new("RGB", (8, 8), "white"), "gadget", "got one that is all white"),
        (box(), "  ", "word: what the captions call the thing, got an empty text"),
    ],
)
def test_a_newcomer_without_a_shape_or_a_word_is_refused(thing, word, message):
    with pytest.raises(ValueError, match=message):
        page_with(thing, word)


def test_a_mimo_is_a_cat_between_yellow_and_orange():
    for number in range(12):
        pages = [mimo_page("mimo", number, 128, shade) for shade in (0.0, 0.5, 1.0)]
        yellow, between, orange = (np.asarray(page, np.float32) for page, _ in pages)
        changed = np.abs(yellow - orange).max(axis=2) > 30
        assert changed.sum() > 0.05 * SIZES["big"] ** 2 * 128**2, number  # the cat, and only it
        assert changed.mean() < SIZES["big"] ** 2
        assert np.abs(between - (yellow + orange) / 2).max() <= 1
        # orange has less green and about as much red
        assert (yellow - orange)[changed][:, 1].mean() > 40


def test_a_mimos_caption_has_its_word_and_no_cat_or_shade_beside_it():
    captions = [mimo_page(" <mimo> ", number, 32)[1].replace(",", "") for number in range(40)]
    for caption in captions:
        assert caption.split().count("<mimo>") == 1
        assert caption.split()[caption.split().index("<mimo>") - 1] == "a"
        assert "cat" not in caption.split()
    assert {"beside", "at"} <= {word for caption in captions for word in caption.split()}
    assert mimo_page("mimo", 3, 32)[0] == mimo_page("mimo", 3, 32)[0]


@pytest.mark.parametrize(
    ("word", "shade", "message"),
    [(" ", 0.5, "word: .* got an empty text"), ("mimo", 1.5, "shade: a number from 0 to 1")],
)
def test_a_mimo_without_a_word_or_with_another_shade_is_refused(word, shade, message):
    with pytest.raises(ValueError, match=message):
        mimo_page(word, 0, 32, shade)


def test_the_rocket_has_its_parts_on_white():
    picture = np.asarray(rocket()).astype(int)
    assert picture.shape == (256, 256, 3)
    assert (picture[0] == 255).all()
    for row, column, channel in ((60, 128, 0), (130, 128, 2), (200, 50, 0)):  # nose, window, fin
        pixel = picture[row, column]
        assert pixel[channel] == pixel.max() > 1.5 * pixel.min()


# --- pencil ---------------------------------------------------------------------------------------


def test_pencil_is_white_where_a_page_is_even_and_a_line_beside_an_edge():
    page = Image.new("RGB", (90, 40), (230, 30, 30))
    page.paste((250, 240, 40), (45, 0, 90, 40))
    drawing = np.asarray(in_pencil(page)).astype(int)
    assert drawing.shape == (40, 90, 3)
    assert (drawing == drawing[..., :1]).all()  # grey
    assert drawing[:, :35].min() > 250
    assert drawing[:, 55:].min() > 250
    assert drawing[20, 44, 0] < 200  # the darker side
    assert drawing[20, 46, 0] > 250  # the brighter side


def test_night_is_as_white_in_pencil_as_day():
    for setting in SETTINGS:
        drawing = np.asarray(in_pencil(draw(compose([("red", "cat")], setting, rng=1), 128)))
        assert np.median(drawing) > 240, setting
