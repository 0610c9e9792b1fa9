"""A stage run through on the real embedded family, by function and by command."""

import json
import threading
from dataclasses import replace

import pytest

from detox_core.cli import main
from detox_core.compare import Pool, compare
from detox_core.errors import BadInput
from detox_core.explain.why import why
from detox_core.models.variants import get_variants
from detox_core.request import Request
from detox_core.stage.rehearse import rehearse
from detox_core.stage.steps import Stage, Step, read_stage, record_why
from detox_core.store import Store
from detox_core.types import Decoding, Variant

GONE = Variant("gone", "Gone", "embedded/it", "/nowhere/adapter", "redpajama")


@pytest.fixture(scope="module")
def pool():
    return Pool()


@pytest.fixture(scope="module")
def record(pool):
    """A greedy comparison of two variants, freshly made."""
    decoding = Decoding(temperature=0.0, max_new_tokens=8)
    return compare(Request("Old people should not vote.", get_variants(["it", "ft"]), decoding), pool)


def only(pool, step: Step, **options):
    return rehearse(Stage(steps=(step,)), pool, **options)


def test_a_fresh_recording_comes_again_word_for_word(pool, record):
    phases = []
    done = rehearse(Stage(steps=(Step(record), Step(replace(record, id="again")))), pool, phases.append)
    assert done.passed
    assert phases == ["loading the models", "rehearsing: step 1 of 2", "rehearsing: step 2 of 2"]
    for step in done.steps:
        assert (step.same, step.replies, step.verdict) == (2, 2, "live")
        assert step.change == 0
        assert 0 < step.first <= step.seconds
        assert [problem for problem in step.problems if "long in front of people" not in problem] == []


def test_another_text_another_score_and_other_weights_are_named(pool, record):
    first, second = record.generations
    old = replace(
        record,
        generations=(replace(first, text="Something else."), replace(second, score=replace(second.score, value=1 - second.score.value))),
        versions={**record.versions, "embedded/ft": "of another day"},
        prompt_score=replace(record.prompt_score, revision="older"),
    )
    (step,) = only(pool, Step(old)).steps
    assert (step.same, step.replies) == (1, 2)
    told = " ".join(step.problems)
    for part in ("IT always takes the likeliest token", "same answer of FT", "weights of embedded/ft", "another version"):
        assert part in told
    assert step.verdict == "live"


def test_slow_is_measured_against_the_limit(pool, record):
    assert any("more than 0 s" in problem for problem in only(pool, Step(record), limit=0.0).steps[0].problems)


def test_a_variant_that_is_gone_is_shown_from_its_recording(pool, record):
    old = replace(record, variants=(record.variants[0], replace(GONE, id="ft")))
    done = only(pool, Step(old))
    assert done.passed
    assert done.steps[0].verdict == "recording only"
    assert "Gone" in done.steps[0].problems[0]
    assert "/nowhere/adapter" in done.steps[0].problems[0]


def test_neither_live_nor_recorded_does_not_pass(pool, record):
    done = only(pool, Step(replace(record, variants=(*record.variants, GONE))))
    assert not done.passed
    assert done.steps[0].verdict == "nothing to show"
    assert "The recording has no answer of Gone." in done.steps[0].problems


@pytest.mark.parametrize("scorer", ["unheard-of", "nobody/unheard-of"], ids=["no such name", "not on this computer"])
def test_a_missing_scorer_is_a_problem_of_its_step_only(pool, record, scorer):
    done = rehearse(Stage(steps=(Step(replace(record, scorer=scorer)), Step(replace(record, id="good")))), pool)
    assert [step.verdict for step in done.steps] == ["recording only", "live"]
    assert scorer in done.steps[0].problems[0]


def test_what_needs_the_research_switch_is_a_problem(pool, record):
    worse = replace(record.variants[1], interventions=(("aura", -0.5),))
    (step,) = only(pool, Step(replace(record, variants=(record.variants[0], worse))), research=False).steps
    assert "research switch" in step.problems[0]


def test_an_empty_stage_is_a_sentence_and_stop_stops(pool, record):
    with pytest.raises(BadInput, match="no steps"):
        rehearse(Stage(), pool)
    stop = threading.Event()
    stop.set()
    with pytest.raises(InterruptedError):
        rehearse(Stage(steps=(Step(record),)), pool, stop=stop)


def test_explained_words_are_kept_with_the_step(pool, record):
    kept = record_why(why(record, pool.get))
    made = Stage(steps=(Step(record, why=kept),))
    assert read_stage(made.to_json()) == made
    texts, prompt, own, matrix = kept.explanations["ft"].merged()
    assert "".join(texts[prompt:]).strip() == record.of("ft")[0].text.strip()
    assert len(own) == prompt
    for column in zip(*matrix, strict=True):
        assert sum(column) == pytest.approx(1, abs=0.01)


def test_the_command_reports_every_step(tmp_path, capsys, record):
    path = tmp_path / "talk.json"
    path.write_text(Stage("My talk", (Step(record),)).to_json())
    assert main(["rehearse", str(path), "--json"]) == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert (document["title"], document["passed"]) == ("My talk", True)
    assert document["steps"][0]["same"] == 2
    assert "rehearsing: step 1 of 1" in captured.err


def test_the_command_runs_the_list_of_the_app_and_fails_when_a_step_cannot_be_shown(capsys, record):
    Store().change_stage(lambda now: now.add(Step(replace(record, variants=(*record.variants, GONE)))))
    assert main(["rehearse", "current"]) == 1
    out = capsys.readouterr().out
    assert "Not every step can be shown." in out
    assert "nothing to show" in out


@pytest.mark.parametrize(("name", "told"), [("current", "no steps"), ("/nowhere/talk.json", "cannot be read")])
def test_the_command_refuses_what_is_not_there(capsys, name, told):
    assert main(["rehearse", name]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert told in captured.err
