"""Load any causal language model and hang LoRA adapters on it. Refuses whatever could run a stranger's code."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from peft import PeftModel
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from detox_core.demo import locate
from detox_core.errors import ModelError
from detox_core.models import smollm2
from detox_core.models.checking import check_adapter, check_model_folder, fingerprint, first_line
from detox_core.models.downloading import download
from detox_core.models.mixing import PLAIN
from detox_core.models.templates import Template, named_template

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass
class LoadedBase:
    """One base model in memory with every adapter hung on it so far.

    Attributes:
        model: the model; a PeftModel once the first adapter is attached.
        choice: device and dtype in words, with the reason for each.
        adapters: adapter folder -> its name inside the PeftModel.
        fingerprints: base and adapters -> which weights they are.
        bytes: memory of all parameters and buffers.
    """

    name: str
    model: PreTrainedModel | PeftModel
    tokenizer: PreTrainedTokenizerBase
    choice: str
    adapters: dict[str, str] = field(default_factory=dict)
    fingerprints: dict[str, str] = field(default_factory=dict)
    bytes: int = 0

    def __post_init__(self) -> None:
        self.measure()

    @property
    def context(self) -> int:
        """Longest text the model reads, in tokens."""
        config = self.model.config
        return int(getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None) or 2048)

    def measure(self) -> None:
        """Bring `bytes` up to date; done after loading and attaching, so that other threads only read a number."""
        tensors = (*self.model.parameters(), *self.model.buffers())
        self.bytes = sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    def attach(self, adapter: str | None) -> str:
        """Hang an adapter on the base, once.

        Returns:
            Its name for mixed batches; `__base__` for None.

        Raises:
            ModelError: missing, damaged, not a safetensors LoRA, or made for another base.
        """
        if adapter is None:
            return PLAIN
        if adapter not in self.adapters:
            folder = fetch(adapter, ["adapter_config.json", "adapter_model.safetensors"])
            check_adapter(self.model, folder, adapter, self.name)
            name = f"a{len(self.adapters)}"
            try:
                if isinstance(self.model, PeftModel):
                    self.model.load_adapter(str(folder), adapter_name=name)
                else:
                    self.model = PeftModel.from_pretrained(self.model, str(folder), adapter_name=name)
            except (OSError, ValueError, RuntimeError, LookupError, TypeError, ImportError) as error:
                if isinstance(self.model, PeftModel) and name in self.model.peft_config:
                    self.model.delete_adapter(name)
                raise ModelError(
                    f"The adapter {adapter} could not be loaded: {first_line(error)} Check its adapter_config.json."
                ) from error
            self.model.eval()
            self.adapters[adapter] = name
            self.fingerprints[adapter] = fingerprint(folder)
            self.measure()
        return self.adapters[adapter]

    def render(self, prompt: str, template: str | None) -> str:
        """The exact text the model reads for one user turn."""
        if template is not None or self.tokenizer.chat_template is None:
            begin = self.tokenizer.bos_token_id is not None and self.tokenizer("")["input_ids"][:1] == [self.tokenizer.bos_token_id]
            return (self.tokenizer.bos_token if begin else "") + named_template(template or "plain").render(prompt)
        messages = [{"role": "user", "content": prompt}]
        return str(self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))

    def next_turn(self, template: str | None) -> str | None:
        """Text that would start another user turn, if the format is a named one."""
        known: Template | None = named_template(template) if template else None
        return known.next_turn if known else None


def load_base(base: str, dtype: str = "auto", quantization: str | None = None) -> LoadedBase:
    """Load a causal LM from a folder or the Hub; local files are used without asking the network.

    Args:
        base: folder, or Hub id such as `EleutherAI/pythia-70m`.
        dtype: auto, float32, bfloat16 or float16.
        quantization: None, `8bit` or `4bit` (bitsandbytes).

    Raises:
        ModelError: not found, damaged, pickle weights, code of its own, or not loadable in this form.
    """
    folder = fetch(base, ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"])
    check_model_folder(folder, base)
    device, torch_dtype, choice = choose(dtype, weights_bytes(folder))
    options: dict[str, Any] = {"dtype": torch_dtype, "use_safetensors": True, "trust_remote_code": False}
    if quantization:
        options |= quantized(quantization, device)
        choice += f"; {quantization} by bitsandbytes, as asked"
    transformers_logging.disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        loaded: Any = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True, **options)
        model, report = loaded
        if not quantization:
            model.to(device)
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError, ImportError) as error:
        raise ModelError(f"{base} could not be loaded: {first_line(error)} Check that its files are complete.") from error
    if report["missing_keys"]:  # transformers would go on with random numbers there
        lacks = sorted(report["missing_keys"])
        raise ModelError(f"{base} lacks {len(lacks)} of its weights, for example {lacks[0]}. Download the model again.")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "left"
    model.eval()
    return LoadedBase(base, model, tokenizer, choice, fingerprints={base: fingerprint(folder)})


def choose(dtype: str, size: int) -> tuple[str, torch.dtype, str]:
    """Device and dtype, with the reason in words.

    Args:
        dtype: what was asked for.
        size: bytes of the weights on disk.

    Raises:
        ModelError: an unknown dtype.
    """
    device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    where = {"cuda": "GPU (found)", "mps": "Apple GPU (found)", "cpu": "CPU (no GPU found)"}[device]
    if dtype != "auto":
        if dtype not in DTYPES:
            raise ModelError(f"Unknown dtype {dtype!r}. Use auto, {', '.join(DTYPES)}.")
        return device, DTYPES[dtype], f"{where}, {dtype} (as asked)"
    if device == "cuda":
        return device, torch.bfloat16, f"{where}, bfloat16 (half the memory)"
    if size > 3 * 2**30:
        return device, torch.bfloat16, f"{where}, bfloat16 (weights over 3 GB)"
    return device, torch.float32, f"{where}, float32 (small model: exact)"


def quantized(kind: str, device: str) -> dict[str, Any]:
    """Loading options for bitsandbytes.

    Raises:
        ModelError: an unknown kind.
    """
    if kind not in ("8bit", "4bit"):
        raise ModelError(f"Unknown quantization {kind!r}. Use 8bit or 4bit.")
    compute = torch.bfloat16 if device == "cuda" else torch.float32
    config = (
        BitsAndBytesConfig(load_in_8bit=True)
        if kind == "8bit"
        else BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=compute)
    )
    return {"quantization_config": config, "device_map": {"": device}}


def fetch(source: str, patterns: list[str]) -> Path:
    """The local folder of a model or adapter; downloads only what is not on disk yet.

    Raises:
        ModelError: neither a folder nor something the Hub has, or no network to ask.
        InterruptedError: the download was stopped.
    """
    if source == smollm2.NAME:
        return smollm2.smollm2_folder()
    folder = locate(source)
    if folder.is_dir():
        return folder
    if folder.is_absolute() or source.startswith(".") or source.count("/") != 1:
        raise ModelError(f"There is no folder {source!r}. Give a folder, or a Hub id such as EleutherAI/pythia-70m.")
    try:
        local = Path(snapshot_download(source, allow_patterns=patterns, local_files_only=True))
        if any(local.glob("*.safetensors")):
            return local
    except LocalEntryNotFoundError:
        pass
    except HFValidationError:
        raise ModelError(f"There is no folder {source!r}, and it cannot be a Hub id either.") from None
    if os.environ.get("HF_HUB_OFFLINE") == "1":
        raise ModelError(f"{source!r} is neither a folder nor downloaded yet, and the app is offline.")
    try:
        return download(source, patterns)
    except InterruptedError:  # a kind of OSError
        raise
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ModelError(f"{source!r} is not a folder, and the Hub did not give it: {first_line(error)}") from error


def weights_bytes(folder: Path) -> int:
    """Size of the weights on disk."""
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))
