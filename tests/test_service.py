"""The line of jobs, the engine's thread, and what a failure leaves standing."""

import threading
from dataclasses import replace

import pytest

import detox_core.compare
import detox_core.models.variants
import detox_core.score
from detox_core.compare import Pool, compare
from detox_core.errors import ModelError
from detox_core.request import Request
from detox_core.score.registry import get_scorer
from detox_core.service import UNWATCHED_SECONDS, Job, Service
from detox_core.types import Decoding, Variant

DECODING = Decoding(seed=5, temperature=1.0, top_p=0.9, max_new_tokens=12)
LONG = 60  # seconds; reached only when something hangs


@pytest.fixture(autouse=True)
def embedded(monkeypatch, family, fake_scorer):
    """The tiny models in the place of the embedded family."""
    monkeypatch.setattr(detox_core.models.variants, "FAMILY", family)


class Gate:
    """The real engine, behind a gate: each job waits for `open`, and served prompts are written down."""

    def __init__(self) -> None:
        self.entered, self.permits, self.served = threading.Semaphore(0), threading.Semaphore(0), []

    def open(self, jobs: int = 100) -> None:
        self.permits.release(jobs)

    def __call__(self, request, *arguments):
        self.served.append(request.prompt)
        self.entered.release()
        assert self.permits.acquire(timeout=LONG)
        return compare(request, *arguments)


@pytest.fixture
def gate(monkeypatch):
    found = Gate()
    monkeypatch.setattr(detox_core.compare, "compare", found)
    yield found
    found.open()


def request(family: tuple[Variant, ...], prompt: str = "Hello") -> Request:
    return Request(prompt, family, DECODING)


def wait(*jobs: Job) -> None:
    for job in jobs:
        assert job.finished.wait(LONG), "the engine hangs"


def tokens(comparison) -> list[tuple]:
    return [(g.variant, g.tokens) for g in comparison.generations]


def test_a_job_is_served_from_start_to_end(family):
    told = []
    job = Service(told.append).submit(request(family))
    wait(job)
    assert (job.state, job.error, job.active) == ("done", None, False)
    assert tokens(job.comparison) == tokens(compare(request(family), Pool()))
    assert told == [job.comparison]


def test_first_come_first_served(family, gate):
    service = Service()
    jobs = [service.submit(request(family[:1], f"prompt {number}")) for number in range(5)]
    gate.open()
    wait(*jobs)
    assert gate.served == [f"prompt {number}" for number in range(5)]
    assert [job.comparison.prompt for job in jobs] == gate.served


def test_position_numbers(family, gate):
    service = Service()
    jobs = [service.submit(request(family[:1], f"prompt {number}")) for number in range(3)]
    assert gate.entered.acquire(timeout=LONG)
    assert [service.position(job) for job in jobs] == [0, 1, 2]
    assert [job.state for job in jobs] == ["running", "queued", "queued"]
    gate.open(1)
    assert gate.entered.acquire(timeout=LONG)
    assert [service.position(job) for job in jobs] == [0, 0, 1]
    last = service.submit(request(family[:1], "last"))
    assert service.position(last) == 2
    gate.open()
    wait(*jobs, last)
    assert [service.position(job) for job in jobs] == [0, 0, 0]


def test_outputs_of_two_jobs_at_once_do_not_mix(family, tuned):
    service = Service()
    requests = [request(family, "Hello you"), request((tuned, family[1]), "What of them?")] * 2
    jobs = [None] * 4
    submitters = [threading.Thread(target=lambda at=at: jobs.__setitem__(at, service.submit(requests[at]))) for at in range(4)]
    for submitter in submitters:
        submitter.start()
    for submitter in submitters:
        submitter.join()
    wait(*jobs)
    assert len({job.comparison.id for job in jobs}) == 4
    for job, asked in zip(jobs, requests, strict=True):
        assert job.comparison.prompt == asked.prompt
        assert tokens(job.comparison) == tokens(compare(asked, Pool()))


def test_stop_of_a_queued_job(family, gate):
    service = Service()
    first, second, third = (service.submit(request(family[:1], name)) for name in ("first", "second", "third"))
    assert gate.entered.acquire(timeout=LONG)
    service.stop(second)
    gate.open()
    wait(first, second, third)
    assert (second.state, second.comparison) == ("failed", None)
    assert "Stopped before it began" in second.error
    assert gate.served == ["first", "third"]
    assert (first.state, third.state) == ("done", "done")


def test_stop_of_a_running_job_before_its_first_token(family, gate):
    service = Service()
    job = service.submit(request(family))
    assert gate.entered.acquire(timeout=LONG)
    service.stop(job)
    gate.open()
    wait(job)
    assert job.state == "done"
    assert set(job.comparison.errors.values()) == {"Stopped before it began."}


@pytest.mark.parametrize("watched", [False, True])
def test_only_an_unwatched_job_is_stopped(family, gate, watched):
    job = Service().submit(request(family))
    assert gate.entered.acquire(timeout=LONG)
    job.watched -= UNWATCHED_SECONDS + 1
    if watched:
        job.watch()
    gate.open()
    wait(job)
    assert bool(job.comparison.errors) is not watched


def test_a_refused_request_fails_with_its_sentence_and_the_next_is_served(family):
    service = Service()
    bad, good = service.submit(request(family, "   ")), service.submit(request(family))
    wait(bad, good)
    assert (bad.state, bad.error) == ("failed", "The prompt is empty. Type a sentence first.")
    assert good.state == "done"


def test_an_engine_bug_fails_the_job_and_not_the_service(family, monkeypatch, capfd):
    def fail(asked, *arguments):
        if asked.prompt == "bug":
            raise ZeroDivisionError("in the engine")
        return compare(asked, *arguments)

    monkeypatch.setattr(detox_core.compare, "compare", fail)
    service = Service()
    bad, good = service.submit(request(family, "bug")), service.submit(request(family))
    wait(bad, good)
    assert bad.state == "failed"
    assert "ZeroDivisionError: in the engine" in bad.error
    assert "Traceback" in capfd.readouterr().err
    assert good.state == "done"


def test_a_bug_in_the_middle_of_decoding_does_not_change_the_next_answer(family, monkeypatch):
    service = Service()
    scored = detox_core.compare.judge

    def fail_once(*arguments):
        monkeypatch.setattr(detox_core.compare, "judge", scored)
        raise ZeroDivisionError

    monkeypatch.setattr(detox_core.compare, "judge", fail_once)
    bad, good = service.submit(request(family)), service.submit(request(family))
    wait(bad, good)
    assert (bad.state, good.state) == ("failed", "done")
    assert tokens(good.comparison) == tokens(compare(request(family), Pool()))


@pytest.mark.parametrize("error", [ModelError("damaged"), ZeroDivisionError("a bug")])
def test_a_warm_up_that_fails_does_not_stop_the_service(family, fake_scorer, monkeypatch, error):
    def fail(name="local"):
        raise error

    monkeypatch.setattr(detox_core.score, "get_scorer", fail)
    service = Service()
    job = service.submit(request(family))
    wait(job)
    assert service.ready
    assert job.state == "done"
    assert job.comparison.prompt_score.scorer == fake_scorer.id


def test_missing_embedded_family_is_told_to_who_asks_for_it(family, monkeypatch):
    missing = replace(family[0], base="/no/such/base")
    monkeypatch.setattr(detox_core.models.variants, "FAMILY", (missing,))
    service = Service()
    asked, other = service.submit(request((missing,))), service.submit(request(family))
    wait(asked, other)
    assert "/no/such/base" in asked.comparison.errors["it"]
    assert other.comparison.errors == {}


def test_a_listener_that_fails_does_not_stop_the_service(family):
    def fail(comparison):
        raise OSError(f"disk full at {comparison.prompt}")

    service = Service(fail)
    jobs = [service.submit(request(family)) for _ in range(2)]
    wait(*jobs)
    assert [job.state for job in jobs] == ["failed", "failed"]
    assert "disk full" in jobs[1].error


def test_warm_up_loads_the_family_and_memory_names_it(family):
    service = Service()
    assert service.memory() == []
    service.warm_up()
    job = service.submit(request(family[:1]))
    wait(job)
    assert service.ready
    (row,) = service.memory()
    assert (row["model"], row["adapters"]) == (family[0].base, 2)
    assert row["mib"] > 0
    assert "float32" in row["choice"]


def test_free_unloads_after_the_jobs_in_line_and_later_jobs_load_again(family, tuned):
    service = Service()
    first = service.submit(request((family[0], tuned)))
    service.free()
    second = service.submit(request(family[:1]))
    wait(first, second)
    assert (first.state, second.state) == ("done", "done")
    assert [row["model"] for row in service.memory()] == [family[0].base]


def test_free_unloads_the_scorers_too():
    before = get_scorer()
    service = Service()
    service.free()
    wait(service.run(lambda *_: None))
    assert get_scorer() is not before


def test_another_task_gets_the_models_and_its_result_is_kept():
    service = Service()
    job = service.run(lambda pool, on_phase, stop: (on_phase("thinking"), type(pool).__name__, stop.is_set())[1:])
    assert job.finished.wait(LONG)
    assert (job.state, job.phase, job.result) == ("done", "thinking", ("Pool", False))


def test_stopped_task_says_so():
    def task(pool, on_phase, stop):
        raise InterruptedError

    job = Service().run(task)
    assert job.finished.wait(LONG)
    assert (job.state, job.error) == ("failed", "Stopped.")


def test_presenter_is_served_before_the_audience_that_waits(family, gate):
    service = Service()
    phones = [service.submit(request(family[:1], f"phone {number}"), audience=True) for number in range(3)]
    assert gate.entered.acquire(timeout=LONG)
    presenter = [service.submit(request(family[:1], "first")), service.run(lambda *_: gate.served.append("task"))]
    assert [service.position(job) for job in (*phones, *presenter)] == [0, 3, 4, 1, 2]
    gate.open()
    wait(*phones, *presenter)
    assert gate.served == ["phone 0", "first", "task", "phone 1", "phone 2"]


def test_what_the_audience_asked_is_told_to_nobody(family):
    told = []
    service = Service(told.append)
    phone, presenter = service.submit(request(family[:1], "phone"), audience=True), service.submit(request(family[:1], "stage"))
    wait(phone, presenter)
    assert (phone.state, phone.comparison.prompt) == ("done", "phone")
    assert [comparison.prompt for comparison in told] == ["stage"]


def test_wait_is_the_place_times_what_the_last_jobs_took(family, gate):
    service = Service()
    assert service.wait(Job()) is None
    jobs = [service.submit(request(family[:1], f"prompt {number}")) for number in range(4)]
    gate.open(1)
    for _ in range(2):
        assert gate.entered.acquire(timeout=LONG)
    waits = [service.wait(job) for job in jobs]
    assert waits[:2] == [0, 0]
    assert 0 < waits[2] == waits[3] / 2
    gate.open()
    wait(*jobs)
