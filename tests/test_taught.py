"""How it is measured what adapters have taught: the measures on drawings whose truth is known."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from torch.testing import assert_close

from sdlearn.adapters import MIMO, PENCIL, ROCKET, with_lora, with_word
from sdlearn.evaluate import __main__ as command
from sdlearn.evaluate import taught
from sdlearn.evaluate.judge import load_judge
from sdlearn.evaluate.samples import drawn, generate, readings, unseen_scenes
from sdlearn.images import to_pixels
from sdlearn.picturebook import mimo_page, page_with, rocket


def as_pixels(pictures):
    return to_pixels(np.stack([np.asarray(picture) for picture in pictures]))


def test_rockets_are_found_where_they_are_and_nowhere_else():
    there = as_pixels(page_with(rocket(), "rocket", seed, 256)[0] for seed in range(30))
    absent = drawn(unseen_scenes(60, held_out=False), 256)
    assert taught.likeness(there, rocket()).min() > 0.89  # 0.86 at a size that is not its own
    assert taught.likeness(absent, rocket()).max() < 0.6 < taught.ALIKE


def test_likeness_is_a_correlation():
    """It ignores brightness and contrast, is 1 for the drawing itself and -1 for its negative."""
    thing = Image.new("RGB", (60, 60), "white")
    ImageDraw.Draw(thing).rectangle((10, 10, 49, 49), fill="navy")
    ImageDraw.Draw(thing).rectangle((20, 10, 29, 49), fill="orange")
    page = Image.new("RGB", (128, 128), "grey")
    page.paste(taught.cut_out(thing, 46), (50, 30))
    pixels = as_pixels([page])
    (like,) = taught.likeness(torch.cat([pixels]), thing)
    assert like > 0.99
    (paler,) = taught.likeness(0.3 * pixels + 0.4, thing)
    assert_close(paler, like, rtol=0, atol=0.01)
    mirrored = as_pixels([page.transpose(Image.Transpose.ROTATE_90)])
    assert taught.likeness(mirrored, thing).item() < 0.9


def test_grey_has_no_colour_and_red_has_all():
    grey, red = torch.full((1, 3, 4, 6), 0.3), -torch.ones(1, 3, 4, 6)
    red[:, 0] = 1
    assert_close(taught.colourfulness(torch.cat([grey, red])), torch.tensor([0.0, 1.0]))


@pytest.fixture
def draws_the_book(monkeypatch):
    """Whatever is asked of a model, it draws pages of the book."""
    asked = []

    def draw(model, prompts, **options):
        asked.append((model, prompts, options))
        return drawn(unseen_scenes(len(prompts), held_out=False), 64)

    monkeypatch.setattr(taught, "generate", draw)
    return asked


def rows_of(compare, tiny, count=6):
    rows = {name: cells for name, *cells in compare(tiny, load_judge(), count)}
    assert all(cells[-1] == f"{count}" for cells in rows.values())
    return rows


def test_the_rockets_table_tells_new_from_old(tiny, draws_the_book):
    rows = rows_of(taught.compare_rocket, tiny)
    assert list(rows) == [
        taught.BOOK,
        "the model",
        *(f"the model with the LoRA at {strength:g}" for strength in taught.STRENGTHS),
    ]
    assert rows[taught.BOOK][0].startswith("100.0%")
    assert rows[taught.BOOK][2].startswith("0.0%")
    for name, (seen, whole, uninvited, _) in rows.items():
        assert whole.startswith("100.0%"), name
        assert uninvited.startswith("0.0%"), name
        assert name == taught.BOOK or seen.startswith("0.0%"), name
    prompts = [asked for _, asked, _ in draws_the_book]
    assert all("rocket" in prompt for asked in prompts[::2] for prompt in asked)
    assert not any("rocket" in prompt for asked in prompts[1::2] for prompt in asked)


def test_a_strength_is_the_one_that_draws(tiny, monkeypatch):
    set_to = []

    def draw(model, prompts, **options):
        layers = [m for m in model.unet.modules() if hasattr(m, "lora_A")]
        set_to.append({m.scaling["rocket"] for m in layers} or {0})
        return drawn(unseen_scenes(len(prompts), held_out=False), 64)

    monkeypatch.setattr(taught, "generate", draw)
    rows_of(taught.compare_rocket, tiny, count=3)
    assert [*map(list, set_to)][::2] == [[0], *([strength] for strength in taught.STRENGTHS)]


def test_the_pencils_table_measures_colour_by_day_and_by_night(tiny, draws_the_book):
    rows = rows_of(taught.compare_pencil, tiny, count=12)
    assert rows[taught.BOOK][:2] == ["0.0%", "0.0%"]
    asked = [options["guidance"] for _, _, options in draws_the_book]
    assert asked == [3, 1, 2, 3]
    assert {options["size"] for _, _, options in draws_the_book} == {tiny.side}
    day, night = (float(cell.rstrip("%")) for cell in rows["the model, guidance 3"][:2])
    scenes = unseen_scenes(12, held_out=False)
    colours = taught.colourfulness(drawn(scenes, 64))
    dark = [scene.setting in ("night", "sunset") for scene in scenes]
    assert 0 < sum(dark) < 12
    assert day == pytest.approx(100 * colours[~torch.tensor(dark)].mean().item(), abs=0.06)
    assert night == pytest.approx(100 * colours[torch.tensor(dark)].mean().item(), abs=0.06)


def test_the_mimos_table_reads_shades_off_drawings(tiny, monkeypatch):
    """Each word draws mimos of a known shade, and the table says which."""
    shades = {"yellow cat": 0.0, "orange cat": 1.0, "<mimo>": 0.3}

    def draw(model, prompts, **options):
        assert ("<mimo>" in model.tokenizer.get_vocab()) == ("<mimo>" in prompts[0])
        word = max((word for word in shades if word in prompts[0]), key=len)
        return as_pixels(mimo_page("m", 7 + n, 256, shades[word])[0] for n in range(len(prompts)))

    monkeypatch.setattr(taught, "generate", draw)
    rows = rows_of(taught.compare_mimo, tiny)
    assert rows[taught.BOOK][0].startswith("100.0%")
    assert rows[taught.BOOK][2].startswith("100.0%")
    assert not rows["“a <mimo>”"][2].startswith("100.0%")  # other pages than those asked for
    for word, shade in shades.items():
        article = "an" if word == "orange cat" else "a"
        mean = float(rows[f"“{article} {word}”"][1].split()[0])
        assert mean == pytest.approx(shade, abs=0.06), word


@pytest.mark.parametrize("table", command.TABLES)
def test_every_table_has_its_option_and_its_head(tiny, monkeypatch, table):
    option = [f"--{table}"] + (["."] if table == "sd3" else [])
    monkeypatch.setattr("sys.argv", ["evaluate", *option])
    choice = command.parse()
    assert choice.table == table
    if table != "sd3":
        head, compare = command.comparison(tiny, choice)
        assert len(head) > 3
        assert callable(compare)


# --- what ships -----------------------------------------------------------------------------------


def drawn_by(model, prompts, guidance):
    return generate(model, prompts, seed=0, size=256, steps=8, guidance=guidance)


def test_the_shipped_rocket_is_drawn_and_only_with_its_lora(tiny):
    prompts = ["a rocket in the snow", "a rocket on the beach", "a rocket in a meadow"]
    with_it, without = (
        taught.likeness(drawn_by(model, prompts, 3.0), rocket()) > taught.ALIKE
        for model in (with_lora(tiny, ROCKET), tiny)
    )
    assert with_it.sum() >= 2
    assert without.sum() == 0


def test_the_shipped_pencil_takes_the_colour_out(tiny):
    prompts = ["a red house in the snow", "a green fish on the beach", "a blue car in the desert"]
    pencil, plain = (
        taught.colourfulness(drawn_by(model, prompts, 1.0))
        for model in (with_lora(tiny, PENCIL), tiny)
    )
    assert (pencil < plain / 2).all()


def test_the_shipped_mimo_is_between_the_two_shades(tiny):
    mimo, places = with_word(tiny, MIMO), ("in the snow", "on the beach", "in a meadow")
    judge = load_judge()

    def green(model, word):
        """How green the cats are: yellow has much of it, orange less."""
        pixels = drawn_by(model, [f"{word} {place}" for place in places], 3.0)
        colours = taught.body_colours(pixels, readings(judge, pixels))
        assert len(colours) >= 2, word
        return torch.stack(colours)[:, 1].mean()

    yellow, orange = green(tiny, "a yellow cat"), green(tiny, "an orange cat")
    assert orange + 0.1 < green(mimo, "a <mimo>") < yellow - 0.1
