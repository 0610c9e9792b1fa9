"""The local scorer: every token votes, a text's log-odds are the mean of the votes, so words share its score exactly.

Perspective's attributes plus HATE (contempt for a group, with or without strong words). English only, and says so.
"""

import math
from collections.abc import Sequence

import torch
from peft import PeftModel
from safetensors import SafetensorError
from transformers import AutoModelForTokenClassification, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from detox_core.demo import SCORER
from detox_core.errors import ScorerError
from detox_core.models.checking import fingerprint, first_line
from detox_core.score.unscorable import unscorable
from detox_core.score.minilm import minilm_folder
from detox_core.score.spans import WORDS
from detox_core.types import Score, Span

# The outputs in the order of the head: Perspective's names, then ours.
ATTRIBUTES = ("TOXICITY", "SEVERE_TOXICITY", "IDENTITY_ATTACK", "INSULT", "PROFANITY", "THREAT", "SEXUALLY_EXPLICIT", "HATE")
MAX_TOKENS = 256
BATCH = 64


def build() -> PreTrainedModel:
    """MiniLM with one vote per token and attribute; the head is still random."""
    model: PreTrainedModel = AutoModelForTokenClassification.from_pretrained(
        minilm_folder(),
        num_labels=len(ATTRIBUTES),
        id2label=dict(enumerate(ATTRIBUTES)),
        label2id={name: index for index, name in enumerate(ATTRIBUTES)},
    )
    return model


def mean_votes(votes: torch.Tensor, counted: torch.Tensor) -> torch.Tensor:
    """Log-odds (texts, attributes) from votes (texts, tokens, attributes); `counted` (texts, tokens) is 1 for tokens of the text itself."""
    weights = counted.unsqueeze(-1).to(votes.dtype)
    return (votes * weights).sum(1) / weights.sum(1).clamp(min=1)


class LocalScorer:
    """See `Scorer`; the score is TOXICITY, the other attributes come with it."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, revision: str) -> None:
        self.id, self.revision = "local", revision
        self.model, self.tokenizer = model.eval(), tokenizer

    def score(self, texts: Sequence[str]) -> list[Score]:
        """See `Scorer.score`. Texts beyond 256 tokens are judged by their beginning."""
        reasons = [unscorable(text) for text in texts]
        readable = [text for text, reason in zip(texts, reasons, strict=True) if reason is None]
        rows = iter(self.probabilities(readable))
        return [Score(math.nan, self.id, self.revision, reason=reason) if reason else self._score(next(rows)) for reason in reasons]

    def probabilities(self, texts: Sequence[str]) -> list[list[float]]:
        """Probabilities (texts, attributes), batched by length."""
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        rows: list[list[float]] = [[] for _ in texts]
        for at in range(0, len(order), BATCH):
            part = order[at : at + BATCH]
            votes, counted, _ = self._votes([texts[index] for index in part])
            for index, row in zip(part, mean_votes(votes, counted).sigmoid().tolist(), strict=True):
                rows[index] = row
        return rows

    def contributions(self, text: str, attribute: str = "TOXICITY") -> tuple[float, list[Span]]:
        """What every word adds to the log-odds of an attribute.

        Returns:
            The bias, and one span per word with its share. Bias and shares sum to the log-odds; what stands between words
            (punctuation) is the share of the word before it, or of the first word.
        """
        column = ATTRIBUTES.index(attribute)
        votes, counted, offsets = self._votes([text])
        bias = float(self.model.classifier.bias[column])
        inside = counted[0].bool()
        shares = ((votes[0, inside, column] - bias) / max(1, int(inside.sum()))).tolist()
        starts = offsets[0, inside, 0].tolist()
        words = [match.span() for match in WORDS.finditer(text)]
        totals = [0.0] * len(words)
        for start, share in zip(starts, shares, strict=True):
            if words:
                totals[max(0, sum(begin <= start for begin, _ in words) - 1)] += share
        return bias, [Span(start, end, total) for (start, end), total in zip(words, totals, strict=True)]

    @torch.inference_mode()
    def _votes(self, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        inputs = self.tokenizer(
            texts,
            return_tensors="pt",
            padding=True,
            truncation=True,
            max_length=MAX_TOKENS,
            return_special_tokens_mask=True,
            return_offsets_mapping=True,
        )
        special, offsets = inputs.pop("special_tokens_mask"), inputs.pop("offset_mapping")
        votes = self.model(**inputs.to(self.model.device)).logits.float()
        return votes, 1 - special.to(votes.device), offsets

    def _score(self, row: list[float]) -> Score:
        return Score(row[0], self.id, self.revision, attributes=dict(zip(ATTRIBUTES[1:], row[1:], strict=True)))


def local() -> LocalScorer:
    """The scorer that ships with the app.

    Raises:
        ScorerError: its files, or MiniLM's, are missing or damaged.
    """
    try:
        merged = PeftModel.from_pretrained(build(), str(SCORER)).merge_and_unload()
        tokenizer = AutoTokenizer.from_pretrained(minilm_folder())
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise ScorerError(
            f"The local scorer in {SCORER} could not be loaded: {first_line(error)} Restore it with: git checkout {SCORER}"
        ) from error
    return LocalScorer(merged.float(), tokenizer, fingerprint(SCORER))
