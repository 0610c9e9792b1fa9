"""How a run ends when something breaks: a sentence, a way out, and nothing lost."""

import errno
import json

import pytest
import torch

from training_jobs import worker
from training_jobs.jobs import read_run, write_json


@pytest.fixture
def folder(isolated):
    path = isolated / "runs" / "broken"
    path.mkdir(parents=True)
    write_json(path / "spec.json", {"kind": "break"})
    return path


def ended(folder, monkeypatch, error):
    def work(_spec, _status):
        raise error

    monkeypatch.setitem(worker.KINDS, "break", work)
    assert worker.main(folder) == 1
    return read_run("broken")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (MemoryError(), "The memory did not suffice"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "The memory did not suffice"),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: not enough memory: you tried ..."), "The memory did not"),
        (OSError(errno.ENOSPC, "No space left on device"), "The disk is full"),
        (RuntimeError("[enforce fail at inline_container.cc] . PytorchStreamWriter failed: No space left on device"), "The disk is full"),
        (ValueError("seven"), "Something broke (ValueError: seven)"),
    ],
)
def test_what_breaks_is_a_sentence_with_a_way_out(folder, monkeypatch, error, sentence):
    run = ended(folder, monkeypatch, error)
    assert run.state == "failed"
    assert run.error.startswith(sentence)


def test_torch_really_says_so_when_the_memory_does_not_suffice():
    with pytest.raises(RuntimeError) as found:
        torch.empty(2**60)
    assert worker.reason(found.value).startswith("The memory did not suffice")


def test_a_status_that_cannot_be_written_does_not_end_the_run(folder, monkeypatch):
    status = worker.Status(folder)
    before = json.loads((folder / "status.json").read_text())

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(worker, "write_json", full)
    status.tell(done=5)
    assert json.loads((folder / "status.json").read_text()) == before
    monkeypatch.undo()
    status.end("done")
    assert json.loads((folder / "status.json").read_text())["done"] == 5


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="needs /dev/full")
def test_a_full_disk_while_metrics_are_written_is_named(folder, monkeypatch):
    """A real one: the kernel's device on which every write says that there is no space."""
    (folder / "metrics.jsonl").symlink_to("/dev/full")

    def work(_spec, status):
        from detox_core.train.progress import METRICS, append_line

        append_line(status.folder / METRICS, {"step": 1})

    monkeypatch.setitem(worker.KINDS, "break", work)
    assert worker.main(folder) == 1
    assert read_run("broken").error.startswith("The disk is full")
