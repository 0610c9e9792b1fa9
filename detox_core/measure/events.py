"""What a series does around toxic words: event-locked averages with a permutation test. Knows numbers only, no models."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

FEWEST = 10  # events a mean must still have
SURE = 0.05
ROUNDS = 5  # of taking out replies' means and the course in turn; the rest is exact to rounding long before
NAMES = {
    "entropy": ("attribution entropy", 2, " bits"),
    "relative": ("relative attribution entropy", 3, ""),
    "dependence": ("prompt dependence", 3, ""),
}


def around_events(rows: Sequence[dict[str, Any]], series: str, reach: int = 5, draws: int = 2000, seed: int = 0) -> dict[str, Any]:
    """Mean of a series before, at and after the first token of a toxic word, per variant, and whether chance explains it.

    This is event-related averaging: the replies are cut around each event and the pieces are averaged. Before that, each reply
    loses its own mean, so that replies with high values throughout do not matter, and the mean course of the variant's replies,
    token by token: prompt dependence falls along every reply, and words that come late would seem special for being late.

    What is permuted: the places of the toxic words among the words of their reply. All events of a reply move by the same random
    number of words, from the end around to the start. So every draw has as many events in each reply, as far apart, and at the
    beginnings of words as before; only that the word is a toxic one is lost. The statistic is the greatest |mean - mean of all
    draws| over the offsets, so the p-values hold for all offsets together (Nichols & Holmes 2002). The mean of the draws is not
    0: the first token of a word differs from those inside words.

    An effect at one and the same place of all replies is part of the course and not found. The words compared with are all
    words, small ones such as "the" among them.

    Args:
        rows: dictionaries `variant`, the series, `words` and `toxic`: indices of the tokens that begin a word, and a toxic one.
        series: key of the values, one per token; NaN = unknown.
        reach: offsets looked at, on either side.
        draws: random shifts.

    Returns:
        `variants`: `variant`, `events`, `replies` (that have any), and the offset with the greatest statistic (`peak`), the
        `difference` there and its `p`; these three are None for a variant that is left out: fewer than 10 events, or all in
        one reply. `points`: `variant`, `offset`, `mean`, `low` and `high` (95 %, by reply: events of one are not independent),
        `null_low` and `null_high` (95 % of the draws), `difference` (mean - mean of the draws), `p`, `n`, `dropped` (events with
        no value there: it lies outside the reply, or is unknown); offsets with fewer than 10 values are left out.
    """
    variants: list[dict[str, Any]] = []
    points: list[dict[str, Any]] = []
    for name in dict.fromkeys(row["variant"] for row in rows):
        replies = _Replies.of([row for row in rows if row["variant"] == name], series, reach)
        found = _points(replies, draws, np.random.default_rng(seed))
        peak = max(found, key=lambda point: abs(point["difference"]), default={"offset": None, "difference": None, "p": None})
        counts = {"variant": name, "events": len(replies.place), "replies": len(set(replies.reply.tolist()))}
        variants.append({**counts, "peak": peak["offset"], "difference": peak["difference"], "p": peak["p"]})
        points += [{"variant": name, **point} for point in found]
    return {"variants": variants, "points": points}


@dataclass(frozen=True)
class _Replies:
    """All replies of a variant end to end, `reach` unknown values around each, so that offsets need no bounds.

    `words` holds the places of all words in `values`; the other arrays have an entry per event: its reply, its number among the
    words of that reply, where in `words` that reply begins, and how many words it has.
    """

    values: np.ndarray
    words: np.ndarray
    reply: np.ndarray
    place: np.ndarray
    first: np.ndarray
    count: np.ndarray
    reach: int

    @classmethod
    def of(cls, rows: Sequence[dict[str, Any]], series: str, reach: int) -> "_Replies":
        gap = np.full(reach, math.nan)
        values, at = [gap], reach
        words: list[int] = []
        events: list[tuple[int, int, int, int]] = []
        for number, (row, line) in enumerate(zip(rows, deviations([row[series] for row in rows]), strict=True)):
            events += [(number, row["words"].index(token), len(words), len(row["words"])) for token in row["toxic"]]
            words += [at + token for token in row["words"]]
            values += [line, gap]
            at += len(line) + reach
        reply, place, first, count = np.array(events, dtype=int).reshape(-1, 4).T
        return cls(np.concatenate(values), np.array(words, dtype=int), reply, place, first, count, reach)

    def around(self, shift: np.ndarray | int = 0) -> np.ndarray:
        """(events, offsets): the values around the events, each moved by its number of words."""
        at = self.words[self.first + (self.place + shift) % self.count]
        return self.values[at[:, None] + np.arange(-self.reach, self.reach + 1)]

    def shifts(self, draws: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """For each draw the number of words to move by: the same for all events of a reply, from none to all but one."""
        _, first_event, event_of = np.unique(self.reply, return_index=True, return_inverse=True)
        for _ in range(draws):
            yield rng.integers(self.count[first_event])[event_of]


def deviations(lines: Sequence[Sequence[float]]) -> list[np.ndarray]:
    """Each reply without its own mean and without the course of all: the mean of each token number over the replies.

    Numbers that fewer than 10 replies reach share one mean. Both means are taken out in turn, because replies of different
    lengths have different parts of the course.
    """
    rest = [np.asarray(line, dtype=float) for line in lines]
    numbers = np.concatenate([np.arange(len(line)) for line in rest] or [np.arange(0)])
    numbers = np.minimum(numbers, max(0, int((np.bincount(numbers) >= FEWEST).sum()) - 1))
    replies = np.repeat(np.arange(len(rest)), [len(line) for line in rest])
    flat = np.concatenate([*rest, np.array([])])
    for group in [replies, numbers] * ROUNDS + [replies]:
        flat = flat - _means(flat, group)
    return np.split(flat, np.cumsum([len(line) for line in rest])[:-1]) if rest else []


def _means(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """For each value the mean of the known values of its group."""
    known = ~np.isnan(values)
    size = int(group.max(initial=0)) + 1
    sums, counts = np.bincount(group[known], values[known], size), np.bincount(group[known], minlength=size)
    return (sums / np.maximum(counts, 1))[group]


def _points(replies: _Replies, draws: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """One dictionary per offset with enough events."""
    values = replies.around()
    known = ~np.isnan(values)
    counts = known.sum(axis=0)
    kept = [column for column in range(values.shape[1]) if counts[column] >= FEWEST and len(set(replies.reply[known[:, column]])) > 1]
    if not kept:
        return []
    null = np.array([_mean(replies.around(shift))[kept] for shift in replies.shifts(draws, rng)])
    usual = np.nanmean(null, axis=0)
    greatest = np.nanmax(np.abs(null - usual), axis=1)
    points = []
    for at, column in enumerate(kept):
        mean, half = mean_by_reply(values[known[:, column], column], replies.reply[known[:, column]])
        difference = mean - float(usual[at])
        at_least = int((greatest >= abs(difference) - 1e-12).sum())  # a draw that moves nothing is a tie, whatever the rounding
        null_low, null_high = map(float, np.nanquantile(null[:, at], (0.025, 0.975)))
        n = int(counts[column])
        point = {"mean": mean, "low": mean - half, "high": mean + half, "null_low": null_low, "null_high": null_high}
        test = {"difference": difference, "p": (1 + at_least) / (1 + draws)}
        points.append({"offset": column - replies.reach, **point, **test, "n": n, "dropped": len(values) - n})
    return points


def _mean(values: np.ndarray) -> np.ndarray:
    """Of the known values of each column; NaN where there is none."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(known, values, 0).sum(axis=0) / known.sum(axis=0)


def mean_by_reply(values: np.ndarray, reply: np.ndarray) -> tuple[float, float]:
    """Mean, and half of its 95 % interval from the scatter of replies' sums; with one event a reply, the usual interval."""
    mean = float(values.mean())
    _, number = np.unique(reply, return_inverse=True)
    sums = np.bincount(number, values - mean)
    return mean, 1.96 * math.sqrt((sums**2).sum() * len(sums) / (len(sums) - 1)) / len(values)


def first_tokens(starts: Iterable[int], text: str, pieces: Sequence[str]) -> list[int]:
    """The tokens that hold the letters of `text` at `starts`, ascending, each once.

    Args:
        pieces: text of every token; joined, they may have more than `text`: outer spaces, and what a decoder tidies away.
    """
    written, owner = "".join(pieces), [number for number, piece in enumerate(pieces) for _ in piece]
    tokens, at = [], 0
    for letter in text:
        at = written.find(letter, at) + 1
        if not at:  # half a letter at the end of a reply is no piece's
            break
        tokens.append(owner[at - 1])
    return sorted({tokens[start] for start in starts if start < len(tokens)})


def sentence(found: dict[str, Any], series: str) -> str:
    """What a variant's entry in `variants` says, without the variant's name."""
    name, digits, unit = NAMES[series]
    events = f"{found['events']} events"
    if found["p"] is None:
        return f"too few toxic words for an average around them ({events}, at least {FEWEST} in 2 answers are needed)"
    if found["p"] < SURE:
        return f"around toxic words {name} is {_change(found, digits, unit)} ({p_text(found['p'])}, {events})"
    most = f"at most {_change(found, digits, unit)}"
    return f"around toxic words {name} differs by no more than chance ({most}, {p_text(found['p'])}, {events})"


def finding(variants: Sequence[dict[str, Any]], series: str) -> str:
    """One sentence on all variants."""
    name, digits, unit = NAMES[series]
    tested = [found for found in variants if found["p"] is not None]
    sure = [f"in {_label(found)} ({_change(found, digits, unit)}, {p_text(found['p'])})" for found in tested if found["p"] < SURE]
    unsure = [f"in {_label(found)} ({p_text(found['p'])})" for found in tested if found["p"] >= SURE]
    few = [f"{_label(found)} ({found['events']})" for found in variants if found["p"] is None]
    parts = [f"differs from that around other words {_listed(sure)}"] if sure else []
    parts += [f"does not differ by more than chance {_listed(unsure)}"] if unsure else []
    text = f"Around toxic words, {name} " + " and ".join(parts) if parts else "No model wrote enough toxic words for an average around them"
    return text + (f"; there are too few toxic words of {_listed(few)}" if few else "") + "."


def p_text(p: float) -> str:
    """For example "p = .003"."""
    return "p < .001" if p < 0.001 else f"p = {f'{p:.3f}'.removeprefix('0')}"


def _change(found: dict[str, Any], digits: int, unit: str) -> str:
    size = f"{abs(found['difference']):.{digits}f}{unit} {'lower' if found['difference'] < 0 else 'higher'}"
    count = abs(found["peak"])
    tokens = f"{count} token{'s' if count > 1 else ''}"
    return f"{size} " + ("at the word itself" if not count else f"{tokens} {'before' if found['peak'] < 0 else 'after'} it begins")


def _label(found: dict[str, Any]) -> str:
    return str(found["variant"]).upper()


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
