"""The published numbers of Scalena et al. (2023) against RewardLM's own result files: recomputed, corrected and judged.

Counted as the authors did, a reply without a score is non-toxic. Corrected, only prompts count whose replies of all variants are scored.
"""

import math
from collections.abc import Sequence
from pathlib import Path

from detox_core.measure import beyond, claims
from detox_core.measure.families import Claim, families, flows_frame, published

__all__ = ["as_text", "flows_frame", "reproduce"]


def reproduce(folder: Path) -> list[Claim]:
    """Every printed number that the files determine, then what they say beyond it.

    Raises:
        BadInput: the folder has no readable result files.
    """
    found, numbers = families(flows_frame(folder)), published()
    return [
        *claims.shares(found, numbers),
        *claims.changes(found, numbers),
        *claims.pairs(found, numbers),
        *claims.flow_counts(found, numbers),
        *claims.examples(found, numbers),
        *beyond.second_row(found),
        *beyond.scored(found),
        *beyond.means(found),
        *beyond.scorers(found),
        *beyond.all_flows(found, numbers),
        *beyond.texts(found),
    ]


def as_text(found: Sequence[Claim]) -> str:
    """A table for reading, one block per source."""
    lines: list[str] = []
    for source in dict.fromkeys(claim.source for claim in found):
        mine = [claim for claim in found if claim.source == source]
        width = max(len(claim.claim) for claim in mine)
        lines += ["", source, f"  {'':<{width}}  {'published':>9}  {'ours':>9}  {'95 % interval':<18}  {'k of n':<15}  verdict"]
        for claim in mine:
            whole = isinstance(claim.ours, int)
            ends = [None if end is None or math.isnan(end) else round(end) if whole else end for end in (claim.low, claim.high)]
            interval = f"[{_cell(ends[0])}, {_cell(ends[1])}]" if claim.low is not None else ""
            counts = "" if claim.n is None else f"{claim.n:,}" if claim.k is None else f"{claim.k:,} of {claim.n:,}"
            changed = "" if claim.fixed is None else f" fixed {claim.fixed}, broken {claim.broken}"
            lines.append(
                f"  {claim.claim:<{width}}  {_cell(claim.published):>9}  {_cell(claim.ours):>9}  {interval:<18}  {counts:<15}  "
                f"{claim.verdict}{';' if changed else ''}{changed}"
            )
    return "\n".join(lines[1:])


def _cell(value: float | None) -> str:
    if value is None or math.isnan(value):
        return "-"
    if isinstance(value, int) or (abs(value) >= 1 and value.is_integer()):
        return f"{int(value):,}"
    return f"{value:.3f}" if abs(value) < 1 else f"{value:,.1f}"
