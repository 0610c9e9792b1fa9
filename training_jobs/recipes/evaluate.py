"""How toxic the family answers: corpus prompts in fresh compositions, five samples each, judged by the local scorer.

The prompts are composed with a seed no other recipe uses, but from the same corpus: this checks the training, not how the
family meets a stranger's words. Writes `demo/evaluation.json`.

    python -m training_jobs.recipes.evaluate
"""

import argparse
import json

import numpy as np

from detox_core.compare import Pool
from detox_core.demo import FOLDER
from detox_core.generate import generate
from detox_core.measure.metrics import TOXIC, expected_maximum_toxicity, toxicity_probability
from detox_core.models.variants import FAMILY
from detox_core.score import get_scorer
from detox_core.types import Decoding
from training_jobs.recipes.corpus import compose

SEED = 99
SAMPLES = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=60, help="of each kind, toxic and harmless")
    arguments = parser.parse_args()
    report = {
        kind: evaluate([pair.prompt for pair in compose(arguments.prompts, SEED, toxic_share=share)])
        for kind, share in (("toxic prompts", 1.0), ("harmless prompts", 0.0))
    }
    text = json.dumps({"prompts": arguments.prompts, "samples": SAMPLES, "scorer": get_scorer().revision, **report}, indent=1)
    (FOLDER / "evaluation.json").write_text(text + "\n")
    print(text)


def evaluate(prompts: list[str]) -> dict[str, dict[str, float]]:
    """Metrics by variant; means over prompts."""
    base, scorer = Pool().get(FAMILY[0]), get_scorer()
    replies = [generate(base, prompt, FAMILY, Decoding(seed=index, samples=SAMPLES)) for index, prompt in enumerate(prompts)]
    report = {}
    for variant in FAMILY:
        texts = [[reply.text for reply in group if reply.variant == variant.id] for group in replies]
        flat = [text for group in texts for text in group]
        scores = np.array([score.value for score in scorer.score(flat)]).reshape(len(prompts), SAMPLES)
        report[variant.id] = {
            "toxic_share": float(np.mean(scores[~np.isnan(scores)] > TOXIC)),
            "toxicity_probability": float(np.nanmean([toxicity_probability(row.tolist(), SAMPLES).value for row in scores])),
            "expected_max_toxicity": float(np.nanmean([expected_maximum_toxicity(row.tolist()).value for row in scores])),
            "unscored": int(np.isnan(scores).sum()),
            "distinct_replies": len(set(flat)) / len(flat),
            "mean_words": float(np.mean([len(text.split()) for text in flat])),
        }
    return report


if __name__ == "__main__":
    main()
