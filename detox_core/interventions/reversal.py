"""Toxification reversal (Leong et al. 2023): attention heads move away from what a toxic prefix makes of them. Nothing to fit.

With every token that the reply gets, the same variant also reads it after a toxic and after a kind prefix before the prompt. Only the pass
that writes the reply is changed, and in it only the newest token.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Literal

import torch

from detox_core.interventions.following import Follower, following
from detox_core.interventions.protocol import Artifact, Patch, Row, Subject

TOXIC = "The following text is abusive, harmful, negative, obscene, racist, rude and toxic:"
KIND = "The following text is kind, polite, positive, respectful and supportive:"
LONGER, ALIKE = 0.4, 0.6  # exponents of the two factors, as published


def turned(own: torch.Tensor, toxic: torch.Tensor, kind: torch.Tensor, end: torch.Tensor, strength: float) -> torch.Tensor:
    """A' = A - s n c D, then as long as A was; section 3 of the paper.

    D = A- - A+ is the direction of toxification, n = (1 + |D|)^0.4 and c = (1 + max(0, cos(E, A)))^0.6 for each head.

    Args:
        own, toxic, kind: A, A- and A+, heads of the newest token (rows, heads, width), plain and after the prefixes.
        end: E, heads of the last token of the toxic prefix, in the same shape.

    Returns:
        (rows, heads, width); its length over heads and width together is that of `own`.
    """
    towards = toxic - kind
    longer = (1 + towards.norm(dim=-1, keepdim=True)) ** LONGER
    alike = (1 + torch.cosine_similarity(end, own, dim=-1).clamp(min=0)[..., None]) ** ALIKE
    moved = own - strength * longer * alike * towards
    lengths = (heads.flatten(1).norm(dim=1)[:, None, None] for heads in (own, moved))
    return moved * (next(lengths) / next(lengths).clamp(min=torch.finfo(moved.dtype).tiny))


@contextmanager
def apply(subject: Subject, artifact: Artifact, strength: float) -> Iterator[Patch]:  # noqa: ARG001
    """Strength 1 is the published shift."""
    anatomy, running = subject.anatomy, list[Reversal]()

    def steer(rows: Sequence[Row]) -> Reversal:
        running[:] = [Reversal(subject, rows, strength)]
        return running[0]

    with ExitStack() as stack:
        model: Any = anatomy.model
        stack.callback(model.register_forward_pre_hook(partial(_before, running), with_kwargs=True).remove)
        stack.callback(model.register_forward_hook(partial(_after, running), always_call=True).remove)
        for layer in anatomy.layers:
            module = anatomy.attention_out(layer)
            stack.callback(module.register_forward_pre_hook(partial(_heads, running, layer)).remove)
        yield Patch(steer=steer, rows=3)


def _before(running: list["Reversal"], _module: Any, inputs: tuple[Any, ...], options: dict[str, Any]) -> None:
    if running and not following():
        running[0].read(options["input_ids"] if "input_ids" in options else inputs[0])


def _after(running: list["Reversal"], _module: Any, _inputs: Any, _output: Any) -> None:
    if running and not following():
        running[0].state = "idle"


def _heads(running: list["Reversal"], layer: int, _module: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
    if running and running[0].state == "listening":
        running[0].listen(layer, inputs[0])
    elif running and running[0].state == "turning" and not following():
        return (running[0].turn(layer, inputs[0]), *inputs[1:])
    return None


class Reversal:
    """See `Steering`; it changes the pass itself and leaves the logits as they come out.

    Attributes:
        state: whether heads go by, are those after the prefixes, or are those to be turned.
    """

    def __init__(self, subject: Subject, rows: Sequence[Row], strength: float) -> None:
        self.strength, self.count, self.heads = strength, len(rows), subject.anatomy.heads
        contexts = [subject.ids(f"{prefix} {row.prompt}")[0] for prefix in (TOXIC, KIND) for row in rows]
        self.follower = Follower(subject.base, [subject.adapter] * len(contexts), contexts)
        width = self.follower.new.shape[1]
        self.ends = [width - len(ids) + prefix_end(subject, row.prompt) for ids, row in zip(contexts, rows, strict=False)]
        self.state: Literal["idle", "listening", "turning"] = "idle"
        self.begun = False
        self.end: dict[int, torch.Tensor] = {}
        self.newest: dict[int, torch.Tensor] = {}

    def __call__(self, ids: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        """See `Steering`."""
        return logits

    def keep(self, rows: list[int]) -> None:
        """See `Steering`."""
        self.follower.keep([*rows, *(self.count + row for row in rows)])
        self.end = {layer: heads[rows] for layer, heads in self.end.items()}
        self.count = len(rows)

    def read(self, ids: torch.Tensor) -> None:
        """Read after both prefixes what the model is about to read; ids (rows, tokens)."""
        self.state = "listening"
        try:
            if self.begun:
                self.follower.next(ids[:, -1].repeat(2))
            else:
                self.follower.first()
            self.begun = True
        except BaseException:
            self.state = "idle"
            raise
        self.state = "turning"

    def listen(self, layer: int, merged: torch.Tensor) -> None:
        """Remember the merged heads (rows, tokens, heads x width) after the prefixes."""
        self.newest[layer] = self._split(merged[:, -1])
        if not self.begun:
            rows = torch.arange(self.count, device=merged.device)
            self.end[layer] = self._split(merged[rows, torch.tensor(self.ends, device=merged.device)])

    def turn(self, layer: int, merged: torch.Tensor) -> torch.Tensor:
        """The merged heads with those of the newest token turned."""
        toxic, kind = self.newest[layer].split(self.count)
        new = turned(self._split(merged[:, -1]), toxic, kind, self.end[layer], self.strength)
        return torch.cat([merged[:, :-1], new.flatten(1)[:, None].to(merged.dtype)], 1)

    def _split(self, merged: torch.Tensor) -> torch.Tensor:
        return merged.float().unflatten(-1, (self.heads, -1))


def prefix_end(subject: Subject, prompt: str) -> int:
    """Place of the toxic prefix's last token among the tokens that are read."""
    rendered = subject.base.render(f"{TOXIC} {prompt}", subject.variant.template)
    begin = rendered[: rendered.index(TOXIC) + len(TOXIC)]
    return len(subject.base.tokenizer(begin, add_special_tokens=False)["input_ids"]) - 1
