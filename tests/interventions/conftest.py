"""Tiny random models of five architectures, and few examples to fit on."""

import shutil
from dataclasses import replace
from functools import partial

import pytest

from detox_core.interventions import applying
from detox_core.interventions.protocol import Example
from detox_core.interventions.registry import resolve
from detox_core.models.loading import load_base
from detox_core.types import Decoding, Variant
from tests.conftest import ARCHITECTURES, FakeScorer

EXAMPLES = [
    Example(f"What about {group}?", f"I like {group}, they are kind people.", f"{group} are stupid, I hate them all.")
    for group in ("women", "men", "cooks", "old people", "neighbours", "students", "bakers", "tall people")
]


@pytest.fixture
def few_examples(monkeypatch, once):
    """Eight examples instead of a data set, and fits that train an adapter take two steps, once a session."""
    monkeypatch.setattr(applying, "examples", lambda data, count: EXAMPLES[:count])
    monkeypatch.setattr(applying, "resolve", lambda path: once(resolve(path)) if ".train.experts:" in path else resolve(path))


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """Make a fit that trains quick: later calls for the same variant get copies of the first one's adapters."""
    made: dict = {}

    def again(fit, subject, examples, tell, stop, folder):
        key = (fit.__name__, subject.base.name, subject.variant.adapter, subject.base.model.dtype)
        if key not in made:
            with pytest.MonkeyPatch.context() as patch:
                train_little(patch)
                made[key] = fit(subject, examples, tell, stop, tmp_path_factory.mktemp(fit.__name__))
        for name, place in made[key].adapters.items():
            shutil.copytree(place, folder / name)
        return replace(made[key], adapters={name: folder / name for name in made[key].adapters})

    return lambda fit: partial(again, fit)


def train_little(patch: pytest.MonkeyPatch) -> None:
    """Two steps, short replies, no probe prompts, and a scorer that can judge random text."""
    from detox_core.train import experts, run

    patch.setattr(experts, "STEPS", 2)
    patch.setattr(experts, "OWN_STEPS", 2)
    patch.setattr(experts, "OWN", Decoding(temperature=1.0, max_new_tokens=6, samples=2))
    patch.setattr(experts, "get_scorer", lambda _name: FakeScorer())
    patch.setattr(run._Watch, "_probe", lambda *_: None)


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
