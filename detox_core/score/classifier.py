"""Scores by any Hugging Face sequence classifier."""

import math
from collections.abc import Sequence

import torch
from safetensors import SafetensorError
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from detox_core.errors import DetoxError, ScorerError
from detox_core.models.checking import fingerprint, first_line
from detox_core.models.loading import fetch
from detox_core.score.unscorable import unscorable
from detox_core.types import Score

MAX_TOKENS = 256
BATCH = 64
TOXIC = ("toxicity", "toxic", "hate", "hateful", "offensive", "label_1")  # tried in this order
NOT_TOXIC = ("nothate", "neutral", "non-toxic", "nontoxic", "not_toxic", "label_0")


class Classifier:
    """Any sequence classifier; which output means "toxic" is read from `id2label`, never assumed.

    Multi-label models (several independent attributes) give sigmoid probabilities, single-label ones softmax.
    """

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, scorer_id: str, revision: str) -> None:
        self.id, self.revision = scorer_id, revision
        self.model, self.tokenizer = model.eval(), tokenizer
        self.labels = {int(index): str(label) for index, label in (model.config.id2label or {}).items()}
        self.toxic = toxic_label(self.labels)
        known = {"multi_label_classification": True, "single_label_classification": False}
        self.multi_label = known.get(str(model.config.problem_type), not _has_opposite(self.labels))

    def score(self, texts: Sequence[str]) -> list[Score]:
        """See `Scorer.score`. Texts beyond 256 tokens are judged by their beginning."""
        reasons = [unscorable(text) for text in texts]
        readable = [text for text, reason in zip(texts, reasons, strict=True) if reason is None]
        rows = iter(self.probabilities(readable))
        return [Score(math.nan, self.id, self.revision, reason=reason) if reason else self._score(next(rows)) for reason in reasons]

    @torch.inference_mode()
    def probabilities(self, texts: Sequence[str]) -> list[list[float]]:
        """Probabilities (texts, labels), batched by length."""
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        rows: list[list[float]] = [[] for _ in texts]
        for at in range(0, len(order), BATCH):
            part = order[at : at + BATCH]
            inputs = self.tokenizer([texts[i] for i in part], return_tensors="pt", padding=True, truncation=True, max_length=MAX_TOKENS)
            logits = self.model(**inputs.to(self.model.device)).logits.float()
            values = logits.sigmoid() if self.multi_label else logits.softmax(-1)
            for index, row in zip(part, values.tolist(), strict=True):
                rows[index] = row
        return rows

    def _score(self, row: list[float]) -> Score:
        others = {self.labels[i]: value for i, value in enumerate(row) if self.multi_label and i != self.toxic}
        return Score(row[self.toxic], self.id, self.revision, attributes=others)


def toxic_label(labels: dict[int, str]) -> int:
    """Index of the output that means "toxic".

    Raises:
        ScorerError: no label, or only generic ones, says so.
    """
    names = {label.lower(): index for index, label in labels.items()}
    if set(names) == {"label_0", "label_1"}:
        raise ScorerError(
            "The classifier calls its outputs LABEL_0 and LABEL_1, so which one is toxic cannot be known. Name them in id2label."
        )
    for word in TOXIC[:-1]:
        if word in names:
            return names[word]
    raise ScorerError(f"None of the classifier's labels ({', '.join(labels.values())}) means toxic. Known: {', '.join(TOXIC[:-1])}.")


def _has_opposite(labels: dict[int, str]) -> bool:
    return any(label.lower() in NOT_TOXIC for label in labels.values())


def classifier(source: str) -> Classifier:
    """Any sequence classifier by folder or Hub id.

    Raises:
        ScorerError: not found, damaged, pickle weights only, or no label means toxic.
    """
    try:
        folder = fetch(source, ["*.json", "*.safetensors", "*.txt", "*.model"])
        if not any(folder.glob("*.safetensors")):
            raise ScorerError(f"{source} has no safetensors weights; pickle weights can run code when opened.")
        model = AutoModelForSequenceClassification.from_pretrained(folder, use_safetensors=True, trust_remote_code=False)
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except InterruptedError:  # a kind of OSError: the download was stopped
        raise
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise ScorerError(f"The scorer {source} could not be loaded: {first_line(error)}") from error
    except DetoxError as error:
        raise ScorerError(str(error)) from error
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    return Classifier(model, tokenizer, source, fingerprint(folder))
