"""How likely each variant finds the same answer, token by token: one forward pass for all variants of a base; and perplexity."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from detox_core.errors import BadInput
from detox_core.models.loading import LoadedBase
from detox_core.models.mixing import mixed

ALTERNATIVES = 5
LOWEST = -100.0  # for tokens that an intervention rules out: 0 x infinity is no number


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
    return likelihood_from(logs_of(base, adapters, prompt, answer), answer)


@torch.inference_mode()
def logs_of(base: LoadedBase, adapters: Sequence[str], prompt: Sequence[int], answer: Sequence[int]) -> torch.Tensor:
    """Log-probabilities before each token of the answer, (variants, tokens, vocabulary); see `likelihood`."""
    length = len(prompt) + len(answer)
    if not prompt or not answer:
        raise BadInput("There is nothing to read: the prompt or the answer has no tokens.")
    if length > base.context:
        raise BadInput(f"Prompt and answer are {length} tokens long, but the model reads at most {base.context}.")
    ids = torch.tensor([[*prompt, *answer]] * len(adapters), device=base.model.device)
    at = torch.arange(len(prompt) - 1, length - 1, device=ids.device)
    with mixed(base.model, adapters):
        logs: torch.Tensor = base.model(ids, use_cache=False, logits_to_keep=at).logits.float().log_softmax(-1)
    return logs


def likelihood_from(logs: torch.Tensor, answer: Sequence[int]) -> Likelihood:
    """The same from log-probabilities (variants, tokens, vocabulary)."""
    chosen = torch.tensor([list(answer)] * len(logs), device=logs.device)[..., None]
    logs = logs.clamp(min=LOWEST)
    probabilities, top = logs.topk(ALTERNATIVES)
    return Likelihood(
        logprobs=logs.gather(2, chosen)[..., 0].cpu().numpy(),
        entropy=-(logs.exp() * logs).sum(-1).cpu().numpy(),
        divergence=(logs.exp() * (logs - logs[:1])).sum(-1).clamp(min=0).cpu().numpy(),
        top=top.cpu().numpy(),
        top_probabilities=probabilities.exp().cpu().numpy(),
    )


def likeliest_others(base: LoadedBase, adapter: str, prompt: Sequence[int], answer: Sequence[int]) -> tuple[int, ...]:
    """For each token of an answer the likeliest token that was not written there.

    Raises:
        BadInput: see `likelihood`.
    """
    (places,) = likelihood(base, [adapter], prompt, answer).top
    return tuple(int(next(token for token in place if token != written)) for place, written in zip(places, answer, strict=True))


@torch.inference_mode()
def perplexities(base: LoadedBase, adapter: str, prompt: Sequence[int], answers: Sequence[Sequence[int]]) -> list[float]:
    """Perplexity of several answers to one prompt, read in one padded batch.

    Args:
        adapter: name from `LoadedBase.attach`.
        prompt, answers: exact token ids.

    Returns:
        exp of the mean negative log-probability per answer; NaN where the answer is empty or does not fit into the context.
    """
    found = [math.nan] * len(answers)
    kept = [index for index, answer in enumerate(answers) if prompt and 0 < len(answer) <= base.context - len(prompt)]
    if not kept:
        return found
    longest = max(len(answers[index]) for index in kept)
    lengths = torch.tensor([len(answers[index]) for index in kept], device=base.model.device)
    rows = [[*prompt, *answers[index]] + [0] * (longest - len(answers[index])) for index in kept]
    ids = torch.tensor(rows, device=base.model.device)
    within = torch.arange(longest, device=ids.device) < lengths[:, None]
    mask = torch.cat([torch.ones(len(kept), len(prompt), dtype=torch.bool, device=ids.device), within], 1).long()
    at = torch.arange(len(prompt) - 1, ids.shape[1] - 1, device=ids.device)
    with mixed(base.model, [adapter] * len(kept)):
        logs = base.model(ids, attention_mask=mask, use_cache=False, logits_to_keep=at).logits.float().log_softmax(-1)
    chosen = logs.gather(2, ids[:, len(prompt) :, None])[..., 0]
    means = -(chosen * within).sum(1) / lengths
    for index, mean in zip(kept, means.tolist(), strict=True):
        found[index] = math.exp(mean)
    return found
