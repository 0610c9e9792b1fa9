"""One answer explained: which tokens of prompt and answer each of its tokens hangs on, as one value that can be drawn or stored."""

import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
from transformers import PreTrainedTokenizerBase

from detox_core.errors import BadInput
from detox_core.explain.attribution import Method, Reading, Target, attribute
from detox_core.explain.likelihood import likeliest_others
from detox_core.explain.measures import (
    attribution_divergence,
    attribution_entropy,
    effective_tokens,
    longest_entropy,
    merge,
    prompt_dependence,
    shares,
)
from detox_core.explain.methods import METHODS
from detox_core.explain.others import by_method
from detox_core.interventions.applying import applied_inside
from detox_core.models.loading import LoadedBase
from detox_core.types import Generation, Variant

Unit = Literal["words", "tokens", "sentences"]
SENTENCE_END = re.compile(r"[.!?][\"')\]]*$")
BREAK = re.compile(r"[^\w']")  # an apostrophe belongs to its word


@dataclass(frozen=True, slots=True)
class Explanation:
    """Attribution of one answer by one variant, which need not be the one that wrote it.

    Attributes:
        variant: whose gradients these are.
        answer_of: who wrote the answer.
        pieces: text of every token, prompt first; together they are the text that was read.
        prompt: number of prompt tokens, the chat format included.
        own: per prompt token, whether it belongs to the person's words and not to the chat format.
        matrix: shares (tokens, answer tokens); columns sum to 1.
    """

    variant: str
    answer_of: str
    method: str
    target: str
    pieces: tuple[str, ...]
    prompt: int
    own: tuple[bool, ...]
    matrix: np.ndarray

    def rows(self, *, template: bool = True) -> np.ndarray:
        """Which tokens count as prompt: all of it, or the person's words alone."""
        kept = [True] * self.prompt if template else list(self.own)
        return np.array(kept + [False] * (len(self.pieces) - self.prompt))

    def dependence(self, *, template: bool = True) -> np.ndarray:
        """Prompt dependence of each answer token, in [0, 1]."""
        return prompt_dependence(self.matrix, self.rows(template=template))

    def entropy(self, *, template: bool = True, relative: bool = False) -> np.ndarray:
        """Attribution entropy of each answer token over the prompt, in bits; `relative`: divided by the largest possible."""
        rows = self.rows(template=template)
        return attribution_entropy(self.matrix, rows) / (longest_entropy(rows) if relative else 1.0)

    def effective(self) -> np.ndarray:
        """Over how many prompt tokens the attribution of each answer token is spread, as if evenly: 2^entropy."""
        return effective_tokens(self.entropy())

    def divergence(self, other: "Explanation") -> np.ndarray:
        """KL(this || other) in bits, over the prompt, of each token of one and the same answer."""
        return attribution_divergence(self.matrix, other.matrix, self.rows())

    def merged(self, unit: Unit = "words") -> tuple[list[str], int, list[bool], np.ndarray]:
        """Tokens merged to larger units.

        Returns:
            Texts; how many of them belong to the prompt; which of those hold words of the person; shares (units, answer units).
        """
        if unit == "tokens":
            return list(self.pieces), self.prompt, list(self.own), self.matrix
        units = word_units(self.pieces, self.prompt) if unit == "words" else sentence_units(self.pieces, self.prompt, self.own)
        first = units[self.prompt]
        texts, own = [""] * (units[-1] + 1), [False] * first
        for number, piece in zip(units, self.pieces, strict=True):
            texts[number] += piece
        for number, mine in zip(units, self.own, strict=False):
            own[number] |= mine
        return texts, first, own, merge(self.matrix, units, [number - first for number in units[self.prompt :]])


def explain(
    base: LoadedBase,
    variant: Variant,
    prompt: str,
    reply: Generation,
    method: str = "input_x_gradient",
    target: Target = "probability",
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
    stop: threading.Event | None = None,
) -> Explanation:
    """Why `variant` would write `reply` to `prompt`; the exact token ids of the reply are read.

    Args:
        method: any of `METHODS`.
        on_progress: see `attribute` for methods that are ours, and `by_method` for the others.

    Raises:
        BadInput: a method that is not there; or see `attribute`.
        ModelError: an intervention that works after the model; or, as InterruptedError, see `attribute` and `by_method`.
    """
    if method not in METHODS:
        raise BadInput(f"There is no method {method!r}. Use {', '.join(METHODS)}.")
    with applied_inside(base, variant) as patch:
        read_prompt = patch.rewrite(prompt) if patch.rewrite else prompt
        rendered = base.render(read_prompt, variant.template)
        ids = base.tokenizer(rendered, add_special_tokens=False)["input_ids"]
        adapter = base.attach(variant.adapter)
        instead = likeliest_others(base, adapter, ids, reply.tokens) if target == "contrast" else ()
        reading = Reading(adapter, tuple(ids), reply.tokens, instead)
        if METHODS[method].ours:
            raw = attribute(base, reading, cast("Method", method), target, on_progress, stop)
        else:
            raw = by_method(base, reading, method, target, on_progress, stop)
    read = token_texts(base.tokenizer, ids)
    if prompt not in rendered:
        prompt = read_prompt
    start = rendered.rfind(prompt)
    ends = np.cumsum([len(piece) for piece in read])
    own = tuple(bool(end > start and end - len(piece) < start + len(prompt)) for end, piece in zip(ends, read, strict=True))
    pieces = (*read, *token_texts(base.tokenizer, reply.tokens))
    return Explanation(variant.id, reply.variant, method, target, pieces, len(ids), own, shares(raw))


def token_texts(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> list[str]:
    """What each token adds to the text; a letter cut into several tokens shows where its last byte comes."""
    texts, before = [], ""
    for end in range(1, len(ids) + 1):
        now = str(tokenizer.decode(list(ids[:end]), skip_special_tokens=False, clean_up_tokenization_spaces=False))
        whole = now.rstrip("\N{REPLACEMENT CHARACTER}")
        texts.append(whole[len(before) :] if len(whole) >= len(before) else "")
        before = whole
    return texts


def word_units(pieces: Sequence[str], prompt: int) -> list[int]:
    """The word each token belongs to, ascending from 0; a space, a sign or the start of the answer begins a new one."""
    units: list[int] = []
    for at, piece in enumerate(pieces):
        joined = at not in (0, prompt) and piece and not BREAK.match(piece) and not BREAK.match(pieces[at - 1][-1:])
        units.append(units[-1] if units and (joined or (not piece and at != prompt)) else (units[-1] + 1 if units else 0))
    return units


def sentence_units(pieces: Sequence[str], prompt: int, own: Sequence[bool]) -> list[int]:
    """The sentence each token belongs to, ascending from 0; the chat format around the person's words counts as sentences of its own."""
    units = [0]
    for at in range(1, len(pieces)):
        ended = SENTENCE_END.search(pieces[at - 1]) and pieces[at][:1].isspace()
        turned = at == prompt or (at < prompt and own[at] != own[at - 1])
        units.append(units[-1] + bool(ended or turned))
    return units
