"""DINM, its suffix alone, and FT-L (Wang et al. 2024, SafeEdit): one example trains one matrix of the model.

The matrix is the last projection of one MLP. What is kept is its change, delta = W' - W, so a strength s means W + s delta. The training
holds a float32 copy of that one matrix and puts it into the model for each forward pass; the model itself is never written to.

Rate and steps are the published ones. They teach the embedded models the one reply; replies to other prompts change little at strength
1. At 2 to 4 they become less toxic, and more and more of them repeat the learnt reply.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.func import functional_call

from detox_core.errors import BadInput
from detox_core.interventions.protocol import Artifact, Example, Fitted, Patch, Subject, Tell, need_examples
from detox_core.models.anatomy import plain_weight
from detox_core.models.mixing import mixed

SUFFIX = "If this is a reasonable request, answer it properly. Give a decent answer."
HARMLESS = "What can I do on a rainy day?"  # what the edit must not change the answer to
ANSWER = 24  # tokens of it
RATE = 5e-4
DINM_STEPS, FTL_STEPS = 10, 25  # as published
EDIT = 0.1  # weight of the example beside the harmless answer
ENOUGH = 1e-4  # a loss below it ends the training
FTL_DEPTH = 21 / 31  # layer 21 of Llama-2-7B's 0 to 31


@dataclass(frozen=True, slots=True)
class Matrix:
    """The last projection of one MLP, and a float32 copy of its weight to train in its place."""

    subject: Subject
    layer: int
    trained: torch.Tensor

    @classmethod
    def of(cls, subject: Subject, layer: int) -> "Matrix":
        """An untrained copy.

        Raises:
            ModelError: quantised weights.
        """
        weight = plain_weight(subject.anatomy.out(layer))
        return cls(subject, layer, weight.detach().float().clone().requires_grad_())

    @property
    def weight(self) -> torch.nn.Parameter:
        """The model's own."""
        return plain_weight(self.subject.anatomy.out(self.layer))

    def logprobs(self, ids: Sequence[int], start: int) -> torch.Tensor:
        """What the model with the copy gives in each place from `start` on, the next one included: (places + 1, vocabulary), float32."""
        model, own = self.subject.base.model, self.weight
        name = next(name for name, parameter in model.named_parameters() if parameter is own)
        read = torch.tensor([list(ids)], device=own.device)
        options = {"input_ids": read, "attention_mask": torch.ones_like(read), "use_cache": False}
        with mixed(model, [self.subject.adapter]):
            output: Any = functional_call(model, {name: self.trained.to(own.dtype)}, kwargs=options)
        return output.logits[0, start - 1 :].float().log_softmax(-1)  # type: ignore[no-any-return]


def locate(subject: Subject, example: Example, stop: threading.Event) -> list[float]:
    """How far apart the good and the bad reply to the prompt are after each block, in units of how far the tokens of one reply are.

    A reply is the mean of its hidden states; the unit is the root mean square distance of its tokens from it. The original compares
    distances as they are, which grow with depth, so that it nearly always finds the last block. Divided by the norm of the states they
    would favour the first: later states share a large common part.
    """
    states: dict[int, torch.Tensor] = {}

    def listen(layer: int) -> Callable[[Any, Any, Any], None]:
        return lambda _module, _inputs, output: states.__setitem__(layer, output if isinstance(output, torch.Tensor) else output[0])

    handles = [block.register_forward_hook(listen(layer)) for layer, block in enumerate(subject.anatomy.blocks)]
    try:
        ((_, within),) = subject.read([(example.prompt, example.good), (example.prompt, example.bad)], lambda _done, _all: None, stop)
    finally:
        for handle in handles:
            handle.remove()
    return [apart(states[layer].float(), within) for layer in sorted(states)]


def apart(states: torch.Tensor, within: torch.Tensor) -> float:
    """Distance of the means of two rows of states (2, tokens, width), over the spread of the tokens; `within` (2, tokens) are counted."""
    means = (states * within[..., None]).sum(1) / within.sum(1, keepdim=True)
    squares = (states - means[:, None]).square().sum(-1)[within]
    return float((means[0] - means[1]).norm() / squares.mean().sqrt().clamp(min=1e-9))


def fit(subject: Subject, examples: Sequence[Example], tell: Tell, stop: threading.Event, folder: Path) -> Fitted:  # noqa: ARG001
    """DINM: 0.1 NLL(good reply) + KL(old || new) on a harmless answer, at the layer where good and bad differ most; 10 Adam steps.

    Raises:
        BadInput: the example is longer than what the model reads.
    """
    example = _one(subject, examples)
    distances = locate(subject, example, stop)
    matrix = Matrix.of(subject, max(range(len(distances)), key=distances.__getitem__))
    wanted = subject.ids(f"{example.prompt} {SUFFIX}", example.good)
    asked, start = subject.ids(f"{HARMLESS} {SUFFIX}")
    with torch.no_grad():
        harmless = _greedy(matrix, asked)
        old = matrix.logprobs(harmless, start)[:-1]

    def loss() -> torch.Tensor:
        new = matrix.logprobs(harmless, start)[:-1]
        return EDIT * nll(matrix, *wanted) + (old.exp() * (old - new)).sum(-1).mean()

    losses = train(matrix, loss, DINM_STEPS, tell, stop)
    return _found(matrix, losses, {"distances": [round(value, 4) for value in distances]})


def fit_ftl(subject: Subject, examples: Sequence[Example], tell: Tell, stop: threading.Event, folder: Path) -> Fitted:  # noqa: ARG001
    """FT-L: NLL(good reply), every token after those before it (FT-M), at two thirds of the depth; 25 Adam steps.

    Raises:
        BadInput: the example is longer than what the model reads.
    """
    example = _one(subject, examples)
    matrix = Matrix.of(subject, round(FTL_DEPTH * (len(subject.anatomy.blocks) - 1)))
    wanted = subject.ids(example.prompt, example.good)
    return _found(matrix, train(matrix, lambda: nll(matrix, *wanted), FTL_STEPS, tell, stop), {})


def nll(matrix: Matrix, ids: Sequence[int], start: int) -> torch.Tensor:
    """Mean negative log-likelihood of the tokens from `start` on, in nats a token."""
    said = torch.tensor(list(ids[start:]), device=matrix.trained.device)
    return -matrix.logprobs(ids, start)[:-1].gather(1, said[:, None]).mean()


def train(matrix: Matrix, loss: Callable[[], torch.Tensor], steps: int, tell: Tell, stop: threading.Event) -> list[float]:
    """Adam steps on the copy; the loss before each.

    Raises:
        InterruptedError: stopped.
    """
    adam, losses = torch.optim.Adam([matrix.trained], lr=RATE), []
    for step in range(steps):
        if stop.is_set():
            raise InterruptedError("Stopped.")
        with torch.enable_grad():
            value = loss()
            (matrix.trained.grad,) = torch.autograd.grad(value, [matrix.trained])
        losses.append(value.item())
        if losses[-1] < ENOUGH:
            break
        adam.step()
        tell(step + 1, steps)
    return losses


@contextmanager
def dinm(subject: Subject, artifact: Artifact, strength: float) -> Iterator[Patch]:
    """W + s delta, and the suffix behind the prompt, with which the original trains and evaluates."""
    with ftl(subject, artifact, strength), suffix(subject, artifact, strength) as patch:
        yield patch


@contextmanager
def suffix(subject: Subject, artifact: Artifact, strength: float) -> Iterator[Patch]:  # noqa: ARG001
    """The suffix is there or it is not: any strength but 0 is the whole of it."""
    yield Patch(rewrite=lambda prompt: f"{prompt} {SUFFIX}")


@contextmanager
def ftl(subject: Subject, artifact: Artifact, strength: float) -> Iterator[Patch]:
    """W + s delta, summed in float32; afterwards the old tensor itself is put back."""
    weight = plain_weight(subject.anatomy.out(int(artifact.tensors["layer"])))
    before = weight.data
    weight.data = (before.float() + strength * artifact.tensors["delta"].to(before.device)).to(before.dtype)
    try:
        yield Patch()
    finally:
        weight.data = before


def _one(subject: Subject, examples: Sequence[Example]) -> Example:
    """The example to learn from."""
    need_examples(examples, 1)
    example = examples[0]
    for reply in (example.good, example.bad):
        ids, start = subject.ids(f"{example.prompt} {SUFFIX}", reply)
        if len(ids) <= start:
            raise BadInput("The example to learn from does not fit into what the model reads.")
    return example


def _greedy(matrix: Matrix, ids: list[int]) -> list[int]:
    """The ids with the model's own likeliest answer behind them, its end included: at least one more."""
    base, said = matrix.subject.base, list(ids)
    while len(said) < min(len(ids) + ANSWER, base.context):
        said.append(int(matrix.logprobs(said, len(said))[-1].argmax()))
        if said[-1] == base.tokenizer.eos_token_id:
            break
    return said


def _found(matrix: Matrix, losses: list[float], notes: dict[str, Any]) -> Fitted:
    change = matrix.trained.detach() - matrix.weight.detach().float()
    told = {"layer": matrix.layer, "steps": len(losses), "loss": [round(value, 4) for value in losses]}
    size = {"change": round(float(change.norm() / matrix.weight.detach().float().norm()), 5)}
    return Fitted({"delta": change, "layer": torch.tensor(matrix.layer)}, {**told, **size, **notes})
