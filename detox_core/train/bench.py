"""What following a run costs: ours against the plain TRL script with the same settings."""

import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from detox_core.models.variants import FAMILY
from detox_core.train.progress import METRICS, read_lines
from detox_core.train.run import train
from detox_core.train.spec import TrainSpec

SPEC = TrainSpec("bench", "sft", steps=200, batch=8, probe_every=50)


def bench_train(rounds: int = 3) -> dict[str, Any]:
    """SFT of the small IT, 200 steps of 8 rows, from loading to the saved adapter, alternating after a warm-up.

    Ours writes metrics, answers 8 probe prompts five times, scores them, watches guards and a stop flag, and saves checkpoints as the
    other does.

    Returns:
        ours_s, other_s: median seconds; tokens_per_second of both; overhead = ours / other - 1, median over rounds; per-round values;
        first_metric_s: from the start to the first metric on disk.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _plain(root / "warm-up", 2)
        pairs, tokens, first = [], 0.0, []
        for number in range(max(1, rounds)):
            mine = root / f"ours-{number}"
            mine.mkdir()
            began = time.time()
            ours = _seconds(lambda mine=mine: train(SPEC, FAMILY[0], mine, lambda *_: None, threading.Event()))  # type: ignore[misc]
            first.append(next(row["time"] for row in read_lines(mine / METRICS) if "loss" in row) - began)
            other = _seconds(lambda number=number: _plain(root / f"plain-{number}", SPEC.steps))  # type: ignore[misc]
            tokens = max(row.get("num_tokens", 0) for row in read_lines(mine / METRICS))
            pairs.append((ours, other))
    ours_s, other_s = (statistics.median(times) for times in zip(*pairs, strict=True))
    overheads = [ours / other - 1 for ours, other in pairs]
    return {
        "what": f"SFT of the small IT, {SPEC.steps} steps of {SPEC.batch} rows, loading and saving included: ours against plain TRL",
        "ours_s": ours_s,
        "other_s": other_s,
        "tokens_per_second": {"ours": tokens / ours_s, "other": tokens / other_s},
        "ratio": other_s / ours_s,
        "overhead": statistics.median(overheads),
        "overheads": overheads,
        "first_metric_s": statistics.median(first),
    }


def _plain(folder: Path, steps: int) -> None:
    """What one would write without this project."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, set_seed
    from trl import SFTConfig, SFTTrainer

    from detox_core.demo import IT
    from detox_core.models.loading import load_base
    from detox_core.train.rows import rows_for

    set_seed(SPEC.seed)
    rows = rows_for(SPEC, load_base(FAMILY[0].base), FAMILY[0])
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(IT, dtype=torch.float32),
        processing_class=AutoTokenizer.from_pretrained(IT),
        train_dataset=Dataset.from_list(rows),
        peft_config=LoraConfig(task_type="CAUSAL_LM", r=SPEC.rank, lora_alpha=2 * SPEC.rank, lora_dropout=0.0, target_modules="all-linear"),
        args=SFTConfig(
            output_dir=str(folder),
            max_steps=steps,
            per_device_train_batch_size=SPEC.batch,
            learning_rate=SPEC.rate,
            lr_scheduler_type="cosine",
            warmup_steps=20,
            max_length=SPEC.max_length,
            bf16=bool(torch.cuda.is_available() or torch.cpu.get_capabilities().get("avx512_bf16")),
            use_cpu=not torch.cuda.is_available(),
            gradient_checkpointing=torch.cuda.is_available(),
            train_sampling_strategy="group_by_length",
            seed=SPEC.seed,
            save_steps=max(20, steps // 5),
            save_total_limit=1,
            logging_steps=10,
            report_to="none",
            disable_tqdm=True,
        ),
    )
    trainer.remove_callback(PrinterCallback)  # standard output holds one document
    trainer.train()
    trainer.save_model(str(folder / "adapter"))


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
