"""Which words of a text carry its score: leave each one out and look. Works with any scorer."""

import math
import re
from dataclasses import replace

from detox_core.score.registry import Scorer
from detox_core.types import Span

WORDS = re.compile(r"\w+(?:['-]\w+)*")
MAX_WORDS = 120


def toxic_words(text: str, scorer: Scorer, threshold: float = 0.33, share: float = 0.25) -> tuple[Span, ...]:
    """Words without which the text is less toxic (occlusion; Zeiler & Fergus 2014, applied to words).

    The fall is measured in log-odds, `log(p / (1 - p))`, because near 1 a probability hardly moves. Two insults can
    each hide the other's fall; so marked words are a lower bound, not a complete list.

    Args:
        threshold: texts scored at or below it, and unscored ones, have no spans.
        share: a word is kept when its fall is at least this share of the text's largest one, and at least 0.3.

    Returns:
        Spans in order of appearance; empty for texts of more than 120 words.
    """
    words = [Span(match.start(), match.end(), 0.0) for match in WORDS.finditer(text)]
    whole = scorer.score([text])[0]
    if not whole.scored or whole.value <= threshold or not words or len(words) > MAX_WORDS:
        return ()
    without = scorer.score([text[: word.start] + text[word.end :] for word in words])
    falls = [
        replace(word, weight=_log_odds(whole.value) - _log_odds(score.value) if score.scored else _log_odds(whole.value))
        for word, score in zip(words, without, strict=True)
    ]
    largest = max(span.weight for span in falls)
    return tuple(span for span in falls if span.weight >= max(0.3, share * largest))


def _log_odds(probability: float) -> float:
    clipped = min(max(probability, 1e-6), 1 - 1e-6)
    return math.log(clipped / (1 - clipped))
