"""Train the local toxicity scorer: all-MiniLM-L6-v2 with a LoRA and one vote per token and attribute.

What it learns from is listed in `scorer_texts.py`. About 20 minutes on two CPU cores:

    python -m training_jobs.recipes.scorer --data DIR
"""

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from peft import LoraConfig, TaskType, get_peft_model
from sklearn.metrics import roc_auc_score
from transformers import AutoTokenizer, DataCollatorWithPadding, Trainer, TrainingArguments, set_seed

from detox_core.demo import SCORER
from detox_core.measure.agreement import agreement
from detox_core.score.local import build, local, mean_votes
from detox_core.score.minilm import HUB_ID, minilm_folder
from training_jobs.recipes.saving import save_adapter
from training_jobs.recipes.scorer_texts import COLUMNS, PERSPECTIVE, SEED, read_texts, training_mix

MAX_TOKENS = 128


class SoftLabelTrainer(Trainer):
    """Binary cross-entropy of the mean vote against probabilities; attributes nobody annotated do not count."""

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):  # noqa: ARG002
        """See `Trainer.compute_loss`; mean over the known labels."""
        labels = inputs.pop("labels").float()
        counted = inputs["attention_mask"].clone()
        counted[:, 0] = 0  # [CLS]
        counted.scatter_(1, inputs["attention_mask"].sum(1, keepdim=True) - 1, 0)  # [SEP]
        outputs = model(**inputs)
        log_odds = mean_votes(outputs.logits.float(), counted)
        known = ~labels.isnan()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(log_odds[known], labels[known])
        return (loss, outputs) if return_outputs else loss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the data sets named in scorer_texts.py")
    parser.add_argument("--run", type=Path, default=Path("cache/runs/scorer"), help="checkpoints; resumed when present")
    parser.add_argument("--epochs", type=float, default=2)
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--evaluate", action="store_true", help="only evaluate what ships")
    arguments = parser.parse_args()

    texts = read_texts(arguments.data)
    if not arguments.evaluate:
        train(training_mix(texts), arguments.run, arguments.epochs, arguments.rank)
    held_out = texts[texts["held_out"]]
    report = evaluate(held_out.groupby("source").head(3000))
    (SCORER / "evaluation.json").write_text(json.dumps(report, indent=1) + "\n")
    json.dump(report, sys.stdout, indent=1)


def train(texts: pd.DataFrame, run: Path, epochs: float, rank: int) -> None:
    """Tune MiniLM on `texts` and save what was tuned to the demo folder."""
    set_seed(SEED)
    tokenizer = AutoTokenizer.from_pretrained(minilm_folder())
    encoded = tokenizer(texts["text"].tolist(), truncation=True, max_length=MAX_TOKENS)["input_ids"]
    labels = texts[COLUMNS].to_numpy(dtype=np.float32)
    lora = LoraConfig(
        task_type=TaskType.TOKEN_CLS,
        r=rank,
        lora_alpha=2 * rank,
        lora_dropout=0.0,  # dropout costs a third of the speed and buys nothing measurable
        target_modules=r".*encoder.*\.(query|key|value|dense)",
        modules_to_save=["classifier"],
    )
    trainer = SoftLabelTrainer(
        model=get_peft_model(build(), lora),
        args=TrainingArguments(
            output_dir=str(run),
            num_train_epochs=epochs,
            per_device_train_batch_size=32,
            learning_rate=5e-4,
            lr_scheduler_type="linear",
            warmup_steps=150,
            train_sampling_strategy="group_by_length",
            bf16=True,
            use_cpu=not torch.cuda.is_available(),
            seed=SEED,
            logging_steps=50,
            save_steps=500,
            save_total_limit=1,
            report_to="none",
        ),
        train_dataset=[{"input_ids": ids, "labels": row} for ids, row in zip(encoded, labels, strict=True)],
        data_collator=DataCollatorWithPadding(tokenizer),
    )
    trainer.train(resume_from_checkpoint=any(run.glob("checkpoint-*")))
    save_adapter(trainer.model, SCORER, HUB_ID)
    shutil.rmtree(run)


def evaluate(held_out: pd.DataFrame) -> dict:
    """What ships, on texts it never saw: agreement with Perspective, HATE per source, and what a mere mention does."""
    scorer = local()
    predicted = pd.DataFrame(scorer.probabilities(held_out["text"].tolist()), columns=COLUMNS, index=held_out.index)
    source = held_out["source"]
    prompts = source == "real_toxicity_prompts"
    report: dict[str, Any] = {
        "revision": scorer.revision,
        "held_out_texts": int(prompts.sum()),
        "attributes": {name: agreement(held_out.loc[prompts, name], predicted.loc[prompts, name]) for name in PERSPECTIVE},
        "hate": {
            name: {"auroc": float(roc_auc_score(held_out["HATE"][rows] > 0.5, predicted["HATE"][rows])), "texts": int(rows.sum())}
            for name in ("implicit_hate", "sbic", "diasafety", "hate_pairs")
            for rows in [source == name]
        },
        "mentions": {},
    }
    for name in ("madlibs", "hate_pairs"):
        rows = source == name
        innocent = rows & (held_out["HATE"] < 0.5)
        report["mentions"][name] = {
            "innocent_texts": int(innocent.sum()),
            **{f"innocent_{head.lower()}_above_half": float((predicted[head][innocent] > 0.5).mean()) for head in ("TOXICITY", "HATE")},
        }
    insulted = source == "madlibs"
    report["mentions"]["madlibs"]["auroc"] = float(roc_auc_score(held_out["TOXICITY"][insulted] > 0.5, predicted["TOXICITY"][insulted]))
    return report


if __name__ == "__main__":
    main()
