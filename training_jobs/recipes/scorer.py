"""Train the local toxicity scorer: all-MiniLM-L6-v2 with a LoRA and one head per Perspective attribute.

Data: RealToxicityPrompts (Apache-2.0; prompts and continuations, eight Perspective scores each) and the clean
Wikipedia talk comments of Pavlopoulos et al. 2020 (Apache-2.0; Perspective toxicity only). Perspective's scores rise at
the mere mention of some groups, so the identity-term sentences of Dixon et al. 2018 (madlibs, Apache-2.0) correct that: the same
groups praised and insulted. RealToxicityPrompts is split by prompt and madlibs by template, so nothing close to a held-out
text is trained on. About 10 minutes on two CPU cores:

    python -m training_jobs.recipes.scorer --data DIR
"""

import argparse
import gzip
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from peft import LoraConfig, TaskType, get_peft_model
from scipy.stats import pearsonr
from sklearn.metrics import roc_auc_score
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)

from detox_core.demo import SCORER
from detox_core.score.classifier import ATTRIBUTES, local
from detox_core.score.minilm import HUB_ID, minilm_folder
from training_jobs.recipes.saving import save_adapter

COLUMNS = list(ATTRIBUTES)
SEED = 0
MAX_TOKENS = 128


def read_texts(data: Path) -> pd.DataFrame:
    """Texts with one column per attribute (probability in [0, 1], NaN = not annotated) and `held_out`."""
    rows = []
    with gzip.open(data / "real_toxicity_prompts" / "rtp_unique_scored.jsonl.gz", "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            record = json.loads(line)
            for part in (record["prompt"], record["continuation"]):
                scores = {name: part[name.lower()] for name in ATTRIBUTES}
                rows.append({"text": part["text"].strip(), "group": number, **scores})
    texts = pd.DataFrame(rows)
    held_out_prompts = np.random.default_rng(SEED).permutation(texts["group"].unique())[:900]
    texts["held_out"] = texts["group"].isin(held_out_prompts)

    comments = pd.read_csv(data / "context_toxicity" / "gn.csv.gz")
    comments = pd.DataFrame({"text": comments["text"].str[:300], "TOXICITY": comments["api"], "held_out": False, "group": -1})
    parts = [texts, comments.sample(4000, random_state=SEED), read_madlibs(data).sample(6000, random_state=SEED)]
    texts = pd.concat(parts, ignore_index=True)
    texts[COLUMNS] = texts[COLUMNS].astype(float)
    return texts[(texts["text"].str.len() > 0) & texts["TOXICITY"].notna()].reset_index(drop=True)


def read_madlibs(data: Path) -> pd.DataFrame:
    """Identity terms in praising (0.05) and insulting (0.85) templates; a fifth of the templates is held out."""
    madlibs = pd.read_csv(data / "madlibs" / "bias_madlibs_77k.csv.gz")
    held_out = np.random.default_rng(SEED).permutation(madlibs["Template"].unique())
    held_out = held_out[: len(held_out) // 5]
    toxicity = madlibs["Label"].map({"BAD": 0.85, "NOT_BAD": 0.05})
    return pd.DataFrame({"text": madlibs["Text"], "TOXICITY": toxicity, "held_out": madlibs["Template"].isin(held_out), "group": -1})


class SoftLabelTrainer(Trainer):
    """Binary cross-entropy against probabilities; attributes nobody annotated do not count."""

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):  # noqa: ARG002
        """See `Trainer.compute_loss`; mean over the known labels."""
        labels = inputs.pop("labels").float()
        outputs = model(**inputs)
        known = ~labels.isnan()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(outputs.logits.float()[known], labels[known])
        return (loss, outputs) if return_outputs else loss


def build_model():
    """MiniLM with zero-initialised LoRA on every encoder matrix; pooler and heads trained in full."""
    model = AutoModelForSequenceClassification.from_pretrained(
        minilm_folder(),
        num_labels=len(ATTRIBUTES),
        problem_type="multi_label_classification",
        id2label=dict(enumerate(ATTRIBUTES)),
        label2id={name: index for index, name in enumerate(ATTRIBUTES)},
    )
    lora = LoraConfig(
        task_type=TaskType.SEQ_CLS,
        r=16,
        lora_alpha=32,
        lora_dropout=0.05,
        target_modules=r".*encoder.*\.(query|key|value|dense)",
        modules_to_save=["classifier", "pooler"],
    )
    return get_peft_model(model, lora)


def evaluate(held_out: pd.DataFrame, madlibs: pd.DataFrame) -> dict:
    """What ships, on held-out texts: Pearson r, AUROC (truth > 0.5) and mean absolute error per attribute.

    Also how well it tells praise of a group from insults, on templates it never saw.
    """
    scorer = local()
    madlibs = madlibs[madlibs["held_out"]].sample(4000, random_state=SEED)
    mentions = np.array([score.value for score in scorer.score(madlibs["text"].tolist())])
    insulted = madlibs["TOXICITY"].to_numpy() > 0.5
    predicted = np.array(scorer.probabilities(held_out["text"].tolist()))
    report = {}
    for column, name in enumerate(ATTRIBUTES):
        real, mine = held_out[name].to_numpy(), predicted[:, column]
        report[name] = {
            "pearson_r": float(pearsonr(real, mine).statistic),
            "auroc": float(roc_auc_score(real > 0.5, mine)),
            "mae": float(np.abs(real - mine).mean()),
            "positives": int((real > 0.5).sum()),
        }
    bias = {"auroc": float(roc_auc_score(insulted, mentions)), "praise_above_half": float((mentions[~insulted] > 0.5).mean())}
    return {"held_out_texts": len(held_out), "revision": scorer.revision, "attributes": report, "madlibs": bias}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with real_toxicity_prompts/, context_toxicity/")
    parser.add_argument("--run", type=Path, default=Path("cache/runs/scorer"), help="checkpoints; resumed when present")
    parser.add_argument("--epochs", type=float, default=2)
    parser.add_argument("--evaluate", action="store_true", help="only evaluate what ships")
    arguments = parser.parse_args()

    texts = read_texts(arguments.data)
    if not arguments.evaluate:
        train(texts[~texts["held_out"]], arguments.run, arguments.epochs)
    report = evaluate(texts[texts["held_out"] & (texts["group"] >= 0)], read_madlibs(arguments.data))
    (SCORER / "evaluation.json").write_text(json.dumps(report, indent=1) + "\n")
    json.dump(report, sys.stdout, indent=1)


def train(texts: pd.DataFrame, run: Path, epochs: float) -> None:
    """Tune MiniLM on `texts` and save what was tuned to the demo folder."""
    tokenizer = AutoTokenizer.from_pretrained(minilm_folder())
    encoded = tokenizer(texts["text"].tolist(), truncation=True, max_length=MAX_TOKENS)["input_ids"]
    examples = [
        {"input_ids": ids, "labels": labels} for ids, labels in zip(encoded, texts[COLUMNS].to_numpy(dtype=np.float32), strict=True)
    ]
    trainer = SoftLabelTrainer(
        model=build_model(),
        args=TrainingArguments(
            output_dir=str(run),
            num_train_epochs=epochs,
            per_device_train_batch_size=32,
            per_device_eval_batch_size=64,
            learning_rate=6e-4,
            lr_scheduler_type="linear",
            warmup_steps=100,
            train_sampling_strategy="group_by_length",
            bf16=True,
            use_cpu=not torch.cuda.is_available(),
            seed=SEED,
            logging_steps=100,
            save_steps=500,
            save_total_limit=1,
            report_to="none",
        ),
        train_dataset=examples,
        data_collator=DataCollatorWithPadding(tokenizer),
    )
    trainer.train(resume_from_checkpoint=any(run.glob("checkpoint-*")))
    save_adapter(trainer.model, SCORER, HUB_ID)
    shutil.rmtree(run)


if __name__ == "__main__":
    main()
