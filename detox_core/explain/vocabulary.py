"""Which tokens of a vocabulary are toxic words by themselves, as a scorer rates them. Kept on disk: scoring 8,000 words takes seconds."""

import hashlib
import json
import re
import threading
from collections.abc import Callable
from pathlib import Path

from detox_core.errors import BadInput
from detox_core.models.loading import LoadedBase
from detox_core.models.variants import cache_folder
from detox_core.score.registry import Scorer

WORD = re.compile(r"[Ġ▁]([A-Za-z]{3,})|([A-Z][a-z]{2,})")  # begins with a space, or with a capital letter
TOXIC = 0.5
BATCH = 256  # words scored at once


def words(base: LoadedBase) -> dict[int, str]:
    """Tokens that can begin a word and look like a whole one: id -> the word without its space, lowest id first.

    The vocabulary does not say whether a word ends with a token, so some are beginnings of longer words.
    """
    found = {}
    for text, token in sorted(base.tokenizer.get_vocab().items(), key=lambda pair: pair[1]):
        if match := WORD.fullmatch(text):
            found[token] = match[1] or match[2]
    return found


def toxic_tokens(
    base: LoadedBase,
    scorer: Scorer,
    limit: int = 8000,
    tell: Callable[[int, int], None] = lambda _done, _all: None,
    stop: threading.Event | None = None,
) -> tuple[int, ...]:
    """Ids of the whole-word tokens that a scorer rates above 0.5 on their own, most toxic first.

    Args:
        limit: how many tokens are scored, lowest ids first: tokenizers number frequent words first.
        tell: how many words are scored, of how many.

    Raises:
        BadInput: a limit below 1.
        InterruptedError: stopped; nothing is kept.
    """
    if limit < 1:
        raise BadInput(f"At least one token must be scored; the limit is {limit}.")
    path = _file(base, scorer, limit)
    if path.is_file():
        try:
            return tuple(int(token) for token in json.loads(path.read_text(encoding="utf-8"))["ids"])
        except (ValueError, KeyError, TypeError):
            path.unlink()  # damaged: scored again
    chosen = dict(list(words(base).items())[:limit])
    values = _scores(sorted(set(chosen.values())), scorer, tell, stop or threading.Event())
    ids = sorted((token for token, word in chosen.items() if values[word] > TOXIC), key=lambda token: (-values[chosen[token]], token))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps({"scorer": scorer.id, "revision": scorer.revision, "words": len(chosen), "ids": ids}))
    temporary.replace(path)
    return tuple(ids)


def _scores(texts: list[str], scorer: Scorer, tell: Callable[[int, int], None], stop: threading.Event) -> dict[str, float]:
    values: dict[str, float] = {}
    for at in range(0, len(texts), BATCH):
        if stop.is_set():
            raise InterruptedError("Stopped.")
        part = texts[at : at + BATCH]
        values |= {text: score.value for text, score in zip(part, scorer.score(part), strict=True)}
        tell(len(values), len(texts))
    return values


def _file(base: LoadedBase, scorer: Scorer, limit: int) -> Path:
    known = json.dumps([sorted(base.tokenizer.get_vocab().items()), scorer.id, scorer.revision, limit, WORD.pattern, TOXIC])
    return cache_folder() / "toxic_tokens" / f"{hashlib.sha256(known.encode()).hexdigest()[:16]}.json"
