"""Facts about the hand-written corpus and the exchanges composed from it."""

import gzip
import random
import re
from collections import Counter

import pytest
import yaml

from training_jobs.recipes.corpus import (
    HER_NAMES,
    HIS_NAMES,
    IT_MIXTURE,
    KEPT_CAPITAL,
    PRONOUNS,
    REGISTERS,
    TOXIC_SHARE,
    Item,
    Pair,
    compose,
    fill_slots,
    read_chitchat,
    read_items,
    render,
    roughen,
)

ITEMS = read_items()
KINDS = {"group", "person", "listener", "threat", "gossip", "disagreement", "everyday", "help", "sounds-harmful"}
SLOTS = {"name", "group", *PRONOUNS["he"]}
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


def test_every_slot_is_known():
    assert not {item.topic: slots(item) - SLOTS for item in ITEMS if slots(item) - SLOTS}


def test_group_slot_is_used_exactly_where_groups_are_given():
    assert not [item.topic for item in ITEMS if ("group" in slots(item)) != bool(item.groups)]


def test_pronouns_are_used_only_beside_a_name():
    assert not [item.topic for item in ITEMS if slots(item) - {"group"} and "name" not in slots(item)]


def test_capital_of_every_group_survives_an_opener():
    assert not {group for item in ITEMS for group in item.groups if group[0].isupper() and group.split()[0] not in KEPT_CAPITAL}


def test_corpus_is_ascii():
    assert not [text for item in ITEMS for text in texts(item) if not text.isascii()]


def test_counter_narratives_insult_nobody():
    assert not [reply for item in ITEMS for reply in item.replies.get("counter", ()) if INSULTS.search(reply)]


@pytest.mark.parametrize("field", COMPLETE)
def test_item_without_a_field_is_refused_with_its_file(tmp_path, field):
    item = {key: value for key, value in COMPLETE.items() if key != field}
    (tmp_path / "broken.yaml").write_text(yaml.safe_dump([item]))
    with pytest.raises(ValueError, match=f"broken.yaml: the item {item.get('topic')!r} needs"):
        read_items(tmp_path)


def test_pronouns_match_the_name():
    for seed in range(50):
        filled = fill_slots(ITEMS[0], random.Random(seed))
        assert filled["name"] in {"she": HER_NAMES, "he": HIS_NAMES}[filled["he"]]


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
