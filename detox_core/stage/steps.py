"""A stage: recorded comparisons in the order they are shown, as one file that needs no model. Imports no torch."""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from detox_core.errors import BadInput
from detox_core.interventions.registry import check_interventions
from detox_core.request import Request
from detox_core.types import Comparison, Score, nan_to_none

FORMAT = "detox-lens-stage"
VERSION = 1
DIGITS = 4  # of a share that is kept
View = Literal["answers", "why"]


@dataclass(frozen=True, slots=True)
class Words:
    """What `Explanation.merged("words")` gives, kept: which words an answer hangs on.

    Attributes:
        answer_of: who wrote the answer.
        texts: every word, prompt first.
        prompt: how many of them belong to the prompt.
        own: per prompt word, whether it is the person's and not the chat format's.
        matrix: shares (words, answer words); columns sum to 1.
    """

    answer_of: str
    texts: tuple[str, ...]
    prompt: int
    own: tuple[bool, ...]
    matrix: tuple[tuple[float, ...], ...]

    def merged(self, _unit: str = "words") -> tuple[list[str], int, list[bool], tuple[tuple[float, ...], ...]]:
        """As `Explanation.merged`; there are only words."""
        return list(self.texts), self.prompt, list(self.own), self.matrix


@dataclass(frozen=True, slots=True)
class RecordedWhy:
    """A `Why` kept with its step: every variant in one of the two.

    Attributes:
        explanations: by variant id, of its own answer.
        errors: variant id -> sentence, for variants that could not be explained.
    """

    explanations: dict[str, Words]
    errors: dict[str, str]
    answer_of: None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step: a comparison with everything that is shown of it.

    Attributes:
        note: what the presenter wants to say.
        view: what it opens with.
        why: which words the answers hang on, once that is recorded.
    """

    comparison: Comparison
    note: str = ""
    view: View = "answers"
    why: RecordedWhy | None = None

    def request(self, *, research: bool | None = None) -> Request:
        """The same once more, live.

        Raises:
            BadInput: it has an intervention that is not allowed here, see `check_interventions`.
        """
        one = self.comparison
        for variant in one.variants:
            check_interventions(variant.interventions, allowed=research)
        return Request(one.prompt, one.variants, one.decoding, one.scorer)

    def unrecorded(self) -> list[str]:
        """Labels of the columns that the recording has no reply of."""
        return [variant.label for variant in self.comparison.variants if not self.comparison.of(variant.id)]


@dataclass(frozen=True, slots=True)
class Stage:
    """Steps in order; a comparison comes at most once. Changing one gives another."""

    title: str = "My stage"
    steps: tuple[Step, ...] = ()

    def place(self, comparison_id: str) -> int | None:
        """Which step a comparison is, from 0; None = it is not here."""
        return next((at for at, step in enumerate(self.steps) if step.comparison.id == comparison_id), None)

    def add(self, step: Step, at: int | None = None) -> "Stage":
        """With one more step, at the end or before another; unchanged if its comparison is here already."""
        if self.place(step.comparison.id) is not None:
            return self
        at = len(self.steps) if at is None else at
        return replace(self, steps=(*self.steps[:at], step, *self.steps[at:]))

    def remove(self, comparison_id: str) -> "Stage":
        """Without a step."""
        return replace(self, steps=tuple(step for step in self.steps if step.comparison.id != comparison_id))

    def move(self, comparison_id: str, by: int) -> "Stage":
        """With a step earlier (by < 0) or later, at most to either end."""
        at = self.place(comparison_id)
        if at is None:
            return self
        return self.remove(comparison_id).add(self.steps[at], min(max(0, at + by), len(self.steps) - 1))

    def change(self, comparison_id: str, **fields: Any) -> "Stage":
        """With other fields of a step, for example its note."""
        return replace(self, steps=tuple(replace(s, **fields) if s.comparison.id == comparison_id else s for s in self.steps))

    def to_json(self) -> str:
        """The whole stage as the text of a file."""
        steps = [{**nan_to_none(asdict(step)), "comparison": step.comparison.to_dict()} for step in self.steps]
        return json.dumps({"format": FORMAT, "version": VERSION, "title": self.title, "steps": steps}, ensure_ascii=False)


def record_why(found: Any) -> RecordedWhy:
    """The words of a `Why` over each variant's own answer, to be kept."""
    explanations = {}
    for name, explanation in found.explanations.items():
        texts, prompt, own, matrix = explanation.merged("words")
        shares = tuple(tuple(round(float(value), DIGITS) for value in line) for line in matrix)
        explanations[name] = Words(explanation.answer_of, tuple(texts), prompt, tuple(own), shares)
    return RecordedWhy(explanations, dict(found.errors))


def read_stage(text: str | bytes, name: str = "The file") -> Stage:
    """A stage from the text of its file.

    Raises:
        BadInput: it is no stage, of another version, or one of its steps is damaged; names the step.
    """
    try:
        data = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{name} is not a stage: it is no JSON ({error}). Take a file that was exported on the page Stage.") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT or not isinstance(data.get("steps"), list):
        raise BadInput(f"{name} is not a stage. Take a file that was exported on the page Stage.")
    if data.get("version") != VERSION:
        raise BadInput(f"{name} has version {data.get('version')!r} of the format; this program reads version {VERSION}. Export it anew.")
    stage = Stage(str(data.get("title", "")) or Stage().title)
    for number, given in enumerate(data["steps"], start=1):
        try:
            step = _step(given)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
            raise BadInput(f"{name}: step {number} is damaged: {_told(error)}. Export it anew, or take the step out.") from error
        if (first := stage.place(step.comparison.id)) is not None:
            raise BadInput(f"{name}: step {number} is the same comparison as step {first + 1}. Take one of them out.")
        stage = stage.add(step)
    try:
        stage.to_json().encode()
    except UnicodeEncodeError as error:
        raise BadInput(f"{name} has half a character in one of its texts. Export it anew.") from error
    return stage


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not allowed")


def _step(given: Any) -> Step:
    from pydantic import TypeAdapter  # a tenth of a second, and only files need it

    if not isinstance(given, dict) or not isinstance(given.get("comparison"), dict):
        raise ValueError("it has no comparison")
    comparison = asdict(Comparison.from_dict(given["comparison"]))
    step = TypeAdapter(Step).validate_python({**given, "comparison": comparison})
    if problem := next(_problems(step), None):
        raise ValueError(problem)
    return step


def _problems(step: Step) -> Iterator[str]:
    """What the types alone do not say."""
    one = step.comparison
    ids = [variant.id for variant in one.variants]
    if not one.id or not ids or len(set(ids)) < len(ids):
        yield "it needs an id, and at least one variant, none of them twice"
    if strangers := {reply.variant for reply in one.generations} - set(ids):
        yield f"it has a reply of {sorted(strangers)[0]!r}, which is no column"
    for score in (one.prompt_score, *(reply.score for reply in one.generations)):
        if isinstance(score, Score) and not (math.isnan(score.value) or 0 <= score.value <= 1):
            yield f"a score is {score.value}, not between 0 and 1"
    if step.why is None:
        return
    if set(ids) - {*step.why.explanations, *step.why.errors}:
        yield "the explanation of a column is missing"
    for words in step.why.explanations.values():
        answer = len(words.texts) - words.prompt
        shapes = {len(line) for line in words.matrix}
        if len(words.own) != words.prompt or answer < 1 or len(words.matrix) != len(words.texts) or shapes != {answer}:
            yield "an explanation does not fit its words"
        if not one.of(words.answer_of):
            yield f"it explains an answer of {words.answer_of!r}, which is not there"


def _told(error: Exception) -> str:
    """The first thing that is wrong, in a few words."""
    if isinstance(error, KeyError):
        return f"{error.args[0]!r} is missing"
    if errors := getattr(error, "errors", None):  # pydantic's
        first = errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg'][:1].lower()}{first['msg'][1:]}"
    return str(error)
