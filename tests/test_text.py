"""Words are found in a prompt however they are written, and in any script."""

import threading
import unicodedata

import pytest

from sdlearn.attention.watching import START, words_of
from sdlearn.text import cut_silently, pieces, positions_of, split_words, tokenize, words_in


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
        ("हिन्दी में लाल घर", "हिन्दी"),
        ("บ้านสีแดงในหิมะ", "บ้าน"),
        ("בַּיִת אדום", "בַּיִת"),
        ("İstanbul at night", "İstanbul"),
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
        ("हिन्दी में लाल घर", "ह"),
        ("บ้านสีแดง", "บ้านส"),
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


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("हिन्दी में लाल घर", ["हिन्दी", "में", "लाल", "घर"]),
        ("บ้านสีแดงในหิมะ", ["บ้านสีแดงในหิมะ"]),
        ("İstanbul at night", ["İstanbul", "at", "night"]),
        ("a red, red_2 house!", ["a", "red", "red_2", "house"]),
    ],
)
def test_vowel_signs_and_letters_without_a_small_form_stay_in_their_word(random_model, text, words):
    assert words_in(text) == words
    assert list(words_of(random_model, text)) == [START, *words]


@pytest.mark.bad_input
@pytest.mark.parametrize("read", [tokenize, pieces, split_words])
def test_half_a_character_is_named(random_model, read):
    with pytest.raises(ValueError, match="(prompts|text): text, got half of a character"):
        read(random_model.tokenizer, "a \ud83d house")


def test_one_tokenizer_serves_several_threads(random_model):
    """A widget reads its prompt on a thread of its own while a cell reads another."""
    tokenizer, stop = random_model.tokenizer, threading.Event()

    def keep_reading():
        while not stop.is_set():
            pieces(tokenizer, "a blue tree " * 6)
            split_words(tokenizer, "a dragon")

    others = [threading.Thread(target=keep_reading) for _ in range(3)]
    for other in others:
        other.start()
    try:
        shapes = {tuple(tokenize(tokenizer, "a red house").shape) for _ in range(300)}
    finally:
        stop.set()
        for other in others:
            other.join()
    assert shapes == {(1, 77)}


def test_a_long_prompt_is_told_once(random_model, caplog, capfd):
    """Without transformers' own warning, of indexing errors that cannot happen here."""
    with pytest.warns(UserWarning, match="only 75 fit"):
        tokenize(random_model.tokenizer, "house " * 90)
    assert "indexing" not in caplog.text + capfd.readouterr().err


def test_only_the_thread_that_asks_for_it_cuts_silently(tiny):
    long, made = "house " * 80, []

    def work():
        cut_silently()
        made.append(tokenize(tiny.tokenizer, long))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    with pytest.warns(UserWarning, match="cut off: 'house"):
        assert tokenize(tiny.tokenizer, long).equal(*made)
