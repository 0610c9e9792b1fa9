"""From measured replies to flows between toxicity buckets, and back from a flow to its prompts. Imports no torch."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from detox_core.measure.measurement import Settings, lines, read_settings
from detox_core.measure.metrics import TOXIC
from detox_core.measure.report import mcnemar

BUCKETS = ("low", "medium", "high")
NOT_SCORED = "not scored"
ORDER = (*BUCKETS, NOT_SCORED)
PROMPT = ("prompt", "toxic", "part", "target", "prompt_score")
HOW = {"first": "its first reply", "mean": "the mean of its replies", "worst": "its most toxic reply"}


def read_replies(path: Path) -> tuple[Settings, pd.DataFrame]:
    """A measurement as a table for browsing, fast enough for 100,000 prompts.

    Returns:
        Settings, and one row per reply: `id`, `prompt`, `toxic`, `part`, `target`, `prompt_score`, `variant`, `sample`, `reply`, `reason`
        (why the first scorer gave none) and one column `score:ID` per scorer (NaN = not scored).

    Raises:
        BadInput: no measurement, or a damaged line; names it.
    """
    settings = read_settings(path)
    columns: dict[str, list[Any]] = {name: [] for name in ("id", *PROMPT, "variant", "sample", "reply", "reason")}
    scores: dict[str, list[float | None]] = {name: [] for name in settings.scorers}

    def add(data: dict[str, Any]) -> None:
        about = (data["id"], data["prompt"], data.get("toxic"), data.get("part", ""), data.get("target", ""), data["score"])
        for reply in data["replies"]:
            reason = reply.get("reasons", {}).get(settings.scorer, "")
            values = (*about, reply["variant"], reply["sample"], reply["text"], reason)
            for column, value in zip(columns.values(), values, strict=True):
                column.append(value)
            for name, found in scores.items():
                found.append(reply["scores"][name])

    for _ in lines(path, add):
        pass
    frame = pd.DataFrame({**columns, **{score_column(name): pd.array(values, float) for name, values in scores.items()}})
    return settings, frame.astype({"variant": "category", "prompt_score": float})


def score_column(scorer: str) -> str:
    """The column of a scorer."""
    return f"score:{scorer}"


def by_prompt(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per prompt, in order: index `id`, columns prompt, toxic, part, target, prompt_score."""
    return frame.drop_duplicates("id").set_index("id")[list(PROMPT)]


def wide(frame: pd.DataFrame, scorer: str, how: str = "first") -> pd.DataFrame:
    """One score per prompt (rows, in order) and variant (columns); NaN = not scored.

    Args:
        how: key of HOW.
    """
    column = score_column(scorer)
    if how == "first":
        one = frame[frame["sample"] == 0].set_index(["id", "variant"])[column]
    else:
        one = frame.groupby(["id", "variant"], sort=False, observed=True)[column].agg("mean" if how == "mean" else "max")
    return one.unstack("variant").reindex(index=frame["id"].unique(), columns=list(dict.fromkeys(frame["variant"])))


def buckets(scores: pd.Series, bounds: Sequence[float]) -> pd.Series:
    """Bucket of every score: low below the first bound, high above the second, "not scored" for NaN."""
    names = np.select([scores < bounds[0], scores > bounds[1], scores.notna()], ["low", "high", "medium"], NOT_SCORED)
    return pd.Series(names, index=scores.index)


def flows(scores: pd.DataFrame, before: str, after: str, bounds: Sequence[float]) -> pd.DataFrame:
    """How many prompts go from which bucket (rows) to which (columns)."""
    counts = pd.crosstab(buckets(scores[before], bounds).to_numpy(), buckets(scores[after], bounds).to_numpy())
    return counts.reindex(index=ORDER, columns=ORDER, fill_value=0)


def ribbons(scores: pd.DataFrame, before: str, sides: Sequence[str], bounds: Sequence[float]) -> pd.DataFrame:
    """The flows from one variant to others as rows, empty ones left out.

    Returns:
        `before` and `after` (variants), `from` and `to` (buckets), `prompts`, and `share` of the bucket they come from.
    """
    parts = []
    for after in sides:
        counts = flows(scores, before, after, bounds).rename_axis(index="from", columns="to").stack().rename("prompts").reset_index()
        totals = counts.groupby("from")["prompts"].transform("sum")
        parts.append(counts.assign(before=before, after=after, share=counts["prompts"] / totals.where(totals > 0)))
    found = pd.concat(parts, ignore_index=True)[["before", "from", "after", "to", "prompts", "share"]]
    return found[found["prompts"] > 0].reset_index(drop=True)


def behind(
    scores: pd.DataFrame, before: str, bounds: Sequence[float], source: str | None, after: str | None, target: str | None
) -> pd.Index:
    """Ids of the prompts of a ribbon (both ends given), or of a node (one end)."""
    kept = pd.Series(True, index=scores.index)
    if source is not None:
        kept &= buckets(scores[before], bounds) == source
    if after is not None and target is not None:
        kept &= buckets(scores[after], bounds) == target
    return scores.index[kept]


def changed(scores: pd.DataFrame, variants: Sequence[str], bounds: Sequence[float]) -> pd.Index:
    """Ids of the prompts whose bucket is not the same for all these variants."""
    found = pd.DataFrame({name: buckets(scores[name], bounds) for name in variants})
    return scores.index[found.nunique(axis=1) > 1]


def paired(scores: pd.DataFrame, before: str, after: str, bounds: Sequence[float]) -> dict[str, Any]:
    """What became of the prompts that both variants have a score for.

    Returns:
        `n`; `mean`, `low`, `high`: mean change of the score with its 95 % interval (normal; None below two prompts); `better` and `worse`:
        prompts in a lower or higher bucket than before; `fixed`, `broken`, `p`: toxic (above 0.5) before only, after only, McNemar's
        exact p; `unscored`: prompts left out.
    """
    both = scores[[before, after]].dropna()
    change = both[after] - both[before]
    ranks = {name: buckets(both[name], bounds).map({bucket: rank for rank, bucket in enumerate(BUCKETS)}) for name in (before, after)}
    fixed, broken, p = mcnemar((both[before] > TOXIC).to_numpy(), (both[after] > TOXIC).to_numpy())
    half = 1.96 * float(change.std(ddof=1)) / math.sqrt(len(both)) if len(both) > 1 else math.nan
    mean = float(change.mean()) if len(both) else math.nan
    return {
        "n": len(both),
        "mean": mean,
        "low": mean - half,
        "high": mean + half,
        "better": int((ranks[after] < ranks[before]).sum()),
        "worse": int((ranks[after] > ranks[before]).sum()),
        "fixed": fixed,
        "broken": broken,
        "p": p,
        "unscored": len(scores) - len(both),
    }


def search(frame: pd.DataFrame, words: str) -> pd.Index:
    """Ids of the prompts that have all these words in the prompt or in one reply, in any case."""
    found = frame["id"].drop_duplicates()
    texts = [frame[column].str.casefold() for column in ("prompt", "reply")]
    for word in words.casefold().split():
        there = texts[0].str.contains(word, regex=False) | texts[1].str.contains(word, regex=False)
        found = found[found.isin(frame.loc[there, "id"])]
    return pd.Index(found)
