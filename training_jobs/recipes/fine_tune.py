"""FT: supervised LoRA on counter-narratives, loss on the reply only (TRL's SFTTrainer).

python -m training_jobs.recipes.fine_tune
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

from detox_core.demo import FT, IT
from detox_core.models.templates import TEMPLATES
from detox_core.score import get_scorer
from training_jobs.recipes.corpus import Echoing, compose, mild_prompts
from training_jobs.recipes.saving import save_adapter

SEED = 1
ECHOES = 0.6
LAYERS = ["query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=16_000)
    parser.add_argument("--run", type=Path, default=Path("cache/runs/fine_tune"), help="checkpoints; resumed when present")
    arguments = parser.parse_args()

    template = TEMPLATES["redpajama"]
    echoing = Echoing(ECHOES, mild_prompts(get_scorer()))
    pairs = compose(arguments.pairs, SEED, mixture={"counter": 1.0}, toxic_share=0.8, echoing=echoing)
    rows = [{"prompt": template.render(pair.prompt), "completion": f" {pair.reply}"} for pair in pairs]
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(IT, dtype=torch.float32),
        processing_class=AutoTokenizer.from_pretrained(IT),
        train_dataset=Dataset.from_list(rows),
        peft_config=LoraConfig(task_type="CAUSAL_LM", r=32, lora_alpha=64, lora_dropout=0.0, target_modules=LAYERS),
        args=SFTConfig(
            output_dir=str(arguments.run),
            num_train_epochs=1,
            per_device_train_batch_size=8,
            learning_rate=1.5e-3,
            lr_scheduler_type="cosine",
            warmup_steps=50,
            max_length=256,
            gradient_checkpointing=False,
            bf16=True,
            use_cpu=not torch.cuda.is_available(),
            seed=SEED,
            logging_steps=25,
            save_steps=500,
            save_total_limit=1,
            report_to="none",
        ),
    )
    trainer.train(resume_from_checkpoint=any(arguments.run.glob("checkpoint-*")))
    save_adapter(trainer.model, FT)
    (FT / "training.json").write_text(json.dumps({"pairs": arguments.pairs, "log": trainer.state.log_history}, indent=1) + "\n")
    shutil.rmtree(arguments.run)


if __name__ == "__main__":
    main()
