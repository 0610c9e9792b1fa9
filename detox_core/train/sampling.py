"""Replies of a model that is being trained, or about to be: for probes, for PPO, for pairs made here."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from detox_core.generate import generate_many
from detox_core.models.loading import LoadedBase
from detox_core.types import Decoding, Generation, Variant


def replies_of(model: Any, base: LoadedBase, variant: Variant, texts: Sequence[str], decoding: Decoding) -> list[list[Generation]]:
    """Replies by the adapter `default` of `model` as it is now, one list per text.

    Args:
        base: whose tokenizer and name count.
        variant: whose chat format counts.
        decoding: its seed is that of the first text; each further one has the next.
    """
    was = model.training
    model.eval()
    now = LoadedBase(base.name, model, base.tokenizer, "", {"now": "default"})
    asked = [(text, decoding.seed + at) for at, text in enumerate(texts)]
    try:
        with torch.random.fork_rng(devices=[]):
            return generate_many(now, asked, [replace(variant, id="now", adapter="now")], decoding)
    finally:
        model.train(was)
