"""The result files of RewardLM (Scalena et al. 2023): replies with the scores of RoBERTa and of Perspective."""

from pathlib import Path

import pandas as pd

from detox_core.errors import BadInput

COLUMNS = {"prompts": "prompt", "responses": "reply", "response_score": "roberta", "pro_API_response_score": "perspective"}


def read_rewardlm(folder: Path) -> pd.DataFrame:
    """All replies of all result files of a folder (`*measured_tox*.csv`, gzip or not).

    Returns:
        Columns `file`, `prompt`, `reply`, `roberta`, `perspective`; scores in [0, 1], NaN = not scored (written -1 or empty there).

    Raises:
        BadInput: no such file in the folder, or one without the columns; names it.
    """
    paths = sorted([*folder.glob("*measured_tox*.csv"), *folder.glob("*measured_tox*.csv.gz")])
    if not paths:
        raise BadInput(f"{folder} holds no result file of RewardLM (*measured_tox*.csv or .csv.gz).")
    parts = []
    for path in paths:
        table = pd.read_csv(path)
        missing = sorted(set(COLUMNS) - set(table))
        if missing == ["pro_API_response_score"]:
            continue  # runs that Perspective never judged
        if missing:
            raise BadInput(f"{path} has no column {missing[0]!r}.")
        parts.append(table[list(COLUMNS)].rename(columns=COLUMNS).assign(file=path.name.split(".csv")[0]))
    replies = pd.concat(parts, ignore_index=True)
    replies["reply"] = replies["reply"].fillna("")
    for name in ("roberta", "perspective"):
        replies[name] = replies[name].where(replies[name].between(0, 1))
    return replies
