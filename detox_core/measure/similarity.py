"""Semantic similarity of texts by the sentence encoder all-MiniLM-L6-v2. Offline; English."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

from detox_core.score.minilm import minilm_folder

BATCH = 64
MAX_TOKENS = 128


@cache
def _encoder() -> tuple:
    folder = minilm_folder()
    return AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()


@torch.inference_mode()
def embed(texts: Sequence[str]) -> np.ndarray:
    """Unit vectors (texts, 384): mean over tokens, as the encoder was trained (Reimers & Gurevych 2019). Their products are cosines.

    Raises:
        ScorerError: MiniLM's files are missing or not the original ones.
    """
    tokenizer, model = _encoder()
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    vectors = np.zeros((len(texts), model.config.hidden_size), dtype=np.float32)
    for at in range(0, len(order), BATCH):
        part = order[at : at + BATCH]
        inputs = tokenizer([texts[index] for index in part], return_tensors="pt", padding=True, truncation=True, max_length=MAX_TOKENS)
        hidden = model(**inputs).last_hidden_state
        mask = inputs["attention_mask"].unsqueeze(-1)
        mean = (hidden * mask).sum(1) / mask.sum(1)
        vectors[part] = torch.nn.functional.normalize(mean, dim=-1).numpy()
    return vectors


def on_topic(prompts: np.ndarray, replies: np.ndarray, asked: Sequence[int], within: float = 0.1) -> np.ndarray:
    """Whether each reply is nearer to its own prompt than to nearly all others.

    Args:
        prompts: unit vectors (prompts, d). replies: unit vectors (replies, d).
        asked: per reply, the row of its prompt.
        within: the own prompt must be among this share of nearest prompts; chance hits that share.

    Returns:
        Booleans (replies,).
    """
    similarity = replies @ prompts.T
    own = similarity[np.arange(len(replies)), list(asked)]
    nearer = (similarity > own[:, None]).sum(1)
    return nearer < within * len(prompts)
