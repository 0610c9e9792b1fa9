"""Chat formats: the text a model reads, and the tokenizer template that gives the same text."""

import pytest

from detox_core.errors import BadInput
from detox_core.models.templates import TEMPLATES, named_template


def test_redpajama_and_falcon_texts():
    assert named_template("redpajama").render("Hi") == "<human>: Hi\n<bot>:"
    assert named_template("falcon").render("Hi") == "### Question: Hi\n### Answer:"
    assert named_template("plain").render("Hi") == "Hi"


def test_unknown_template_lists_the_known_ones():
    with pytest.raises(BadInput, match=r"'nope'.*redpajama, falcon, chatml, plain"):
        named_template("nope")


@pytest.mark.parametrize("name", TEMPLATES)
def test_no_template_ends_with_a_space(name):
    assert not named_template(name).after.endswith(" ")


@pytest.mark.parametrize("name", ["redpajama", "falcon"])
def test_next_turn_is_how_a_second_turn_begins(name):
    template = named_template(name)
    assert ("\n" + template.render("Hi")).startswith(template.next_turn)


@pytest.mark.parametrize("prompt", ["Hi", "{{ 7 * 7 }} 'quoted' \"twice\" \\n\nnext {% raw %}"])
@pytest.mark.parametrize("name", TEMPLATES)
def test_jinja_gives_the_same_text(name, prompt, tokenizer):
    template = named_template(name)
    messages = [{"role": "user", "content": prompt}]
    assert tokenizer.apply_chat_template(messages, chat_template=template.jinja, tokenize=False) == template.render(prompt)
    answered = tokenizer.apply_chat_template(
        [*messages, {"role": "assistant", "content": "Yes."}], chat_template=template.jinja, tokenize=False
    )
    assert answered == f"{template.render(prompt)} Yes.{tokenizer.eos_token}"
