"""Which texts an English scorer cannot judge, and why. Standard library only."""

import unicodedata


def unscorable(text: str) -> str | None:
    """Why an English scorer cannot judge this text; None if it can."""
    if not text.strip():
        return "empty"
    letters = [character for character in text if character.isalpha()]
    if not letters:
        return "no letters"
    latin = sum(unicodedata.name(character, "").startswith("LATIN") for character in letters)
    return None if latin > len(letters) / 2 else "mostly not in Latin script"
