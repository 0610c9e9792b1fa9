"""DPO: LoRA trained to prefer counter-narratives over hostile replies (Rafailov et al. 2023, in TRL).

The preference loss alone lowers the probability of both replies and costs fluency; the SFT loss on the chosen reply is added
(as in Pang et al. 2024, "Iterative Reasoning Preference Optimization").

    python -m training_jobs.recipes.prefer
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DPOConfig, DPOTrainer

from detox_core.demo import DPO, IT
from detox_core.models.templates import TEMPLATES
from detox_core.score import get_scorer
from training_jobs.recipes.corpus import Echoing, compose_preferences, mild_prompts
from training_jobs.recipes.fine_tune import ECHOES, LAYERS
from training_jobs.recipes.saving import save_adapter

SEED = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=4_800)
    parser.add_argument("--run", type=Path, default=Path("cache/runs/prefer"), help="checkpoints; resumed when present")
    arguments = parser.parse_args()

    template = TEMPLATES["redpajama"]
    rows = [
        {"prompt": template.render(pair.prompt), "chosen": f" {pair.chosen}", "rejected": f" {pair.rejected}"}
        for pair in compose_preferences(arguments.pairs, SEED, toxic_share=0.75, echoing=Echoing(ECHOES, mild_prompts(get_scorer())))
    ]
    trainer = DPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(IT, dtype=torch.float32),
        processing_class=AutoTokenizer.from_pretrained(IT),
        train_dataset=Dataset.from_list(rows),
        peft_config=LoraConfig(task_type="CAUSAL_LM", r=16, lora_alpha=32, lora_dropout=0.0, target_modules=LAYERS),
        args=DPOConfig(
            output_dir=str(arguments.run),
            num_train_epochs=1,
            per_device_train_batch_size=8,
            learning_rate=3e-4,
            lr_scheduler_type="cosine",
            warmup_steps=30,
            beta=0.1,
            loss_type=["sigmoid", "sft"],
            loss_weights=[1.0, 0.5],
            max_length=256,
            gradient_checkpointing=False,
            bf16=True,
            use_cpu=not torch.cuda.is_available(),
            seed=SEED,
            logging_steps=20,
            save_steps=300,
            save_total_limit=1,
            report_to="none",
        ),
    )
    trainer.train(resume_from_checkpoint=any(arguments.run.glob("checkpoint-*")))
    save_adapter(trainer.model, DPO)
    (DPO / "training.json").write_text(json.dumps({"pairs": arguments.pairs, "log": trainer.state.log_history}, indent=1) + "\n")
    shutil.rmtree(arguments.run)


if __name__ == "__main__":
    main()
