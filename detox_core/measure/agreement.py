"""How well a scorer agrees with another one. Knows nothing of models."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import pearsonr
from sklearn.metrics import roc_auc_score

from detox_core.measure.metrics import TOXIC

BINS = 10


def agreement(real: Sequence[float], mine: Sequence[float]) -> dict[str, float]:
    """Figures over the texts that both have scored.

    Args:
        real: scores to agree with, in [0, 1]; NaN = not scored.
        mine: scores to judge, same length and kind.

    Returns:
        `r`: Pearson correlation. `auroc`: probability that `mine` ranks a toxic text (real > 0.5) above another one. `mae`: mean absolute
        error. `calibration_gap`: mean distance between both, averaged within ten bins of `mine` first. `coverage`: share of the
        texts with a real score that `mine` scored. `scored`, `toxic`: counts. NaN where the texts do not determine a figure.
    """
    truth, guess = np.asarray(real, dtype=float), np.asarray(mine, dtype=float)
    known = ~np.isnan(truth)
    both = known & ~np.isnan(guess)
    coverage = float(both.sum() / known.sum()) if known.any() else math.nan
    truth, guess = truth[both], guess[both]
    toxic = truth > TOXIC
    bins = np.minimum((guess * BINS).astype(int), BINS - 1)
    gaps = [abs((truth - guess)[bins == index].sum()) for index in range(BINS)]
    return {
        "r": float(pearsonr(truth, guess).statistic) if len(truth) > 1 and np.ptp(truth) and np.ptp(guess) else math.nan,
        "auroc": float(roc_auc_score(toxic, guess)) if 0 < toxic.sum() < len(toxic) else math.nan,
        "mae": float(np.abs(truth - guess).mean()) if len(truth) else math.nan,
        "calibration_gap": float(sum(gaps) / len(truth)) if len(truth) else math.nan,
        "coverage": coverage,
        "scored": int(both.sum()),
        "toxic": int(toxic.sum()),
    }
