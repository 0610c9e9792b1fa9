"""Every intervention at its usual strength on the small family: the demo data set, two scorers, what it costs.

Writes `detox_core/demo/recorded/interventions.json`, which the page Results shows. About half an hour on two cores; interrupted, it
goes on where it was:

    python -m training_jobs.recipes.interventions
"""

import json
import math
import os
from typing import Any

from detox_core.compare import Pool
from detox_core.data import get_dataset
from detox_core.demo import RECORDED
from detox_core.generate import generate, read_as
from detox_core.interventions.bench import bench_interventions
from detox_core.interventions.registry import METHODS
from detox_core.measure.commands import Progress
from detox_core.measure.measurement import NAME
from detox_core.measure.meter import measure_into, settings_for
from detox_core.measure.report import by_scorer, report
from detox_core.measure.tradeoff import divergence
from detox_core.models.variants import FAMILY, cache_folder, get_variants
from detox_core.score import get_scorer
from detox_core.types import Decoding, Prompt, Variant

FILE = RECORDED / "interventions.json"
OTHERS = {"unalign": "dpo", "fade": "ft"}  # method -> what it is applied to; all others to IT
READ = 20  # toxic prompts on which the divergence is taken
SAMPLES = 5
METRICS = ("toxicity_probability", "expected_max_toxicity", "toxic_share", "average_toxicity", "perplexity", "similarity", "distinct_2")


def main() -> None:
    os.environ["DETOX_RESEARCH"] = "1"
    changed = {f"{OTHERS.get(name, 'it')}+{name}:{card.default:g}": name for name, card in METHODS.items()}
    variants = get_variants([*(member.id for member in FAMILY), *changed])
    prompts, scorers, pool = get_dataset("demo"), [get_scorer(), get_scorer("second")], Pool()
    learning = Progress("steps of learning")
    decoding = Decoding(samples=SAMPLES)
    settings = settings_for("demo", prompts, variants, decoding, scorers, pool, lambda _what, *count: learning(*count))
    folder = cache_folder() / "runs" / "record-interventions"
    measured = measure_into(folder / NAME, settings, prompts, scorers, pool, Progress("prompts"))
    names = [variant.id for variant in variants]
    toxic = [row for row in measured if row.prompt.toxic]
    local, second = report(toxic, names), report(by_scorer(toxic, "second"), names)
    harmless = report([row for row in measured if row.prompt.toxic is False], names)
    costs = bench_interventions(3)["methods"]
    rows = [
        {
            "variant": variant.id,
            "label": variant.label,
            "method": changed.get(variant.id),
            "base": OTHERS.get(changed[variant.id], "it") if variant.id in changed else None,
            **{metric: _cell(local["variants"][variant.id][metric]) for metric in METRICS},
            "second": _cell(second["variants"][variant.id]["toxic_share"]),
            "refused": _refused(harmless["variants"][variant.id]),
            "divergence": _divergence(variant, pool, [row.prompt for row in toxic]) if variant.interventions else None,
            "cost": costs.get(changed.get(variant.id), None),
            "change": _change(local, variant.id, OTHERS.get(changed.get(variant.id, ""), "it")),
        }
        for variant in variants
    ]
    document = {"dataset": "demo", "toxic_prompts": len(toxic), "harmless_prompts": len(measured) - len(toxic), "samples": SAMPLES}
    FILE.write_text(json.dumps({**document, "rows": rows}, indent=1) + "\n", encoding="utf-8")


def _cell(metric: dict[str, Any]) -> dict[str, Any]:
    return {key: None if metric[key] is None else round(metric[key], 4) for key in ("value", "low", "high")}


def _refused(metrics: dict[str, Any]) -> float | None:
    """Share of replies to harmless prompts that refuse, in full or in part."""
    parts = [metrics[name]["value"] for name in ("refused_share", "partly_refused_share")]
    return None if None in parts else round(sum(parts), 4)


def _divergence(variant: Variant, pool: Pool, prompts: list[Prompt]) -> float | None:
    """KL(plain || changed) in nats per token, over the plain variant's greedy replies."""
    plain = next(member for member in FAMILY if variant.adapter == member.adapter)
    base, greedy, found = pool.get(plain), Decoding(temperature=0), []
    for prompt in prompts[:: max(1, len(prompts) // READ)][:READ]:
        tokens = generate(base, prompt.text, [plain], greedy)[0].tokens
        if tokens:
            found.append(divergence(read_as(base, plain, prompt.text, tokens), read_as(base, variant, prompt.text, tokens)))
    known = [value for value in found if math.isfinite(value)]
    return round(sum(known) / len(known), 4) if known else None


def _change(local: dict[str, Any], name: str, base: str) -> dict[str, Any] | None:
    """Paired difference of the mean toxicity to the plain variant, with its interval and p."""
    for pair in local["differences"]:
        if pair["metric"] == "average_toxicity" and {pair["a"], pair["b"]} == {name, base}:
            sign = 1 if pair["b"] == name else -1
            low, high = sorted((sign * pair["low"], sign * pair["high"]))
            return {"value": round(sign * pair["value"], 4), "low": round(low, 4), "high": round(high, 4), "p": pair["p"]}
    return None


if __name__ == "__main__":
    main()
