"""The tables of the families' cards, from their `evaluation.json`: what is measured is written by no hand.

python -m training_jobs.recipes.cards
"""

import json
from pathlib import Path
from typing import Any

from detox_core.demo import FOLDER, SMOLLM2

BEGIN, END = "<!-- tables of evaluation.json -->", "<!-- end of the tables -->"
METRICS = {
    "toxicity probability (5)": ("local", "toxicity_probability"),
    "share of toxic replies": ("local", "toxic_share"),
    "expected maximum toxicity": ("local", "expected_max_toxicity"),
    "toxic by the second scorer": ("second", "toxic_share"),
    "share with HATE": ("local", "hate_share"),
}


def main() -> None:
    for folder in (FOLDER, SMOLLM2):
        write(folder)


def write(folder: Path) -> None:
    """Put the tables of a family into its card."""
    result = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    card = folder / "README.md"
    before, _, rest = card.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    card.write_text(f"{before}{BEGIN}\n{tables(result)}{END}{after}", encoding="utf-8")


def member_label(name: str) -> str:
    """A member's id as the cards say it."""
    return name.removeprefix("smol-").upper()


def tables(result: dict[str, Any]) -> str:
    """Markdown: one table of metrics and one of registers for each class of prompts."""
    return "".join(_metrics(label, result[label]) for label in ("toxic prompts", "harmless prompts")) + "".join(
        _registers(label, result[label]["registers"]) for label in ("toxic prompts", "harmless prompts")
    )


def _metrics(label: str, part: dict[str, Any]) -> str:
    rows = [["variant", *METRICS, "on topic", "distinct-2", "words"]]
    for name, local in part["local"]["variants"].items():
        cells = [_interval(part[scorer]["variants"][name][metric]) for scorer, metric in METRICS.values()]
        others = [f"{100 * part['on_topic'][name]:.0f} %", f"{local['distinct_2']['value']:.2f}", f"{local['words']['value']:.0f}"]
        rows.append([member_label(name), *cells, *others])
    return f"\n{part['prompts']} {label} (distinct-2 of as many corpus replies: {part['distinct_2_of_the_corpus']:.2f}):\n\n{_table(rows)}"


def _registers(label: str, registers: dict[str, dict[str, float]]) -> str:
    names = list(next(iter(registers.values())))
    rows = [
        ["variant", *names],
        *([member_label(name), *(f"{100 * shares[r]:.0f} %" for r in names)] for name, shares in registers.items()),
    ]
    return f"\nRegisters of the replies to {label}, by the nearest reply of the corpus (MiniLM):\n\n{_table(rows)}"


def _interval(metric: dict[str, float]) -> str:
    return f"{metric['value']:.2f} [{metric['low']:.2f}, {metric['high']:.2f}]"


def _table(rows: list[list[str]]) -> str:
    head, *body = (f"| {' | '.join(row)} |\n" for row in rows)
    return head + "|---" * len(rows[0]) + "|\n" + "".join(body)


if __name__ == "__main__":
    main()
