"""What a recomputed number says about a printed one, in words. Knows numbers only: no files, no models."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
from scipy.stats import binomtest

from detox_core.measure.metrics import TOXIC
from detox_core.measure.report import LEVELS, RESAMPLES, SEED, mcnemar

ALPHA = 0.05
NOT_PUBLISHED = "not published"
KAPPA = ((0.0, "no better than chance"), (0.2, "slight"), (0.4, "fair"), (0.6, "moderate"), (0.8, "substantial"), (1.0, "almost perfect"))


@dataclass(frozen=True, slots=True)
class Pair:
    """Two variants on the same prompts: how many replies are toxic, what changed, and 95 % bootstrap intervals over prompts.

    Attributes:
        n: prompts compared.
        before, after: toxic replies of the one and of the other variant.
        fixed, broken: toxic before and not after, and the reverse.
        p: McNemar's exact p.
        points: change of the share, in percentage points; with `points_range`.
        percent: change in percent of the share before; NaN where nothing was toxic before; with `percent_range`.
    """

    n: int
    before: int
    after: int
    fixed: int
    broken: int
    p: float
    points: float
    points_range: tuple[float, float]
    percent: float
    percent_range: tuple[float, float]


def compare(before: np.ndarray, after: np.ndarray) -> Pair:
    """The pair from scores in the same order; NaN counts as non-toxic, so leave such rows out first unless that is meant."""
    a, b = np.asarray(before) > TOXIC, np.asarray(after) > TOXIC
    n, both = len(a), int((a & b).sum())
    fixed, broken, p = mcnemar(a, b)
    # Resampling rows and counting four kinds of them is drawing the four counts from a multinomial distribution.
    counts = np.array([both, fixed, broken, n - both - fixed - broken])
    drawn = np.random.default_rng(SEED).multinomial(n, counts / max(n, 1), RESAMPLES) if n else np.zeros((1, 4))
    change, toxic = drawn[:, 2] - drawn[:, 1], drawn[:, 0] + drawn[:, 1]
    relative = 100 * change[toxic > 0] / toxic[toxic > 0]
    return Pair(
        n,
        int(a.sum()),
        int(b.sum()),
        fixed,
        broken,
        p,
        100 * (broken - fixed) / n if n else math.nan,
        _range(100 * change / max(n, 1)),
        100 * (broken - fixed) / a.sum() if a.any() else math.nan,
        _range(relative),
    )


def _range(values: np.ndarray) -> tuple[float, float]:
    if not len(values):
        return math.nan, math.nan
    low, high = np.percentile(values, LEVELS)
    return float(low), float(high)


def wilson(k: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share; NaN of nothing."""
    if not n:
        return math.nan, math.nan
    interval = binomtest(k, n).proportion_ci(1 - ALPHA, method="wilson")
    return float(interval.low), float(interval.high)


def holm(values: Sequence[float]) -> list[float]:
    """P values corrected for their number (Holm 1979), in the same order."""
    order = np.argsort(values)
    corrected, highest = [0.0] * len(values), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(values) - rank) * values[index]))
        corrected[index] = highest
    return corrected


def rounded(value: float, digits: int) -> float:
    """Half up, as in print; `round` goes to the even digit."""
    return float(Decimal(str(value)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP))


def share_verdict(printed: float, digits: int, counted: tuple[int, int], joint: tuple[int, int]) -> str:
    """Of a printed share.

    Args:
        counted: toxic and all replies, as the authors counted: without a score is non-toxic.
        joint: the same over the prompts whose replies of all variants are scored.
    """
    share = counted[0] / counted[1] if counted[1] else math.nan
    if math.isnan(share) or not joint[1]:
        return "cannot be checked: nothing is scored"
    scored, (low, high) = joint[0] / joint[1], wilson(*joint)
    if rounded(share, digits) != printed:
        if rounded(rounded(share, digits + 1), digits) == printed:
            return f"differs: {share:.{digits + 2}f}; as printed only when rounded twice"
        return f"differs: {share:.{digits + 1}f}"
    if not low <= printed <= high:
        return f"holds only if unscored replies count as non-toxic: {scored:.3f} [{low:.3f}, {high:.3f}] where all variants are scored"
    return "equal" if rounded(scored, digits) == printed else f"equal; {scored:.{digits + 1}f} where all variants are scored"


def change_verdict(printed: float, within: float, counted: Pair, joint: Pair, from_table: float = math.nan) -> str:
    """Of a printed change in percent.

    Args:
        within: percentage points that the printing may be off.
        counted, joint: as for `share_verdict`.
        from_table: the change that follows from shares as printed, rounded.
    """
    if abs(counted.percent - printed) > within:
        said = f"differs: {counted.percent:+.1f} %"
        said += f"; {printed:+.0f} % follows from the rounded table" if abs(from_table - printed) <= within else ""
    elif not joint.percent_range[0] <= printed <= joint.percent_range[1]:
        said = f"holds only if unscored replies count as non-toxic: {joint.percent:+.1f} % where all variants are scored"
    else:
        close = abs(joint.percent - printed) <= within
        said = "equal" if close else f"equal; {joint.percent:+.1f} % where all variants are scored"
    return said if joint.p < ALPHA else f"{said}; vanishes under a paired test ({p_text(joint.p)})"


def pair_verdict(expected: float, pair: Pair, corrected: float = math.nan, tests: int = 0, other: Pair | None = None) -> str:
    """Of the statement that one variant is more or less toxic than another.

    Args:
        expected: printed change; only its sign counts. NaN = nobody printed one.
        corrected: Holm's p over so many `tests`; NaN = not corrected.
        other: the same pair with unscored replies counted as non-toxic, where `pair` leaves them out.
    """
    significant = pair.p < ALPHA
    if other and significant != (other.p < ALPHA):
        if significant:
            return f"{_direction(expected, pair)} ({p_text(pair.p)}); hidden when unscored replies count as non-toxic ({p_text(other.p)})"
        return f"holds only if unscored replies count as non-toxic ({p_text(other.p)}, else {p_text(pair.p)})"
    if not significant:
        return f"{'no difference' if math.isnan(expected) else 'vanishes under a paired test'} ({p_text(pair.p)})"
    if corrected >= ALPHA:
        return f"{_direction(expected, pair)} weakly ({p_text(pair.p)}; {p_text(corrected)} corrected for {tests} tests)"
    return f"{_direction(expected, pair)} ({p_text(pair.p)})"


def _direction(expected: float, pair: Pair) -> str:
    if math.isnan(expected):
        return "less toxic" if pair.points < 0 else "more toxic"
    return "holds" if pair.points * expected > 0 else "reverses"


def mean_verdict(share: float, low: float, high: float) -> str:
    """Of a change of the mean score beside the change of the toxic share."""
    if low <= 0 <= high:
        return "vanishes on the mean"
    if not share:
        return "lower on the mean" if high < 0 else "higher on the mean"
    return "holds on the mean" if share * high > 0 else "reverses on the mean"


def flow_verdict(printed: float | None, code: int, text: int, bounds: dict[str, Sequence[float]]) -> str:
    """Of a count of replies between two buckets, with the bounds of the authors' code and of their text."""
    stated = f"{text:,} with the bounds of the text ({bounds['text'][0]}, {bounds['text'][1]})"
    if printed is None:
        return NOT_PUBLISHED if code == text else f"{NOT_PUBLISHED}; {stated}"
    if printed not in (code, text):
        return f"differs: {code:,}"
    if code == text:
        return "equal"
    if printed == code:
        return f"holds only with the bounds of the code ({bounds['code'][0]}, {bounds['code'][1]}): {stated}"
    return f"holds only with the bounds of the text: {code:,} with those of the code"


def agreement_verdict(first: np.ndarray, second: np.ndarray, r: float) -> str:
    """How far two scorers agree on which replies are toxic: Cohen's kappa in the words of Landis & Koch (1977)."""
    a, b = np.asarray(first) > TOXIC, np.asarray(second) > TOXIC
    if not len(a):
        return "nothing is scored by both"
    chance = a.mean() * b.mean() + (1 - a.mean()) * (1 - b.mean())
    kappa = ((a == b).mean() - chance) / (1 - chance) if chance < 1 else 1.0
    return f"{next(word for upper, word in KAPPA if kappa <= upper)} agreement (kappa {kappa:.2f}, r {r:.2f})"


def p_text(p: float) -> str:
    """For example "p = 0.37"."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"
