"""Several adapters in one batch."""

import pytest
import torch

from detox_core.models.loading import LoadedBase, load_base
from detox_core.models.mixing import PLAIN, mixable, mixed


@pytest.fixture
def base(family) -> LoadedBase:
    return load_base(family[0].base)


def logits(base: LoadedBase, rows: int) -> torch.Tensor:
    ids = base.tokenizer("Hello you", return_tensors="pt")["input_ids"].repeat(rows, 1)
    with torch.inference_mode():
        return base.model(input_ids=ids).logits


def test_each_row_equals_its_adapter_alone(base, family):
    names = [base.attach(variant.adapter) for variant in family]
    with mixed(base.model, [names[0], names[0], names[1], names[2]]):
        together = logits(base, 4)
    with base.model.disable_adapter():
        assert torch.allclose(together[:2], logits(base, 2), atol=1e-6)
    for row, name in ((2, names[1]), (3, names[2])):
        base.model.set_adapter(name)
        assert torch.allclose(together[row], logits(base, 1)[0], atol=1e-5)


def test_rows_without_adapter_are_bit_identical_to_the_base(base, family):
    before = logits(base, 2)
    name = base.attach(family[1].adapter)
    with mixed(base.model, [PLAIN, name]):
        assert torch.equal(logits(base, 2)[0], before[0])


def test_model_is_as_before_also_after_an_exception(base, family):
    names = [base.attach(variant.adapter) for variant in family]
    before = logits(base, 1)
    with pytest.raises(RuntimeError, match="inside"), mixed(base.model, names):
        raise RuntimeError("inside")
    assert torch.equal(logits(base, 1), before)


def test_plain_lora_can_be_mixed_and_dora_cannot(base, family, make_adapter):
    assert mixable(base.model, [PLAIN])
    plain, dora = base.attach(family[1].adapter), base.attach(make_adapter("gpt_neox", family[0].base, 5, use_dora=True))
    assert mixable(base.model, [PLAIN, plain])
    assert not mixable(base.model, [PLAIN, plain, dora])
