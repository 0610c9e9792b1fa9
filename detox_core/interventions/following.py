"""The same reply read by another state of the model - other context, other adapter - token by token, with a memory of its own."""

import inspect
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

import torch
from transformers import DynamicCache

from detox_core.errors import BadInput, ModelError
from detox_core.models.anatomy import Anatomy
from detox_core.models.loading import LoadedBase
from detox_core.models.mixing import mixable, mixed

_reading: ContextVar[bool] = ContextVar("reading", default=False)


def following() -> bool:
    """Whether a follower is reading: hooks tell its passes from those that write the reply."""
    return _reading.get()


class Follower:
    """Reads contexts, then every token the replies get.

    Args:
        adapters: which adapter reads each row; equal ones next to each other.
        contexts: token ids each row begins with.

    Raises:
        ModelError: an adapter that cannot be mixed with others in one batch.
    """

    def __init__(self, base: LoadedBase, adapters: Sequence[str], contexts: Sequence[Sequence[int]]) -> None:
        if not mixable(base.model, adapters):
            raise ModelError("The adapter of this variant cannot share a batch with others, which this method needs.")
        self.base, self.adapters = base, list(adapters)
        padded = base.tokenizer.pad({"input_ids": [list(ids) for ids in contexts]}, return_tensors="pt").to(base.model.device)
        self.new, self.mask = padded["input_ids"], padded["attention_mask"]
        self.cache: Any = DynamicCache(config=base.model.config)

    def first(self) -> torch.Tensor:
        """Logits after the contexts, (rows, vocabulary), float32."""
        return self._read(self.new)

    def next(self, tokens: torch.Tensor) -> torch.Tensor:
        """Logits after one more token per row (rows,).

        Raises:
            BadInput: a context and its reply have become longer than what the model reads.
        """
        self.mask = torch.cat([self.mask, torch.ones_like(self.mask[:, :1])], 1)
        return self._read(tokens[:, None])

    def keep(self, rows: list[int]) -> None:
        """Only these rows go on; they must leave equal adapters next to each other."""
        chosen = torch.tensor(rows, device=self.mask.device)
        self.mask, self.adapters = self.mask[chosen], [self.adapters[row] for row in rows]
        self.cache.batch_select_indices(chosen)

    def _read(self, ids: torch.Tensor) -> torch.Tensor:
        model: Any = self.base.model
        if int(self.mask.sum(1).max()) > self.base.context:
            raise BadInput(
                f"The prompt, what this method puts before it and the reply are longer than the {self.base.context} tokens "
                "that the model reads. Shorten the prompt or the reply."
            )
        options = {}
        if "position_ids" in inspect.signature(Anatomy(model).model.forward).parameters:
            options["position_ids"] = (self.mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        token = _reading.set(True)
        try:
            with torch.inference_mode(), mixed(model, self.adapters):
                output = model(
                    input_ids=ids, attention_mask=self.mask, past_key_values=self.cache, use_cache=True, logits_to_keep=1, **options
                )
        finally:
            _reading.reset(token)
        return output.logits[:, -1].float()  # type: ignore[no-any-return]
