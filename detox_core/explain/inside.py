"""What toxicity looks like inside a model: value vectors and the words they write, neurons that react to it, layers that lead to it.

After Lee et al. 2024 (value vectors, logit lens, activations before and after training) and Suau et al. 2024 (expert neurons). Neurons
explain only a part of what training does: 2.5 to 24 % of the effect of DPO in four models (Yang et al. 2025).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from detox_core.errors import BadInput, ModelError
from detox_core.explain.vocabulary import toxic_tokens as toxic_tokens  # what a logit lens is usually asked for
from detox_core.interventions.applying import applied
from detox_core.interventions.protocol import Artifact, Patch, Subject
from detox_core.models.anatomy import Anatomy
from detox_core.models.loading import LoadedBase
from detox_core.models.mixing import mixable, mixed
from detox_core.types import Variant

QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class ValueVector:
    """What one neuron writes.

    Attributes:
        cosine: to the probe, -1 to 1.
        tokens: the tokens it raises most, highest first.
    """

    layer: int
    neuron: int
    cosine: float
    tokens: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ToxicVectors:
    """The value vectors closest to the probe, closest first, and the tokens that the probe and their first singular vector raise."""

    vectors: tuple[ValueVector, ...]
    probe: tuple[str, ...]
    svd: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Experts:
    """How well the neurons of one projection tell toxic from other text.

    Attributes:
        projection: into, gate or out.
        neurons: how many there are.
        experts: how many have an AUROC above 0.5.
        highest, mean: AUROC, 0 to 1.
        quantiles: AUROC at `QUANTILES`, for a box plot.
    """

    layer: int
    projection: str
    neurons: int
    experts: int
    highest: float
    mean: float
    quantiles: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Lens:
    """One variant, read layer by layer.

    Attributes:
        variant: its id.
        masses: probability of the tokens asked for after each block, 0 to 1; the last is the model's own.
    """

    variant: str
    masses: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Activity:
    """How strongly neurons of one variant are switched on.

    Attributes:
        variant: its id.
        means: mean activation of each neuron asked for, in the model's own unit.
    """

    variant: str
    means: tuple[float, ...]


def toxic_vectors(subject: Subject, artifact: Artifact, count: int = 10, tokens: int = 8) -> ToxicVectors:
    """The value vectors closest to the probe, and the tokens they write: the highest entries of unembedding @ vector.

    Value vectors and unembedding are the base's own. The norm before the unembedding is skipped, as in Lee et al. 2024.

    Args:
        artifact: of the fit "probe".

    Raises:
        ModelError: quantised weights.
    """
    anatomy = subject.anatomy
    unembedding = anatomy.unembedding().detach().float()
    found, known = artifact.tensors, subject.base.tokenizer

    def written(vector: torch.Tensor) -> tuple[str, ...]:
        raised = (unembedding @ vector.detach().to(unembedding.device, torch.float32))[: len(known)].topk(min(tokens, len(known)))
        return tuple(str(known.decode([token])) for token in raised.indices.tolist())

    listed = zip(*(found[name][:count].tolist() for name in ("top_layer", "top_index", "top_cosine")), strict=True)
    vectors = [ValueVector(layer, index, round(cosine, 4), written(anatomy.value_vectors(layer)[index])) for layer, index, cosine in listed]
    return ToxicVectors(tuple(vectors), written(found["w"]), written(found["svd"]))


def expert_neurons(artifact: Artifact) -> list[Experts]:
    """Neurons of every projection of every MLP, by layer, then into, gate, out.

    Args:
        artifact: of the fit "neurons".
    """
    found = []
    for key, scores in artifact.tensors.items():
        layer, projection = key.split(".")
        values = scores.float().cpu()
        quantiles = tuple(round(value, 4) for value in values.quantile(torch.tensor(QUANTILES)).tolist())
        experts = int((values > 0.5).sum())
        found.append(
            Experts(int(layer), projection, len(values), experts, round(float(values.max()), 4), round(float(values.mean()), 4), quantiles)
        )
    return sorted(found, key=lambda one: (one.layer, ("into", "gate", "out").index(one.projection)))


def logit_lens(
    base: LoadedBase, variants: Sequence[Variant], prompt: str, token_ids: Sequence[int], begun: Sequence[int] = ()
) -> list[Lens]:
    """How much probability each variant gives to some tokens as the next of a reply, after each block (nostalgebraist 2020).

    The residual after a block goes through the last norm and the unembedding, as if no block followed. Interventions of a variant are
    at work, except those that change logits or choose replies.

    Args:
        begun: token ids of the reply so far; none = its first token is looked at.

    Raises:
        BadInput: a prompt longer than the context.
        ModelError: see `applied`; or an adapter that is no plain LoRA.
    """
    return [Lens(variant.id, _masses(base, variant, prompt, token_ids, begun)) for variant in variants]


def _masses(base: LoadedBase, variant: Variant, prompt: str, token_ids: Sequence[int], begun: Sequence[int]) -> tuple[float, ...]:
    latest: dict[int, torch.Tensor] = {}
    with _reader(base, variant) as (anatomy, read), ExitStack() as stack:
        for layer, block in enumerate(anatomy.blocks):
            stack.callback(block.register_forward_hook(partial(_listen_after, latest, layer)).remove)
        read(prompt, begun)
        head = anatomy.model.get_output_embeddings()
        logits = [head(anatomy.norm(latest[layer])) for layer in anatomy.layers]
    chosen = sorted(set(token_ids))
    return tuple(float(one.float().softmax(-1)[..., chosen].sum()) for one in logits)


def activations(
    base: LoadedBase,
    variants: Sequence[Variant],
    prompts: Sequence[str],
    neurons: Sequence[tuple[int, int]],
) -> list[Activity]:
    """Mean activation of neurons (layer, index) at the last token of each prompt, for instance before and after training.

    An activation is the factor of the neuron's value vector: an input of the MLP's last projection.

    Raises:
        BadInput: no prompt, or one longer than the context.
        ModelError: see `applied`; or an adapter that is no plain LoRA.
    """
    if not prompts:
        raise BadInput("There is no prompt to read.")
    return [Activity(variant.id, _means(base, variant, prompts, neurons)) for variant in variants]


def _means(base: LoadedBase, variant: Variant, prompts: Sequence[str], neurons: Sequence[tuple[int, int]]) -> tuple[float, ...]:
    latest: dict[int, torch.Tensor] = {}
    total = torch.zeros(len(neurons), dtype=torch.float64)
    with _reader(base, variant) as (anatomy, read), ExitStack() as stack:
        for layer in sorted({layer for layer, _ in neurons}):
            stack.callback(anatomy.out(layer).register_forward_pre_hook(partial(_listen_before, latest, layer)).remove)
        for prompt in prompts:
            read(prompt, ())
            total += torch.tensor([float(latest[layer][0, 0, index]) for layer, index in neurons], dtype=torch.float64)
    return tuple((total / len(prompts)).tolist())


@contextmanager
def _reader(base: LoadedBase, variant: Variant) -> Iterator[tuple[Anatomy, Callable[[str, Sequence[int]], None]]]:
    """The parts of a variant, and a function that runs it over one prompt: rows are never padded, so every hook sees a last token."""
    adapter = base.attach(variant.adapter)
    if not mixable(base.model, [adapter]):
        raise ModelError(f"The adapter of {variant.label} is no plain LoRA, and cannot be read layer by layer.")
    subject = Subject(base, variant)
    with applied(base, variant) if variant.interventions else nullcontext(Patch()) as patch, mixed(base.model, [adapter]):

        def read(prompt: str, begun: Sequence[int]) -> None:
            rendered = base.render((patch.rewrite or str)(prompt), variant.template)
            ids = [*base.tokenizer(rendered, add_special_tokens=False)["input_ids"], *begun]
            if len(ids) > base.context:
                raise BadInput(f"The prompt is {len(ids)} tokens long, but the model reads at most {base.context}.")
            base.model(input_ids=torch.tensor([ids], device=base.model.device), use_cache=False, logits_to_keep=1)

        with torch.inference_mode():
            yield subject.anatomy, read


def _listen_after(latest: dict[int, torch.Tensor], layer: int, _module: Any, _inputs: Any, output: Any) -> None:
    latest[layer] = (output if isinstance(output, torch.Tensor) else output[0])[:, -1:]  # some blocks return a tuple


def _listen_before(latest: dict[int, torch.Tensor], layer: int, _module: Any, inputs: tuple[torch.Tensor, ...]) -> None:
    latest[layer] = inputs[0][:, -1:]
