"""Where a causal model's parts are, by architecture: the one place that knows the names of modules.

All of these MLPs return a plain tensor (blocks and attention do not, in some), and the input of an MLP's last projection is exactly the
vector of its neurons' activations, so hooks there work alike everywhere.
"""

from dataclasses import dataclass
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from transformers import PreTrainedModel

from detox_core.errors import ModelError


@dataclass(frozen=True, slots=True)
class Plan:
    """Names of modules, below the model or below a block.

    Attributes:
        blocks, norm: list of blocks, and the norm before the unembedding.
        mlp: of a block; `into`, `gate` (None = not gated) and `out` are its projections.
        attention_out: the projection whose input is the merged heads.
    """

    blocks: str
    norm: str
    mlp: str
    into: str
    gate: str | None
    out: str
    attention_out: str


GPT = Plan("transformer.h", "transformer.ln_f", "mlp", "c_fc", None, "c_proj", "attn.c_proj")
NEOX = Plan("gpt_neox.layers", "gpt_neox.final_layer_norm", "mlp", "dense_h_to_4h", None, "dense_4h_to_h", "attention.dense")
FALCON = Plan("transformer.h", "transformer.ln_f", "mlp", "dense_h_to_4h", None, "dense_4h_to_h", "self_attention.dense")
LLAMA = Plan("model.layers", "model.norm", "mlp", "up_proj", "gate_proj", "down_proj", "self_attn.o_proj")
MPT = Plan("transformer.blocks", "transformer.norm_f", "ffn", "up_proj", None, "down_proj", "attn.out_proj")
LIKE_LLAMA = dict.fromkeys(("llama", "mistral", "qwen2", "qwen3", "gemma"), LLAMA)
PLANS = {"gpt2": GPT, "gpt_neox": NEOX, "falcon": FALCON, "mpt": MPT} | LIKE_LLAMA


class Anatomy:
    """The parts of one model. Modules are those that run, LoRA wrappers included; weights are the base's own.

    Raises:
        ModelError: an architecture whose parts are not known here.
    """

    def __init__(self, model: PreTrainedModel | PeftModel) -> None:
        inner: Any = model.get_base_model() if isinstance(model, PeftModel) else model
        self.model = inner
        kind = str(self.model.config.model_type)
        if kind not in PLANS:
            raise ModelError(f"Where the neurons of a {kind} model are is not known here. Known: {', '.join(sorted(PLANS))}.")
        self.plan = PLANS[kind]
        self.blocks: list[Any] = list(self.model.get_submodule(self.plan.blocks))

    @property
    def layers(self) -> range:
        """Numbers of the blocks."""
        return range(len(self.blocks))

    @property
    def heads(self) -> int:
        """Attention heads of a block."""
        return int(self.model.config.num_attention_heads)

    @property
    def norm(self) -> torch.nn.Module:
        """The norm before the unembedding."""
        return self.model.get_submodule(self.plan.norm)  # type: ignore[no-any-return]

    def mlp(self, layer: int) -> torch.nn.Module:
        """The MLP of a block. MPT's adds the residual stream to its output: for what an MLP writes, take the output of `out`."""
        return self.blocks[layer].get_submodule(self.plan.mlp)  # type: ignore[no-any-return]

    def into(self, layer: int) -> torch.nn.Module:
        """The projection to the neurons, before their activation (the up-projection of a gated MLP)."""
        return self.mlp(layer).get_submodule(self.plan.into)

    def gate(self, layer: int) -> torch.nn.Module | None:
        """The projection to the gates; None = the MLP has none."""
        return self.mlp(layer).get_submodule(self.plan.gate) if self.plan.gate else None

    def out(self, layer: int) -> torch.nn.Module:
        """The projection back: from the neurons' activations (rows, tokens, neurons) to what the MLP writes (rows, tokens, width)."""
        return self.mlp(layer).get_submodule(self.plan.out)

    def attention_out(self, layer: int) -> torch.nn.Module:
        """The projection of the merged heads (rows, tokens, heads x head width)."""
        return self.blocks[layer].get_submodule(self.plan.attention_out)  # type: ignore[no-any-return]

    def projections(self, layer: int) -> dict[str, torch.nn.Module]:
        """The linear modules of an MLP by name."""
        gate = self.gate(layer)
        return {"into": self.into(layer), **({"gate": gate} if gate is not None else {}), "out": self.out(layer)}

    def value_vectors(self, layer: int) -> torch.Tensor:
        """What each neuron writes into the residual stream: (neurons, width), a view of the base's weights.

        Raises:
            ModelError: quantised weights cannot be read as vectors.
        """
        weight = plain_weight(self.out(layer))
        return weight if self.plan is GPT else weight.T

    def unembedding(self) -> torch.Tensor:
        """(vocabulary, width)."""
        return plain_weight(self.model.get_output_embeddings())


def plain_weight(module: torch.nn.Module) -> torch.nn.Parameter:
    """The weight of a linear module, below any LoRA around it.

    Raises:
        ModelError: quantised weights.
    """
    inner: Any = module.get_base_layer() if isinstance(module, BaseTunerLayer) else module
    if not inner.weight.is_floating_point():
        raise ModelError("The weights of this model are quantised, and this method needs them as they are. Load it in full precision.")
    return inner.weight  # type: ignore[no-any-return]
