"""Load any causal language model and hang LoRA adapters on it. Refuses whatever could run a stranger's code."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from peft import PeftConfig, PeftModel
from safetensors import SafetensorError, safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, PreTrainedModel, PreTrainedTokenizerBase

from detox_core.demo import locate
from detox_core.errors import ModelError
from detox_core.models.templates import Template, named_template

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
PLAIN = "__base__"  # PEFT's name for "no adapter" in a mixed batch


@dataclass
class LoadedBase:
    """One base model in memory with every adapter hung on it so far.

    Attributes:
        model: the model; a PeftModel once the first adapter is attached.
        choice: device and dtype in words, with the reason for each.
        adapters: adapter folder -> its name inside the PeftModel.
    """

    name: str
    model: PreTrainedModel | PeftModel
    tokenizer: PreTrainedTokenizerBase
    choice: str
    adapters: dict[str, str] = field(default_factory=dict)

    @property
    def context(self) -> int:
        """Longest text the model reads, in tokens."""
        config = self.model.config
        return int(getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None) or 2048)

    @property
    def bytes(self) -> int:
        """Memory of all parameters and buffers."""
        tensors = (*self.model.parameters(), *self.model.buffers())
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

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
        return self.adapters[adapter]

    def mixable(self, names: list[str]) -> bool:
        """Whether PEFT can decode these adapters as one batch (plain LoRA only)."""
        if not isinstance(self.model, PeftModel):
            return True
        configs = [self.model.peft_config[name] for name in names if name != PLAIN]
        return all(c.peft_type == "LORA" and not c.use_dora and not c.modules_to_save for c in configs)

    def render(self, prompt: str, template: str | None) -> str:
        """The exact text the model reads for one user turn."""
        if template is not None:
            return named_template(template).render(prompt)
        if self.tokenizer.chat_template is None:
            return prompt
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
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        model = AutoModelForCausalLM.from_pretrained(folder, **options)
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError, ImportError) as error:
        raise ModelError(f"{base} could not be loaded: {first_line(error)} Check that its files are complete.") from error
    if not quantization:
        model.to(device)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "left"
    model.eval()
    return LoadedBase(base, model, tokenizer, choice)


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
    """
    folder = locate(source)
    if folder.is_dir():
        return folder
    if folder.is_absolute() or source.startswith(".") or source.count("/") != 1:
        raise ModelError(f"There is no folder {source!r}. Give a folder, or a Hub id such as EleutherAI/pythia-70m.")
    try:
        return Path(snapshot_download(source, allow_patterns=patterns, local_files_only=True))
    except LocalEntryNotFoundError:
        if os.environ.get("HF_HUB_OFFLINE") == "1":
            raise ModelError(f"{source!r} is neither a folder nor downloaded yet, and the app is offline.") from None
    try:
        return Path(snapshot_download(source, allow_patterns=patterns))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ModelError(f"{source!r} is not a folder, and the Hub did not give it: {first_line(error)}") from error


def check_model_folder(folder: Path, name: str) -> None:
    """Refuse what is incomplete or could run code.

    Raises:
        ModelError: no config, pickle weights only, or modelling code of its own.
    """
    config_file = folder / "config.json"
    if not config_file.is_file():
        hint = " It is a LoRA adapter: give it as an adapter of its base." if (folder / "adapter_config.json").is_file() else ""
        raise ModelError(f"{name} has no config.json, so it is not a model.{hint}")
    try:
        config = json.loads(config_file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{config_file} is not valid JSON: {error}. Download the model again.") from error
    if "AutoModelForCausalLM" in config.get("auto_map", {}):
        from transformers import CONFIG_MAPPING

        if config.get("model_type") not in CONFIG_MAPPING:
            raise ModelError(f"{name} brings its own modelling code, which is never run here. Use a model that transformers supports.")
    if not any(folder.glob("*.safetensors")):
        pickles = [path.name for path in (*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.pth"))]
        if pickles:
            raise ModelError(
                f"{name} has only pickle weights ({pickles[0]}), which can run code when opened. Convert it to safetensors first."
            )
        raise ModelError(f"{name} has no .safetensors weights.")


def check_adapter(model: torch.nn.Module, folder: Path, name: str, base: str) -> None:
    """Refuse an adapter that does not fit, before PEFT changes the model.

    Raises:
        ModelError: missing or pickle files, damaged files, unknown modules, or other shapes than the base has.
    """
    if not (folder / "adapter_config.json").is_file():
        raise ModelError(f"{name} has no adapter_config.json, so it is not a LoRA adapter.")
    weights = folder / "adapter_model.safetensors"
    if not weights.is_file():
        pickled = " It has pickle weights (adapter_model.bin), which can run code when opened." * (folder / "adapter_model.bin").is_file()
        raise ModelError(f"{name} has no adapter_model.safetensors.{pickled}")
    try:
        with safe_open(weights, "pt") as file:
            shapes = {key: file.get_slice(key).get_shape() for key in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{weights} is damaged: {first_line(error)} Download or train the adapter again.") from error
    try:
        config = PeftConfig.from_pretrained(str(folder))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{folder / 'adapter_config.json'} is damaged: {first_line(error)} Download or train the adapter again."
        ) from error
    rank = config.r if config.peft_type == "LORA" and not config.rank_pattern else None
    plain = model.get_base_model() if isinstance(model, PeftModel) else model
    modules = dict(plain.named_modules())
    for key, shape in shapes.items():
        if ".lora_" not in key:
            continue
        path, _, side = key.removeprefix("base_model.model.").partition(".lora_")
        module = modules.get(path)
        if module is None or not fits(module, side[0], shape):
            have = "no such layer" if module is None else f"a layer of shape {layer_shape(module)}"
            raise ModelError(f"The adapter {name} was made for another base: {path} wants {shape}, {base} has {have}.")
        if side[0] == "A" and rank not in (None, shape[0]):
            raise ModelError(f"The adapter {name} is damaged: adapter_config.json says rank {rank}, its weights have rank {shape[0]}.")


def layer_shape(module: torch.nn.Module) -> tuple[int, int]:
    """(inputs, outputs) of a linear or embedding layer, wrapped by PEFT or quantised or not."""
    layer: Any = getattr(module, "base_layer", module)
    if hasattr(layer, "in_features"):
        return layer.in_features, layer.out_features
    if hasattr(layer, "num_embeddings"):
        return layer.num_embeddings, layer.embedding_dim
    if hasattr(layer, "nx"):  # GPT-2's Conv1D
        return layer.nx, layer.nf
    return (0, 0)


def fits(module: torch.nn.Module, side: str, shape: list[int]) -> bool:
    """Whether LoRA matrix A (rank, inputs) or B (outputs, rank) fits the layer; embeddings are left to PEFT."""
    inputs, outputs = layer_shape(module)
    return side not in "AB" or (shape[1] == inputs if side == "A" else shape[0] == outputs)


def weights_bytes(folder: Path) -> int:
    """Size of the weights on disk."""
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def first_line(error: BaseException) -> str:
    """The first sentence of a library's message, for people."""
    text = str(error).strip().splitlines()
    return (text[0] if text else type(error).__name__).rstrip(".")[:300] + "."
