"""Perplexity of a given text under each variant: what a model has unlearned of ordinary language."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from detox_core.compare import Pool
from detox_core.errors import BadInput
from detox_core.interventions.applying import applied_inside, fit_missing
from detox_core.models.mixing import mixed
from detox_core.types import Variant


@dataclass(frozen=True)
class Perplexity:
    """exp of the mean negative log-probability of `tokens` predicted tokens, read in `windows` of at most `length` tokens."""

    variant: str
    value: float
    tokens: int
    windows: int
    length: int


def read_text(path: Path) -> str:
    """The text of a file, blank lines between its paragraphs kept.

    Raises:
        BadInput: no such file, not UTF-8, or empty.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read: {error}.") from error
    if not text.strip():
        raise BadInput(f"{path} holds no text.")
    return text


@torch.inference_mode()
def perplexity(text: str, variants: Sequence[Variant], pool: Pool, length: int = 1024) -> list[Perplexity]:
    """WikiText-style perplexity: the text is cut into windows that do not overlap, and the first token of each is not predicted.

    No chat format is put around the text. Perplexities of models with different tokenizers are not comparable.

    Args:
        length: tokens of a window; at most the model's context.

    Raises:
        BadInput: fewer than two tokens. ModelError: a variant cannot be loaded, or see `applied_inside`.
    """
    found = []
    for variant in variants:
        base = pool.get(variant)
        adapter = base.attach(variant.adapter)
        ids = base.tokenizer(text, add_special_tokens=False)["input_ids"]
        if len(ids) < 2:
            raise BadInput("The text has fewer than two tokens; nothing can be predicted.")
        width = min(length, base.context)
        windows = [ids[at : at + width] for at in range(0, len(ids), width)]
        windows = [window for window in windows if len(window) > 1]
        total = 0.0
        fit_missing(base, variant)
        with applied_inside(base, variant), mixed(base.model, [adapter]):
            for window in windows:
                tokens = torch.tensor([window], device=base.model.device)
                logs = base.model(tokens, use_cache=False).logits[0, :-1].float().log_softmax(-1)
                total -= float(logs.gather(1, tokens[0, 1:, None]).sum())
        count = sum(len(window) - 1 for window in windows)
        found.append(Perplexity(variant.id, math.exp(total / count), count, len(windows), width))
    return found
