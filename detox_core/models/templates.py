"""How a person's words become the text a chat model was trained on. Imports nothing of the project but its errors."""

from dataclasses import dataclass

from detox_core.errors import BadInput


@dataclass(frozen=True)
class Template:
    """A named chat format for one user turn.

    Attributes:
        before: text before the user's words.
        after: text between the user's words and the reply. It ends without a space, because the space belongs to the
            first token of the reply (see `opening`); with it, tokenizers shift the boundary.
        next_turn: text that would start another user turn; a reply ends there.
    """

    before: str
    after: str
    next_turn: str | None

    def render(self, prompt: str) -> str:
        """The exact text the model reads for `prompt`."""
        return f"{self.before}{prompt}{self.after}"

    @property
    def jinja(self) -> str:
        """The same format as a `tokenizer.chat_template` for alternating user and assistant messages."""
        return (
            "{% for message in messages %}{% if message['role'] == 'user' %}"
            f"{{{{ {self.before!r} + message['content'] + {self.after!r} }}}}"
            "{% else %}{{ ' ' + message['content'] + eos_token }}{% endif %}{% endfor %}"
        )


TEMPLATES = {
    "redpajama": Template("<human>: ", "\n<bot>:", "\n<human>"),
    "falcon": Template("### Question: ", "\n### Answer:", "\n### Question"),
    "chatml": Template("<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n", "<|im_start|>"),
    "plain": Template("", "", None),
}


def opening(prompt: str) -> str:
    """What stands between a rendered prompt and the reply's first word: a space, unless the format ends the line."""
    return "" if prompt[-1:].isspace() else " "


def named_template(name: str) -> Template:
    """The template called `name`.

    Raises:
        BadInput: no such template; lists the known ones.
    """
    try:
        return TEMPLATES[name]
    except KeyError:
        raise BadInput(f"Unknown chat template {name!r}. Known: {', '.join(TEMPLATES)}, or none for the tokenizer's own.") from None
