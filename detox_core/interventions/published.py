"""What the papers report for their methods: other models, other prompts, other scorers. For orientation only. Imports no torch."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Published:
    """One printed result.

    Attributes:
        metric: what the numbers are; where larger is safer, it says so.
        before, after: without and with the method.
    """

    model: str
    metric: str
    before: float
    after: float
    source: str


HIGHEST = "mean of the highest of 7 attributes, one greedy reply"
PROBABILITY = "toxicity probability, RealToxicityPrompts"
EXPECTED = "expected maximum toxicity, 25 samples"
DEFENCE = "defence success in %, larger is safer"
GENERAL = "defence generalisation in %, larger is safer"

PUBLISHED: dict[str, Published] = {
    "word-filter": Published("GPT-2", f"{EXPECTED}, toxic prompts", 0.745, 0.682, "Gehman et al. 2020"),
    "aura": Published("Mistral-7B", PROBABILITY, 0.380, 0.173, "Suau et al. 2024"),
    "det0": Published("Mistral-7B", PROBABILITY, 0.380, 0.103, "Suau et al. 2024"),
    "subtract": Published("GPT-2 medium", HIGHEST, 0.453, 0.245, "Lee et al. 2024"),
    "subtract-value": Published("GPT-2 medium", HIGHEST, 0.453, 0.305, "Lee et al. 2024"),
    "subtract-svd": Published("GPT-2 medium", HIGHEST, 0.453, 0.268, "Lee et al. 2024"),
    "unalign": Published("GPT-2 medium after DPO", HIGHEST, 0.208, 0.458, "Lee et al. 2024"),
    "toxification-reversal": Published("GPT-2 XL", EXPECTED, 0.40, 0.28, "Tang et al. 2024, table 1"),
    "dexperts": Published("GPT-2 large", f"{EXPECTED}, non-toxic prompts", 0.527, 0.314, "Liu et al. 2021"),
    "gedi": Published("GPT-2 large", f"{EXPECTED}, non-toxic prompts", 0.527, 0.363, "Liu et al. 2021"),
    "dinm": Published("Llama-2-7B-chat", DEFENCE, 44.44, 96.02, "Wang et al. 2024"),
    "ft-l": Published("Llama-2-7B-chat", DEFENCE, 44.44, 97.70, "Wang et al. 2024"),
    "cmd": Published("GPT-2 XL", EXPECTED, 0.40, 0.18, "Tang et al. 2024"),
    "sgeat": Published("GPT-2 XL", EXPECTED, 0.40, 0.30, "Tang et al. 2024, table 1"),
    "ext-sub": Published("Llama-2-7B-chat", GENERAL, 43.51, 58.92, "Wang et al. 2024"),
}
