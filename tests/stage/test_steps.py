"""The stage as a list and as a file."""

import json
import math
import threading
from dataclasses import replace

import pytest

from detox_core.errors import BadInput
from detox_core.stage.steps import RecordedWhy, Stage, Step, Words, read_stage
from detox_core.store import Store, recorded
from detox_core.types import Comparison, Decoding, Generation, Score, Variant

SCORE = Score(0.5, "local", "abc", {"INSULT": 0.25})
ONE = Comparison(
    id="one",
    created="2026-01-02T03:04:05+00:00",
    prompt="<b>You</b> \N{SNOWMAN}",
    variants=(Variant("it", "IT", "embedded/it"), Variant("aura", "AURA", "embedded/it", interventions=(("aura", 0.5),))),
    decoding=Decoding(temperature=0.0),
    scorer="local",
    prompt_score=SCORE,
    generations=(Generation("it", 0, "Me.", (5, 6), (-0.5, -1.0), score=SCORE), Generation("aura", 0, "You.", (7,), (-0.1,))),
    versions={"embedded/it": "0123"},
)
WHY = RecordedWhy(
    {"it": Words("it", ("You", " Me", "."), 1, (True,), ((1.0, 0.25), (0.0, 0.75), (0.0, 0.0)))}, {"aura": "It cannot be explained."}
)


def stage(*names: str) -> Stage:
    made = Stage("Talk")
    for name in names:
        made = made.add(Step(replace(ONE, id=name)))
    return made


def order(made: Stage) -> list[str]:
    return [step.comparison.id for step in made.steps]


def changed(how) -> str:
    """The text of a file with one step, after `how` changed that step."""
    data = json.loads(Stage("Talk", (Step(ONE, why=WHY),)).to_json())
    how(data["steps"][0])
    return json.dumps(data)


def test_a_file_gives_the_same_stage():
    made = Stage("Talk", (Step(ONE, "say hello", "why", WHY), Step(replace(ONE, id="two"))))
    assert read_stage(made.to_json()) == made
    assert read_stage(made.to_json().encode()) == made


def test_recorded_examples_make_a_stage_that_a_file_keeps():
    made = Stage(steps=tuple(Step(record) for record in recorded().values()))
    assert len(made.steps) == 6
    assert read_stage(made.to_json()) == made


def test_unscored_stays_unscored_and_the_file_is_plain_json():
    silent = Generation("it", 0, "", score=Score(math.nan, "local", "abc", reason="empty"))
    text = Stage(steps=(Step(replace(ONE, generations=(silent,))),)).to_json()
    json.loads(text, parse_constant=pytest.fail)
    score = read_stage(text).steps[0].comparison.generations[0].score
    assert math.isnan(score.value)
    assert score.reason == "empty"


def test_steps_move_at_most_to_the_ends():
    made = stage("a", "b", "c")
    assert order(made.move("c", -1)) == ["a", "c", "b"]
    assert order(made.move("a", 1)) == ["b", "a", "c"]
    assert order(made.move("a", -1)) == order(made.move("c", 1)) == order(made.move("nothing", 1)) == ["a", "b", "c"]


def test_a_comparison_comes_once_and_removing_can_be_undone():
    made = stage("a", "b", "c")
    assert made.add(Step(replace(ONE, id="b"), "other")) == made
    assert order(made.remove("b")) == ["a", "c"]
    assert made.remove("b").add(made.steps[1], 1) == made


def test_a_note_belongs_to_its_step():
    made = stage("a", "b").change("b", note="say this")
    assert [step.note for step in made.steps] == ["", "say this"]


@pytest.mark.parametrize("text", ["", "no", "[]", "{}", '{"format": "detox-lens-stage", "version": 1}', b"\xff\xfe", "[" * 100_000])
def test_what_is_no_stage_is_a_sentence(text):
    with pytest.raises(BadInput, match="talk.json is not a stage"):
        read_stage(text, "talk.json")


def test_another_version_is_named():
    with pytest.raises(BadInput, match="version 2"):
        read_stage(stage("a").to_json().replace('"version": 1', '"version": 2'))


@pytest.mark.parametrize(
    ("how", "told"),
    [
        (lambda step: step.clear(), "no comparison"),
        (lambda step: step["comparison"].pop("variants"), "'variants' is missing"),
        (lambda step: step["comparison"].update(variants=[]), "at least one variant"),
        (lambda step: step["comparison"].update(prompt=7), "comparison.prompt"),
        (lambda step: step["comparison"]["generations"][0].update(text={"html": "<b>"}), "text"),
        (lambda step: step["comparison"]["generations"][0].update(finish="perhaps"), "finish"),
        (lambda step: step["comparison"]["generations"][0].update(variant="rl"), "'rl'"),
        (lambda step: step["comparison"]["prompt_score"].update(value=3.0), "3.0"),
        (lambda step: step.update(view="dance"), "view"),
        (lambda step: step["why"]["errors"].clear(), "explanation"),
        (lambda step: step["why"]["explanations"]["it"]["matrix"].pop(), "does not fit"),
        (lambda step: step["why"]["explanations"]["it"].update(prompt=3), "does not fit"),
        (lambda step: step["why"]["explanations"]["it"].update(answer_of="rl"), "'rl'"),
    ],
)
def test_a_damaged_step_is_named(how, told):
    with pytest.raises(BadInput, match="talk.json: step 1 is damaged") as caught:
        read_stage(changed(how), "talk.json")
    assert told in str(caught.value)


@pytest.mark.parametrize("number", ["NaN", "Infinity"])
def test_what_is_no_number_in_json_is_refused(number):
    text = stage("a").to_json().replace("-0.5", number)
    with pytest.raises(BadInput, match=f"{number} is not allowed"):
        read_stage(text)


def test_half_a_character_is_refused():
    text = stage("a").to_json().replace('"Talk"', '"\\ud83d"')
    with pytest.raises(BadInput, match="half a character"):
        read_stage(text)


def test_numbers_too_large_are_a_damaged_step():
    with pytest.raises(BadInput, match="step 1 is damaged"):
        read_stage(changed(lambda step: step["comparison"]["variants"][1].update(interventions=[["aura", 10**400]])))


def test_stage_that_cannot_be_read_can_be_emptied(isolated):
    store = Store()
    store.change_stage(lambda _: stage("a"))
    with store._connect() as connection:
        connection.execute("UPDATE stage SET document = 'broken'")
    with pytest.raises(BadInput):
        store.stage()
    store.empty_stage()
    assert store.stage() == Stage()


def test_twice_the_same_comparison_is_named():
    data = json.loads(stage("a").to_json())
    data["steps"] *= 2
    with pytest.raises(BadInput, match="step 2 is the same comparison as step 1"):
        read_stage(json.dumps(data))


def test_a_stage_from_elsewhere_does_not_pass_the_research_switch():
    worse = replace(ONE, variants=(Variant("bad", "Bad", "embedded/it", interventions=(("aura", -1.0),)),), generations=())
    with pytest.raises(BadInput):
        Step(worse).request(research=False)


def test_the_store_keeps_the_stage(isolated):
    assert Store().stage() == Stage()
    Store().change_stage(lambda now: now.add(Step(ONE, why=WHY)))
    assert Store().stage() == Stage(steps=(Step(ONE, why=WHY),))


def test_two_tabs_lose_nothing(isolated):
    def add(name: str) -> None:
        for number in range(15):
            store.change_stage(lambda now, number=number: now.add(Step(replace(ONE, id=f"{name}{number}"))))

    store = Store()
    threads = [threading.Thread(target=add, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(order(store.stage())) == sorted(f"{name}{number}" for name in "ab" for number in range(15))
