"""How good a family is: the held-out prompts, five samples each, judged by two scorers, by register and by topic.

No recipe reads those prompts. Writes `evaluation.json`, the tables of the family's card and `SAMPLES.md` (ten unpicked replies of
each variant) beside its adapters. Three minutes for the small family, a quarter of an hour for the larger one:

    python -m training_jobs.recipes.evaluate [small] [larger]
"""

import argparse
import json
import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from detox_core.data import get_dataset
from detox_core.demo import FOLDER, SMOLLM2
from detox_core.measure.commands import Progress
from detox_core.measure.meter import measure, score_again
from detox_core.measure.report import Measured, report
from detox_core.measure.similarity import embed, on_topic
from detox_core.measure.texts import distinct
from detox_core.models.variants import FAMILY, SMOLLM2_FAMILY
from detox_core.score import get_scorer
from detox_core.types import Decoding, Variant
from training_jobs.recipes import cards
from training_jobs.recipes.corpus import REGISTERS, Echoing, compose, mild_prompts, read_items
from training_jobs.recipes.pretrain import ECHOES

SAMPLES = 5
SHOWN = 10  # prompts in SAMPLES.md
SEED = 99  # of the corpus replies that distinct-2 is compared with
FAMILIES = {"small": (FAMILY, FOLDER), "larger": (SMOLLM2_FAMILY, SMOLLM2)}
CLASSES = {"toxic prompts": True, "harmless prompts": False}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("families", nargs="*", choices=list(FAMILIES), help="both, when none is named")
    for name in parser.parse_args().families or FAMILIES:
        evaluate(*FAMILIES[name])


def evaluate(family: Sequence[Variant], folder: Path) -> None:
    """Measure one family and write what was found into its folder."""
    prompts, names = get_dataset("demo-heldout"), [variant.id for variant in family]
    local = measure(prompts, family, Decoding(samples=SAMPLES), get_scorer(), on_progress=Progress("prompts"))
    second = score_again(local, get_scorer("second"))
    result: dict = {"dataset": "demo-heldout", "samples": SAMPLES}
    for label, toxic in CLASSES.items():
        chosen = [row for row in local if row.prompt.toxic == toxic]
        result[label] = {
            "prompts": len(chosen),
            "local": report(chosen, names),
            "second": report([row for row in second if row.prompt.toxic == toxic], names),
            "registers": {name: registers(replies(chosen, name)) for name in names},
            "on_topic": {name: topical(local, name, toxic) for name in names},
            "distinct_2_of_the_corpus": distinct(corpus_replies(len(chosen) * SAMPLES, toxic)),
        }
    (folder / "evaluation.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (folder / "SAMPLES.md").write_text(samples(local, names), encoding="utf-8")
    cards.write(folder)
    print(json.dumps(result, indent=1))


def replies(measured: Sequence[Measured], variant: str) -> list[str]:
    """All replies of one variant."""
    return [reply.text for row in measured for reply in row.generations if reply.variant == variant]


def registers(texts: Sequence[str]) -> dict[str, float]:
    """Share of replies by the register of the nearest reply of the corpus (cosine of MiniLM vectors)."""
    known, vectors = _corpus()
    nearest = (embed(texts) @ vectors.T).argmax(1)
    counts = Counter(known[index] for index in nearest)
    return {name: counts[name] / len(texts) for name in REGISTERS}


def topical(measured: Sequence[Measured], variant: str, toxic: bool) -> float:
    """Share of replies whose own prompt is among the nearest tenth of all prompts; by chance 0.1."""
    asked = [(index, reply.text) for index, row in enumerate(measured) for reply in row.generations if reply.variant == variant]
    wanted = [(index, text) for index, text in asked if measured[index].prompt.toxic == toxic]
    prompts = embed([row.prompt.text for row in measured])
    return float(on_topic(prompts, embed([text for _, text in wanted]), [index for index, _ in wanted]).mean())


def corpus_replies(count: int, toxic: bool) -> list[str]:
    """As many replies as were measured, composed as for IT's training: distinct-2 falls with the number of texts."""
    echoing = Echoing(ECHOES, mild_prompts(get_scorer()))
    return [pair.reply for pair in compose(count, SEED, toxic_share=float(toxic), echoing=echoing)]


def samples(measured: Sequence[Measured], names: Sequence[str]) -> str:
    """The first reply of each variant to every n-th prompt, as Markdown."""
    lines = [
        "# Unpicked samples",
        "",
        "The first of five replies to every n-th held-out prompt, with the local scorer's TOXICITY.",
        "Repeat: `python -m training_jobs.recipes.evaluate`.",
    ]
    for row in measured[:: len(measured) // SHOWN][:SHOWN]:
        lines += ["", f"**{row.prompt.text}**", ""]
        for name in names:
            reply = next(reply for reply in row.generations if reply.variant == name)
            score = f"{reply.score.value:.2f}" if reply.score and reply.score.scored else "not scored"
            lines.append(f"- {cards.member_label(name)} [{score}] {reply.text}")
    return "\n".join(lines) + "\n"


@cache
def _corpus() -> tuple[list[str], np.ndarray]:
    pairs = [(name, text) for item in read_items() for name, texts in item.replies.items() for text in texts]
    plain = [re.sub(r"\{(\w+)\}", lambda match: {"group": "people", "name": "Anna"}.get(match[1], match[1]), text) for _, text in pairs]
    return [name for name, _ in pairs], embed(plain)


if __name__ == "__main__":
    main()
