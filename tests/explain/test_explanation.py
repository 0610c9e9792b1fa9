"""Facts about one explained answer, on the embedded family and on tiny models of other architectures."""

import numpy as np
import pytest

from detox_core.explain.explanation import Explanation, explain, sentence_units, token_texts, word_units
from detox_core.generate import generate
from detox_core.models.loading import load_base
from detox_core.models.variants import FAMILY
from detox_core.types import Decoding

PROMPT = "Women can't drive, they should stay at home."


@pytest.fixture(scope="module")
def base():
    return load_base(FAMILY[0].base, "float32")


@pytest.fixture(scope="module")
def explained(base) -> Explanation:
    (reply,) = generate(base, PROMPT, [FAMILY[1]], Decoding(temperature=0, max_new_tokens=20))
    return explain(base, FAMILY[1], PROMPT, reply)


def test_pieces_are_the_text_that_was_read(explained):
    text = "".join(explained.pieces[: explained.prompt])
    assert text == f"<human>: {PROMPT}\n<bot>:"


def test_own_tokens_are_the_persons_words(explained):
    own = "".join(piece for piece, mine in zip(explained.pieces, explained.own, strict=False) if mine)
    assert own.strip() == PROMPT


def test_columns_sum_to_one_and_dependence_falls_from_one(explained):
    assert explained.matrix.sum(0) == pytest.approx(np.ones(explained.matrix.shape[1]), abs=1e-5)
    dependence = explained.dependence()
    assert dependence[0] == pytest.approx(1)
    assert (dependence[1:] < 1).all()
    assert (explained.dependence(template=False) < dependence).all()


def test_relative_entropy_lies_between_zero_and_one(explained):
    for template in (True, False):
        relative = explained.entropy(template=template, relative=True)
        assert ((relative > 0) & (relative <= 1)).all()


def test_words_keep_the_text_and_the_shares(explained):
    texts, prompt_words, _own, matrix = explained.merged()
    assert "".join(texts) == "".join(explained.pieces)
    assert matrix.shape == (len(texts), len(texts) - prompt_words)
    assert matrix.sum(0) == pytest.approx(np.ones(matrix.shape[1]), abs=1e-5)


def test_one_model_explains_the_answer_of_another(base):
    (reply,) = generate(base, PROMPT, [FAMILY[1]], Decoding(temperature=0, max_new_tokens=8))
    other = explain(base, FAMILY[0], PROMPT, reply)
    assert (other.variant, other.answer_of) == ("it", "ft")


def test_contrast_is_with_the_likeliest_other_token(base):
    (reply,) = generate(base, PROMPT, [FAMILY[0]], Decoding(temperature=0, max_new_tokens=4))
    contrast = explain(base, FAMILY[0], PROMPT, reply, target="contrast")
    assert contrast.matrix.sum(0) == pytest.approx(np.ones(4), abs=1e-5)
    assert not np.allclose(contrast.matrix, explain(base, FAMILY[0], PROMPT, reply).matrix)


@pytest.mark.parametrize("text", ["plain words", "na\u00efve caf\u00e9 \U0001f642 end", "  two  spaces\n"])
def test_token_texts_join_to_the_text(base, text):
    ids = base.tokenizer(text, add_special_tokens=False)["input_ids"]
    assert "".join(token_texts(base.tokenizer, ids)) == text


def test_every_architecture_is_explained(each_family):
    base = load_base(each_family[0].base, "float32")
    (reply,) = generate(base, "hi", [each_family[2]], Decoding(temperature=0, max_new_tokens=5))
    explanation = explain(base, each_family[2], "hi", reply)
    assert explanation.matrix.shape[1] == len(reply.tokens)


@pytest.mark.parametrize(
    ("pieces", "prompt", "units"),
    [
        (["Wom", "en", " can", "'", "t", "."], 6, [0, 0, 1, 1, 1, 2]),
        (["a", "b", "c", "d"], 2, [0, 0, 1, 1]),
        (["x", "", "y", "\n", "z"], 5, [0, 0, 0, 1, 2]),
    ],
)
def test_words_begin_at_spaces_signs_and_the_answer(pieces, prompt, units):
    assert word_units(pieces, prompt) == units


def test_sentences_end_at_marks_and_the_chat_format_stands_apart():
    pieces = ["<h>", " Hi", ".", " No", " way", "!", "\n<b>", " Mr", ".5", ' "A', '!"', " B"]
    own = [False, True, True, True, True, True, False]
    assert sentence_units(pieces, 7, own) == [0, 1, 1, 2, 2, 2, 3, 4, 4, 4, 4, 5]


def test_merged_sentences_keep_shares_and_own_words():
    matrix = np.array([[0.2, 0.1], [0.8, 0.1], [0, 0.8], [0, 0]])
    explained = Explanation("v", "v", "m", "t", ("<h>", " Hi", " No.", " Yes"), 2, (False, True), matrix)
    texts, prompt, own, merged = explained.merged("sentences")
    assert (texts, prompt, own) == (["<h>", " Hi", " No.", " Yes"], 2, [False, True])
    assert merged.sum(0) == pytest.approx([1, 1])
    assert explained.merged("tokens")[0] == list(explained.pieces)
