"""What many scored replies say together: metrics with intervals, and paired differences between variants. Imports no torch.

Intervals are percentile bootstraps over prompts (Efron & Tibshirani 1993, chapter 13), at 95 %. All variants answered the same prompts, so
one resampling serves them all and differences are paired.
"""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from scipy.stats import binomtest, wilcoxon

from detox_core.measure.metrics import TOXIC, expected_maximum_toxicity, toxicity_probability
from detox_core.types import Generation, Prompt

RESAMPLES = 2000
SEED = 0
LEVELS = (2.5, 97.5)
Replies = Sequence[Generation]


@dataclass(frozen=True, slots=True)
class Measured:
    """One prompt with all its replies, scored."""

    prompt: Prompt
    generations: tuple[Generation, ...]


def _scores(replies: Replies) -> list[float]:
    return [reply.score.value if reply.score else math.nan for reply in replies]


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def _hate(replies: Replies) -> float:
    values = [reply.score.attributes.get("HATE", math.nan) if reply.score else math.nan for reply in replies]
    return _mean([math.nan if math.isnan(value) else float(value > TOXIC) for value in values])


# One number per prompt from its replies by one variant; a data set's metric is the mean over prompts.
PER_PROMPT: dict[str, Callable[[Replies], float]] = {
    "toxic_share": lambda replies: _mean([math.nan if math.isnan(value) else float(value > TOXIC) for value in _scores(replies)]),
    "average_toxicity": lambda replies: _mean(_scores(replies)),
    "expected_max_toxicity": lambda replies: expected_maximum_toxicity(_scores(replies)).value,
    "toxicity_probability": lambda replies: toxicity_probability(_scores(replies), draws=max(1, len(replies))).value,
    "hate_share": _hate,
    "words": lambda replies: _mean([len(reply.text.split()) for reply in replies]),
}
COMPARED = ("toxic_share", "average_toxicity", "toxicity_probability")


def report(measured: Sequence[Measured], variants: Sequence[str]) -> dict[str, Any]:
    """Metrics by variant, differences by pair of variants; NaN becomes None.

    Returns:
        `variants`: name -> metric -> value, low, high, k (samples a prompt), scored, total (replies). `differences`: b minus a, with
        McNemar's exact p for `toxicity_probability` and Wilcoxon's signed-rank p for the others; `fixed` prompts got a toxic
        reply from a and none from b, `broken` ones the reverse.
    """
    replies = {name: [[g for g in row.generations if g.variant == name] for row in measured] for name in variants}
    values = {
        name: {metric: np.array([measure(group) for group in groups], dtype=float) for metric, measure in PER_PROMPT.items()}
        for name, groups in replies.items()
    }
    resampled = np.random.default_rng(SEED).integers(0, len(measured), (RESAMPLES, len(measured)))
    return {
        "variants": {name: _metrics(values[name], replies[name], resampled) for name in variants},
        "differences": [
            _difference(a, b, metric, values, resampled) for a, b in combinations(variants, 2) for metric in COMPARED if len(measured)
        ],
    }


def _metrics(values: dict[str, np.ndarray], groups: Sequence[Replies], resampled: np.ndarray) -> dict[str, Any]:
    flat = [reply for group in groups for reply in group]
    counts = {
        "k": max((len(group) for group in groups), default=0),
        "scored": sum(bool(reply.score and reply.score.scored) for reply in flat),
        "total": len(flat),
    }
    found: dict[str, Any] = {metric: {**interval(array, resampled), **counts} for metric, array in values.items()}
    found["distinct_2"] = {"value": distinct(reply.text for reply in flat), "low": None, "high": None, **counts}
    return found


def interval(values: np.ndarray, resampled: np.ndarray) -> dict[str, float | None]:
    """The mean of the known values with its interval; `resampled` holds one row of indices per resample."""
    if np.isnan(values).all():
        return {"value": None, "low": None, "high": None}
    low, high = np.nanpercentile(np.nanmean(values[resampled], axis=1), LEVELS)
    return {"value": float(np.nanmean(values)), "low": float(low), "high": float(high)}


def _difference(a: str, b: str, metric: str, values: dict[str, dict[str, np.ndarray]], resampled: np.ndarray) -> dict[str, Any]:
    change = values[b][metric] - values[a][metric]
    before, after = values[a]["toxicity_probability"] > TOXIC, values[b]["toxicity_probability"] > TOXIC
    fixed, broken, p = mcnemar(before, after)
    known = change[~np.isnan(change)]
    if metric != "toxicity_probability":
        p = float(wilcoxon(known).pvalue) if known.any() else 1.0
    return {"a": a, "b": b, "metric": metric, **interval(change, resampled), "p": p, "fixed": fixed, "broken": broken}


def mcnemar(before: np.ndarray, after: np.ndarray) -> tuple[int, int, float]:
    """Toxic before and not after (`fixed`), the reverse (`broken`), and McNemar's exact p that both are equally likely."""
    fixed, broken = int((before & ~after).sum()), int((~before & after).sum())
    return fixed, broken, float(binomtest(fixed, fixed + broken).pvalue) if fixed + broken else 1.0


def distinct(texts: Iterable[str], n: int = 2) -> float | None:
    """Distinct n-grams over all n-grams of lower-cased words (Li et al. 2016); None without any."""
    grams = [
        tuple(words[at : at + n]) for words in (re.findall(r"[\w']+", text.lower()) for text in texts) for at in range(len(words) - n + 1)
    ]
    return len(set(grams)) / len(grams) if grams else None
