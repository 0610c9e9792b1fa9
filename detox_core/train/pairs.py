"""Pairs to prefer made here: the best and the worst of several replies to a prompt, by a scorer (Best-of-n, for DPO and KTO)."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from detox_core.data import read_dataset
from detox_core.generate import generate_many
from detox_core.models.loading import LoadedBase
from detox_core.models.templates import opening
from detox_core.train.rewards import rewards_of, total
from detox_core.train.spec import TrainSpec
from detox_core.types import Decoding, Variant

NAME = "made_pairs.jsonl"  # in the folder of a run
AT_ONCE = 16  # prompts answered between two looks at the progress
MARGIN = 0.5  # of the reward, between best and worst; less is no preference


def made_pairs(spec: TrainSpec, base: LoadedBase, variant: Variant, folder: Path, tell: Callable[[int, int], None]) -> list[dict[str, Any]]:
    """Answer the prompts `best_of` times and keep best and worst; what `folder` has already is not made again.

    Args:
        tell: called with prompts answered and prompts in all.

    Returns:
        Rows with `prompt`, `chosen`, `rejected`; prompts whose replies are all alike to the reward have none.
    """
    path = folder / NAME
    texts = [prompt.text for prompt in read_dataset(spec.data).prompts][: spec.rows or spec.steps * spec.batch]
    done = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]] if path.is_file() else []
    decoding = Decoding(temperature=1.0, top_p=1.0, max_new_tokens=spec.max_new_tokens, samples=spec.best_of or 2)
    terms = rewards_of(spec)
    with path.open("a", encoding="utf-8") as file:
        for at in range(len(done), len(texts), AT_ONCE):
            part = texts[at : at + AT_ONCE]
            for text, replies in zip(part, generate_many(base, [(text, spec.seed) for text in part], [variant], decoding), strict=True):
                said = [reply.text for reply in replies]
                paid = [-math.inf if reward is None else reward for reward in total(terms, [text] * len(said), said)]
                best, worst = max(range(len(said)), key=paid.__getitem__), min(range(len(said)), key=paid.__getitem__)
                margin = paid[best] - paid[worst] if math.isfinite(paid[worst]) else 0.0
                row = {"text": text, "reply": said[best], "rejected": said[worst], "margin": round(margin, 4)}
                done.append(row)
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
            file.flush()
            tell(len(done), len(texts))
    kept = [row for row in done if row["margin"] >= MARGIN and row["reply"] and row["rejected"]]
    prompts = [base.render(row["text"], variant.template) for row in kept]
    return [
        {"prompt": prompt, "chosen": opening(prompt) + row["reply"], "rejected": opening(prompt) + row["rejected"]}
        for prompt, row in zip(prompts, kept, strict=True)
    ]
