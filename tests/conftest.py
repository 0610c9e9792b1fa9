"""Tiny random models on disk, built from configs: no network, no downloads."""

import math
import os
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # huggingface_hub reads it once, when it is imported
os.environ["DETOX_FAMILY"] = "small"  # the larger one answers twenty times slower; its own tests ask for it

from detox_core.types import Score, Variant

ARCHITECTURES = ("gpt_neox", "falcon", "llama", "gpt2")
LORA_TARGETS = {
    "gpt_neox": ["query_key_value"],
    "falcon": ["query_key_value"],
    "llama": ["q_proj", "v_proj"],
    "gpt2": ["c_attn"],
    "mpt": ["Wqkv"],
}
CONTEXT = 160


class FakeScorer:
    """Texts with an "a" are toxic, the empty text is not scored."""

    id = "fake"
    revision = "1"

    def score(self, texts: Sequence[str]) -> list[Score]:
        return [
            Score(0.9 if "a" in text else 0.1, self.id, self.revision)
            if text.strip()
            else Score(math.nan, self.id, self.revision, reason="empty")
            for text in texts
        ]


@pytest.fixture(autouse=True)
def isolated(tmp_path, monkeypatch) -> Path:
    """An own cache folder for every test, and no Hub."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("DETOX_CACHE", str(cache))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return cache


@pytest.fixture(scope="session")
def tokenizer():
    """Byte-level BPE over printable ASCII, so that random replies are readable text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    lines = [string.printable, "<human>: What do you think of them?\n<bot>: I like them, and I think that they are kind people."] * 4
    trainer = trainers.BpeTrainer(vocab_size=200, special_tokens=["<|endoftext|>"], show_progress=False)
    bpe.train_from_iterator(lines, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<|endoftext|>", bos_token="<|endoftext|>")


def build_model(architecture: str, vocabulary: int, seed: int, hidden: int = 32):
    """A random causal language model of 2 layers and 4 heads."""
    import torch
    from transformers import AutoModelForCausalLM, FalconConfig, GPT2Config, GPTNeoXConfig, LlamaConfig, MptConfig

    common = {"vocab_size": vocabulary, "initializer_range": 0.5, "bos_token_id": 0, "eos_token_id": 0}
    usual = {"hidden_size": hidden, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": CONTEXT}
    config = {
        "gpt_neox": lambda: GPTNeoXConfig(**common, **usual, intermediate_size=64),
        "falcon": lambda: FalconConfig(**common, **usual | {"max_position_embeddings": 4 * CONTEXT}),
        "llama": lambda: LlamaConfig(**common, **usual, intermediate_size=64),
        "mpt": lambda: MptConfig(**common, d_model=hidden, n_layers=2, n_heads=4, max_seq_len=CONTEXT),
        "gpt2": lambda: GPT2Config(**common, n_embd=hidden, n_layer=2, n_head=4, n_positions=CONTEXT),
    }[architecture]()
    torch.manual_seed(seed)
    return AutoModelForCausalLM.from_config(config)


@pytest.fixture(scope="session")
def make_base(tmp_path_factory, tokenizer):
    """Save a base model: `make_base(architecture, seed, hidden)` -> folder."""

    def make(architecture: str, seed: int = 0, hidden: int = 32) -> str:
        folder = tmp_path_factory.mktemp(f"{architecture}-{seed}-{hidden}")
        build_model(architecture, len(tokenizer), seed, hidden).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return str(folder)

    return make


@pytest.fixture(scope="session")
def make_adapter(tmp_path_factory):
    """Save a random LoRA adapter: `make_adapter(architecture, base, seed, **lora options)` -> folder."""

    def make(architecture: str, base: str, seed: int, **options: Any) -> str:
        import torch
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM

        config = LoraConfig(
            r=4,
            lora_alpha=16,
            target_modules=LORA_TARGETS[architecture],
            fan_in_fan_out=architecture == "gpt2",
            init_lora_weights=False,
            task_type="CAUSAL_LM",
            **options,
        )
        torch.manual_seed(seed)
        folder = tmp_path_factory.mktemp(f"{architecture}-adapter-{seed}")
        get_peft_model(AutoModelForCausalLM.from_pretrained(base), config).save_pretrained(folder)
        return str(folder)

    return make


@pytest.fixture(scope="session")
def families(make_base, make_adapter) -> dict[str, tuple[Variant, Variant, Variant]]:
    """For each architecture the base and two adapters on it, as variants `it`, `ft`, `rl`."""
    found = {}
    for architecture in ARCHITECTURES:
        base = make_base(architecture)
        ft, rl = (make_adapter(architecture, base, seed) for seed in (1, 2))
        found[architecture] = (Variant("it", "IT", base), Variant("ft", "FT", base, ft), Variant("rl", "RL", base, rl))
    return found


@pytest.fixture(params=ARCHITECTURES)
def each_family(request, families) -> tuple[Variant, Variant, Variant]:
    """The family of every architecture in turn."""
    return families[request.param]


@pytest.fixture
def family(families) -> tuple[Variant, Variant, Variant]:
    """The GPT-NeoX family."""
    return families["gpt_neox"]


@pytest.fixture(scope="session")
def tuned(make_base) -> Variant:
    """All weights changed: not an adapter, a second base."""
    return Variant("full", "Full", make_base("gpt_neox", seed=3))


@pytest.fixture
def fake_scorer(monkeypatch) -> FakeScorer:
    """Every scorer name gives the fake one, in comparisons and in the service's warm-up."""
    import detox_core.compare
    import detox_core.score

    scorer = FakeScorer()
    for module in (detox_core.compare, detox_core.score):
        monkeypatch.setattr(module, "get_scorer", lambda name="local": scorer)
    return scorer
