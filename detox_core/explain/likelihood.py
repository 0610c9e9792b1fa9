"""How likely each variant finds the same answer, token by token: one forward pass for all variants of a base."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from detox_core.errors import BadInput
from detox_core.models.loading import LoadedBase
from detox_core.models.mixing import mixed

ALTERNATIVES = 5


@dataclass(frozen=True, slots=True)
class Likelihood:
    """What several variants think of one answer; all at temperature 1, whatever the answer was sampled with.

    Attributes:
        logprobs: natural-log probability of each answer token (variants, tokens).
        entropy: of the distribution the token was drawn from, in nats (variants, tokens).
        divergence: KL(variant || first variant) of that distribution, in nats (variants, tokens); the first row is 0.
        top: ids of the likeliest tokens in each place (variants, tokens, 5), and `top_probabilities`.
    """

    logprobs: np.ndarray
    entropy: np.ndarray
    divergence: np.ndarray
    top: np.ndarray
    top_probabilities: np.ndarray


@torch.inference_mode()
def likelihood(base: LoadedBase, adapters: Sequence[str], prompt: Sequence[int], answer: Sequence[int]) -> Likelihood:
    """Read one answer with several variants.

    Args:
        adapters: names from `LoadedBase.attach`, one per variant, each once.
        prompt, answer: exact token ids.

    Raises:
        BadInput: an empty prompt or answer, or a text longer than the context.
    """
    length = len(prompt) + len(answer)
    if not prompt or not answer:
        raise BadInput("There is nothing to read: the prompt or the answer has no tokens.")
    if length > base.context:
        raise BadInput(f"Prompt and answer are {length} tokens long, but the model reads at most {base.context}.")
    ids = torch.tensor([[*prompt, *answer]] * len(adapters), device=base.model.device)
    at = torch.arange(len(prompt) - 1, length - 1, device=ids.device)
    with mixed(base.model, adapters):
        logs = base.model(ids, use_cache=False, logits_to_keep=at).logits.float().log_softmax(-1)
    chosen = ids[:, len(prompt) :, None]
    probabilities, top = logs.topk(ALTERNATIVES)
    return Likelihood(
        logprobs=logs.gather(2, chosen)[..., 0].cpu().numpy(),
        entropy=-(logs.exp() * logs).sum(-1).cpu().numpy(),
        divergence=(logs.exp() * (logs - logs[:1])).sum(-1).clamp(min=0).cpu().numpy(),
        top=top.cpu().numpy(),
        top_probabilities=probabilities.exp().cpu().numpy(),
    )
