"""Gradient attribution of all generated tokens in a few passes. Knows nothing of what the numbers are used for.

A causal model gives the scores of every generated token in one forward pass over the text, so one pass and one batch of vector-Jacobian
products stand for as many forward and backward passes as there are tokens. Tokens are taken in portions: a portion needs the
text only up to its last token, which saves work, and it bounds memory to `PORTION` times the activations of one backward pass.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
import torch
from peft import PeftModel
from transformers import PreTrainedModel

from detox_core.errors import BadInput, ModelError
from detox_core.models.loading import LoadedBase
from detox_core.models.mixing import PLAIN

Method = Literal["saliency", "input_x_gradient", "integrated_gradients"]
Target = Literal["probability", "logit", "log_probability", "contrast"]
PORTION = 12  # generated tokens a pass; more no longer fit into a processor's caches
STEPS = 50  # of integrated gradients; Inseq's and Captum's default


@dataclass(frozen=True, slots=True)
class Reading:
    """A text to explain, as the exact token ids that were read and written: tokenising text again can shift the boundary.

    Attributes:
        adapter: name from `LoadedBase.attach`; `__base__` for the base itself.
        instead: for the target `contrast`, the token that might have come in each place.
    """

    adapter: str
    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    instead: tuple[int, ...] = ()


def attribute(
    base: LoadedBase,
    reading: Reading,
    method: Method = "input_x_gradient",
    target: Target = "probability",
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
    stop: threading.Event | None = None,
) -> np.ndarray:
    """Scores of every token read for every token written.

    `saliency` is the gradient of the target by a token's embedding; `input_x_gradient` (the paper's) that times the embedding;
    `integrated_gradients` (Sundararajan et al. 2017) its mean over a path from zero embeddings, times the embedding. Each is
    reduced to one number by the L2 norm over the embedding.

    Args:
        on_progress: called with passes done and passes in all.
        stop: when set, ends at the next pass with InterruptedError.

    Returns:
        (tokens of prompt and answer, tokens of the answer), float32, not negative; 0 at and after a column's own token.

    Raises:
        BadInput: an empty prompt or answer, a text longer than the context, or `contrast` without a token for each place.
        ModelError: the embeddings of this model take no gradient.
        InterruptedError: stopped.
    """
    check_reading(base, reading, target)
    prompt, count = len(reading.prompt), len(reading.answer)
    ids = torch.tensor([[*reading.prompt, *reading.answer]], device=base.model.device)
    scores = np.zeros((prompt + count, count), dtype=np.float32)
    starts = range(0, count, PORTION)
    scales = [(step + 0.5) / STEPS for step in range(STEPS)] if method == "integrated_gradients" else [1.0]
    done = 0
    with explainable(base, reading.adapter) as model:
        for start in starts:
            end = min(start + PORTION, count)
            embeddings = model.get_input_embeddings()(ids[:, : prompt + end - 1]).detach()
            mean = torch.zeros(end - start, *embeddings.shape[1:], device=ids.device)
            for scale in scales:
                if stop is not None and stop.is_set():
                    raise InterruptedError("Stopped.")
                mean += _gradients(model, scale * embeddings, reading, start, end, target) / len(scales)
                done += 1
                on_progress(done, len(starts) * len(scales))
            weighted = mean if method == "saliency" else mean * embeddings.float()
            scores[: prompt + end - 1, start:end] = weighted.norm(dim=-1).T.cpu().numpy()
    rows, columns = np.indices(scores.shape)
    scores[rows >= prompt + columns] = 0  # exact zeros where causality leaves rounding only
    return scores


def _gradients(model: PreTrainedModel, embeddings: torch.Tensor, reading: Reading, start: int, end: int, target: Target) -> torch.Tensor:
    """Gradient of the targets of answer tokens start..end-1 by the embeddings (1, length, d) -> (end - start, length, d)."""
    embeddings = embeddings.requires_grad_()
    at = torch.arange(len(reading.prompt) + start - 1, len(reading.prompt) + end - 1, device=embeddings.device)
    logits = model(inputs_embeds=embeddings, use_cache=False, logits_to_keep=at).logits[0].float()
    rows = torch.arange(end - start, device=embeddings.device)
    chosen = torch.tensor(reading.answer[start:end], device=embeddings.device)
    if target == "probability":
        values = logits.softmax(-1)[rows, chosen]
    elif target == "log_probability":
        values = logits.log_softmax(-1)[rows, chosen]
    elif target == "contrast":
        values = logits[rows, chosen] - logits[rows, torch.tensor(reading.instead[start:end], device=embeddings.device)]
    else:
        values = logits[rows, chosen]
    each = torch.eye(end - start, device=values.device)
    try:
        (gradients,) = torch.autograd.grad(values, embeddings, each, is_grads_batched=True)
    except RuntimeError as error:
        raise ModelError(f"The embeddings of this model take no gradient ({str(error).splitlines()[0]}).") from error
    return gradients[:, 0].float()


@contextmanager
def explainable(base: LoadedBase, adapter: str) -> Iterator[PreTrainedModel]:
    """The model with one adapter (or none) active, in eval mode and with frozen weights; everything is as before afterwards."""
    model = base.model
    frozen = [parameter for parameter in model.parameters() if parameter.requires_grad]
    active = str(model.active_adapter) if isinstance(model, PeftModel) else ""
    training = model.training
    plain = model.disable_adapter() if isinstance(model, PeftModel) and adapter == PLAIN else nullcontext()
    try:
        model.eval()
        if isinstance(model, PeftModel) and adapter != PLAIN:
            model.set_adapter(adapter)
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        with plain:
            yield cast("PreTrainedModel", model.get_base_model() if isinstance(model, PeftModel) else model)
    finally:
        if isinstance(model, PeftModel):
            model.set_adapter(active)
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        for parameter in frozen:
            parameter.requires_grad_(True)
        model.train(training)


def check_reading(base: LoadedBase, reading: Reading, target: Target) -> None:
    """Refuse what no method can explain.

    Raises:
        BadInput: see `attribute`.
    """
    length = len(reading.prompt) + len(reading.answer)
    if not reading.prompt or not reading.answer:
        raise BadInput("There is nothing to explain: the prompt or the answer has no tokens.")
    if length > base.context:
        raise BadInput(f"Prompt and answer are {length} tokens long, but the model reads at most {base.context}. Explain a shorter answer.")
    if target == "contrast" and len(reading.instead) != len(reading.answer):
        raise BadInput(f"A contrast needs one other token for each of the {len(reading.answer)} tokens of the answer.")
