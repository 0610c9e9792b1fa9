"""The result files of RewardLM (Scalena et al. 2023): replies with the scores of RoBERTa and of Perspective."""

from pathlib import Path

import pandas as pd

from detox_core.errors import BadInput

COLUMNS = {"prompts": "prompt", "responses": "reply", "response_score": "roberta", "pro_API_response_score": "perspective"}
PROMPT_SCORE = {"prompt_score": "prompt_roberta"}  # of the prompt in its chat template; old files lack it
UNWRITTEN = ("", "NA", "N/A", "NaN", "nan", "None", "null")  # how a missing number was written


def read_rewardlm(folder: Path) -> pd.DataFrame:
    """All replies of all result files of a folder (`*measured_tox*.csv`, gzip or not).

    Returns:
        Columns `file`, `row` (place in its file), `prompt`, `reply`, `roberta`, `perspective`, `prompt_roberta`; scores in [0, 1],
        NaN = not scored (written -1 or empty there).

    Raises:
        BadInput: no such file in the folder, or one that is no table, lacks a column or has text for a score; names it.
    """
    paths = sorted([*folder.glob("*measured_tox*.csv"), *folder.glob("*measured_tox*.csv.gz")])
    if not paths:
        raise BadInput(f"{folder} holds no result file of RewardLM (*measured_tox*.csv or .csv.gz).")
    parts = [part for part in map(_read_file, paths) if part is not None]
    columns = [*COLUMNS.values(), *PROMPT_SCORE.values(), "file", "row"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _read_file(path: Path) -> pd.DataFrame | None:
    try:
        # All as text: a reply such as "None" is a reply.
        table = pd.read_csv(path, encoding="utf-8-sig", dtype=str, keep_default_na=False)
    except (ValueError, OSError, EOFError) as error:
        raise BadInput(f"{path} is no table: {error}") from error
    missing = sorted(set(COLUMNS) - set(table))
    if missing == ["pro_API_response_score"]:
        return None  # a run that Perspective never judged
    if missing:
        raise BadInput(f"{path} has no column {missing[0]!r}.")
    table = table.reindex(columns=[*COLUMNS, *PROMPT_SCORE], fill_value="").rename(columns=COLUMNS | PROMPT_SCORE)
    for name in ("roberta", "perspective", "prompt_roberta"):
        table[name] = _scores(table[name], path)
    return table.assign(file=path.name.split(".csv")[0], row=range(len(table)))


def _scores(column: pd.Series, path: Path) -> pd.Series:
    values = pd.to_numeric(column, errors="coerce")
    wrong = values.isna() & ~column.str.strip().isin(UNWRITTEN)
    if wrong.any():
        raise BadInput(f"{path} has {column[wrong].iloc[0]!r} for a score in row {int(wrong.idxmax())}.")
    return values.where(values.between(0, 1))
