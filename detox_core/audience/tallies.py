"""Votes counted."""

from collections.abc import Sequence

import pandas as pd

from detox_core.measure.verdicts import wilson
from detox_core.types import Variant, Vote


def tally(votes: Sequence[Vote], variants: Sequence[Variant]) -> pd.DataFrame:
    """Columns variant (label), votes, share, low, high: one row per variant, also without votes; others that have votes follow by id.

    Low and high are Wilson's 95 % interval of the share, which takes votes for independent; NaN without any vote.
    """
    counts = {variant.id: 0 for variant in variants}
    for vote in votes:
        counts[vote.variant] = counts.get(vote.variant, 0) + 1
    labels = {variant.id: variant.label for variant in variants}
    rows = []
    for name, count in counts.items():
        low, high = wilson(count, len(votes))
        share = count / len(votes) if votes else float("nan")
        rows.append({"variant": labels.get(name, name), "votes": count, "share": share, "low": low, "high": high})
    return pd.DataFrame(rows, columns=["variant", "votes", "share", "low", "high"])


def by_prompt(votes: Sequence[Vote], variants: Sequence[Variant]) -> pd.DataFrame:
    """Columns prompt, one per variant (label), and votes: one row per prompt that is known, most votes first."""
    labels = {variant.id: variant.label for variant in variants}
    frame = pd.DataFrame({"prompt": v.prompt or "prompts that are not kept", "variant": labels.get(v.variant, v.variant)} for v in votes)
    if frame.empty:
        return pd.DataFrame(columns=["prompt", *labels.values(), "votes"])
    counts = pd.crosstab(frame["prompt"], frame["variant"])
    counts = counts.reindex(columns=[*labels.values(), *(c for c in counts.columns if c not in labels.values())], fill_value=0)
    return counts.assign(votes=counts.sum(axis=1)).sort_values("votes", ascending=False).reset_index().rename_axis(columns=None)
