"""What a method gets and what it gives back: subject and artifact in, a patch out, while its context is open."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch

from detox_core.errors import BadInput
from detox_core.models.anatomy import Anatomy
from detox_core.models.loading import LoadedBase
from detox_core.models.mixing import mixed
from detox_core.models.templates import opening
from detox_core.types import Variant

BATCH = 32  # texts read at once while fitting
Tell = Callable[[int, int], None]  # done, of how many


@dataclass(frozen=True, slots=True)
class Subject:
    """The variant that is changed, loaded."""

    base: LoadedBase
    variant: Variant

    @property
    def adapter(self) -> str:
        """Name of its adapter inside the model."""
        return self.base.attach(self.variant.adapter)

    @property
    def anatomy(self) -> Anatomy:
        """Where its parts are.

        Raises:
            ModelError: see `Anatomy`.
        """
        self.base.attach(self.variant.adapter)  # the first adapter wraps the model
        return Anatomy(self.base.model)

    def ids(self, prompt: str, reply: str = "") -> tuple[list[int], int]:
        """Token ids of a prompt in the chat format with a reply behind it, and where the reply begins."""
        read = self.base.render(prompt, self.variant.template)
        known = list(self.base.tokenizer(read, add_special_tokens=False)["input_ids"])
        said = self.base.tokenizer(opening(read) + reply, add_special_tokens=False)["input_ids"] if reply else []
        return [*known, *said][: self.base.context], len(known)

    @torch.inference_mode()
    def read(self, texts: Sequence[tuple[str, str]], tell: Tell, stop: threading.Event) -> Iterator[tuple[slice, torch.Tensor]]:
        """Run the model over prompts with replies, for hooks that listen.

        Yields:
            After each batch, which texts it held and which places are words of the reply (rows, tokens), bool.

        Raises:
            InterruptedError: stopped.
        """
        device = self.base.model.device
        for at in range(0, len(texts), BATCH):
            if stop.is_set():
                raise InterruptedError("Stopped.")
            rows = [self.ids(prompt, reply) for prompt, reply in texts[at : at + BATCH]]
            longest = max(len(ids) for ids, _ in rows)
            padded = torch.tensor([ids + [0] * (longest - len(ids)) for ids, _ in rows], device=device)
            place = torch.arange(longest, device=device)
            ends, starts = (torch.tensor(values, device=device)[:, None] for values in ([len(i) for i, _ in rows], [s for _, s in rows]))
            with mixed(self.base.model, [self.adapter] * len(rows)):  # padded on the right: what is read never sees it
                self.base.model(input_ids=padded, attention_mask=(place < ends).long(), use_cache=False, logits_to_keep=1)
            yield slice(at, at + len(rows)), (place >= starts) & (place < ends)
            tell(min(at + BATCH, len(texts)), len(texts))


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt with a good and a bad reply: what every fit learns from."""

    prompt: str
    good: str
    bad: str


def labelled(examples: Sequence[Example]) -> tuple[list[tuple[str, str]], torch.Tensor]:
    """The replies one by one with their prompts, and whether each is toxic (bool)."""
    texts = [(one.prompt, reply) for one in examples for reply in (one.bad, one.good)]
    return texts, torch.tensor([True, False] * len(examples))


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a fit found.

    Attributes:
        tensors: what is applied later, by name.
        notes: what a person should know of the fit, plain JSON types.
        adapters: name -> folder of a LoRA adapter that belongs to it.
    """

    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    adapters: dict[str, Path] = field(default_factory=dict)


class Fit(Protocol):
    """Learns from examples what a method needs."""

    def __call__(self, subject: Subject, examples: Sequence[Example], tell: Tell, stop: threading.Event, folder: Path) -> Fitted:
        """May leave files in `folder`, which is where the artifact will lie.

        Raises:
            InterruptedError: stopped.
        """
        ...


@dataclass(frozen=True, slots=True)
class Row:
    """One reply that is about to be written.

    Attributes:
        prompt: as typed.
        ids: what the model reads for it.
    """

    prompt: str
    ids: tuple[int, ...]


class Steering(Protocol):
    """Changes next-token logits; made anew for every batch."""

    def __call__(self, ids: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """Token ids so far (rows, tokens), padded on the left, and logits (rows, vocabulary) -> other logits."""
        ...

    def keep(self, rows: list[int]) -> None:
        """Only these rows of the batch go on, in this order."""
        ...


@dataclass(frozen=True, slots=True)
class Patch:
    """What generation must do inside the context of a method, besides running the model.

    Attributes:
        rewrite: the prompt that is read instead of the typed one.
        steer: makes the steering of a batch.
        candidates: replies to write for each that is asked for; `pick` says which one it is.
        rows: memory of one reply in rows of a batch.
    """

    rewrite: Callable[[str], str] | None = None
    steer: Callable[[Sequence[Row]], Steering] | None = None
    candidates: int = 1
    pick: Callable[[str, Sequence[str]], int] | None = None
    rows: int = 1


@dataclass(frozen=True, slots=True)
class Artifact:
    """A fit on disk, read.

    Attributes:
        meta: see `artifacts.py`.
        tensors: on the model's device.
        adapters: name -> folder.
    """

    meta: dict[str, Any]
    tensors: dict[str, torch.Tensor]
    adapters: dict[str, Path]


class Apply(Protocol):
    """A method: inside the context the model is changed, afterwards it is exactly as before."""

    def __call__(self, subject: Subject, artifact: Artifact, strength: float) -> AbstractContextManager[Patch]:
        """`strength` is never 0: then nothing is applied at all."""
        ...


def need_examples(examples: Sequence[Example], least: int = 2) -> None:
    """Refuse to fit on nothing.

    Raises:
        BadInput: too few examples.
    """
    if len(examples) < least:
        raise BadInput(f"Fitting needs at least {least} prompts with a good and a bad reply; there are {len(examples)}.")
