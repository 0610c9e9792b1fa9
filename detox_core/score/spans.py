"""Which words of a text carry its score: the fewest words, found greedily, without which it is no longer toxic."""

import math
import re

from detox_core.score.registry import Scorer
from detox_core.types import Span

WORDS = re.compile(r"\w+(?:['-]\w+)*")
MAX_WORDS = 150  # of a text
MAX_MARKED = 8
ALONE = 0.25  # a word scored below this on its own is not marked, for example the name of a group
CANDIDATES = 10  # words looked at again after the first round


def toxic_words(text: str, scorer: Scorer, threshold: float = 0.33) -> tuple[Span, ...]:
    """Leave out the word whose absence lowers the score most, again and again, until the text is no longer toxic.

    One round of leaving words out (occlusion) would miss insults that stand in for each other: without either of two, the
    text stays toxic. Falls are measured in log-odds, `log(p / (1 - p))`, because near 1 a probability hardly moves.

    Args:
        threshold: a text scored at or below it, or not scored, has no spans.

    Returns:
        At most 8 spans in order of appearance, each with the fall at its removal; none for texts of more than 150 words, and none
        where no word is toxic by itself.
    """
    words = [(match.start(), match.end()) for match in WORDS.finditer(text)]
    now = scorer.score([text])[0]
    if not now.scored or now.value <= threshold or not words or len(words) > MAX_WORDS:
        return ()
    gone: list[Span] = []
    alone = scorer.score([text[start:end] for start, end in words])
    candidates = [word for word, score in zip(words, alone, strict=True) if score.scored and score.value > min(ALONE, threshold)]
    level = now.value
    while level > threshold and candidates and len(gone) < MAX_MARKED:
        without = [_leave_out(text, [*gone, Span(start, end, 0.0)]) for start, end in candidates]
        values = [score.value if score.scored else 0.0 for score in scorer.score(without)]
        ranked = sorted(zip(values, candidates, strict=True))
        lowest, (start, end) = ranked[0]
        if lowest >= level:
            break
        gone.append(Span(start, end, _log_odds(level) - _log_odds(lowest)))
        level = lowest
        candidates = [word for _, word in ranked[1 : CANDIDATES + 1]]
    return tuple(sorted(gone, key=lambda span: span.start))


def _leave_out(text: str, spans: list[Span]) -> str:
    for span in sorted(spans, key=lambda span: -span.start):
        text = text[: span.start] + text[span.end :]
    return text


def _log_odds(probability: float) -> float:
    clipped = min(max(probability, 1e-4), 1 - 1e-4)
    return math.log(clipped / (1 - clipped))
