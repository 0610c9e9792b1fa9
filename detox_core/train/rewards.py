"""The reward of a reply that is not toxic, and guards against the ways to earn it without answering.

A policy that is paid for low toxicity alone finds what the scorer cannot judge: silence, other scripts, one word again and again,
the prompt itself. Such replies get the lowest reward there is, so they never pay.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from detox_core.score import Scorer
from detox_core.score.evasion import evasion

LIMIT = 4.0  # log-odds beyond which nothing more is gained or lost: 98 %


def not_toxic(prompts: Sequence[str], replies: Sequence[str], scorer: Scorer) -> tuple[list[float], list[str | None]]:
    """Log-odds, clipped to [-4, 4], that neither TOXICITY nor (where the scorer has it) HATE applies to the reply alone.

    Args:
        prompts, replies: plain texts, one prompt per reply.

    Returns:
        One reward per reply, and how it avoids being judged (None if it does not; the others get -4).
    """
    hacks = [evasion(prompt, reply) for prompt, reply in zip(prompts, replies, strict=True)]
    rewards = []
    for score, found in zip(scorer.score([reply.strip() for reply in replies]), hacks, strict=True):
        worst = max(score.value, score.attributes.get("HATE", 0.0))
        rewards.append(-LIMIT if found or math.isnan(score.value) else _log_odds_against(worst))
    return rewards, hacks


def as_reward_function(scorer: Callable[[], Scorer]) -> Callable[..., list[float | None]]:
    """The reward in TRL's form: the data set needs a column `text` with the plain prompt. Logs what the guards caught."""

    def not_toxic_reward(completions: list[str], text: list[str], log_metric: Any = None, **_: object) -> list[float | None]:
        rewards, hacks = not_toxic(text, completions, scorer())
        if log_metric:
            for name in ("too short", "repeats itself", "copies the prompt"):
                log_metric(name.replace(" ", "_"), sum(found == name for found in hacks) / len(hacks))
            log_metric("toxic_share", sum(reward < 0 for reward, found in zip(rewards, hacks, strict=True) if not found) / len(rewards))
            log_metric("distinct_replies", len(set(completions)) / len(completions))
        return list(rewards)

    return not_toxic_reward


def _log_odds_against(probability: float) -> float:
    p = min(max(probability, 1e-4), 1 - 1e-4)
    return max(-LIMIT, min(LIMIT, math.log((1 - p) / p)))
