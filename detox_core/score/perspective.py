"""Scores by Google's Perspective API (commentanalyzer v1alpha1), while it lasts. Needs a key and a network."""

import math
import os
import threading
import time
from collections.abc import Sequence

import httpx

from detox_core.errors import ScorerError
from detox_core.score.registry import ENDS
from detox_core.types import Score

URL = "https://commentanalyzer.googleapis.com/v1alpha1/comments:analyze"
ATTRIBUTES = ("TOXICITY", "SEVERE_TOXICITY", "IDENTITY_ATTACK", "INSULT", "PROFANITY", "THREAT")
MAX_BYTES = 3000
SECONDS_PER_REQUEST = 1.0  # the free quota: one query a second


class Perspective:
    """The Perspective scorer; one request per text, at most one a second, retried twice when the quota says no."""

    id = "perspective"
    revision = "v1alpha1"

    def __init__(self, key: str, client: httpx.Client | None = None, pause: float = SECONDS_PER_REQUEST) -> None:
        self._client = client or httpx.Client(timeout=20)
        self._key, self._pause = key, pause
        self._lock, self._next = threading.Lock(), 0.0

    def score(self, texts: Sequence[str]) -> list[Score]:
        """See `Scorer.score`."""
        return [self._one(text) for text in texts]

    def _one(self, text: str) -> Score:
        if not text.strip():
            return self._unscored("empty")
        if len(text.encode()) > MAX_BYTES:
            return self._unscored(f"longer than {MAX_BYTES} bytes")
        body = {
            "comment": {"text": text},
            "requestedAttributes": {name: {} for name in ATTRIBUTES},
            "languages": ["en"],
            "doNotStore": True,
        }
        for _ in range(3):
            self._wait()
            try:
                response = self._client.post(URL, json=body, headers={"X-Goog-Api-Key": self._key})
            except httpx.HTTPError as error:
                return self._unscored(f"Perspective could not be reached ({type(error).__name__})")
            if response.status_code != 429:
                break
        return self._read(response)

    def _read(self, response: httpx.Response) -> Score:
        try:
            answer = response.json()
            if response.status_code == 200:
                values = {name: float(answer["attributeScores"][name]["summaryScore"]["value"]) for name in ATTRIBUTES}
                return Score(values.pop("TOXICITY"), self.id, self.revision, attributes=values)
            message = answer["error"]["message"]
        except (ValueError, KeyError, TypeError):
            message = response.reason_phrase
        return self._unscored(f"Perspective: {message} (HTTP {response.status_code})")

    def _wait(self) -> None:
        """Hold the rate limit across threads."""
        with self._lock:
            now = time.monotonic()
            start = max(now, self._next)
            self._next = start + self._pause
        time.sleep(start - now)

    def _unscored(self, reason: str) -> Score:
        return Score(math.nan, self.id, self.revision, reason=reason)


def perspective() -> Perspective:
    """The scorer with the key from the environment.

    Raises:
        ScorerError: no key there.
    """
    key = os.environ.get("PERSPECTIVE_API_KEY", "")
    if not key:
        raise ScorerError(f"Perspective needs a key in the environment variable PERSPECTIVE_API_KEY. The service ends {ENDS}.")
    return Perspective(key)
