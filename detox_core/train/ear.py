"""Entropy-based attention regularisation (EAR; Attanasio et al. 2022): fine-tuning that must not rest on a few words."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from trl import SFTTrainer


class EARTrainer(SFTTrainer):
    """SFT with `weight` times the lacking attention entropy added to the loss. Needs eager attention."""

    def __init__(self, *args: Any, weight: float, **more: Any) -> None:
        super().__init__(*args, **more)
        self.weight = weight

    def compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None) -> Any:
        """Cross-entropy on the reply - weight x relative attention entropy."""
        with attentions(model) as seen:
            found = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        entropy = attention_entropy(seen, inputs["attention_mask"])
        self._metrics["train"]["attention_entropy"].append(float(entropy.detach()))
        loss, *rest = found if return_outputs else (found,)
        loss = loss - self.weight * entropy / (self.args.gradient_accumulation_steps if num_items_in_batch is not None else 1)
        return (loss, *rest) if return_outputs else loss


def attention_entropy(weights: list[torch.Tensor], attended: torch.Tensor) -> torch.Tensor:
    """Mean entropy of the head-averaged attention, relative to the log of how many tokens a position sees.

    Attanasio et al. 2022 (section 3) sum plain entropies of an encoder over layers; in a decoder early positions see little, so each
    is taken relative to its maximum here, and layers and positions are averaged: 0 = one token, 1 = all alike.

    Args:
        weights: one (rows, heads, tokens, tokens) per layer.
        attended: (rows, tokens), 0 on padding.
    """
    counted = attended.bool() & (attended.cumsum(-1) > 1)  # the first token sees only itself
    most = attended.cumsum(-1).clamp(min=2).float().log()
    found = []
    for layer in weights:
        mean = layer.float().mean(1)
        entropy = -(mean * mean.clamp(min=1e-12).log()).sum(-1) / most
        found.append(entropy[counted].mean())
    return torch.stack(found).mean()


@contextmanager
def attentions(model: torch.nn.Module) -> Iterator[list[torch.Tensor]]:
    """Inside, the attention weights of every layer that runs are collected."""
    seen: list[torch.Tensor] = []

    def keep(_module: torch.nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, tuple) and len(output) > 1 and isinstance(output[1], torch.Tensor) and output[1].dim() == 4:
            seen.append(output[1])

    hooks: list[Callable[[], None]] = [
        module.register_forward_hook(keep).remove for module in model.modules() if type(module).__name__.endswith("Attention")
    ]
    try:
        yield seen
    finally:
        for remove in hooks:
            remove()
