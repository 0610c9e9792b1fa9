"""RL: LoRA trained by RLOO (Ahmadian et al. 2024, in TRL) against toxicity, with a KL penalty to IT.

The reward and its guards are those of `detox_core/train/rewards.py`, with the local scorer.

    python -m training_jobs.recipes.reinforce
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import RLOOConfig, RLOOTrainer

from detox_core.demo import IT, RL
from detox_core.models.templates import TEMPLATES
from detox_core.score import get_scorer
from detox_core.train.rewards import as_reward_function
from training_jobs.recipes.corpus import compose
from training_jobs.recipes.fine_tune import LAYERS
from training_jobs.recipes.saving import save_adapter

SEED = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=85)
    parser.add_argument("--run", type=Path, default=Path("cache/runs/reinforce"), help="checkpoints; resumed when present")
    arguments = parser.parse_args()

    template = TEMPLATES["redpajama"]
    prompts = [{"prompt": template.render(pair.prompt), "text": pair.prompt} for pair in compose(4_000, SEED, toxic_share=0.75)]
    trainer = RLOOTrainer(
        model=AutoModelForCausalLM.from_pretrained(IT, dtype=torch.float32),
        processing_class=AutoTokenizer.from_pretrained(IT, padding_side="left"),
        reward_funcs=as_reward_function(get_scorer),
        train_dataset=Dataset.from_list(prompts),
        peft_config=LoraConfig(task_type="CAUSAL_LM", r=16, lora_alpha=32, lora_dropout=0.0, target_modules=LAYERS),
        args=RLOOConfig(
            output_dir=str(arguments.run),
            max_steps=arguments.steps,
            per_device_train_batch_size=64,
            num_generations=8,
            num_iterations=2,
            steps_per_generation=1,
            max_completion_length=60,
            learning_rate=3e-4,
            lr_scheduler_type="constant_with_warmup",
            warmup_steps=10,
            beta=0.1,
            temperature=1.0,
            gradient_checkpointing=False,
            bf16=True,
            use_cpu=not torch.cuda.is_available(),
            seed=SEED,
            logging_steps=5,
            save_steps=50,
            save_total_limit=1,
            report_to="none",
        ),
    )
    trainer.train(resume_from_checkpoint=any(arguments.run.glob("checkpoint-*")))
    save_adapter(trainer.model, RL)
    (RL / "training.json").write_text(json.dumps({"steps": arguments.steps, "log": trainer.state.log_history}, indent=1) + "\n")
    shutil.rmtree(arguments.run)


if __name__ == "__main__":
    main()
