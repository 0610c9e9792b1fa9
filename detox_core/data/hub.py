"""Data sets from the Hugging Face Hub, only when one is asked for by name."""

from detox_core.data.tables import Table, of_rows
from detox_core.errors import BadInput


def read_hub(name: str, format: str, part: str = "train") -> Table:
    """The rows of one part of a Hub data set.

    Raises:
        BadInput: no network, no such data set, or no access; says how to read a local copy instead.
    """
    from datasets import load_dataset

    try:
        rows = load_dataset(name, split=part)
        return of_rows(name, [(number, dict(row)) for number, row in enumerate(rows, start=1)])
    except Exception as error:  # the library raises many kinds, from requests to its own
        reason = (str(error).splitlines() or [""])[0]
        raise BadInput(
            f"{name} could not be fetched from the Hub ({type(error).__name__}: {reason}). "
            f"With a network, leave HF_HUB_OFFLINE and --offline unset; without one, give a copy on disk as {format}:PATH."
        ) from error
