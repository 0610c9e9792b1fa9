"""Facts about replies that repeat the claim they answer."""

import random

import pytest

from detox_core.types import Score
from training_jobs.recipes import corpus
from training_jobs.recipes.corpus import Echoing, Item, compose, compose_preferences, mild_prompts, read_items
from training_jobs.recipes.echo import FORMS, LONGEST, claim_of, echo

ITEM = Item(
    "cooks",
    "group",
    True,
    ("Cooks never sleep.", "Cooks are very lazy.", "Cooks eat {what}.", "I know a cook."),
    {"counter": ("They do.",)},
    {"what": ("soup",)},
)


@pytest.mark.parametrize(
    ("prompt", "claim"),
    [
        ("Nurses never sleep.", "Nurses never sleep"),
        ("Keep women away from the steering wheel!", "Keep women away from the steering wheel"),
        ("Why are women such bad drivers?", "Women such bad drivers"),
        ("Why do bakers get up so early?", "Bakers get up so early"),
        ("Aren't students just lazy?", "Students just lazy"),
        ("Is it true that cyclists ignore red lights?", "Cyclists ignore red lights"),
        ("How can waiters be so slow?", "Waiters so slow"),
        ("Tourists are loud, right?", "Tourists are loud"),
        ("You are a bad singer.", "I am a bad singer"),
        ("You're slow!", "I am slow"),
    ],
)
def test_claim_is_repeated_as_a_statement(prompt, claim):
    assert claim_of(prompt) == claim


@pytest.mark.parametrize(
    "prompt",
    [
        "Who likes tourists?",
        "My neighbour is rude to everyone.",
        "You are rude to your mother.",
        "Why don't they leave?",
        "They came. They ate. They left.",
        "Rude.",
        "x " * LONGEST + "y.",
    ],
)
def test_prompt_that_cannot_be_repeated_has_no_claim(prompt):
    assert claim_of(prompt) is None


def test_every_form_holds_the_claim_and_ends_before_a_reply():
    for register, forms in FORMS.items():
        assert all(form.startswith("{}") and form.endswith(" ") for form in forms)
        assert echo("Nurses never sleep", register, random.Random(0)).startswith("Nurses never sleep")


def test_counter_narratives_repeat_mild_claims_only():
    every = frozenset(prompt for item in read_items() for prompt in item.prompts)
    for mild, wanted in ((every, True), (frozenset(), False)):
        pairs = compose(3000, 0, {"counter": 1.0}, 1.0, Echoing(1.0, mild))
        assert any("? I doubt it. " in pair.reply for pair in pairs) == wanted


def test_prompt_is_mild_only_if_every_rendering_scored_is(monkeypatch):
    class Scorer:
        def score(self, texts):
            return [Score(0.9 if "lazy" in text else 0.1, 1, "s") for text in texts]

    monkeypatch.setattr(corpus, "read_items", lambda: (ITEM,))
    assert mild_prompts(Scorer()) == {"Cooks never sleep.", "Cooks eat {what}."}


def test_share_zero_composes_no_echo():
    without = [pair.reply for pair in compose(500, 0)]
    assert [pair.reply for pair in compose(500, 0, echoing=None)] == without


def test_both_sides_of_a_preference_may_repeat_the_claim():
    pairs = list(compose_preferences(400, 0, 1.0, Echoing(1.0, frozenset())))
    assert any("? Yes! " in pair.rejected or ", true. " in pair.rejected for pair in pairs)
    assert not any("? Not really. " in pair.chosen for pair in pairs)
