"""Foreign text inside Streamlit's labels and messages, which are Markdown."""

LITERAL = str.maketrans({character: f"\\{character}" for character in "\\`*_{}[]()<>#+-.!|$:~"})


def literal(text: str) -> str:
    """The text with everything escaped that Markdown would act on."""
    return text.replace("\n", " ").translate(LITERAL)
