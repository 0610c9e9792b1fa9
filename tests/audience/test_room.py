"""Blind answers, votes, limits, and what is kept of a visitor."""

import itertools
import math
import sqlite3
import threading
from collections import Counter
from dataclasses import replace

import pytest

import detox_core.compare
from detox_core.audience import room as module
from detox_core.audience.room import ASKS_A_MINUTE, DECODING, LETTERS, MAX_CHARACTERS, MAX_LINE
from detox_core.audience.view import picture
from detox_core.errors import BadInput
from detox_core.request import new_comparison
from detox_core.store import recorded
from detox_core.types import Vote
from tests.audience.conftest import until


@pytest.fixture
def held(monkeypatch):
    """The engine waits until the test lets it go; what it is asked is written down."""
    go, served, engine = threading.Event(), [], detox_core.compare.compare

    def compare(request, *arguments):
        served.append(request.prompt)
        assert go.wait(60)
        return engine(request, *arguments)

    monkeypatch.setattr(detox_core.compare, "compare", compare)
    compare.go, compare.served = go, served
    yield compare
    go.set()


def test_everybody_who_asks_for_a_curated_prompt_shares_one_generation(room, held):
    ballots = [room.ask(f"phone {number}", "Hello you") for number in range(40)]
    assert len({ballot.job for ballot in ballots}) == 1
    held.go.set()
    assert ballots[0].job.finished.wait(60)
    assert room.ask("latecomer", "Hello you").job is ballots[0].job
    assert held.served == ["Hello you"]


def test_curated_prompts_are_answered_before_anybody_asks(room, held):
    room.prepare()
    assert room.waiting() == 2
    held.go.set()
    until(lambda: room.waiting() == 0)
    assert not room.ask("phone", "What of them?").job.active
    assert held.served == ["Hello you", "What of them?"]


def test_recorded_example_is_answered_with_its_own_settings_and_no_other(room, held):
    example = next(iter(recorded().values()))
    room.rules.prompts = (example.prompt, "Hello you")
    first, second = (room.ask("phone", prompt).job.request for prompt in room.rules.prompts)
    assert (first.decoding, second.decoding) == (example.decoding, DECODING)
    assert example.decoding != DECODING


def test_answers_stand_in_an_order_of_each_visitors_own_that_stays(room):
    orders = {f"phone {number}": room.ask(f"phone {number}", "Hello you").order for number in range(200)}
    counts = Counter(tuple(variant.id for variant in order) for order in orders.values())
    assert set(counts) == set(itertools.permutations(["it", "ft", "rl"]))
    assert min(counts.values()) > 10
    assert all(room.ask(session, "Hello you").order == order for session, order in orders.items())


def test_vote_counts_for_what_stood_under_the_letter(room, ask):
    ballot = ask("phone", "Hello you")
    room.vote("phone", "B")
    (vote,) = room.store.votes()
    assert (vote.variant, vote.letter, vote.prompt, vote.ballot) == (ballot.order[1].id, "B", "Hello you", "Hello you")
    assert room.voted("phone", ballot) == "B"
    assert room.voted("other", ballot) is None


def test_second_vote_on_the_same_answers_is_refused_and_the_first_stands(room, ask):
    ask("phone", "Hello you")
    room.vote("phone", "A")
    ask("phone", "Hello you")
    with pytest.raises(BadInput, match="voted on these answers already"):
        room.vote("phone", "B")
    ask("phone", "What of them?")
    room.vote("phone", "C")
    assert [vote.letter for vote in room.store.votes()] == ["A", "C"]


def test_nothing_is_sent_before_the_vote_that_tells_the_models_apart(room, ask):
    ballot = ask("phone", "Hello you")
    before = picture(room, "phone", ballot)
    assert before["ready"]
    assert [set(answer) for answer in before["answers"]] == [{"letter", "parts", "writing"}] * 3
    assert not any(marked for answer in before["answers"] for _, marked in answer["parts"])
    room.vote("phone", "A")
    after = picture(room, "phone", ballot)
    assert [answer["reveal"]["label"] for answer in after["answers"]] == [variant.label for variant in ballot.order]
    assert after["answers"][0]["reveal"]["votes"] == "1 of 1 votes on this prompt"
    assert {answer["reveal"]["score"] for answer in after["answers"]} <= {0.9, 0.1}


def test_no_vote_before_the_answers_are_complete(room, held):
    with pytest.raises(BadInput, match="nothing to vote on"):
        room.vote("phone", "A")
    room.ask("phone", "Hello you")
    with pytest.raises(BadInput, match="not complete"):
        room.vote("phone", "A")


@pytest.mark.parametrize("letter", ["D", "", "it", None, ["A"], {"A": 1}, 0])
def test_vote_for_what_is_not_there_is_a_sentence(room, ask, letter):
    ask("phone", "Hello you")
    with pytest.raises(BadInput, match="Vote for one of A, B, C"):
        room.vote("phone", letter)
    assert room.store.votes() == []


def test_own_prompts_only_where_the_presenter_allows_them(room, ask):
    with pytest.raises(BadInput, match="Pick one from the list"):
        room.ask("phone", "Something else")
    room.rules.free_text = True
    assert ask("phone", "Something else").job.comparison.prompt == "Something else"


def test_own_prompt_is_kept_only_where_the_presenter_says_so(room, ask):
    room.rules.free_text = True
    ask("phone", "My secret sentence")
    room.vote("phone", "A")
    path = room.store.path
    assert room.store.votes()[0].prompt is None
    assert not any(b"secret" in file.read_bytes() for file in path.parent.glob("*"))
    room.rules.keep_prompts = True
    ask("phone", "My other sentence")
    room.vote("phone", "A")
    assert room.store.votes()[1].prompt == "My other sentence"


def test_nothing_is_kept_of_a_visitor_but_votes(room, ask):
    ask("session-of-a-phone", "Hello you")
    room.vote("session-of-a-phone", "A")
    with sqlite3.connect(room.store.path) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        filled = {name for name in tables if connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]}
        assert filled == {"vote"}
        assert "session-of-a-phone" not in str(connection.execute("SELECT * FROM vote").fetchall())


def test_same_session_has_another_token_in_another_room(room, ask):
    ask("phone", "Hello you")
    room.vote("phone", "A")
    other = module.Room(room.service, room.store, room.variants)
    other.rules.prompts = room.rules.prompts
    ballot = other.ask("phone", "Hello you")
    assert ballot.job.finished.wait(60)
    other.vote("phone", "A")
    assert len({vote.visitor for vote in room.store.votes()}) == 2


@pytest.mark.parametrize(
    ("prompt", "sentence"),
    [
        ("x" * (MAX_CHARACTERS + 1), "201 characters"),
        ("  \x00 ", "empty"),
        (None, "is a text"),
        (["Hello you"], "is a text"),
        ({}, "is a text"),
    ],
)
def test_bad_prompt_is_a_sentence(room, prompt, sentence):
    room.rules.free_text = True
    with pytest.raises(BadInput, match=sentence):
        room.ask("phone", prompt)


def test_one_visitor_asks_only_so_often_and_others_are_not_touched(room):
    for _ in range(ASKS_A_MINUTE):
        room.ask("phone", "Hello you")
    with pytest.raises(BadInput, match="Wait .* seconds"):
        room.ask("phone", "Hello you")
    room.ask("other", "Hello you")


def test_one_visitor_has_one_prompt_of_his_own_in_line(room, held):
    room.rules.free_text = True
    blocking = room.ask("first", "Hello you")
    old, new = room.ask("phone", "One thing"), room.ask("phone", "Another thing")
    assert (old.job.state, new.job.state) == ("failed", "queued")
    held.go.set()
    for ballot in (blocking, new):
        assert ballot.job.finished.wait(60)
    assert held.served == ["Hello you", "Another thing"]


def test_line_is_bounded_and_curated_prompts_are_still_answered(room, held):
    room.rules.free_text = True
    for number in range(MAX_LINE):
        room.ask(f"phone {number}", f"Prompt {number}")
    with pytest.raises(BadInput, match="waiting already"):
        room.ask("one more", "One more")
    assert room.ask("one more", "Hello you").job.active
    assert room.waiting() == MAX_LINE + 1


def test_closed_room_takes_neither_prompts_nor_votes(room, ask):
    ask("phone", "Hello you")
    room.rules.open = False
    for refused in (lambda: room.ask("phone", "Hello you"), lambda: room.vote("phone", "A")):
        with pytest.raises(BadInput, match="paused"):
            refused()
    assert room.store.votes() == []


def test_failed_generation_is_told_and_made_again_for_the_next(room, ask, monkeypatch):
    engine = detox_core.compare.compare

    def broken(*_):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(detox_core.compare, "compare", broken)
    failed = ask("phone", "Hello you")
    assert "There are no answers" in picture(room, "phone", failed)["problem"]
    with pytest.raises(BadInput, match="nothing to vote on"):
        room.vote("phone", "A")
    monkeypatch.setattr(detox_core.compare, "compare", engine)
    assert ask("phone", "Hello you").job.state == "done"


def test_missing_answer_is_told_and_those_who_wait_do_not_ask_again(room, held):
    room.variants = (*room.variants[:2], replace(room.variants[2], adapter="/nowhere"))
    ballot = room.ask("phone", "Hello you")
    until(lambda: held.served)
    ballot.job.comparison = new_comparison(ballot.job.request)
    ballot.job.comparison = replace(ballot.job.comparison, errors={room.variants[2].id: "It is not there."})
    assert room.ask("another", "Hello you").job is ballot.job
    held.go.set()
    until(lambda: not ballot.job.active)
    seen = picture(room, "phone", ballot)
    assert (seen["ready"], seen["answers"]) == (False, [])
    assert "Not every model answered" in seen["problem"]
    assert room.ask("another", "Hello you").job is not ballot.job


def test_prompt_typed_while_nothing_was_kept_is_not_kept_later(room, ask):
    room.rules.free_text = True
    ask("phone", "My secret sentence")
    room.rules.keep_prompts = True
    room.vote("phone", "A")
    assert room.store.votes()[0].prompt is None


def test_refused_question_leaves_the_answers_that_were_there(room, ask, monkeypatch):
    room.rules.free_text = True
    ask("phone", "My sentence")
    monkeypatch.setattr(module, "MAX_LINE", 0)
    with pytest.raises(BadInput, match="waiting already"):
        room.ask("phone", "Another")
    room.vote("phone", "A")


def test_curated_prompt_is_answered_to_the_end_when_the_phone_has_left(room, held):
    ballot = room.ask("phone", "Hello you")
    picture(room, "phone", ballot)
    assert ballot.job.watched == math.inf


def test_place_and_wait_are_told(room, held):
    first = room.ask("phone", "Hello you")
    second = room.ask("other", "What of them?")
    room.service._took.append(7.0)
    assert picture(room, "other", second)["status"] == "You are number 2 in line, about 7 s."
    assert picture(room, "phone", first)["status"] == "The models are getting ready ..."


def test_votes_are_counted_once_and_can_be_forgotten(room):
    vote = Vote("visitor", "ballot", "Hello you", "it", "A", "2026-01-01")
    assert (room.store.vote(vote), room.store.vote(vote)) == (True, False)
    assert room.store.votes() == [vote]
    room.store.forget_votes()
    assert room.store.votes() == []


def test_letters_are_as_many_as_the_variants(room):
    assert tuple(room.ask("phone", "Hello you").replies()) == LETTERS[: len(room.variants)]
