"""Facts about averages around toxic words, by numbers worked out by hand."""

import math

import numpy as np
import pytest

from detox_core.measure.events import FEWEST, _Replies, around_events, deviations, finding, first_tokens, mean_by_reply, p_text, sentence

LENGTH = 12
EVENLY = [number % LENGTH for number in range(2 * LENGTH)]  # every place twice, so that the course stays flat


def reply(values, toxic, variant="it", words=None):
    return {"variant": variant, "entropy": list(values), "words": words or list(range(len(values))), "toxic": toxic}


def planted(size: float, places=EVENLY, variant="it"):
    return [reply([size * (step == place) for step in range(LENGTH)], [place], variant) for place in places]


def noise(seed: int, replies: int = 40):
    rng = np.random.default_rng(seed)
    return [reply(rng.normal(size=LENGTH), [int(rng.integers(LENGTH))]) for _ in range(replies)]


def points(found):
    return {point["offset"]: point for point in found["points"]}


def test_planted_effect_has_its_size_at_its_place_and_a_small_p():
    found = around_events(planted(-1), "entropy", draws=200)
    (told,) = found["variants"]
    assert (told["events"], told["replies"], told["peak"], told["p"]) == (24, 24, 0, 1 / 201)
    assert told["difference"] == pytest.approx(-11 / 12, abs=0.03)  # the mean of the draws is near 0, not at it
    at = points(found)
    assert at[0]["mean"] == pytest.approx(-11 / 12)
    assert [at[3]["mean"], at[-3]["mean"]] == pytest.approx([1 / 12, 1 / 12])
    assert at[0]["low"] == pytest.approx(at[0]["high"])
    assert at[0]["null_low"] > -11 / 12


def test_offsets_outside_the_reply_are_dropped_and_counted():
    at = points(around_events(planted(-1), "entropy", draws=20))
    assert {offset: (point["n"], point["dropped"]) for offset, point in at.items()} == {
        offset: (24 - 2 * abs(offset), 2 * abs(offset)) for offset in range(-5, 6)
    }


def test_unknown_values_are_dropped_and_counted():
    rows = planted(-1)
    rows[0]["entropy"][0] = math.nan
    point = points(around_events(rows, "entropy", draws=20))[0]
    assert (point["n"], point["dropped"]) == (23, 1)
    assert point["mean"] < -0.9


def test_offsets_with_few_values_are_left_out():
    rows = planted(-1, [place for place in range(3) for _ in range(4)])
    assert set(points(around_events(rows, "entropy", draws=20))) == {0, 1, 2, 3, 4, 5}


def test_without_an_effect_p_is_uniform():
    p = [around_events(noise(seed), "entropy", draws=99, seed=seed)["variants"][0]["p"] for seed in range(60)]
    assert p[0] >= 0.05
    assert sum(value < 0.05 for value in p) <= 7  # 60 x .05 = 3 expected; 8 or more: 1 %
    assert 0.35 < np.mean(p) < 0.65


def test_replies_with_high_values_throughout_do_not_matter():
    rows = noise(0)
    shifted = [reply(np.array(row["entropy"]) + 100 * (number % 3), row["toxic"]) for number, row in enumerate(rows)]
    for point, same in zip(*(around_events(given, "entropy", draws=20)["points"] for given in (rows, shifted)), strict=True):
        assert same == pytest.approx(point)


def test_words_that_come_late_in_a_falling_series_are_nothing_special():
    rng = np.random.default_rng(1)
    rows = [reply(10 - np.arange(LENGTH) + 0.1 * rng.normal(size=LENGTH), [int(rng.integers(8, LENGTH))]) for _ in range(40)]
    (told,) = around_events(rows, "entropy", draws=200)["variants"]
    assert told["p"] > 0.05
    assert abs(told["difference"]) < 0.1


def test_first_tokens_are_compared_with_first_tokens():
    places = [place for place in range(0, LENGTH, 2) for _ in range(4)]
    rng = np.random.default_rng(0)
    rows = []
    for place in places:  # the first token of every word is high, of toxic words as of others; words begin at even or odd places
        odd = int(rng.integers(2))
        values = [float(step % 2 == odd) + 0.1 * rng.normal() for step in range(LENGTH)]
        rows.append(reply(values, [place + odd], words=list(range(odd, LENGTH, 2))))
    found = around_events(rows, "entropy", draws=200)
    assert points(found)[0]["mean"] > 0.3
    assert found["variants"][0]["p"] > 0.05


def test_shift_keeps_number_and_distance_of_events_and_stays_on_words():
    rows = [reply(range(9), [0, 2, 4], words=[0, 2, 4, 7]), reply(range(9), [8], words=[1, 8]), reply([1.0], [])]
    replies = _Replies.of(rows, "entropy", 2)
    assert list(replies.reply) == [0, 0, 0, 1]
    seen = set()
    for shift in replies.shifts(60, np.random.default_rng(0)):
        moved = (replies.place + shift) % replies.count
        assert len(set(moved[:3].tolist())) == 3
        assert set(np.diff(moved[:3]) % 4) == {1}
        assert replies.around(shift).shape == (4, 5)
        assert set(replies.words[replies.first + moved] - np.array([2, 2, 2, 13])) <= {0, 1, 2, 4, 7, 8}
        seen.add((int(moved[0]), int(moved[3])))
    assert seen == {(a, b) for a in range(4) for b in range(2)}


def test_few_events_are_left_out_and_counted():
    rows = planted(-1) + planted(-1, range(FEWEST - 1), "ft") + [reply([0.0] * 40, list(range(20)), "rl")]
    found = around_events(rows, "entropy", draws=20)
    assert {point["variant"] for point in found["points"]} == {"it"}
    assert [(told["variant"], told["events"], told["p"] is None) for told in found["variants"]] == [
        ("it", 24, False),
        ("ft", FEWEST - 1, True),
        ("rl", 20, True),  # all in one reply
    ]


def test_no_rows_and_empty_replies():
    assert around_events([], "entropy") == {"variants": [], "points": []}
    found = around_events([{"variant": "it", "entropy": [], "words": [], "toxic": []}], "entropy")
    assert found["variants"][0]["events"] == 0


def test_seed_decides():
    assert around_events(noise(3), "entropy", draws=50) == around_events(noise(3), "entropy", draws=50)


def test_deviations_have_neither_level_nor_course():
    lines = [[level + step**2 for step in range(length)] for level, length in ((0, 12), (5, 12), (9, 8)) for _ in range(10)]
    for line in deviations(lines):
        assert line == pytest.approx(np.zeros(len(line)), abs=0.01)


def test_interval_counts_replies():
    values = np.array([1.0, 1.0, 3.0, 3.0])
    apart = 1.96 * values.std(ddof=1) / 2
    assert mean_by_reply(values, np.arange(4)) == (2, pytest.approx(apart))
    together = 1.96 * math.sqrt((2**2 + 2**2) * 2 / 1) / 4  # two replies whose sums deviate by -2 and 2
    assert mean_by_reply(values, np.array([0, 0, 1, 1])) == (2, pytest.approx(together))


@pytest.mark.parametrize(
    ("text", "pieces", "starts", "expected"),
    [
        ("You idiot!", [" You", " id", "iot", "!"], [0, 4], [0, 1]),
        ("a b.", ["\n", "a", " b", " ."], [0, 2], [1, 2]),  # outer spaces are stripped, the one before a full stop tidied away
        ("a b", ["a b"], [0, 2], [0]),
        ("ok", ["ok", "\n<human>:"], [0], [0]),
        ("fine \N{REPLACEMENT CHARACTER}x", ["fine", " "], [0, 6], [0]),
        ("", [], [], []),
    ],
)
def test_words_are_found_in_their_tokens(text, pieces, starts, expected):
    assert first_tokens(starts, text, pieces) == expected


def told(p, difference=-0.21, peak=0, variant="it", events=61):
    return {"variant": variant, "events": events, "replies": 40, "peak": peak, "difference": difference, "p": p}


def test_sentences():
    assert (
        sentence(told(0.003), "entropy")
        == "around toxic words attribution entropy is 0.21 bits lower at the word itself (p = .003, 61 events)"
    )
    assert "0.021 higher 1 token before it begins (p < .001" in sentence(told(0.0005, 0.0213, -1), "dependence")
    assert "by no more than chance (at most 0.21 bits lower 2 tokens after it begins, p = .340" in sentence(told(0.34, peak=2), "entropy")
    few = told(None, None, None, "rl", 4)
    assert sentence(few, "entropy").startswith("too few toxic words")
    assert finding([told(0.003), told(0.5, variant="ft"), few], "entropy") == (
        "Around toxic words, attribution entropy differs from that around other words in IT (0.21 bits lower at the word itself, p = .003) "
        "and does not differ by more than chance in FT (p = .500); there are too few toxic words of RL (4)."
    )
    assert finding([few], "entropy").startswith("No model wrote enough toxic words")
    assert p_text(1.0) == "p = 1.000"
