"""Tiny random models of five architectures, and few examples to fit on."""

import pytest

from detox_core.interventions import applying
from detox_core.interventions.protocol import Example
from detox_core.models.loading import load_base
from detox_core.types import Variant
from tests.conftest import ARCHITECTURES

EXAMPLES = [
    Example(f"What about {group}?", f"I like {group}, they are kind people.", f"{group} are stupid, I hate them all.")
    for group in ("women", "men", "cooks", "old people", "neighbours", "students", "bakers", "tall people")
]


@pytest.fixture
def few_examples(monkeypatch):
    """Eight examples instead of a data set."""
    monkeypatch.setattr(applying, "examples", lambda data, count: EXAMPLES[:count])


@pytest.fixture(scope="session")
def changeable(make_base, make_adapter):
    """For each architecture a plain variant and one with an adapter."""
    found = {}
    for architecture in (*ARCHITECTURES, "mpt"):
        base = make_base(architecture)
        found[architecture] = (Variant("it", "IT", base), Variant("ft", "FT", base, make_adapter(architecture, base, 1)))
    return found


@pytest.fixture(params=(*ARCHITECTURES, "mpt"))
def each(request, changeable) -> tuple[Variant, Variant]:
    """The variants of every architecture in turn."""
    return changeable[request.param]


@pytest.fixture
def gpt2(changeable):
    """The two variants of GPT-2 and their base, loaded."""
    it, ft = changeable["gpt2"]
    return it, ft, load_base(*it.base_key)
