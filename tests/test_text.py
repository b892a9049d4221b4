"""Words are found in a prompt however they are written, and in any script."""

import unicodedata

import pytest

from sdlearn.attention.watching import START, words_of
from sdlearn.text import pieces, positions_of, split_words, words_in


def marked(tokenizer, text, word) -> str:
    """The part of the text that the positions of a word cover, as the tokenizer says."""
    read = pieces(tokenizer, text)
    spans = [read[position].span for position in positions_of(tokenizer, text, word)]
    return text[min(span[0] for span in spans) : max(span[1] for span in spans)]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("一只红色的猫坐在雪地里", "猫"),
        ("一只红色的猫坐在雪地里", "红色"),
        ("赤い家と青い木", "青い木"),
        ("บ้านสีแดงในหิมะ", "สีแดง"),
        ("빨간 집은 눈 속에", "집"),
        ("画一只cat在雪里", "cat"),
        ("красный дом на снегу", "дом"),
        ("ένα κόκκινο σπίτι", "κόκκινο"),
    ],
)
def test_words_are_found_in_any_script(random_model, text, word):
    assert marked(random_model.tokenizer, text, word) == word


@pytest.mark.parametrize("stored", ["NFC", "NFD"])
@pytest.mark.parametrize("asked", ["NFC", "NFD"])
@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("un café très noir", "café"),
        ("un café très noir", "noir"),
        ("phở ế ẩm", "ế"),
        ("집은", "집"),
    ],
)
def test_accents_may_be_stored_as_one_character_or_two(random_model, text, word, stored, asked):
    text, word = unicodedata.normalize(stored, text), unicodedata.normalize(asked, word)
    found = positions_of(random_model.tokenizer, text, word)
    own = unicodedata.normalize(stored, word)
    read = pieces(random_model.tokenizer, text)
    start = text.index(own)
    inside = [p.position for p in read if p.span[0] < start + len(own) and start < p.span[1]]
    assert found == inside


@pytest.mark.parametrize("gap", ["  ", "\n", "\t \r\n", "\u00a0", "\u3000"])
def test_any_gap_is_a_gap(random_model, gap):
    tokenizer = random_model.tokenizer
    assert positions_of(tokenizer, f"a red{gap}house", "red house") == [2, 3]
    assert positions_of(tokenizer, "a red house", f" red{gap}house ") == [2, 3]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("a redder house", "red"),
        ("un café", "caf"),
        ("un café", "cafe"),
        (unicodedata.normalize("NFD", "un café"), "cafe"),
        ("дома", "дом"),
        ("一只猫", "狗"),
        ("a red house", " "),
        ("", "red"),
    ],
)
def test_a_part_of_a_word_is_not_the_word(random_model, text, word):
    with pytest.raises(ValueError, match="word: .* is not in the prompt"):
        positions_of(random_model.tokenizer, text, word)


def test_words_are_listed_as_they_are_found(random_model):
    prompt = unicodedata.normalize("NFD", "Un café, un CAFÉ 猫")
    assert words_in(prompt) == ["un", "café", "猫"]
    assert split_words(random_model.tokenizer, prompt) == ["un", "café", "猫"]
    assert list(words_of(random_model, prompt)) == [START, "un", "café", "猫"]
