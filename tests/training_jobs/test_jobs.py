"""Runs as processes and folders, with a worker that does next to nothing."""

import json
import os
import signal
import time

import psutil
import pytest

from detox_core.errors import BadInput
from detox_core.measure.measurement import NAME, read_measurement
from detox_core.train.spec import METHODS, spec_from
from training_jobs import jobs
from training_jobs.jobs import read_run, resume, runs, stop, submit

WAIT = 120


def until(run: str, *states: str) -> jobs.Run:
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        now = read_run(run)
        if now.state in states:
            return now
        time.sleep(0.1)
    pytest.fail(f"{read_run(run)}\n{jobs.tail(read_run(run).folder)}")


def begun(run: jobs.Run) -> int:
    """Wait until the worker lives; its process number."""
    deadline = time.monotonic() + WAIT
    while "pid" not in jobs.read_status(run.folder) and time.monotonic() < deadline:
        time.sleep(0.05)
    return int(jobs.read_status(run.folder)["pid"])


@pytest.fixture
def spec(family, tmp_path):
    """A measurement of tiny models over four prompts, with the embedded scorer."""
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps({"text": f"prompt {n}"}) + "\n" for n in range(4)))
    decoding = {"max_new_tokens": 4}
    return {"dataset": str(tmp_path / "prompts.jsonl"), "variants": [family[0].base], "scorers": ["second"], "decoding": decoding}


def test_a_run_ends_with_its_file_and_is_listed(spec):
    run = submit("measure", spec, "My own/../prompts!")
    assert run.id.endswith("-my-own-prompts")
    assert run.active
    done = until(run.id, *jobs.ENDED)
    assert (done.state, done.done, done.total, done.unit) == ("done", 4, 4, "prompts"), done.error
    assert len(read_measurement(run.folder / NAME)[1]) == 4
    assert [found.id for found in runs("measure")] == [run.id]
    assert runs("train") == []
    with pytest.raises(BadInput, match="is done"):
        resume(done)


def test_what_goes_wrong_is_a_sentence_and_resume_tries_again(spec, tmp_path):
    path = tmp_path / "prompts.jsonl"
    text = path.read_text()
    path.unlink()
    run = submit("measure", spec, "gone")
    failed = until(run.id, *jobs.ENDED)
    assert failed.state == "failed"
    assert "There is no data set" in failed.error
    path.write_text(text)
    resume(failed)
    assert until(run.id, *jobs.ENDED).state == "done"


def test_a_killed_run_is_crashed_and_goes_on(spec):
    run = submit("measure", spec, "killed")
    os.kill(begun(run), signal.SIGKILL)
    crashed = until(run.id, "crashed")
    assert "The process is gone" in crashed.error
    resume(crashed)
    assert until(run.id, *jobs.ENDED).state == "done"


def test_only_one_run_works_at_a_time_and_a_waiting_one_can_be_stopped(spec, isolated):
    from filelock import FileLock

    (isolated / "runs").mkdir(parents=True)
    with FileLock(isolated / "runs" / ".working.lock"):
        run = submit("measure", spec, "waits")
        begun(run)
        assert read_run(run.id).state == "queued"
        stop(run)
        assert read_run(run.id).state == "stopping"
        assert until(run.id, *jobs.ENDED).state == "stopped"


def test_a_worker_that_does_not_listen_is_ended(spec, isolated):
    from filelock import FileLock

    (isolated / "runs").mkdir(parents=True)
    with FileLock(isolated / "runs" / ".working.lock"):
        run = submit("measure", spec, "deaf")
        pid = begun(run)
        os.kill(pid, signal.SIGSTOP)
        stop(run)
        os.utime(run.folder / "stop", (time.time() - 60, time.time() - 60))
        stop(run)
        assert read_run(run.id).state == "stopped"
        assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_another_process_with_the_same_number_is_not_the_worker(isolated):
    folder = isolated / "runs" / "old"
    folder.mkdir(parents=True)
    jobs.write_json(folder / "spec.json", {"kind": "measure"})
    jobs.write_json(folder / "status.json", {"state": "running", "pid": os.getpid(), "created": 1.0})
    assert read_run("old").state == "crashed"


@pytest.mark.parametrize("name", ["nothing", "../etc", ""])
def test_an_unknown_run_is_a_sentence(name):
    with pytest.raises(BadInput, match="There is no run"):
        read_run(name)


def test_time_left_does_not_count_what_was_done_before():
    run = jobs.Run("a", jobs.runs_folder(), {}, "running", done=60, before=40, total=100, seconds=10)
    assert run.left == pytest.approx(20)
    assert jobs.Run("a", jobs.runs_folder(), {}, "running", total=100, seconds=10).left is None


@pytest.mark.parametrize("method", METHODS)
def test_every_size_is_a_spec_of_its_method(method):
    sizes = jobs.presets(method)
    assert next(iter(sizes)) == "smoke"
    assert ("paper" in sizes) == (method in ("sft", "ppo"))
    for settings in sizes.values():
        spec_from({"name": "x", "method": method, **settings})


def test_the_memory_a_run_holds_is_told(spec):
    run = submit("measure", spec, "held")
    assert until(run.id, *jobs.ENDED).memory > 2**26
