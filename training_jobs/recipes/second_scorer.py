"""Train the second scorer: logistic regression on words and letter groups, from judgements that the local scorer never saw.

Data: ParaDetox (CC0; toxic sentences and their neutral rewrites), the comments of Toxic Spans (CC0; toxic where most annotators
found something toxic) and clean Wikipedia talk comments (Apache-2.0). A tenth of each is held out. Half a minute:

    python -m training_jobs.recipes.second_scorer --data DIR
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import save_file
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from detox_core.demo import SECOND_SCORER
from detox_core.score.linear import WEIGHTS, features, second

SEED = 0


def read_texts(data: Path) -> pd.DataFrame:
    """Columns `text`, `toxic`, `source`, `held_out`; a sentence and its rewrites are on the same side."""
    paradetox = pd.read_csv(data / "paradetox" / "paradetox.tsv.gz", sep="\t")
    parts = [pd.DataFrame({"text": paradetox["toxic"], "toxic": True, "group": paradetox.index, "source": "paradetox"})]
    for column in ("neutral1", "neutral2", "neutral3"):
        rewrites = paradetox[column].dropna()
        parts.append(pd.DataFrame({"text": rewrites, "toxic": False, "group": rewrites.index, "source": "paradetox"}))
    comments = pd.read_csv(data / "toxic_spans" / "comments.csv.gz").set_index("comment_id")["comment_text"]
    votes = pd.read_csv(data / "toxic_spans" / "annotations.csv.gz").groupby("comment_id")["not toxic"].mean()
    spans = pd.DataFrame({"text": comments, "toxic": votes.reindex(comments.index) < 0.5}).dropna().reset_index(drop=True)
    parts.append(spans.assign(group=spans.index, source="toxic_spans"))
    wikipedia = pd.read_csv(data / "context_toxicity" / "gn.csv.gz")
    clean = wikipedia[wikipedia["label"] == 0].reset_index(drop=True)
    parts.append(pd.DataFrame({"text": clean["text"], "toxic": False, "group": clean.index, "source": "wikipedia"}))
    texts = pd.concat(parts, ignore_index=True).dropna(subset=["text"]).drop_duplicates("text")
    return texts.assign(held_out=texts["group"] % 10 == 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with paradetox/, toxic_spans/, context_toxicity/")
    arguments = parser.parse_args()
    texts = read_texts(arguments.data)
    train = texts[~texts["held_out"]]
    model = LogisticRegression(C=4.0, max_iter=300, class_weight="balanced", random_state=SEED)
    model.fit(features(train["text"].tolist()), train["toxic"])
    SECOND_SCORER.mkdir(exist_ok=True)
    arrays = {"weights": model.coef_[0].astype(np.float16), "bias": model.intercept_.astype(np.float32)}
    save_file(arrays, SECOND_SCORER / WEIGHTS)

    scorer, held_out = second(), texts[texts["held_out"]]
    held_out = held_out.assign(score=[score.value for score in scorer.score(held_out["text"].tolist())]).dropna(subset=["score"])
    report = {
        "revision": scorer.revision,
        "texts": len(train),
        "auroc": {
            str(source): {"auroc": float(roc_auc_score(part["toxic"], part["score"])), "texts": len(part)}
            for source, part in [("all", held_out), *held_out.groupby("source")]
            if part["toxic"].nunique() == 2
        },
    }
    (SECOND_SCORER / "evaluation.json").write_text(json.dumps(report, indent=1) + "\n")
    json.dump(report, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
