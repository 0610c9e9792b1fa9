"""Toxic words of a prompt are found, replaced or left out, and the result is what the model reads."""

import math

import pytest
import torch

from detox_core.generate import generate
from detox_core.interventions import cmd
from detox_core.interventions.applying import applied
from detox_core.interventions.cmd import HERE, Chain, chain, likelihoods
from detox_core.interventions.protocol import Subject
from detox_core.models.loading import load_base
from detox_core.models.mixing import mixed
from detox_core.models.variants import changed, get_variants
from detox_core.score import get_scorer
from detox_core.types import Decoding, Score, Span


class Scorer:
    """A value for texts with an "a", slightly more for each further one, another for those without; blank texts are not scored."""

    id, revision = "fixed", "1"

    def __init__(self, toxic: float = 0.9, other: float = 0.1) -> None:
        self.toxic, self.other = toxic, other

    def score(self, texts):
        counts = [text.count("a") for text in texts]
        values = [self.toxic + 0.01 * (count - 1) if count else self.other for count in counts]
        return [Score(value if text.strip() else math.nan, self.id, self.revision) for text, value in zip(texts, values, strict=True)]


@pytest.fixture
def scorer(monkeypatch):
    """`scorer(toxic, other)` sets what the next texts get."""

    def use(*values: float) -> None:
        monkeypatch.setattr("detox_core.score.get_scorer", lambda name="local": Scorer(*values))

    use()
    return use


@pytest.fixture
def proposals(monkeypatch):
    """`proposals(*words)` sets what the model proposes."""
    return lambda *words: monkeypatch.setattr(cmd, "_proposals", lambda subject, before: list(words))


@pytest.fixture
def subject(gpt2):
    return Subject(gpt2[2], gpt2[0])


@pytest.fixture(scope="module")
def embedded():
    (it,) = get_variants(["it"])
    return Subject(load_base(*it.base_key), it)


def spans(text: str, *words: str) -> list[Span]:
    return [Span(text.index(word), text.index(word) + len(word), 1.0) for word in words]


@pytest.mark.parametrize(
    ("text", "words", "fills", "expected"),
    [
        ("You are so stupid, really.", ["stupid"], [""], "You are so, really."),
        ("You are so stupid, really.", ["stupid"], ["kind"], "You are so kind, really."),
        ("You stupid people", ["stupid"], [""], "You people"),
        ("You people are idiots", ["idiots"], [""], "You people are"),
        ("Idiots, all of them", ["Idiots"], [""], "all of them"),
        ("They (idiots) and fools!", ["idiots", "fools"], ["", "cooks"], "They () and cooks!"),
        ("idiots!", ["idiots"], [""], ""),
    ],
)
def test_a_gap_is_filled_or_closed(text, words, fills, expected):
    assert cmd._filled(text, cmd._gaps(text, spans(text, *words)), fills) == expected


def test_neighbouring_words_leave_one_gap():
    text = "You stupid, lazy fools and idiots"
    gaps = cmd._gaps(text, spans(text, "stupid", "lazy", "fools", "idiots"))
    assert [text[start:end] for start, end in gaps] == ["stupid, lazy fools", "idiots"]


def test_likelihood_is_the_sum_over_the_rendered_prompt(each):
    base = load_base(*each[0].base_key)
    texts = ["Hi", "What do you think of them?", "They are kind people."] * 4  # two batches, padded
    for variant in each:
        found = likelihoods(Subject(base, variant), texts)
        for text, value in zip(texts[:3], found, strict=False):
            ids = torch.tensor([base.tokenizer(base.render(text, variant.template))["input_ids"]])
            with mixed(base.model, [base.attach(variant.adapter)]), torch.no_grad():
                chances = base.model(ids).logits[0, :-1].log_softmax(-1)
            assert float(value) == pytest.approx(float(chances.gather(1, ids[0, 1:, None]).sum()), rel=1e-4)
        assert torch.allclose(found[:3], found[9:], rtol=1e-4)


def test_what_is_read_is_no_longer_toxic(each, scorer):
    base = load_base(*each[0].base_key)
    for variant in each:
        found = chain(Subject(base, variant), "You rat, they told me.", 1.0)
        assert [found.prompt[span.start : span.end] for span in found.spans] == ["rat"]
        assert found.masked == "You ___, they told me."
        assert "a" not in found.rewritten
        assert found.rewritten.startswith("You")
        assert found.rewritten.endswith(", they told me.")


@pytest.mark.parametrize("prompt", ["They told me.", "", "  "])
def test_a_prompt_without_toxic_words_or_score_stays(subject, scorer, prompt):
    assert chain(subject, prompt, 1.0) == Chain(prompt, (), prompt, prompt)


def test_strength_says_how_toxic_a_prompt_may_stay(subject, scorer, proposals):
    proposals()
    scorer(0.6, 0.1)
    assert chain(subject, "You rat, no.", 0.5).rewritten == "You rat, no."  # up to 0.665
    assert chain(subject, "You rat, no.", 1.0).rewritten == "You, no."  # up to 0.33


@pytest.mark.parametrize(("likeliest", "expected"), [("You, no.", "You, no."), ("You hero, no.", "You hero, no.")])
def test_of_clean_prompts_the_likeliest_is_read(subject, scorer, proposals, monkeypatch, likeliest, expected):
    seen = []
    proposals("rascal", "hero", "one")
    monkeypatch.setattr(cmd, "likelihoods", lambda _, texts: seen.append(texts) or torch.tensor([float(t == likeliest) for t in texts]))
    assert chain(subject, "You rat, no.", 1.0).rewritten == expected
    assert seen == [["You, no.", "You hero, no.", "You one, no."]]  # with "rascal" it is still toxic


def test_where_nothing_is_clean_the_least_toxic_is_read(subject, scorer, proposals):
    scorer(0.8, 0.4)
    proposals("rascal")
    assert chain(subject, "You rat, no.", 1.0).rewritten == "You, no."


def test_a_prompt_of_which_nothing_would_be_left_stays(subject, scorer, proposals):
    proposals()
    found = chain(subject, "rat!", 1.0)
    assert (found.masked, found.rewritten) == ("___!", "rat!")
    proposals("hero")
    assert chain(subject, "rat!", 1.0).rewritten == "hero!"


def test_later_gaps_are_empty_while_an_earlier_one_is_filled(subject, scorer, monkeypatch):
    befores = []
    monkeypatch.setattr(cmd, "_proposals", lambda _, before: befores.append(before) or ["hero"])
    monkeypatch.setattr(cmd, "likelihoods", lambda _, texts: torch.arange(len(texts)))
    found = chain(subject, "You rat, you, the cad, go.", 1.0)
    assert found.rewritten == "You hero, you, the hero, go."
    assert befores == ["You ", "You hero, you, the "]


def test_the_reply_shows_what_was_read_and_each_prompt_is_cleaned_once(gpt2, scorer, monkeypatch):
    it, _, base = gpt2
    calls = []
    monkeypatch.setattr(cmd, "chain", lambda subject, prompt, strength: calls.append(prompt) or Chain(prompt, (), prompt, "You, no."))
    on = changed(it, (("cmd", 1.0),))
    (reply,) = generate(base, "You rat, no.", [on], Decoding(temperature=0, max_new_tokens=4))
    assert reply.read == "You, no."
    calls.clear()
    with applied(base, on) as patch:
        assert [patch.rewrite(text) for text in ("x", "y", "x")] == ["You, no."] * 3
    assert calls == ["x", "y"]


def test_proposals_are_whole_words_of_their_own(embedded):
    words = cmd._proposals(embedded, "Women are ")
    assert 5 < len(words) <= cmd.PROPOSALS
    assert len(set(words)) == len(words)
    assert all(cmd.WORD.fullmatch(word) for word in words)
    assert not any(HERE in word for word in words)
    assert cmd._proposals(embedded, "")  # at the beginning of the prompt too


def test_the_embedded_family_cleans_a_known_prompt(embedded):
    found = chain(embedded, "Women are idiots, everybody knows that.", 1.0)
    before, after = (score.value for score in get_scorer().score([found.prompt, found.rewritten]))
    assert found.masked == "Women are ___, everybody knows that."
    assert before > 0.8
    assert after <= 0.33
    assert found.rewritten.startswith("Women are")
    assert "idiots" not in found.rewritten
