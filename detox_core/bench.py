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
MEASURED, BATCH = 96, 32  # prompts of the measuring bench; rows of the loop it is compared with
READ = 40  # tokens of the prompt in the attribution bench


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


def bench_attribution(rounds: int = 5) -> dict[str, Any]:
    """Input x gradient of 60 generated tokens after a prompt of 40 on IT in fp32: ours against Inseq's loop, alternating after a warm-up.

    Returns:
        ours_s, other_s: median seconds; ratio = other / ours; per-round ratios; largest relative difference of both results;
        floor_s: multiply-adds of ours over the rate of a plain matrix product of the same shape on this machine; over_floor = ours / floor.
    """
    import numpy as np
    import torch

    from detox_core.explain.attribution import Reading, attribute
    from detox_core.explain.oracle import by_inseq
    from detox_core.models.loading import load_base
    from detox_core.models.mixing import PLAIN
    from detox_core.models.variants import FAMILY

    base = load_base(FAMILY[0].base, "float32")
    ids = np.random.default_rng(0).integers(1, base.model.config.vocab_size, READ + TOKENS).tolist()
    reading = Reading(PLAIN, tuple(ids[:READ]), tuple(ids[READ:]))
    mine, oracle = attribute(base, reading), by_inseq(base, reading)
    pairs = [(_seconds(lambda: attribute(base, reading)), _seconds(lambda: by_inseq(base, reading))) for _ in range(max(1, rounds))]
    ours_s, other_s = (statistics.median(times) for times in zip(*pairs, strict=True))
    floor_s = _attribution_work(base.model) / _matrix_rate(torch)
    return {
        "what": f"input x gradient of {TOKENS} tokens after {READ} on IT in fp32: one pass per portion against Inseq's loop",
        "ours_s": ours_s,
        "other_s": other_s,
        "ratio": other_s / ours_s,
        "ratios": [other / our for our, other in pairs],
        "largest_relative_difference": float(np.abs(mine - oracle).max() / oracle.max()),
        "floor_s": floor_s,
        "over_floor": ours_s / floor_s,
    }


def bench_measure(rounds: int = 3) -> dict[str, Any]:
    """The meter over 96 demo prompts with IT, FT and RL against the obvious loop: one variant at a time, library `generate` on 32
    prompts at once in the order of the file, then a scoring pass. At most 60 tokens, in fp32, alternating after a warm-up; once with
    five samples a prompt (what `measure` does by default) and once greedily.

    Returns:
        ours_s, other_s: median seconds with five samples; ratio = other / ours; per-round ratios; replies_per_s of ours; greedy: the
        same figures with one greedy reply, and equal_replies, the share of them that both sides write alike.
    """
    from detox_core.types import Decoding

    sampled, _, _ = _measuring(Decoding(max_new_tokens=TOKENS, samples=5), rounds)
    greedy, mine, theirs = _measuring(Decoding(temperature=0, max_new_tokens=TOKENS), rounds)
    alike = sum(a == b for a, b in zip(mine, theirs, strict=True)) / len(mine)
    return {
        "what": f"{MEASURED} prompts answered by IT, FT, RL and scored: the meter against one variant at a time, {BATCH} prompts a batch",
        **sampled,
        "greedy": {**greedy, "equal_replies": alike},
    }


def _measuring(decoding: Any, rounds: int) -> tuple[dict[str, Any], list[str], list[str]]:
    """Both sides timed, and the replies of each, prompt by prompt."""
    from detox_core.compare import Pool
    from detox_core.data import get_dataset
    from detox_core.measure.meter import measure
    from detox_core.models.variants import DEFAULT, get_variants
    from detox_core.score import get_scorer

    prompts, variants, scorer, pool = get_dataset("demo")[:MEASURED], get_variants(list(DEFAULT)), get_scorer(), Pool()
    loop = _loop([prompt.text for prompt in prompts], scorer, decoding)
    mine = [reply.text for row in measure(prompts, variants, decoding, scorer, pool) for reply in row.generations]
    theirs = [text for texts in zip(*loop(), strict=True) for text in texts]
    pairs = [(_seconds(lambda: measure(prompts, variants, decoding, scorer, pool)), _seconds(loop)) for _ in range(max(1, rounds))]
    ours_s, other_s = (statistics.median(times) for times in zip(*pairs, strict=True))
    figures = {"ours_s": ours_s, "other_s": other_s, "ratio": other_s / ours_s, "ratios": [other / our for our, other in pairs]}
    return {**figures, "replies_per_s": len(mine) / ours_s}, mine, theirs


def _attribution_work(model: Any) -> float:
    """Multiply-adds of the matrix products: per portion one forward pass over its text, and a backward pass per token."""
    from detox_core.explain.attribution import PORTION

    weights = sum(parameter.numel() for name, parameter in model.named_parameters() if parameter.dim() == 2 and "layers" in name)
    return sum(weights * (READ + end) * (1 + end - start) for start in range(0, TOKENS, PORTION) for end in [min(start + PORTION, TOKENS)])


def _matrix_rate(torch: Any) -> float:
    """Multiply-adds a second of a matrix product (1,000 x 256 by 256 x 1,024), fp32."""
    a, b = torch.randn(1000, 256), torch.randn(256, 1024)
    best = min(_seconds(lambda: [a @ b for _ in range(20)]) for _ in range(10))
    return float(20 * a.shape[0] * b.numel() / best)


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


def _loop(texts: list[str], scorer: Any, decoding: Any) -> Callable[[], list[list[str]]]:
    """The obvious way to measure: every model in turn over all prompts, then all scores."""
    import torch

    from detox_core.models.templates import TEMPLATES

    models, tokenizer = _models(3)
    tokenizer.padding_side = "left"
    prompts = [TEMPLATES["redpajama"].render(text) for text in texts]
    options: dict[str, Any] = {"max_new_tokens": decoding.max_new_tokens, "do_sample": False, "pad_token_id": tokenizer.pad_token_id}
    if decoding.temperature:
        sampling = {"temperature": decoding.temperature, "top_p": decoding.top_p, "top_k": 0}
        options |= {"do_sample": True, "num_return_sequences": decoding.samples, **sampling}

    def answers(model: Any) -> list[str]:
        replies = []
        for at in range(0, len(prompts), BATCH):
            inputs = tokenizer(prompts[at : at + BATCH], return_tensors="pt", padding=True, return_token_type_ids=False)
            output = model.generate(**inputs, **options)
            replies += tokenizer.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        return [reply.strip() for reply in replies]

    def run() -> list[list[str]]:
        with torch.inference_mode():
            replies = [answers(model) for model in models]
        for column in replies:
            scorer.score(column)
        return replies

    return run


def _separate(count: int = 3) -> Callable[[], object]:
    """The obvious way: a model per variant, adapters merged, called in turn."""
    import torch

    from detox_core.models.templates import TEMPLATES

    models, tokenizer = _models(count)
    inputs = tokenizer(TEMPLATES["redpajama"].render(PROMPT), return_tensors="pt", return_token_type_ids=False)

    def run() -> None:
        with torch.inference_mode():
            for model in models:
                model.generate(**inputs, max_new_tokens=TOKENS, min_new_tokens=TOKENS, do_sample=False, pad_token_id=0)

    return run


def _models(count: int) -> tuple[list[Any], Any]:
    """The first variants of the family as models of their own, adapters merged, and their tokenizer."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from detox_core.demo import locate
    from detox_core.models.variants import DEFAULT, get_variants

    variants = get_variants(list(DEFAULT))[:count]
    models = []
    for variant in variants:
        model = AutoModelForCausalLM.from_pretrained(locate(variant.base), dtype=torch.float32)
        if variant.adapter:
            model = PeftModel.from_pretrained(model, str(locate(variant.adapter))).merge_and_unload()
        models.append(model.eval())
    return models, AutoTokenizer.from_pretrained(locate(variants[0].base))


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
