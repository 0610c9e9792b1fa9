"""Word filter: words that are toxic on their own become less likely (the baseline of Gehman et al. 2020).

The list is made here: words of the bad replies and of the vocabulary, judged one by one by the local scorer. What would complete a listed
word is found by letters, not by fixed token sequences, so a word spelt with other tokens than usual is found too.

What it cannot tell is whether a word will go on. A longer word that begins like a listed one passes if its tokens never stand for exactly
the listed word on the way, as " idi" + "otic" with "idiot" listed. It goes too if they do, as " stupid" + "ly".
"""

import math
import re
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import cast

import torch
from transformers import PreTrainedTokenizerBase

from detox_core.interventions.protocol import Artifact, Example, Fitted, Patch, Subject, Tell, need_examples
from detox_core.score import get_scorer
from detox_core.score.local import LocalScorer

RUN = re.compile(r"[^\W\d_]+")  # a word: letters without a break
WHOLE = re.compile(r" ([^\W\d_]{3,})")  # a token that is one word
TOXIC = 0.5
CHUNK = 256  # words scored at once


def fit(subject: Subject, examples: Sequence[Example], tell: Tell, stop: threading.Event, folder: Path) -> Fitted:  # noqa: ARG001
    """Words that the local scorer finds toxic on their own, in lower case: `words` (words, letters), code points, 0 after the end.

    Raises:
        BadInput: too few examples.
        InterruptedError: stopped.
    """
    need_examples(examples)
    scorer = cast("LocalScorer", get_scorer())
    words, toxic = candidates(examples, pieces(subject), set(scorer.tokenizer.get_vocab())), list[str]()
    for at in range(0, len(words), CHUNK):
        if stop.is_set():
            raise InterruptedError("Stopped.")
        part = words[at : at + CHUNK]
        toxic += [word for word, score in zip(part, scorer.score(part), strict=True) if score.value > TOXIC]
        tell(at + len(part), len(words))
    return Fitted({"words": encoded(toxic)}, {"words": len(words), "toxic": len(toxic), "scorer": f"{scorer.id} {scorer.revision}"})


def candidates(examples: Sequence[Example], texts: Sequence[str], known: set[str]) -> list[str]:
    """Words that may be toxic on their own, in lower case.

    Args:
        texts: of every token of the model.
        known: words of another vocabulary. A token that is none of them nor in a reply is taken for a part of a word, as " neighb" is.

    Returns:
        Words of bad replies and of `texts`, without those that good replies use at least as often as bad ones: names of groups above all.
    """
    bad, good = (Counter(word for reply in replies for word in RUN.findall(reply.lower())) for replies in _replies(examples))
    whole = {match[1].lower() for match in map(WHOLE.fullmatch, texts) if match}
    return sorted(word for word in set(bad) | (whole & known) if not good[word] or good[word] < bad[word])


def _replies(examples: Sequence[Example]) -> tuple[list[str], list[str]]:
    return [one.bad for one in examples], [one.good for one in examples]


def pieces(subject: Subject) -> list[str]:
    """The text of every token, with the space before it; tokens that are no text give the empty string."""
    tokenizer: PreTrainedTokenizerBase = subject.base.tokenizer
    (dot,) = tokenizer(".", add_special_tokens=False)["input_ids"][-1:]  # some tokenizers drop a space in front of everything
    count = min(len(tokenizer), subject.base.model.config.vocab_size)
    options = {"skip_special_tokens": True, "clean_up_tokenization_spaces": False}
    begin = len(tokenizer.decode([dot], **options))
    return [text[begin:] for text in tokenizer.batch_decode([[dot, token] for token in range(count)], **options)]


def encoded(words: Sequence[str]) -> torch.Tensor:
    """(words, letters) of code points, 0 after the end."""
    longest = max(map(len, words), default=1)
    return torch.tensor([[*map(ord, word), *[0] * (longest - len(word))] for word in words], dtype=torch.int32).reshape(-1, longest)


def decoded(words: torch.Tensor) -> list[str]:
    """Inverse of `encoded`."""
    return ["".join(chr(letter) for letter in row if letter) for row in words.tolist()]


@contextmanager
def apply(subject: Subject, artifact: Artifact, strength: float) -> Iterator[Patch]:
    """The probability of every token that would complete a listed word times 1 - s."""
    filter_ = Filter(pieces(subject), decoded(artifact.tensors["words"]), strength)
    yield Patch(steer=lambda rows: filter_)  # noqa: ARG005


class Filter:
    """See `Steering`; it remembers nothing of the batch.

    Args:
        texts: of every token.
        words: in lower case.
    """

    def __init__(self, texts: Sequence[str], words: Sequence[str], strength: float) -> None:
        self.texts, self.words, self.strength = [text.lower() for text in texts], frozenset(words), strength
        self.longest = max(map(len, words), default=0)
        self.known: dict[str, list[int]] = {}

    def __call__(self, ids: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """See `Steering`."""
        completes = torch.zeros_like(logits, dtype=torch.bool)
        for row, tail in enumerate(ids[:, -self.longest - 1 :].tolist()):
            completes[row, self.completing(self.begun(tail))] = True
        if self.strength >= 1:
            return logits.masked_fill(completes, -torch.inf)
        return logits + completes * math.log1p(-self.strength)

    def keep(self, rows: list[int]) -> None:
        """Nothing to forget."""

    def begun(self, tail: Sequence[int]) -> str:
        """The letters that the text ends with."""
        word = ""
        for token in reversed(tail):
            text = self.texts[token] if token < len(self.texts) else ""
            letters = re.search(r"[^\W\d_]*$", text)
            assert letters is not None
            word = letters[0] + word
            if letters.start() > 0:
                break
        return word

    def completing(self, begun: str) -> list[int]:
        """Tokens after which a listed word stands complete, if the text ends with these letters."""
        if begun not in self.known:
            rests = [word[len(begun) :] for word in self.words if word.startswith(begun)] if begun else self.words
            self.known[begun] = [*self._whole, *(token for rest in rests for token in self._heads.get(rest, ()))]
        return self.known[begun]

    @cached_property
    def _whole(self) -> list[int]:
        """Tokens that hold a listed word, whatever stands before them."""
        return [token for token, text in enumerate(self.texts) if any(run.start() and run[0] in self.words for run in RUN.finditer(text))]

    @cached_property
    def _heads(self) -> dict[str, list[int]]:
        """Tokens by the letters that they begin with."""
        found: dict[str, list[int]] = {}
        for token, text in enumerate(self.texts):
            head = RUN.match(text)
            if head:
                found.setdefault(head[0], []).append(token)
        return found
