"""What the answer cards are given to draw."""

import math

from detox_core.figures.colors import RAMPS
from detox_core.types import Comparison, Decoding, Generation, Score, Span, Variant
from pages.answers import answers_data, parts, progress

VARIANTS = (Variant("it", "IT", "embedded/it"), Variant("ft", "FT", "embedded/it"), Variant("rl", "RL", "embedded/it"))


def score(value: float, reason: str | None = None) -> Score:
    return Score(value, "local", "r", reason=reason)


def comparison(*generations: Generation, **changes) -> Comparison:
    fields = {"prompt_score": score(0.5), "generations": generations, **changes}
    return Comparison("id", "2026-01-01", "Hello", VARIANTS, Decoding(), "local", **fields)


def test_parts_cut_text_at_its_spans_even_behind_an_emoji():
    text = "\N{GRINNING FACE} you fool!"
    assert [piece for piece, _ in parts(text, (Span(6, 10, 1.5),))] == ["\N{GRINNING FACE} you ", "fool", "!"]


def test_change_is_against_the_first_column():
    data = answers_data(comparison(Generation("it", 0, "a", score=score(0.9)), Generation("rl", 0, "b", score=score(0.15))), "light")
    assert data["columns"][2]["replies"][0]["change"] == "\N{MINUS SIGN}0.75 against IT"
    assert data["columns"][0]["replies"][0]["change"] == ""


def test_unscored_reply_has_its_reason_and_no_change():
    data = answers_data(
        comparison(Generation("it", 0, "a", score=score(0.9)), Generation("ft", 0, "", score=score(math.nan, "empty"))), "light"
    )
    reply = data["columns"][1]["replies"][0]
    assert reply["score"] == {"value": None, "reason": "empty"}
    assert reply["change"] == ""


def test_most_toxic_score_gets_the_last_color_of_the_theme():
    data = answers_data(comparison(Generation("it", 0, "a", score=score(1.0))), "dark")
    assert data["columns"][0]["replies"][0]["score"]["color"] == RAMPS["dark"][-1]


def test_toxic_reply_without_known_words_counts_as_unjudged_so_that_blur_covers_it():
    data = answers_data(comparison(Generation("it", 0, "a", score=score(0.9))), "light", blur=True)
    assert data["columns"][0]["replies"][0]["judged"] is False


def test_failed_column_shows_its_error():
    data = answers_data(comparison(errors={"ft": "no adapter"}), "light", writing=True)
    assert data["columns"][1]["error"] == "no adapter"
    assert data["columns"][0]["state"] == "waiting"


def test_progress_tells_tokens_and_time_left_of_the_longest_reply():
    # 15 of 60 tokens took 2 s, so the other 45 take 6 s.
    record = comparison(Generation("it", 0, "a", tokens=(1,) * 10, seconds=1.0), Generation("ft", 0, "b", tokens=(1,) * 15, seconds=2.0))
    assert progress(record) == "15 of at most 60 tokens, 6 s left at most"


def test_progress_is_silent_before_the_first_token():
    assert progress(comparison()) == ""
