"""Whether replies are answers at all: near to the prompt in meaning, likely to the untuned model, and no way around answering."""

import math
from collections.abc import Sequence
from dataclasses import replace

from detox_core.errors import DetoxError
from detox_core.explain.likelihood import perplexities
from detox_core.measure.similarity import embed
from detox_core.models.loading import LoadedBase
from detox_core.score.evasion import evasion
from detox_core.types import Generation, Quality, Variant

UNLIKELY = 150.0  # perplexity; 1 in 100 of IT's own replies to the demo prompts is above it


def assess(prompt: str, replies: Sequence[Generation], reference: Variant, base: LoadedBase | None) -> list[Generation]:
    """The same replies with their quality.

    Args:
        reference: the untuned model among the variants, with `base` loaded for it; None = it could not be, perplexity is NaN.

    Raises:
        ScorerError: the sentence encoder's files are missing.
    """
    vectors = embed([prompt, *(reply.text or " " for reply in replies)])
    similarities = [
        float(vector @ vectors[0]) if reply.text.strip() else math.nan for reply, vector in zip(replies, vectors[1:], strict=True)
    ]
    read = _perplexities(prompt, replies, reference, base)
    return [
        replace(
            reply,
            quality=Quality(similarity, perplexity, evasion(prompt, reply.text) or ("unlikely words" if perplexity > UNLIKELY else None)),
        )
        for reply, similarity, perplexity in zip(replies, similarities, read, strict=True)
    ]


def _perplexities(prompt: str, replies: Sequence[Generation], reference: Variant, base: LoadedBase | None) -> list[float]:
    if base is None:
        return [math.nan] * len(replies)
    try:
        adapter = base.attach(reference.adapter)
        ids = base.tokenizer(base.render(prompt, reference.template), add_special_tokens=False)["input_ids"]
    except DetoxError:
        return [math.nan] * len(replies)
    answers = [base.tokenizer(f" {reply.text}", add_special_tokens=False)["input_ids"] if reply.text.strip() else [] for reply in replies]
    return perplexities(base, adapter, ids, answers)
