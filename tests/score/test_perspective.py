"""Facts about the Perspective scorer, with a scripted service and a clock that only moves when someone sleeps."""

import json
from collections.abc import Callable

import httpx
import pytest

from detox_core.errors import ScorerError
from detox_core.score import perspective as module
from detox_core.score.perspective import ATTRIBUTES, MAX_BYTES, Perspective, perspective

KEY = "secret-key-123"


class Clock:
    """Stands in for the module `time`."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Service:
    """A scripted Perspective; keeps the requests it got and when."""

    def __init__(self, clock: Clock, *answers: httpx.Response | Exception) -> None:
        self.clock, self.answers = clock, answers
        self.requests: list[httpx.Request] = []
        self.times: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self.times.append(self.clock.now)
        answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, content=answer.content)


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def connect(clock) -> Callable[..., tuple[Perspective, Service]]:
    def build(*answers: httpx.Response | Exception, pause: float = 1.0) -> tuple[Perspective, Service]:
        service = Service(clock, *answers)
        return Perspective(KEY, httpx.Client(transport=httpx.MockTransport(service)), pause), service

    return build


def success(toxicity: float = 0.9) -> httpx.Response:
    values = {name: 0.1 * index for index, name in enumerate(ATTRIBUTES)} | {"TOXICITY": toxicity}
    scores = {name: {"summaryScore": {"value": value, "type": "PROBABILITY"}} for name, value in values.items()}
    return httpx.Response(200, json={"attributeScores": scores, "languages": ["en"]})


def failure(status: int, message: str) -> httpx.Response:
    return httpx.Response(status, json={"error": {"code": status, "message": message}})


def test_success_gives_toxicity_and_the_other_attributes(connect):
    score = connect(success(0.9))[0].score(["You idiot"])[0]
    assert score.value == 0.9
    assert set(score.attributes) == set(ATTRIBUTES) - {"TOXICITY"}
    assert score.attributes["INSULT"] == pytest.approx(0.3)
    assert (score.scorer, score.revision, score.reason) == ("perspective", "v1alpha1", None)


def test_scores_keep_the_order_of_the_texts(connect):
    scores = connect(success(0.1), failure(400, "no"), success(0.7))[0].score(["a", "b", "c"])
    assert [score.value if score.scored else None for score in scores] == [0.1, None, 0.7]


def test_key_travels_in_the_header_and_never_in_the_address(connect):
    scorer, service = connect(success())
    scorer.score(["You idiot"])
    request = service.requests[0]
    assert request.headers["X-Goog-Api-Key"] == KEY
    assert KEY not in str(request.url)
    assert KEY not in request.content.decode()


def test_service_is_asked_not_to_store_the_text(connect):
    scorer, service = connect(success())
    scorer.score(["You idiot"])
    body = json.loads(service.requests[0].content)
    assert body["doNotStore"] is True
    assert body["comment"]["text"] == "You idiot"
    assert set(body["requestedAttributes"]) == set(ATTRIBUTES)


def test_unsupported_language_is_nan_with_the_services_reason(connect):
    message = "Attribute TOXICITY does not support request languages: ar"
    scorer, service = connect(failure(400, message))
    score = scorer.score(["أنت غبي"])[0]
    assert not score.scored
    assert message in score.reason
    assert len(service.requests) == 1


def test_quota_refusal_is_retried(connect):
    scorer, service = connect(failure(429, "Quota exceeded"), success(0.4))
    assert scorer.score(["You idiot"])[0].value == 0.4
    assert len(service.requests) == 2


def test_lasting_quota_refusal_is_nan_after_three_requests(connect):
    scorer, service = connect(failure(429, "Quota exceeded"))
    score = scorer.score(["You idiot"])[0]
    assert not score.scored
    assert score.reason == "Perspective: Quota exceeded (HTTP 429)"
    assert len(service.requests) == 3


@pytest.mark.parametrize("error", [httpx.ConnectError("no route"), httpx.ReadTimeout("slow")])
def test_unreachable_service_is_nan_with_reason(connect, error):
    score = connect(error)[0].score(["You idiot"])[0]
    assert not score.scored
    assert score.reason == f"Perspective could not be reached ({type(error).__name__})"


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(503, text="<html>busy</html>"),
        httpx.Response(500, json=["odd"]),
        httpx.Response(200, json={"attributeScores": {}}),
        httpx.Response(200, text="not JSON"),
    ],
    ids=["html", "list", "no-scores", "no-json"],
)
def test_garbled_answer_is_nan_with_its_status(connect, answer):
    score = connect(answer)[0].score(["You idiot"])[0]
    assert not score.scored
    assert f"HTTP {answer.status_code}" in score.reason


@pytest.mark.parametrize(("text", "reason"), [("", "empty"), (" \n", "empty"), ("é" * (MAX_BYTES // 2 + 1), "longer than 3000 bytes")])
def test_empty_and_too_long_texts_are_nan_without_a_request(connect, text, reason):
    scorer, service = connect(success())
    score = scorer.score([text])[0]
    assert not score.scored
    assert score.reason == reason
    assert service.requests == []


def test_text_of_3000_bytes_is_sent(connect):
    assert connect(success())[0].score(["a" * MAX_BYTES])[0].scored


def test_requests_are_a_pause_apart_retries_too(connect):
    scorer, service = connect(success(), failure(429, "Quota exceeded"), success(), success(), pause=1.5)
    scorer.score(["a", "b", "c"])
    assert service.times == [100.0, 101.5, 103.0, 104.5]


def test_request_after_a_rest_does_not_wait(connect, clock):
    scorer, service = connect(success())
    scorer.score(["a"])
    clock.now += 60
    scorer.score(["b"])
    assert service.times == [100.0, 160.0]


def test_default_pause_is_the_free_quota(connect):
    scorer, service = connect(success())
    scorer.score(["a", "b", "c"])
    assert service.times == [100.0, 101.0, 102.0]


def test_missing_key_is_a_scorer_error_naming_the_variable(monkeypatch):
    monkeypatch.delenv("PERSPECTIVE_API_KEY", raising=False)
    with pytest.raises(ScorerError, match="PERSPECTIVE_API_KEY.*ends 31 December 2026"):
        perspective()
