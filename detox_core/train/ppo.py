"""PPO as the paper used it, which TRL no longer carries: value head, KL penalty per token, GAE, clipping.

Schulman et al. 2017 (the clipped objective), Schulman et al. 2016 (GAE), Ziegler et al. 2019 (the KL in the reward, its coefficient
adapting). The constants are those of TRL 0.4.4 that were in force in Scalena et al. 2023. A step of the trainer is one batch: replies
are sampled, scored, and used in mini-batches four times over. For one device; several take RLOO or GRPO.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import load_file, save_file
from transformers import Trainer
from trl.trainer.utils import use_adapter

from detox_core.models.loading import LoadedBase
from detox_core.train.rewards import Reward, total
from detox_core.types import Generation

GAMMA = 1.0
LAMBDA = 0.95
CLIP = 0.2  # of the policy's ratio and of the value's change
VALUE_WEIGHT = 0.1
EPOCHS = 4
TARGET = 6.0  # nats per reply that the KL's coefficient steers to
HORIZON = 10_000  # replies in which it gets there
HEAD, COEFFICIENT = "value_head.safetensors", "ppo.json"  # in a checkpoint
Sample = Callable[[list[str]], list[Generation]]


def token_rewards(scores: torch.Tensor, logps: torch.Tensor, reference: torch.Tensor, mask: torch.Tensor, beta: float) -> torch.Tensor:
    """-beta (log p - log p_ref) for every token, plus the reply's score at its last one; Ziegler et al. 2019, equation 2.

    Args:
        scores: (rows,). logps, reference, mask: (rows, tokens); the mask is 1 on the reply, which is one piece.
    """
    rewards = -beta * (logps - reference) * mask
    last = mask.shape[1] - 1 - mask.flip(1).argmax(1)
    rewards[torch.arange(len(scores)), last] += scores * mask.any(1)
    return rewards


def advantages_of(rewards: torch.Tensor, values: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Generalised advantage estimation; Schulman et al. 2016, equation 16.

    Args:
        rewards, values, mask: (rows, tokens).

    Returns:
        Advantages, whitened over all tokens of replies, and the returns that the values should have been; (rows, tokens), 0 outside.
    """
    values = values * mask
    following = torch.cat([values[:, 1:], torch.zeros_like(values[:, :1])], 1)
    deltas = (rewards + GAMMA * following - values) * mask
    running, found = torch.zeros(len(rewards)), torch.zeros_like(rewards)
    for at in reversed(range(rewards.shape[1])):
        running = deltas[:, at] + GAMMA * LAMBDA * running
        found[:, at] = running
    found = found * mask
    kept = found[mask.bool()]
    white = (found - kept.mean()) / (kept.std(correction=0) + 1e-8) * mask
    return white, (found + values) * mask


def policy_loss(logps: torch.Tensor, old: torch.Tensor, advantages: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The clipped objective, negated: mean over the tokens of replies; Schulman et al. 2017, equation 7."""
    ratio = (logps - old).exp()
    clipped = ratio.clamp(1 - CLIP, 1 + CLIP)
    return masked_mean(torch.maximum(-advantages * ratio, -advantages * clipped), mask)


def value_loss(values: torch.Tensor, old: torch.Tensor, returns: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Half the squared error, the larger one of the value and of the value kept within 0.2 of what it was."""
    near = old + (values - old).clamp(-CLIP, CLIP)
    return 0.5 * masked_mean(torch.maximum((values - returns) ** 2, (near - returns) ** 2), mask)


def masked_mean(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean where the mask is 1."""
    return (values * mask).sum() / mask.sum().clamp(min=1)


def adapted(beta: float, kl: float, replies: int) -> float:
    """The KL's coefficient after a batch: a fifth of the relative error at most, in proportion to the horizon."""
    return beta * (1 + max(-0.2, min(0.2, kl / TARGET - 1)) * replies / HORIZON)


@dataclass
class Batch:
    """Sampled replies as tensors (rows, tokens - 1): entry t is about token t + 1.

    Attributes:
        ids, attention: (rows, tokens), padded on the right.
        mask: 1 where the token is of the reply, its end included.
    """

    ids: torch.Tensor
    attention: torch.Tensor
    mask: torch.Tensor
    logps: torch.Tensor
    values: torch.Tensor
    advantages: torch.Tensor
    returns: torch.Tensor


class PPOTrainer(Trainer):
    """Trains a PeftModel and a value head on it; rows need `prompt` (as the model reads it) and `text` (plain)."""

    def __init__(
        self, base: LoadedBase, sample: Sample, terms: Sequence[tuple[str, float, Reward]], beta: float, mini_batch: int, **more: Any
    ):
        model = more["model"]
        width = model.get_input_embeddings().weight.shape[1]
        model.value_head = torch.nn.Linear(width, 1).to(model.device)
        torch.nn.init.zeros_(model.value_head.weight)  # values begin at 0, not at a random guess
        torch.nn.init.zeros_(model.value_head.bias)
        super().__init__(**more, data_collator=lambda rows: {name: [row[name] for row in rows] for name in ("prompt", "text")})
        self.policy: Any = model
        self.base, self.sample, self.terms, self.beta, self.mini_batch = base, sample, terms, beta, mini_batch
        self.told: dict[str, list[float]] = defaultdict(list)

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:  # noqa: ARG002
        """Sample, score, and take all steps of a batch but the last, which is the trainer's own."""
        batch = self._roll_out(inputs["prompt"], inputs["text"])
        model.train()
        rows, losses, optimizer = len(batch.ids), [], cast("torch.optim.Optimizer", self.optimizer)
        parts = [part for _ in range(EPOCHS) for part in torch.randperm(rows).split(self.mini_batch)]
        for number, part in enumerate(parts, start=1):
            with self.compute_loss_context_manager():
                logps, values, _ = self._read(batch.ids[part], batch.attention[part])
            mask = batch.mask[part]
            loss = policy_loss(logps, batch.logps[part], batch.advantages[part], mask)
            loss = loss + VALUE_WEIGHT * value_loss(values, batch.values[part], batch.returns[part], mask)
            self.accelerator.backward(loss)
            losses.append(loss.detach())
            if number < len(parts):
                self.accelerator.clip_grad_norm_(model.parameters(), self.args.max_grad_norm)
                optimizer.step()
                optimizer.zero_grad()
        return torch.stack(losses).mean()

    @torch.no_grad()
    def _roll_out(self, prompts: list[str], texts: list[str]) -> Batch:
        self.policy.eval()
        replies = self.sample(texts)
        ids, attention, mask = self._tensors(prompts, replies)
        paid = total(self.terms, texts, [reply.text for reply in replies], lambda name, value: self._note(**{name: value}))
        scores, usable = torch.tensor([reward or 0.0 for reward in paid]), torch.tensor([reward is not None for reward in paid])
        with self.compute_loss_context_manager():
            logps, values, entropy = self._read(ids, attention)
            with use_adapter(self.policy, "ref" if "ref" in self.policy.peft_config else None):
                reference, *_ = self._read(ids, attention)
        mask = mask * usable[:, None]
        kls = ((logps - reference) * mask).sum(1)
        self._note(kl=masked_mean(logps - reference, mask), kl_reply=kls.mean(), beta=self.beta, entropy=masked_mean(entropy, mask))
        self._note(reward=scores[usable].mean(), length=mask.sum(1).mean(), ended=sum(r.finish == "eos" for r in replies) / len(replies))
        advantages, returns = advantages_of(token_rewards(scores, logps, reference, mask, self.beta), values, mask)
        self._note(value_error=masked_mean((values - returns) ** 2, mask))
        self.beta = adapted(self.beta, float(kls.mean()), len(ids))
        return Batch(ids, attention, mask, logps, values, advantages, returns)

    def _tensors(self, prompts: list[str], replies: list[Generation]) -> tuple[torch.Tensor, ...]:
        end = [int(self.base.tokenizer.eos_token_id)]
        read = [self.base.tokenizer(prompt, add_special_tokens=False)["input_ids"] for prompt in prompts]
        said = [list(reply.tokens) + (end if reply.finish == "eos" else []) for reply in replies]
        width = max(len(head) + len(tail) for head, tail in zip(read, said, strict=True))
        ids, attention = torch.zeros(len(read), width, dtype=torch.long), torch.zeros(len(read), width, dtype=torch.long)
        mask = torch.zeros(len(read), width - 1)
        for row, (head, tail) in enumerate(zip(read, said, strict=True)):
            length = len(head) + len(tail)
            ids[row, :length], attention[row, :length] = torch.tensor(head + tail), 1
            mask[row, len(head) - 1 : length - 1] = 1
        device = self.args.device
        return ids.to(device), attention.to(device), mask

    def _read(self, ids: torch.Tensor, attention: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Log-probability of each next token, its value, and the entropy there; (rows, tokens - 1)."""
        read = self.policy(input_ids=ids, attention_mask=attention, output_hidden_states=True, use_cache=False)
        spread = read.logits[:, :-1].float().log_softmax(-1)
        logps = spread.gather(-1, ids[:, 1:, None])[..., 0]
        values = self.policy.value_head(read.hidden_states[-1][:, :-1].float())[..., 0].float()
        with torch.no_grad():
            entropy = -(spread.exp() * spread).sum(-1)
        return logps.cpu(), values.cpu(), entropy.cpu()

    def _note(self, **metrics: Any) -> None:
        for name, value in metrics.items():
            self.told[name].append(float(value))

    def log(self, logs: dict[str, float], *args: Any, **more: Any) -> None:
        """What the trainer knows, and the means of what was noted since."""
        super().log(logs | {name: sum(values) / len(values) for name, values in self.told.items()}, *args, **more)
        self.told.clear()

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        folder = Path(self._get_output_dir(trial=trial)) / f"checkpoint-{self.state.global_step}"
        save_file({name: tensor.detach().cpu() for name, tensor in self.policy.value_head.state_dict().items()}, folder / HEAD)
        (folder / COEFFICIENT).write_text(json.dumps({"beta": self.beta}))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        self.policy.value_head.load_state_dict(load_file(Path(resume_from_checkpoint) / HEAD))
        self.beta = json.loads((Path(resume_from_checkpoint) / COEFFICIENT).read_text())["beta"]
