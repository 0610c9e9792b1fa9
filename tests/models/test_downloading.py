"""Models by their Hub id, from a Hub that this test serves: the real client, its protocol, no network."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlparse

import pytest
from huggingface_hub import constants

from detox_core.errors import ModelError
from detox_core.models.downloading import telling
from detox_core.models.loading import load_base
from detox_core.request import Request
from detox_core.service import Service
from detox_core.types import Decoding, Variant

NAME, COMMIT = "somebody/tiny", "c0ffee" + 34 * "0"
LONG = 60  # seconds; reached only when something hangs


class Hub(ThreadingHTTPServer):
    """One repository. Weights are sent halfway until `open` is set."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.folder, self.open, self.asked = folder, threading.Event(), []
        self.open.set()


class Answer(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self):
        self.answer(False)

    def do_GET(self):
        self.answer(True)

    def answer(self, body: bool) -> None:
        path = urlparse(self.path).path
        files = {file.name: file.read_bytes() for file in self.server.folder.iterdir()}
        self.server.asked.append(path)
        if path == f"/api/models/{NAME}/revision/main":
            self.send(json.dumps({"id": NAME, "sha": COMMIT}).encode(), body)
        elif path == f"/api/models/{NAME}/tree/{COMMIT}":
            listed = [{"type": "file", "path": name, "size": len(data), "oid": digest(data)} for name, data in files.items()]
            self.send(json.dumps(listed).encode(), body)
        elif path.startswith(f"/{NAME}/resolve/{COMMIT}/"):
            self.send(files[path.rpartition("/")[2]], body, path.endswith(".safetensors"))
        else:
            self.send_error(404)

    def send(self, data: bytes, body: bool, held: bool = False) -> None:
        self.send_response(200)
        headers = {"Content-Length": str(len(data)), "ETag": f'"{digest(data)}"', "X-Repo-Commit": COMMIT}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(data[: len(data) // 2])
            assert not held or self.server.open.wait(LONG)
            self.wfile.write(data[len(data) // 2 :])

    def log_message(self, *_):
        pass


def digest(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


@pytest.fixture
def hub(make_base, tmp_path, monkeypatch) -> Iterator[Hub]:
    served = Hub(Path(make_base("llama", 3)))
    address = f"http://127.0.0.1:{served.server_port}"
    threading.Thread(target=served.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 10_000)  # bytes: the progress moves with every chunk
    yield served
    served.shutdown()


def test_model_is_downloaded_once_and_says_how_far_it_is(hub):
    told = []
    with telling(told.append):
        load_base(NAME)
    assert len(told) > 3
    assert told[-1] == f"downloading {NAME}: megabyte 0 of 0"
    hub.asked.clear()
    load_base(NAME)
    assert hub.asked == []


def test_nobody_who_listens_is_needed(hub):
    assert load_base(NAME).fingerprints[NAME]


def test_stopped_download_is_told_and_goes_on_later(hub):
    hub.open.clear()
    service = Service()
    variant = Variant("tiny", "Tiny", NAME, template="plain")
    job = service.submit(Request("Hello", (variant,), Decoding(max_new_tokens=4)))
    while not job.phase.startswith("downloading"):
        assert not job.finished.wait(0.05)
        job.watch()
    service.stop(job)
    hub.open.set()
    assert job.finished.wait(LONG)
    assert job.comparison.errors == {"tiny": "Stopped before it was loaded."}
    again = service.submit(Request("Hello", (variant,), Decoding(max_new_tokens=4)))
    assert again.finished.wait(LONG)
    assert again.comparison.errors == {}
    assert len(again.comparison.generations) == 1


def test_name_that_the_hub_does_not_know_is_told(hub):
    with pytest.raises(ModelError, match=r"'nobody/nothing' is not a folder, and the Hub did not give it"):
        load_base("nobody/nothing")
