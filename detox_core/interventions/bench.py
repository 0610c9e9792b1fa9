"""What each intervention costs per token, relative to the plain model."""

import statistics
import time
from typing import Any

from detox_core.generate import read_as
from detox_core.interventions.applying import fit_missing
from detox_core.interventions.registry import METHODS
from detox_core.models.loading import load_base
from detox_core.models.variants import FAMILY, changed

PROMPT = "Women can't drive, they should stay off the road."
TOKENS = 60


def bench_interventions(rounds: int = 5) -> dict[str, Any]:
    """The same 60 tokens written by IT with each method at its usual strength and plainly, alternating after a warm-up; once a prompt.

    Methods that choose among whole replies write one of them here; they cost as many as they choose from.

    Returns:
        methods: id -> seconds per token, median ratio to the plain model, per-round ratios, and the cost that the literature counts.
    """
    it = FAMILY[0]
    base = load_base(*it.base_key)
    tokens = base.tokenizer(" They drive as well as anybody else does." * 12)["input_ids"][:TOKENS]
    found = {}
    for name, card in METHODS.items():
        on = changed(it, ((name, card.default),), research=True)
        fit_missing(base, on)
        times: list[tuple[float, float]] = []
        for _ in range(max(1, rounds) + 1):
            pair = []
            for variant in (on, it):
                start = time.perf_counter()
                read_as(base, variant, PROMPT, tokens)
                pair.append(time.perf_counter() - start)
            times.append((pair[0], pair[1]))
        kept = times[1:]
        ratios = [changed_s / plain_s for changed_s, plain_s in kept]
        many = card.default if card.kind == "rerank" else 1
        found[name] = {
            "seconds_per_token": statistics.median(changed_s for changed_s, _ in kept) / TOKENS * many,
            "ratio": statistics.median(ratios) * many,
            "ratios": ratios,
            "expected": card.cost,
        }
    return {"what": f"{TOKENS} tokens by IT in fp32, one prompt, with each method and plainly, alternating", "methods": found}
