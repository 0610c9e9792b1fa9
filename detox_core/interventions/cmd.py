"""Context-aware self-detoxification without training, after CMD (Tang et al. 2024): the prompt is cleaned, then answered.

Three steps, as in the paper's chain: find the toxic words of the prompt, fill the gaps, answer what that gives. The paper trains a model
for the first step, takes another one for the second and distils the chain into the weights. Here the local scorer finds the words, the
answering model fills the gaps, and nothing is learnt.
"""

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import torch

from detox_core import score
from detox_core.interventions.protocol import Artifact, Patch, Subject
from detox_core.models.mixing import mixed
from detox_core.score.spans import toxic_words
from detox_core.types import Span

FALL = 0.67  # a prompt may stay as toxic as 1 - 0.67 s: 0.33 at strength 1
PROPOSALS = 30  # beginnings of words that are tried in a gap
PIECES = 4  # tokens a word may have, with the one after it
READ = 8  # prompts whose likelihoods are computed at once
MASK = "___"
HERE = "\ufffc"  # stands where the rendered prompt is cut, and in a gap that stays empty
EMPTY = re.compile(rf"^{HERE}[\s,;:.!?]*|\s*{HERE}(?=\W|$)|{HERE}")  # with the space or sign that would be left over
WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")


@dataclass(frozen=True, slots=True)
class Chain:
    """How a prompt was cleaned.

    Attributes:
        prompt: as typed.
        spans: its toxic words.
        masked: the prompt with `___` for each run of them.
        rewritten: what is read instead; the prompt itself if it has no toxic words.
    """

    prompt: str
    spans: tuple[Span, ...]
    masked: str
    rewritten: str


@torch.inference_mode()
def chain(subject: Subject, prompt: str, strength: float) -> Chain:
    """Clean a prompt: gaps are filled from left to right, while those to the right are left empty.

    Of the model's likeliest next words, and of no word at all, those count with which the prompt is no longer toxic (the least toxic
    one, if it is toxic with all); of these the one under which the rendered prompt is likeliest to the model. A prompt of which
    nothing would be left stays as it is.
    """
    scorer, allowed = score.get_scorer(), 1 - FALL * strength
    spans = toxic_words(prompt, scorer, allowed)
    gaps = _gaps(prompt, spans)
    fills = [""] * len(gaps)
    for at, (start, _) in enumerate(gaps):
        words = ["", *_proposals(subject, _filled(prompt[:start], gaps[:at], fills))]
        texts = [_filled(prompt, gaps, [*fills[:at], word, *fills[at + 1 :]]) for word in words]
        values = [judged.value if judged.scored else math.inf for judged in scorer.score(texts)]
        least = max(allowed, min(values))
        clean = [one for one, value in enumerate(values) if value <= least and texts[one]]
        if clean:
            fills[at] = words[clean[int(likelihoods(subject, [texts[one] for one in clean]).argmax())]]
    return Chain(prompt, spans, _filled(prompt, gaps, [MASK] * len(gaps)), _filled(prompt, gaps, fills) or prompt)


@contextmanager
def apply(subject: Subject, artifact: Artifact, strength: float) -> Iterator[Patch]:  # noqa: ARG001
    """The cleaned prompt is read; each prompt is cleaned once inside the context."""
    yield Patch(rewrite=cache(lambda prompt: chain(subject, prompt, strength).rewritten))


@torch.inference_mode()
def likelihoods(subject: Subject, texts: Sequence[str]) -> torch.Tensor:
    """Log-likelihood of each prompt in its chat format, after its first token: (texts,), in nats."""
    base = subject.base
    rows = [base.tokenizer(base.render(text, subject.variant.template), add_special_tokens=False)["input_ids"] for text in texts]
    found = []
    for at in range(0, len(rows), READ):
        ids, mask = _padded(subject, rows[at : at + READ])
        with mixed(base.model, [subject.adapter] * len(ids)):
            logits = base.model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1]
        losses = torch.nn.functional.cross_entropy(logits.float().transpose(1, 2), ids[:, 1:], reduction="none")
        found.append(-(losses * mask[:, 1:]).sum(1))
    return torch.cat(found)


def _proposals(subject: Subject, before: str) -> list[str]:
    """Words that begin with one of the model's likeliest next tokens after the first part of the prompt, likeliest first."""
    tokenizer = subject.base.tokenizer
    whole = subject.base.render(f"{before}{HERE}", subject.variant.template).partition(HERE)[0]
    head = whole.rstrip(" ")  # the space belongs to the word
    read = tokenizer(head, add_special_tokens=False)["input_ids"] or [tokenizer.eos_token_id]
    logits = _next(subject, [read])[0]
    first = logits.topk(min(PROPOSALS, len(logits))).indices.tolist()
    found: dict[int, str] = {}  # by the token they begin with
    open_words = [[token] for token in first]
    while open_words and len(open_words[0]) <= PIECES:
        going = []
        for pieces in open_words:
            text = str(tokenizer.decode(pieces))
            said = text.lstrip(" ")
            word = WORD.match(said)
            if word and (text != said or head == whole):  # not the end of the word before
                if word.end() < len(said):
                    found[pieces[0]] = word.group()
                else:
                    going.append(pieces)
        following = _next(subject, [[*read, *pieces] for pieces in going]).argmax(-1).tolist() if going else []
        open_words = [[*pieces, token] for pieces, token in zip(going, following, strict=True)]
    return list(dict.fromkeys(found[token] for token in first if token in found))


def _next(subject: Subject, rows: Sequence[Sequence[int]]) -> torch.Tensor:
    """Next-token logits of texts of one length, (rows, vocabulary)."""
    model = subject.base.model
    ids, mask = _padded(subject, rows)
    with mixed(model, [subject.adapter] * len(rows)):
        return model(input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=1).logits[:, -1].float()  # type: ignore[no-any-return]


def _padded(subject: Subject, rows: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask, padded on the right; of a text longer than what the model reads only the end."""
    kept = [list(row)[-subject.base.context :] for row in rows]
    longest, device = max(len(row) for row in kept), subject.base.model.device
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in kept], device=device)
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in kept], device=device)
    return ids, mask


def _gaps(text: str, spans: Sequence[Span]) -> list[tuple[int, int]]:
    """Where words are taken out; toxic words with only spaces and commas between them leave one gap."""
    gaps: list[tuple[int, int]] = []
    for span in spans:
        if gaps and not text[gaps[-1][1] : span.start].strip(" ,"):
            gaps[-1] = (gaps[-1][0], span.end)
        else:
            gaps.append((span.start, span.end))
    return gaps


def _filled(text: str, gaps: Sequence[tuple[int, int]], fills: Sequence[str]) -> str:
    """The text with a word or nothing in each gap."""
    parts, at = [], 0
    for (start, end), word in zip(gaps, fills, strict=False):
        parts += [text[at:start], word or HERE]
        at = end
    return EMPTY.sub("", "".join([*parts, text[at:]]))
