"""The main path: one prompt, several columns, one record."""

import json
import math
import threading
from dataclasses import replace

import pytest

from detox_core import compare as compare_module
from detox_core.compare import Pool, compare, judge
from detox_core.errors import BadInput
from detox_core.generate import generate
from detox_core.models.loading import load_base
from detox_core.request import Request, clean_prompt
from detox_core.types import Comparison, Decoding, Generation, Score, Variant

DECODING = Decoding(seed=5, temperature=1.0, top_p=0.9, max_new_tokens=12)
PROMPT = "What do you think of them?"

pytestmark = pytest.mark.usefixtures("fake_scorer")


def texts(comparison: Comparison) -> dict[tuple[str, int], str]:
    return {(g.variant, g.sample): g.text for g in comparison.generations}


@pytest.mark.parametrize("blank", ["", " \n\t ", "\x00\x1b\x7f", "\u00a0\u2003"])
def test_blank_prompt_is_refused(blank):
    with pytest.raises(BadInput, match=r"prompt is empty. Type a sentence"):
        clean_prompt(blank)


def test_long_prompt_is_refused_with_numbers():
    with pytest.raises(BadInput, match=r"100,000 characters; at most 20,000 are read. Shorten"):
        clean_prompt("x" * 100_000)
    assert len(clean_prompt("x" * 20_000)) == 20_000


def test_control_characters_are_removed_and_newline_and_tab_stay():
    assert clean_prompt("  a\x00b\x1b[31m\r\nc\td\x85\ud800 ") == "ab[31m\nc\td"


@pytest.mark.parametrize(
    "text", ["\U0001f469\u200d\U0001f4bb \U0001f1e9\U0001f1ea", "\u05e9\u05dc\u05d5\u05dd \u200f!", "caf\u00e9 \u4f60\u597d"]
)
def test_emoji_and_right_to_left_are_kept(text):
    assert clean_prompt(text) == text


def test_every_column_is_answered_and_scored(family):
    done = compare(Request(f" {PROMPT}\x00 ", family, replace(DECODING, samples=2)), Pool())
    assert done.prompt == PROMPT
    assert done.variants == family
    assert [(g.variant, g.sample) for g in done.generations] == [(v.id, s) for v in family for s in range(2)]
    assert done.errors == {}
    assert done.prompt_score == Score(0.9, "fake", "1")
    for generation in done.generations:
        assert generation.score.scorer == "fake"
        assert generation.score.value == (0.9 if "a" in generation.text else 0.1)
    assert set(done.versions) >= {"torch", "transformers", "peft"}


def test_a_comparison_equals_generation_alone(family):
    done = compare(Request(PROMPT, family, DECODING), Pool())
    alone = generate(load_base(family[0].base), PROMPT, family, DECODING)
    assert [(g.tokens, g.text) for g in done.generations] == [(g.tokens, g.text) for g in alone]


def test_ids_differ(family):
    request = Request(PROMPT, family[:1], DECODING)
    assert compare(request, Pool()).id != compare(request, Pool()).id


def test_record_of_a_run_round_trips(family):
    done = compare(Request(PROMPT, family, DECODING), Pool())
    assert Comparison.from_dict(json.loads(json.dumps(done.to_dict(), allow_nan=False))) == done


def test_full_fine_tuned_checkpoint_is_a_second_base(family, tuned):
    pool = Pool()
    done = compare(Request(PROMPT, (*family, tuned), DECODING), pool)
    assert set(pool.bases) == {family[0].base_key, tuned.base_key}
    assert texts(done)["full", 0] == generate(load_base(tuned.base), PROMPT, [tuned], DECODING)[0].text
    assert texts(done)["full", 0] != texts(done)["it", 0]
    assert done.variants == (*family, tuned)


def test_columns_of_two_bases_in_turn_keep_their_place(family, tuned):
    order = (family[1], tuned, family[0])
    done = compare(Request(PROMPT, order, DECODING), Pool())
    assert done.variants == order
    whole = texts(compare(Request(PROMPT, (*family, tuned), DECODING), Pool()))
    assert texts(done).items() <= whole.items()
    assert len(texts(done)) == 3


def broken(family: tuple[Variant, ...]) -> dict[str, Variant]:
    it, ft, _ = family
    return {
        "/no/such/adapter": replace(ft, id="x", adapter="/no/such/adapter"),
        "/no/such/base": Variant("x", "X", "/no/such/base"),
        "Unknown chat template 'nope'": replace(it, id="x", template="nope"),
        "Unknown dtype 'int3'": replace(it, id="x", dtype="int3"),
    }


@pytest.mark.parametrize("sentence", ["/no/such/adapter", "/no/such/base", "Unknown chat template 'nope'", "Unknown dtype 'int3'"])
@pytest.mark.parametrize("place", [0, 3])
def test_one_failing_column_leaves_the_others(family, sentence, place):
    columns = [*family]
    columns.insert(place, broken(family)[sentence])
    done = compare(Request(PROMPT, tuple(columns), DECODING), Pool())
    assert list(done.errors) == ["x"]
    assert sentence in done.errors["x"]
    assert texts(done) == texts(compare(Request(PROMPT, family, DECODING), Pool()))
    assert all(g.score.scored for g in done.generations)


def test_when_every_column_fails_each_says_why(family):
    done = compare(Request(PROMPT, (broken(family)["/no/such/base"],), DECODING), Pool())
    assert done.generations == ()
    assert "/no/such/base" in done.errors["x"]


def test_prompt_too_long_for_one_base_is_told_in_its_columns(families):
    falcon = replace(families["falcon"][0], id="falcon")
    it, ft, _ = families["gpt_neox"]
    done = compare(Request(PROMPT * 60, (it, falcon, ft), DECODING), Pool())
    assert set(done.errors) == {"it", "ft"}
    assert "at most 160" in done.errors["it"]
    assert list(texts(done)) == [("falcon", 0)]


def test_settings_are_checked_before_anything_is_loaded(family):
    pool = Pool()
    with pytest.raises(BadInput, match="Ask for 1 sample"):
        compare(Request(PROMPT, family, Decoding(temperature=0, samples=5)), pool)
    assert not pool.bases


def test_progress_tells_the_phases_and_the_text_so_far(family):
    told: list[tuple[Comparison, str]] = []
    done = compare(Request(PROMPT, family, DECODING), Pool(), lambda now, phase: told.append((now, phase)))
    phases = list(dict.fromkeys(phase for _, phase in told))
    assert phases == ["loading the scorer", "loading IT", "writing", "scoring"]
    assert {now.id for now, _ in told} == {done.id}
    assert texts(told[-1][0]) == texts(done)


def test_progress_keeps_the_replies_of_an_earlier_base(family, tuned):
    told: list[tuple[Comparison, str]] = []
    compare(Request(PROMPT, (family[0], tuned), DECODING), Pool(), lambda now, phase: told.append((now, phase)))
    written = [len({g.variant for g in now.generations}) for now, phase in told if phase == "writing"]
    assert written == sorted(written)
    assert written[-1] == 2


def test_stopped_comparison_keeps_and_scores_what_is_there(family, monkeypatch):
    stop = threading.Event()
    monkeypatch.setattr(compare_module, "generate", lambda *arguments: (stop.set(), generate(*arguments))[1])
    done = compare(Request(PROMPT, family, DECODING), Pool(), stop=stop)
    assert {g.finish for g in done.generations} == {"stopped"}
    assert [len(g.tokens) for g in done.generations] == [1, 1, 1]
    assert all(g.score for g in done.generations)


def test_stop_before_the_first_base_loads_nothing(family):
    stop, pool = threading.Event(), Pool()
    stop.set()
    done = compare(Request(PROMPT, family, DECODING), pool, stop=stop)
    assert set(done.errors.values()) == {"Stopped before it began."}
    assert not pool.bases


def test_toxic_words_are_marked_and_an_empty_reply_is_not_scored(fake_scorer):
    toxic, empty, kind = judge([Generation("it", 0, "you rat"), Generation("it", 1, ""), Generation("it", 2, "you hero")], fake_scorer)
    assert [toxic.text[span.start : span.end] for span in toxic.spans] == ["rat"]
    assert math.isnan(empty.score.value)
    assert empty.score.reason == "empty"
    assert kind.spans == ()


def test_perspective_is_not_asked_word_by_word(fake_scorer, monkeypatch):
    monkeypatch.setattr(fake_scorer, "id", "perspective", raising=False)
    assert judge([Generation("it", 0, "you rat")], fake_scorer)[0].spans == ()


def test_pool_loads_a_base_once_and_lets_the_oldest_go(family, tuned, families, monkeypatch):
    loaded = []
    monkeypatch.setattr(compare_module, "load_base", lambda *key: loaded.append(key[0]) or load_base(*key))
    pool = Pool(size=2)
    it, llama = family[0], families["llama"][0]
    for variant in (it, family[1], tuned, it, llama, it, tuned):
        assert pool.get(variant).name == variant.base
    assert loaded == [it.base, tuned.base, llama.base, tuned.base]
    pool.clear()
    assert not pool.bases
