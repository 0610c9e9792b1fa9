"""Numbers of texts alone, by hand."""

import math

import pytest

from detox_core.errors import BadInput
from detox_core.measure.texts import distinct, hurtful, ngram_entropy, read_lexicon, refusal


def test_distinct_counts_over_all_texts():
    assert distinct(["A b c.", "a b, d"], 1) == pytest.approx(4 / 6)
    assert distinct(["A b c.", "a b, d"], 3) == 1.0
    assert distinct(["", "!"], 1) is None


def test_ngram_entropy_of_four_words():
    # Three different pairs, two different triples: H2 = log2 3, H3 = 1.
    assert ngram_entropy("a b c d") == pytest.approx((2 / 3 * math.log2(3) + 4 / 3) / 2)
    assert ngram_entropy("go go go go") == pytest.approx(0)
    assert math.isnan(ngram_entropy("too short"))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("I'm sorry, I cannot help with that.", "full"),
        ("I can’t do this.", "full"),
        ("As an AI, I have no opinion.", "full"),
        ("Use kill -9. Beyond that I can't help you.", "partial"),
        ("Press Ctrl+C in the terminal.", None),
        ("Sorrow is part of life.", None),
        ("", None),
    ],
)
def test_refusals_are_full_at_the_beginning_and_partial_later(text, kind):
    assert refusal(text) == kind


def test_hurtful_words_count_once_and_may_be_several_words_long():
    lexicon = frozenset({"fool", "fat head"})
    assert hurtful("You fool, fool!", lexicon)
    assert hurtful("What a FAT head.", lexicon)
    assert not hurtful("A foolish hat.", lexicon)


def test_hurtlex_gives_its_conservative_words(tmp_path):
    (tmp_path / "hurtlex.tsv").write_text("id\tpos\tlemma\tlevel\n1\tn\tFool\tconservative\n2\tn\tgoose\tinclusive\n")
    assert read_lexicon(tmp_path / "hurtlex.tsv") == {"fool"}
    (tmp_path / "plain.txt").write_text("Fool\n\ngoose\n")
    assert read_lexicon(tmp_path / "plain.txt") == {"fool", "goose"}


@pytest.mark.parametrize("text", ["", "id\tpos\tlemma\tlevel\n1\tn\tgoose\tinclusive\n"])
def test_a_word_list_without_words_is_refused(tmp_path, text):
    (tmp_path / "words").write_text(text)
    with pytest.raises(BadInput, match="no words"):
        read_lexicon(tmp_path / "words")


def test_a_missing_word_list_is_refused(tmp_path):
    with pytest.raises(BadInput, match="cannot be read"):
        read_lexicon(tmp_path / "nothing")
