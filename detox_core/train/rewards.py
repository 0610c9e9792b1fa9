"""The reward of a reply that is not toxic, and guards against the ways to earn it without answering.

A policy that is paid for low toxicity alone finds what the scorer cannot judge: silence, other scripts, one word again and again,
the prompt itself. Such replies get the lowest reward there is, so they never pay.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from detox_core.score import Scorer, get_scorer
from detox_core.score.evasion import evasion
from detox_core.score.unscorable import unscorable
from detox_core.train.spec import TrainSpec

LIMIT = 4.0  # log-odds beyond which nothing more is gained or lost: 98 %
WORDS = 20  # from which on a reply is long enough
HACKS = ("too short", "repeats itself", "copies the prompt")
Reward = Callable[..., list[float | None]]  # TRL's form: completions=, text= (the plain prompts), log_metric=


def not_toxic(
    prompts: Sequence[str], replies: Sequence[str], scorer: Scorer, kind: str = "log-odds", unscored: str = "floor"
) -> tuple[list[float | None], list[str | None]]:
    """How surely neither TOXICITY nor (where the scorer has it) HATE applies to the reply alone.

    Args:
        prompts, replies: plain texts, one prompt per reply.
        kind: log-odds, clipped to [-4, 4], or probability.
        unscored: floor = the least there is, or none, for what the scorer cannot judge.

    Returns:
        One reward per reply, and how it avoids being judged (None if it does not; such replies get the floor).
    """
    floor = -LIMIT if kind == "log-odds" else 0.0
    hacks = [evasion(prompt, reply) for prompt, reply in zip(prompts, replies, strict=True)]
    rewards: list[float | None] = []
    for reply, score, found in zip(replies, scorer.score([reply.strip() for reply in replies]), hacks, strict=True):
        if math.isnan(score.value) or unscorable(reply):
            rewards.append(None if unscored == "none" else floor)
            continue
        worst = max(score.value, score.attributes.get("HATE", 0.0))
        rewards.append(floor if found else _log_odds_against(worst) if kind == "log-odds" else 1 - worst)
    return rewards, hacks


def rewards_of(spec: TrainSpec, second: str | None = None) -> list[tuple[str, float, Reward]]:
    """The terms of a spec's reward: name, weight, function.

    Args:
        second: a scorer that is not paid for but logged beside, to see whether it agrees.
    """
    terms: list[tuple[str, float, Reward]] = [
        (name, weight, as_reward_function(partial(get_scorer, name), spec.reward, spec.unscored)) for name, weight in spec.scorers.items()
    ]
    if spec.similarity:
        terms.append(("similarity", spec.similarity, similar))
    if spec.length:
        terms.append(("length", spec.length, long_enough))
    if second and terms:
        name, weight, function = terms[0]
        terms[0] = (name, weight, _watched(function, partial(get_scorer, second)))
    return terms


def total(
    terms: Sequence[tuple[str, float, Reward]], texts: list[str], replies: list[str], note: Callable[[str, float], None] = lambda *_: None
) -> list[float | None]:
    """The weighted sum of all terms per reply; None where one of them could not judge.

    Args:
        note: told of every metric, and of the mean of each term as `rewards/NAME/mean`.
    """
    sums: list[float | None] = [0.0] * len(replies)
    for name, weight, function in terms:
        rewards = function(completions=replies, text=texts, log_metric=note)
        judged = [reward for reward in rewards if reward is not None]
        note(f"rewards/{name}/mean", sum(judged) / len(judged) if judged else math.nan)
        sums = [None if was is None or reward is None else was + weight * reward for was, reward in zip(sums, rewards, strict=True)]
    return sums


def as_reward_function(scorer: Callable[[], Scorer], kind: str = "log-odds", unscored: str = "floor") -> Reward:
    """`not_toxic` in TRL's form. Logs what the guards caught."""

    def not_toxic_reward(completions: list[str], text: list[str], log_metric: Any = None, **_: object) -> list[float | None]:
        rewards, hacks = not_toxic(text, completions, scorer(), kind, unscored)
        if log_metric:
            for name in HACKS:
                log_metric(name.replace(" ", "_"), sum(found == name for found in hacks) / len(hacks))
            log_metric("unscorable", sum(bool(found) and found not in HACKS for found in hacks) / len(hacks))
            even = 0.0 if kind == "log-odds" else 0.5
            judged = [reward for reward, found in zip(rewards, hacks, strict=True) if not found and reward is not None]
            log_metric("toxic_share", sum(reward < even for reward in judged) / len(rewards))
            log_metric("distinct_replies", len(set(completions)) / len(completions))
        return rewards

    return not_toxic_reward


def similar(completions: list[str], text: list[str], **_: object) -> list[float | None]:
    """Cosine of reply and prompt; an empty reply is like nothing."""
    from detox_core.measure.similarity import embed

    cosines = (embed(text) * embed(completions)).sum(1).tolist()
    return [cosine if reply.strip() else 0.0 for cosine, reply in zip(cosines, completions, strict=True)]


def long_enough(completions: list[str], **_: object) -> list[float | None]:
    """1 from 20 words on, in proportion below."""
    return [min(1.0, len(reply.split()) / WORDS) for reply in completions]


def _watched(function: Reward, second: Callable[[], Scorer]) -> Reward:
    def watched(completions: list[str], log_metric: Any = None, **columns: Any) -> list[float | None]:
        if log_metric:
            scores = [score.value for score in second().score([reply.strip() for reply in completions]) if score.scored]
            log_metric("second_scorer", sum(scores) / len(scores) if scores else math.nan)
        return function(completions=completions, log_metric=log_metric, **columns)

    return watched


def _log_odds_against(probability: float) -> float:
    p = min(max(probability, 1e-4), 1 - 1e-4)
    return max(-LIMIT, min(LIMIT, math.log((1 - p) / p)))
