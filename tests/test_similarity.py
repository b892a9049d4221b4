"""CLIP against transformers' own outputs and loss."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

from sdlearn.images import to_pixels
from sdlearn.similarity import (
    contrastive_loss,
    cosine_similarity,
    image_vectors,
    pixel_vectors,
    temperature,
    text_vectors,
)
from sdlearn.text import encode_text, pieces, positions_of, tokenize

PROMPTS = ["a red house", "a blue tree in the snow", "a red tree"]


@pytest.fixture(scope="module")
def clip(random_model) -> CLIPModel:
    torch.manual_seed(0)
    tokenizer = random_model.tokenizer
    tower = dict(hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=3)
    ends = dict(bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id)
    text = dict(**tower, **ends, vocab_size=len(tokenizer), max_position_embeddings=77)
    vision = dict(**tower, image_size=20, patch_size=5)
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=7)).eval()


@pytest.fixture(scope="module")
def image_processor() -> CLIPImageProcessorPil:
    return CLIPImageProcessorPil(size={"shortest_edge": 20}, crop_size={"height": 20, "width": 20})


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    return [Image.new("RGB", (30, 22), colour) for colour in ("red", "green", "white")]


def test_similarities_temperature_and_loss_are_clips_own(
    random_model, clip, image_processor, pictures
):
    tokens = tokenize(random_model.tokenizer, PROMPTS)
    pixels = image_processor(pictures, return_tensors="pt").pixel_values
    theirs = clip(input_ids=tokens, pixel_values=pixels, return_loss=True)
    found = cosine_similarity(
        image_vectors(image_processor, clip, pictures),
        text_vectors(random_model.tokenizer, clip, PROMPTS),
    )
    assert_close(found / temperature(clip), theirs.logits_per_image)
    assert_close(contrastive_loss(found, temperature(clip)), theirs.loss)


def test_the_loss_of_a_matrix_is_not_that_of_its_rows_alone(clip):
    similarity = torch.randn(4, 4)
    by_rows = torch.nn.functional.cross_entropy(similarity / 0.1, torch.arange(4))
    assert_close(contrastive_loss(similarity, 0.1), contrastive_loss(similarity.T, 0.1))
    assert abs(contrastive_loss(similarity, 0.1) - by_rows) > 1e-3


def test_vectors_of_other_lengths_have_the_same_cosine():
    first, second = torch.randn(3, 5), torch.randn(4, 5)
    found = cosine_similarity(first * 7, second * torch.rand(4, 1))
    assert found.shape == (3, 4)
    assert_close(found, torch.nn.functional.cosine_similarity(first[:, None], second[None], dim=2))


def test_the_two_outputs_of_the_text_tower_differ(random_model, clip):
    states = encode_text(random_model.tokenizer, clip.text_model, PROMPTS)
    vectors = text_vectors(random_model.tokenizer, clip, PROMPTS)
    assert states.shape == (3, 77, 24)
    assert vectors.shape == (3, 7)
    ends = [len(pieces(random_model.tokenizer, prompt)) - 1 for prompt in PROMPTS]
    assert_close(vectors, clip.text_projection(states[torch.arange(3), ends]))


def test_pieces_stand_where_they_say(random_model):
    text = "A Red dragon, a 龙"
    found = pieces(random_model.tokenizer, text)
    assert [token.position for token in found] == list(range(len(found)))
    assert found[0].span == found[-1].span == (0, 0)
    said = "".join(text[slice(*token.span)] for token in found if not token.piece.startswith("ð"))
    assert said.startswith("ARed")
    assert [token.piece for token in found][1:3] == ["a</w>", "red</w>"]


def test_a_words_places_are_all_of_its_pieces(random_model):
    tokenizer = random_model.tokenizer
    text = "a red house, a dragon and a blue House"
    read = pieces(tokenizer, text)

    def said(positions):
        return "".join(read[position].piece for position in positions)

    assert said(positions_of(tokenizer, text, "house")) == "house</w>house</w>"
    assert said(positions_of(tokenizer, text, "dragon")) == "dragon</w>"
    assert len(positions_of(tokenizer, text, "dragon")) > 1
    assert said(positions_of(tokenizer, text, "red house")) == "red</w>house</w>"


@pytest.mark.parametrize("word", ["tree", "hous", "", "red tree"])
def test_a_word_that_is_not_said_is_an_error(random_model, word):
    with pytest.raises(ValueError, match="word: .* is not in the prompt 'a red house'"):
        positions_of(random_model.tokenizer, "a red house", word)


def test_a_word_that_was_cut_off_is_an_error(random_model):
    with pytest.raises(
        ValueError, match="word: 'tree' was cut off: the prompt is longer than 77 positions"
    ):
        positions_of(random_model.tokenizer, "house " * 80 + "tree", "tree")


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("similarity", "temperature", "message"),
    [
        (
            torch.randn(3, 4),
            0.07,
            r"similarity: a tensor of floats \[n, n\], got .* \[3, 4\]",
        ),
        (torch.randn(3), 0.07, r"similarity: .* \[n, n\]"),
        (torch.randn(0, 0), 0.07, "similarity: at least one number"),
        (torch.randn(3, 3), 0.0, "temperature: a number above 0, got 0"),
        (torch.randn(3, 3), float("nan"), "temperature: a number above 0, got nan"),
    ],
)
def test_a_loss_of_what_are_no_pairs_is_refused(similarity, temperature, message):
    with pytest.raises(ValueError, match=message):
        contrastive_loss(similarity, temperature)


def test_the_shipped_clip_finds_its_captions(tiny):
    from sdlearn.picturebook import compose
    from sdlearn.picturebook.drawing import draw

    scenes = [
        compose([(colour, kind)], "meadow")
        for colour, kind in (("red", "house"), ("blue", "car"), ("pink", "cat"))
    ]
    pictures = image_vectors(
        tiny.image_processor, tiny.clip, [draw(scene, 512) for scene in scenes]
    )
    captions = text_vectors(tiny.tokenizer, tiny.clip, [scene.caption for scene in scenes])
    assert cosine_similarity(pictures, captions).argmax(dim=1).tolist() == [0, 1, 2]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_a_cosine_never_leaves_its_range(dtype):
    """Rounding gives 1.0000001, and in bfloat16 1.008, of which acos is NaN."""
    vectors = torch.randn(200, 7, generator=torch.Generator().manual_seed(0)).to(dtype)
    found = cosine_similarity(vectors, torch.cat([vectors, -vectors]))
    assert found.dtype == torch.float32
    assert found.abs().max() <= 1
    assert found.acos().isfinite().all()
    assert_close(found[:, :200].diagonal(), torch.ones(200), rtol=0, atol=1e-6)


def test_pixels_have_the_vectors_of_their_pictures_and_pass_gradients_on(clip, image_processor):
    noise = np.random.default_rng(0).integers(0, 256, (2, 20, 20, 3), dtype=np.uint8)
    pixels = to_pixels(noise).requires_grad_()
    vectors = pixel_vectors(image_processor, clip, pixels)
    expected = image_vectors(image_processor, clip, [Image.fromarray(picture) for picture in noise])
    assert_close(vectors, expected, rtol=1e-3, atol=1e-3)
    vectors.sum().backward()
    assert pixels.grad.abs().mean() > 0
    assert pixel_vectors(image_processor, clip, torch.zeros(1, 3, 64, 48)).shape == (1, 7)
