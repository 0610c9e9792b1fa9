"""Signs that training goes astray, read off the metrics while it runs. Standard library only."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

SERIES = 3  # logs in a row
LEAST_ENTROPY = 0.2  # of what it was at the start
MOST = 0.3  # share of replies of one bad kind
DISAGREE = 0.05  # rise of the second scorer's toxicity that counts
WINDOW = 5  # logs that are averaged
KINDS = {
    "too_short": "are too short to judge",
    "repeats_itself": "repeat themselves",
    "copies_the_prompt": "copy the prompt",
    "unscorable": "are empty or in another script",
}


@dataclass
class Guards:
    """Looks at each log of a run; remembers what it has seen.

    Attributes:
        limit: KL in nats per token beyond which the policy has left its reference.
    """

    limit: float = 1.0
    seen: dict[str, list[float]] = field(default_factory=dict)

    def look(self, metrics: Mapping[str, float]) -> list[tuple[str, str]]:
        """Take in one log.

        Returns:
            What is wrong now: a short name, and a sentence with the figure and the way out.
        """
        for name, value in metrics.items():
            if math.isfinite(value):
                self.seen.setdefault(name, []).append(value)
        return [found for check in (self._kl, self._entropy, self._replies, self._second) for found in check()]

    def _kl(self) -> list[tuple[str, str]]:
        kl = self.seen.get("kl", [])
        if len(kl) >= SERIES and all(value < 0 for value in kl[-SERIES:]):
            way = "Sampling and training disagree; use temperature 1 and no filters."
            return [("KL below zero", f"The KL was below zero {SERIES} times in a row, last {kl[-1]:.3f}. {way}")]
        if kl and kl[-1] > self.limit:
            way = "The model is leaving its reference; raise beta or lower the learning rate."
            return [("KL too large", f"The KL is {kl[-1]:.2f} nats per token, above {self.limit:g}. {way}")]
        return []

    def _entropy(self) -> list[tuple[str, str]]:
        entropy = self.seen.get("entropy", [])
        if "reward" in self.seen and len(entropy) > SERIES and entropy[-1] < LEAST_ENTROPY * entropy[0]:
            way = "The replies become all alike; raise beta or stop earlier."
            return [("entropy collapse", f"The policy's entropy fell from {entropy[0]:.2f} to {entropy[-1]:.2f} nats per token. {way}")]
        return []

    def _replies(self) -> list[tuple[str, str]]:
        shares = {name: self.seen[name][-1] for name in KINDS if name in self.seen}
        way = "That is not an answer, and never pays; if it goes on, lower the learning rate."
        return [
            (name.replace("_", " "), f"{share:.0%} of the replies {KINDS[name]}. {way}")
            for name, share in shares.items()
            if share > MOST and share > 1.5 * self.seen[name][0]
        ]

    def _second(self) -> list[tuple[str, str]]:
        reward, other = self.seen.get("reward", []), self.seen.get("second_scorer", [])
        if min(len(reward), len(other)) < 2 * WINDOW:
            return []
        rise = _mean(other[-WINDOW:]) - _mean(other[:WINDOW])
        if _mean(reward[-WINDOW:]) > _mean(reward[:WINDOW]) and rise > DISAGREE:
            way = "The reward may be earned by what only its own scorer likes; add a scorer or stop."
            return [("scorers disagree", f"The reward rose while the second scorer's toxicity rose by {rise:.2f}. {way}")]
        return []


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
