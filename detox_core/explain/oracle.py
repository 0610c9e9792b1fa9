"""The same attribution by the Inseq library, one generated token after the other: what ours is tested and timed against."""

import warnings

import numpy as np
import torch

from detox_core.explain.attribution import Reading, explainable
from detox_core.models.loading import LoadedBase


def by_inseq(base: LoadedBase, reading: Reading, method: str = "input_x_gradient", function: str = "probability") -> np.ndarray:
    """See `attribute`: the same matrix, (tokens of prompt and answer, tokens of the answer).

    The batch is built from token ids, because Inseq would tokenise text again and may shift the boundary.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import inseq
        from inseq.data import BatchEmbedding, BatchEncoding, DecoderOnlyBatch

        with explainable(base, reading.adapter) as model:
            wrapped = inseq.load_model(model, method, tokenizer=base.tokenizer)
            ids = torch.tensor([[*reading.prompt, *reading.answer]], device=model.device)
            names = [base.tokenizer.convert_ids_to_tokens(ids[0].tolist())]
            encoding = BatchEncoding(ids, torch.ones_like(ids), names, torch.zeros_like(ids))
            batch = DecoderOnlyBatch(encoding, BatchEmbedding(wrapped.embed(ids), wrapped.embed(encoding.baseline_ids)))
            found = wrapped.get_attribution_method(method).attribute(
                batch,
                attributed_fn=wrapped.get_attributed_fn(function),
                attr_pos_start=len(reading.prompt),
                attr_pos_end=None,
                show_progress=False,
                pretty_progress=False,
                step_scores=[],
            )
    scores: np.ndarray = found.sequence_attributions[0].target_attributions.norm(dim=-1).nan_to_num().numpy()
    return scores
