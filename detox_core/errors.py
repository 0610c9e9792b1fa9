"""Errors a person can act on. Their text says what failed, the value, and the way out."""


class DetoxError(Exception):
    """Anything the person at the keyboard can fix; pages and commands show its text and nothing else."""


class BadInput(DetoxError):
    """The request itself cannot be served: an empty prompt, an unknown name, a value out of range."""


class ModelError(DetoxError):
    """A model, adapter or tokenizer that is missing, damaged, refused, or does not fit."""


class ScorerError(DetoxError):
    """A scorer that cannot be loaded or reached."""
