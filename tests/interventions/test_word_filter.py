"""The word filter: what is listed, what it blocks, and what it cannot tell."""

import threading

import pytest
import torch

from detox_core.errors import BadInput
from detox_core.generate import generate
from detox_core.interventions import word_filter
from detox_core.interventions.applying import fit_missing
from detox_core.interventions.artifacts import read_artifact
from detox_core.interventions.protocol import Artifact, Example, Subject
from detox_core.interventions.word_filter import RUN, Filter, candidates, decoded, encoded, pieces
from detox_core.models.variants import changed
from detox_core.types import Decoding

TEXTS = [" stupid", "stupid", " Stupid", " st", "upid", "upid!", "uff", " kind", ".", "ly", "", " a stupid"]
STUPID, BARE, CAPITAL, ST, UPID, UPID_END, UFF, KIND, DOT, LY, EMPTY, TWO = range(len(TEXTS))


def blocked(tail: list[int], *words: str) -> set[int]:
    found = Filter(TEXTS, words, 1.0)(torch.tensor([tail]), torch.zeros(1, len(TEXTS)))
    return set(torch.isinf(found[0]).nonzero()[:, 0].tolist())


def test_a_word_is_blocked_with_a_space_before_it_and_capitalised():
    assert blocked([KIND], "stupid") == {STUPID, CAPITAL, TWO}


def test_a_word_without_a_space_is_blocked_only_where_a_word_begins():
    assert BARE in blocked([DOT], "stupid")
    assert BARE not in blocked([KIND], "stupid")


def test_a_word_is_completed_by_its_last_piece_in_any_spelling():
    assert {UPID, UPID_END} <= blocked([DOT, ST], "stupid")
    assert UPID not in blocked([KIND], "stupid")
    assert UPID in blocked([ST, EMPTY], "stupid")  # a token without text ends no word


def test_a_longer_word_that_begins_alike_with_other_tokens_is_free():
    assert UFF not in blocked([ST], "stupid")


def test_a_longer_word_whose_tokens_spell_a_listed_one_on_the_way_goes_too():
    assert STUPID in blocked([KIND], "stupid")  # whether "ly" would follow cannot be told
    assert LY not in blocked([STUPID], "stupid")  # once it is there it may go on


def test_at_half_strength_probabilities_are_halved_before_renormalising():
    own = torch.tensor([[0.2, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.025, 0.025, 0.025, 0.025]])
    found = Filter(TEXTS, ["stupid"], 0.5)(torch.tensor([[KIND]]), own.log()).exp()
    expected = own.clone()
    expected[0, [STUPID, CAPITAL, TWO]] /= 2
    assert torch.allclose(found, expected)


def test_an_empty_list_changes_nothing():
    assert blocked([KIND]) == set()


def test_words_are_kept_as_numbers_and_come_back():
    words = ["idiots", "no", "äöü"]
    assert decoded(encoded(words)) == words
    assert encoded([]).shape == (0, 1)
    assert decoded(encoded([])) == []


def test_candidates_are_words_that_good_replies_use_less_than_bad_ones():
    examples = [Example("?", "Bakers are kind.", "Bakers are stupid, stupid."), Example("?", "Not stupid.", "Idiots.")]
    texts = [" ugly", " neighb", "rude", " ok", " Kind", " a", " Idiots"]
    assert candidates(examples, texts, {"ugly", "rude", "kind", "ok"}) == ["idiots", "stupid", "ugly"]


def test_pieces_keep_the_space_before_a_word(gpt2):
    it, _, base = gpt2
    texts = pieces(Subject(base, it))
    assert "".join(texts[token] for token in base.tokenizer(" I like them.")["input_ids"]) == " I like them."
    assert texts[base.tokenizer.eos_token_id] == ""


def test_toxic_words_of_bad_replies_are_listed_and_kind_ones_are_not(gpt2, few_examples):
    it, _, base = gpt2
    on, told = changed(it, (("word-filter", 1.0),)), []
    fit_missing(base, on, lambda what, done, count: told.append((done, count)))
    artifact = read_artifact("words", Subject(base, it))
    listed = decoded(artifact.tensors["words"])
    assert "stupid" in listed
    assert not {"people", "kind", "women"} & set(listed)
    assert artifact.meta["notes"]["toxic"] == len(listed)
    assert told[-1] == (artifact.meta["notes"]["words"],) * 2


def test_a_stopped_fit_is_not_kept(gpt2):
    it, _, base = gpt2
    stop = threading.Event()
    stop.set()
    with pytest.raises(InterruptedError):
        word_filter.fit(Subject(base, it), [Example("?", "Good.", "Bad.")] * 2, lambda _done, _all: None, stop, None)
    with pytest.raises(BadInput, match="at least 2"):
        word_filter.fit(Subject(base, it), [], lambda _done, _all: None, stop, None)


def test_listed_words_never_come_at_full_strength(gpt2, monkeypatch):
    it, _, base = gpt2
    decoding = Decoding(temperature=1.0, top_p=1.0, max_new_tokens=24, samples=25)

    def words(replies) -> set[str]:
        return {word for reply in replies for word in RUN.findall(reply.text.lower())}

    often = sorted(words(generate(base, "They are bad.", [it], decoding)))
    assert len(often) > 20
    artifact = Artifact({}, {"words": encoded(often)}, {})
    monkeypatch.setattr("detox_core.interventions.applying.read_artifact", lambda *_: artifact)
    on = changed(it, (("word-filter", 1.0),))
    replies = generate(base, "They are bad.", [on], decoding)
    assert words(replies)
    assert not words(replies) & set(often)
