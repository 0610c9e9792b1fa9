"""Train the local toxicity scorer: all-MiniLM-L6-v2 with a LoRA and one head per Perspective attribute.

Data: RealToxicityPrompts (Apache-2.0; prompts and continuations, eight Perspective scores each) and the clean
Wikipedia talk comments of Pavlopoulos et al. 2020 (Apache-2.0; Perspective toxicity only). Texts are split by
prompt, so no continuation of a held-out prompt is trained on. About 8 minutes on two CPU cores:

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
from detox_core.score.minilm import HUB_ID, minilm_folder

ATTRIBUTES = ["TOXICITY", "SEVERE_TOXICITY", "IDENTITY_ATTACK", "INSULT", "PROFANITY", "THREAT", "SEXUALLY_EXPLICIT"]
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
    comments = pd.DataFrame({"text": comments["text"].str[:400], "TOXICITY": comments["api"], "held_out": False})
    texts = pd.concat([texts, comments.sample(5000, random_state=SEED)], ignore_index=True)
    texts[ATTRIBUTES] = texts[ATTRIBUTES].astype(float)
    return texts[(texts["text"].str.len() > 0) & texts["TOXICITY"].notna()].reset_index(drop=True)


class SoftLabelTrainer(Trainer):
    """Binary cross-entropy against probabilities; attributes nobody annotated do not count."""

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):  # noqa: ARG002
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


def evaluate(trainer: Trainer, dataset: list[dict], truth: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Pearson r, AUROC (truth > 0.5) and mean absolute error per attribute, on held-out texts."""
    predicted = 1 / (1 + np.exp(-trainer.predict(dataset).predictions))
    report = {}
    for column, name in enumerate(ATTRIBUTES):
        real, mine = truth[name].to_numpy(), predicted[:, column]
        report[name] = {
            "pearson_r": float(pearsonr(real, mine).statistic),
            "auroc": float(roc_auc_score(real > 0.5, mine)),
            "mae": float(np.abs(real - mine).mean()),
            "positives": int((real > 0.5).sum()),
        }
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with real_toxicity_prompts/, context_toxicity/")
    parser.add_argument("--run", type=Path, default=Path("cache/runs/scorer"), help="checkpoints; resumed when present")
    parser.add_argument("--epochs", type=float, default=3)
    arguments = parser.parse_args()

    texts = read_texts(arguments.data)
    tokenizer = AutoTokenizer.from_pretrained(minilm_folder())
    encoded = tokenizer(texts["text"].tolist(), truncation=True, max_length=MAX_TOKENS)["input_ids"]
    examples = [
        {"input_ids": ids, "labels": labels}
        for ids, labels in zip(encoded, texts[ATTRIBUTES].to_numpy(dtype=np.float32), strict=True)
    ]
    held_out = texts["held_out"].to_numpy()
    train = [example for example, out in zip(examples, held_out, strict=True) if not out]
    test = [example for example, out in zip(examples, held_out, strict=True) if out]

    trainer = SoftLabelTrainer(
        model=build_model(),
        args=TrainingArguments(
            output_dir=str(arguments.run),
            num_train_epochs=arguments.epochs,
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
        train_dataset=train,
        data_collator=DataCollatorWithPadding(tokenizer),
    )
    trainer.train(resume_from_checkpoint=any(arguments.run.glob("checkpoint-*")))
    report = {"held_out_texts": len(test), "attributes": evaluate(trainer, test, texts[held_out])}

    model = trainer.model
    model.peft_config["default"].base_model_name_or_path = HUB_ID  # not the folder of this machine
    SCORER.mkdir(parents=True, exist_ok=True)
    model.to(torch.bfloat16).save_pretrained(SCORER)
    (SCORER / "evaluation.json").write_text(json.dumps(report, indent=1) + "\n")
    shutil.rmtree(arguments.run)
    json.dump(report, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
