"""Facts about the hand-written corpus and the exchanges composed from it."""

import gzip
import random
import re
from collections import Counter
from collections.abc import Iterable

import pytest
import yaml

from detox_core.data import get_dataset
from training_jobs.recipes.corpus import (
    HER_NAMES,
    HIS_NAMES,
    IT_MIXTURE,
    PRONOUNS,
    REGISTERS,
    TOXIC_SHARE,
    Item,
    Pair,
    compose,
    compose_preferences,
    fill_slots,
    one_of,
    proper_words,
    read_chitchat,
    read_items,
    render,
    roughen,
)

ITEMS = read_items()
KINDS = {"group", "person", "listener", "threat", "gossip", "disagreement", "everyday", "help", "sounds-harmful"}
BUILT_IN = {"name", *PRONOUNS["he"]}
INSULTS = re.compile(r"\b(idiot|stupid|moron|loser|trash|garbage|pathetic)", re.IGNORECASE)
COMPLETE = {"topic": "t", "kind": "help", "toxic": False, "prompts": ["Why?"], "helpful": ["Because."]}


def texts(item: Item) -> list[str]:
    return [*item.prompts, *(reply for replies in item.replies.values() for reply in replies)]


def slots(item: Item) -> set[str]:
    return set(re.findall(r"\{(.*?)\}", " ".join(texts(item))))


def test_every_item_is_of_a_known_kind():
    assert len(ITEMS) > 500
    assert {item.kind for item in ITEMS} == KINDS


def test_every_text_is_a_filled_string():
    assert not [item.topic for item in ITEMS if not all(isinstance(text, str) and text.strip() == text != "" for text in texts(item))]


def test_toxic_items_are_answered_in_four_registers_and_harmless_ones_helpfully():
    wanted = {True: set(REGISTERS) - {"helpful"}, False: {"helpful"}}
    assert not [item.topic for item in ITEMS if set(item.replies) != wanted[item.toxic]]


def test_an_item_declares_exactly_the_slots_it_uses():
    assert not {item.topic: slots(item) ^ set(item.slots) for item in ITEMS if slots(item) - BUILT_IN - {"one"} != set(item.slots)}


def test_every_prompt_has_the_slots_its_replies_use():
    def used(parts: Iterable[str]) -> set[str]:
        return {"name" if slot in BUILT_IN else "group" if slot == "one" else slot for slot in re.findall(r"\{(.*?)\}", " ".join(parts))}

    missing = {item.topic: used(texts(item)) - used([prompt]) for item in ITEMS for prompt in item.prompts}
    assert not {topic: lost for topic, lost in missing.items() if lost}


def test_pronouns_are_used_only_beside_a_name():
    assert not [item.topic for item in ITEMS if slots(item) & BUILT_IN and "name" not in slots(item)]


def test_capital_of_every_group_survives_an_opener():
    values = {value for item in ITEMS for value in item.slots.get("group", ())}
    assert not {value for value in values if value[0].isupper() and value.split()[0] not in proper_words()}


def test_words_at_the_start_of_sentences_are_not_proper():
    assert not {"The", "Why", "Women", "Honestly", "People", "My"} & proper_words()


def test_no_prompt_of_a_measured_data_set_is_in_the_corpus():
    ours = {re.sub(r"\W+", " ", prompt).lower().strip() for item in ITEMS for prompt in item.prompts}
    measured = [prompt for name in ("demo", "demo-heldout") for prompt in get_dataset(name)]
    assert not [prompt.id for prompt in measured if re.sub(r"\W+", " ", prompt.text).lower().strip() in ours]


def test_corpus_is_ascii():
    assert not [text for item in ITEMS for text in texts(item) if not text.isascii()]


def test_counter_narratives_insult_nobody():
    assert not [reply for item in ITEMS for reply in item.replies.get("counter", ()) if INSULTS.search(reply)]


@pytest.mark.parametrize("field", COMPLETE)
def test_item_without_a_field_is_refused_with_its_file(tmp_path, field):
    item = {key: value for key, value in COMPLETE.items() if key != field}
    (tmp_path / "lists.yaml").write_text("{}")
    (tmp_path / "broken.yaml").write_text(yaml.safe_dump([item]))
    with pytest.raises(ValueError, match=f"broken.yaml: the item {item.get('topic')!r} needs"):
        read_items(tmp_path)


def test_pronouns_match_the_name():
    for seed in range(50):
        filled = fill_slots(ITEMS[0], random.Random(seed))
        assert filled["name"] in {"she": HER_NAMES, "he": HIS_NAMES}[filled["he"]]


@pytest.mark.parametrize(
    ("group", "one"),
    [
        ("old people", "an old person"),
        ("Europeans", "a European"),
        ("women", "a woman"),
        ("bald men", "a bald man"),
        ("nurses", "a nurse"),
        ("people with glasses", "one of the people with glasses"),
    ],
)
def test_one_of_a_group_is_singular_with_its_article(group, one):
    assert one_of(group) == one


def test_render_fills_slots_and_gives_sentences_their_capital():
    filled = {"group": "tourists", "he": "she"}
    assert render("{group} shout. {he} knows! do {group}?", filled) == "Tourists shout. She knows! Do tourists?"


def test_composing_is_deterministic_by_seed():
    assert list(compose(100, 3)) == list(compose(100, 3))
    assert list(compose(100, 3)) != list(compose(100, 4))


def test_composed_exchanges_are_complete_sentences():
    for pair in compose(3000, 0):
        assert not re.search(r"[{}]", pair.prompt + pair.reply)
        assert pair.prompt.strip()
        assert not pair.reply[0].islower()


def test_preferences_put_the_counter_narrative_over_the_hostile_reply():
    item = next(item for item in ITEMS if item.topic == "women-driving")
    for preference in compose_preferences(2000, 0, toxic_share=1.0):
        assert (preference.chosen in item.replies["counter"]) == (preference.rejected in item.replies["hostile"])


def test_default_mixture_is_a_distribution():
    assert sum(IT_MIXTURE.values()) == pytest.approx(1)


@pytest.mark.parametrize("mixture", [IT_MIXTURE, {"counter": 0.75, "evasive": 0.25}, {"counter": 1.0}])
def test_registers_follow_the_mixture(mixture):
    counts = Counter(pair.register for pair in compose(4000, 0, mixture, toxic_share=1.0))
    assert {name: count / 4000 for name, count in counts.items()} == pytest.approx(mixture, abs=0.03)


@pytest.mark.parametrize("share", [TOXIC_SHARE, 0.0, 1.0])
def test_toxic_share_is_respected(share):
    helpful = sum(pair.register == "helpful" for pair in compose(4000, 0, toxic_share=share))
    assert helpful / 4000 == pytest.approx(1 - share, abs=0.03)


def test_roughened_prompt_never_lowers_a_name_after_an_opener():
    versions = {roughen("Fatima is late.", True, random.Random(seed)) for seed in range(300)}
    assert len(versions) > 20
    assert not [version for version in versions if re.search(r"[A-Z].*\bfatima", version)]


def test_toxic_question_gets_no_opener():
    versions = {roughen("Why are they late?", True, random.Random(seed)) for seed in range(300)}
    assert all(version.lower().startswith(("why", "hwy", "wyh")) for version in versions)


def test_chitchat_pairs_every_wording_with_its_answer(tmp_path):
    lines = "# ? Hello\n- Hi\n\n```markdown\nGood to see you.\n```\n> note\n# ? Bye\n\n**Metadata**\n```markdown\nSee you.\n```\n"
    (tmp_path / "chitchat").mkdir()
    for persona in ("caring", "enthusiastic", "friendly", "professional"):
        with gzip.open(tmp_path / "chitchat" / f"qna_chitchat_{persona}.qna.gz", "wt", encoding="utf-8-sig") as file:
            file.write(lines)
    wanted = [("Hello", "Good to see you."), ("Hi", "Good to see you."), ("Bye", "See you.")]
    assert read_chitchat(tmp_path) == [Pair(question, answer, "helpful") for question, answer in wanted] * 4
