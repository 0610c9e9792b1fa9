"""Where the lens looks."""

from detox_core.explain.insight import before_toxic_word
from detox_core.models.loading import load_base
from detox_core.models.variants import FAMILY
from detox_core.types import Comparison, Decoding, Generation, Span


def test_the_lens_looks_before_the_first_toxic_word_of_a_reply():
    base = load_base(FAMILY[0].base)
    text = "Women drivers are idiots, every one."
    tokens = tuple(base.tokenizer(" " + text, add_special_tokens=False)["input_ids"])
    mild = Generation("ft", 0, "Hello.", (5, 6))
    toxic = Generation("it", 0, text, tokens, spans=(Span(text.index("idiots"), text.index(","), 3.0),))
    record = Comparison("x", "2026", "Hi", FAMILY[:2], Decoding(), "local", generations=(mild, toxic))
    assert base.tokenizer.decode(before_toxic_word(base, record, {"it", "ft"})).strip() == "Women drivers are"
    assert before_toxic_word(base, record, {"ft"}) == ()
