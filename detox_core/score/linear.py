"""The second opinion: a linear model of words and letter groups. No neural network, no data in common with the local scorer's attributes.

It knows words, not meaning: no negation, no irony. Its use is to judge what was trained against the local scorer.
"""

import math
from collections.abc import Sequence

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import HashingVectorizer

from detox_core.demo import SECOND_SCORER
from detox_core.errors import ScorerError
from detox_core.score.unscorable import unscorable
from detox_core.types import Score

FEATURES = 2**17  # of each kind
WEIGHTS = "weights.safetensors"
_WORDS = HashingVectorizer(n_features=FEATURES, ngram_range=(1, 2), alternate_sign=False, token_pattern=r"(?u)\b\w+\b")
_LETTERS = HashingVectorizer(n_features=FEATURES, analyzer="char_wb", ngram_range=(3, 5), alternate_sign=False)


def features(texts: Sequence[str]) -> csr_matrix:
    """Hashed counts (texts, 2 x FEATURES), each kind scaled to length 1."""
    return hstack([_WORDS.transform(texts), _LETTERS.transform(texts)]).tocsr()


class Linear:
    """See `Scorer`: logistic regression on hashed features."""

    def __init__(self, weights: np.ndarray, bias: float, revision: str) -> None:
        self.id, self.revision = "second", revision
        self.weights, self.bias = weights.astype(np.float32), bias

    def score(self, texts: Sequence[str]) -> list[Score]:
        """See `Scorer.score`."""
        reasons = [unscorable(text) for text in texts]
        readable = [text for text, reason in zip(texts, reasons, strict=True) if reason is None]
        log_odds = features(readable) @ self.weights + self.bias if readable else np.empty(0)
        values = iter((1 / (1 + np.exp(-log_odds))).tolist())
        return [Score(math.nan if reason else next(values), self.id, self.revision, reason=reason) for reason in reasons]


def second() -> Linear:
    """The second scorer that ships with the app.

    Raises:
        ScorerError: its file is missing or damaged.
    """
    from detox_core.models.checking import fingerprint

    path = SECOND_SCORER / WEIGHTS
    try:
        arrays = load_file(path)
        return Linear(arrays["weights"], float(arrays["bias"][0]), fingerprint(SECOND_SCORER))
    except (OSError, KeyError, SafetensorError) as error:
        raise ScorerError(
            f"The second scorer in {path} could not be loaded: {error} Restore it with: git checkout {SECOND_SCORER}"
        ) from error
