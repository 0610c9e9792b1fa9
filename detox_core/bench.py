"""Measure ours against the obvious alternative, side by side in one run."""

import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil

PROMPT = "Women can't drive, they should stay off the road."
TOKENS = 60


def bench_generate(rounds: int = 5) -> dict[str, Any]:
    """One mixed-adapter batch for IT, FT and RL against three separate models, one library `generate` each.

    Both decode greedily for exactly 60 tokens in fp32, alternating, after one warm-up. Memory is that of a fresh process at its
    peak, and what of it came after the libraries were imported.

    Returns:
        ours_s, other_s: median seconds; ratio = other / ours; per-round ratios; MiB of one model, the mixed batch, three models.
    """
    ours, others = _mixed(), _separate()
    ours(), others()
    pairs = [(_seconds(ours), _seconds(others)) for _ in range(max(1, rounds))]
    memory = {arm: _peak_mib(arm) for arm in ("one", "mixed", "three")}
    peak, growth = ({arm: mib[index] for arm, mib in memory.items()} for index in (0, 1))
    ours_s, other_s = (statistics.median(times) for times in zip(*pairs, strict=True))
    return {
        "what": f"{TOKENS} greedy tokens each from IT, FT, RL in fp32: one mixed-adapter batch against three separate models",
        "ours_s": ours_s,
        "other_s": other_s,
        "ratio": other_s / ours_s,
        "ratios": [other / our for our, other in pairs],
        "peak_mib": peak,
        "peak_over_one_model": peak["mixed"] / peak["one"],
        "growth_mib": growth,
        "growth_over_one_model": growth["mixed"] / growth["one"],
    }


def _mixed() -> Callable[[], object]:
    """The engine's own path."""
    from detox_core.generate import generate
    from detox_core.models.loading import load_base
    from detox_core.models.variants import DEFAULT, get_variants
    from detox_core.types import Decoding

    variants = get_variants(list(DEFAULT))
    base = load_base(variants[0].base, "float32")
    base.model.generation_config.eos_token_id = None
    base.tokenizer.eos_token = None  # never ends early: both sides do the same number of tokens
    decoding = Decoding(temperature=0, max_new_tokens=TOKENS)
    return lambda: generate(base, PROMPT, variants, decoding)


def _separate(count: int = 3) -> Callable[[], object]:
    """The obvious way: a model per variant, adapters merged, called in turn."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from detox_core.demo import locate
    from detox_core.models.templates import TEMPLATES
    from detox_core.models.variants import DEFAULT, get_variants

    variants = get_variants(list(DEFAULT))[:count]
    tokenizer = AutoTokenizer.from_pretrained(locate(variants[0].base))
    inputs = tokenizer(TEMPLATES["redpajama"].render(PROMPT), return_tensors="pt", return_token_type_ids=False)
    models = []
    for variant in variants:
        model = AutoModelForCausalLM.from_pretrained(locate(variant.base), dtype=torch.float32)
        if variant.adapter:
            model = PeftModel.from_pretrained(model, str(locate(variant.adapter))).merge_and_unload()
        models.append(model.eval())

    def run() -> None:
        with torch.inference_mode():
            for model in models:
                model.generate(**inputs, max_new_tokens=TOKENS, min_new_tokens=TOKENS, do_sample=False, pad_token_id=0)

    return run


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _peak_mib(arm: str) -> tuple[float, float]:
    result = subprocess.run([sys.executable, "-m", "detox_core.bench", arm], capture_output=True, text=True, check=True)
    peak, growth = map(float, result.stdout.split()[-2:])
    return peak, growth


def _measure_memory(arm: str) -> tuple[float, float]:
    """Largest resident memory of this process in MiB while `arm` loads and runs once, and its growth since the imports."""
    import peft  # noqa: F401
    import torch
    from transformers import GPTNeoXForCausalLM  # noqa: F401 - lazy otherwise

    import detox_core.generate  # noqa: F401

    torch.ones(256, 256) @ torch.ones(256, 256)  # allocates the thread pools
    process = psutil.Process()
    before = largest = process.memory_info().rss
    done = threading.Event()

    def sample() -> None:
        nonlocal largest
        while not done.wait(0.002):
            largest = max(largest, process.memory_info().rss)

    sampler = threading.Thread(target=sample)
    sampler.start()
    {"one": lambda: _separate(1), "mixed": _mixed, "three": _separate}[arm]()()
    done.set()
    sampler.join()
    return largest / 2**20, (largest - before) / 2**20


if __name__ == "__main__":
    print(*_measure_memory(sys.argv[1]))
