"""Facts about similarity of texts."""

import numpy as np
import pytest

from detox_core.measure.similarity import embed, on_topic


def test_vectors_have_length_one_and_keep_their_order():
    texts = ["A cat sleeps.", "The stock market fell sharply today and nobody knows why it did.", "A kitten is sleeping."]
    vectors = embed(texts)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 1], abs=1e-5)
    cats, markets = vectors[0] @ vectors[2], vectors[0] @ vectors[1]
    assert cats > 0.7 > 0.3 > markets


def test_reply_is_on_topic_when_few_prompts_are_nearer():
    prompts = np.eye(4, dtype=np.float32)
    replies = np.array([[0.9, 0.1, 0, 0], [0.9, 0.1, 0, 0], [0.3, 0.5, 0.7, 0.1]], dtype=np.float32)
    assert on_topic(prompts, replies, asked=[0, 1, 0], within=0.25).tolist() == [True, False, False]
    assert on_topic(prompts, replies, asked=[0, 1, 0], within=0.5).tolist() == [True, True, False]
