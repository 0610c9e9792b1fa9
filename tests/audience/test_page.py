"""The phones' page over loopback: its typed API, and that the port gives access to nothing else."""

import json
import os
import socket

import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from audience import MAX_BYTES, lan_address, open_page
from detox_core.audience.room import Room
from detox_core.errors import BadInput
from detox_core.service import Service
from detox_core.store import Store
from tests.audience.conftest import free_port

FILES = ("/etc/passwd", "app.py", "audience.py", "cache/detox.sqlite3", "../app.py", "..%2Fapp.py", "%2e%2e/app.py", "http://127.0.0.1:1/")
DOORS = ("file={}", "gradio_api/file={}", "gradio_api/file/{}", "gradio_api/proxy={}", "static/{}", "assets/{}", "assets/../../{}", "{}")
ELSEWHERE = (
    *("/_stcore/health", "/_stcore/stream", "/component", "/train", "/settings", "/results", "/media/x.png", "/svelte/x.js", "/docs"),
    *("/openapi.json", "/gradio_api/openapi.json", "/gradio_api/run/answer", "/gradio_api/api/answer", "/gradio_api/call/v2/answer"),
    *("/gradio_api/upload", "/gradio_api/upload_progress", "/gradio_api/component_server", "/gradio_api/run-history/buckets"),
    *("/gradio_api/vibe-edit", "/gradio_api/vibe-code", "/gradio_api/deep_link", "/gradio_api/mcp", "/gradio_api/process_recording"),
    *("/monitoring", "/monitoring/summary", "/login", "/gradio_api/token", "/gradio_api/dev/reload", "/gradio_api/stream/x"),
    *("/gradio_api/call/pick", "/gradio_api/call/look", "/gradio_api/runs", "/gradio_api/profiling/traces"),
)


@pytest.fixture
def address(room):
    served = open_page(room, free_port(), "127.0.0.1")
    yield served.address
    served.close()


@pytest.fixture(scope="module")
def door(families, tmp_path_factory):
    """The address of a page that is only knocked at."""
    room = Room(Service(), Store(tmp_path_factory.mktemp("door")), families["gpt_neox"])
    room.rules.prompts = ()
    served = open_page(room, free_port(), "127.0.0.1")
    yield served.address
    served.close()


@pytest.fixture
def client(address, tmp_path):
    made = Client(address, verbose=False, analytics_enabled=False, download_files=str(tmp_path))
    yield made
    made.close()


def test_typed_api_works_as_in_the_readme(client, room):
    prompt = client.predict(api_name="/prompts")[0]
    answers = client.predict(prompt, api_name="/answer")
    reveal = client.predict("B", api_name="/vote")
    assert prompt == "Hello you"
    comparison = next(iter(room._curated.values())).comparison
    texts = {variant.label: comparison.of(variant.id)[0].text for variant in room.variants}
    assert {reveal[letter]["variant"]: text for letter, text in answers.items()} == texts
    assert all(0 <= reveal[letter]["score"] <= 1 for letter in "ABC")
    (vote,) = room.store.votes()
    assert (vote.letter, vote.variant) == ("B", reveal["B"]["variant"].lower())


def test_refusals_reach_a_program_as_sentences(client):
    for arguments, name, sentence in (
        (("Not on the list",), "/answer", "Pick one from the list"),
        (("",), "/answer", "empty"),
        (("A",), "/vote", "nothing to vote on"),
    ):
        with pytest.raises(AppError, match=sentence):
            client.predict(*arguments, api_name=name)


def test_two_clients_are_two_visitors(address, room, tmp_path):
    clients = [Client(address, verbose=False, analytics_enabled=False, download_files=str(tmp_path)) for _ in range(2)]
    for client in clients:
        client.predict("Hello you", api_name="/answer")
        client.predict("A", api_name="/vote")
        client.close()
    assert len({vote.visitor for vote in room.store.votes()}) == 2


def test_only_three_things_can_be_called_by_name(door):
    info = httpx.get(f"{door}/gradio_api/info").json()
    assert set(info["named_endpoints"]) == {"/prompts", "/answer", "/vote"}
    assert info["unnamed_endpoints"] == {}


@pytest.mark.parametrize("where", DOORS)
def test_no_file_can_be_read(door, where):
    port = int(door.rpartition(":")[2])
    for file in FILES:
        reply = raw(port, "GET", "/" + where.format(file))
        assert b" 404 " in reply.splitlines()[0] or b" 403 " in reply.splitlines()[0], (where, file, reply[:200])
        assert b"root:" not in reply
        assert b"import " not in reply


@pytest.mark.parametrize("path", ELSEWHERE)
def test_nothing_else_answers(door, path):
    for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS"):
        assert httpx.request(method, door + path, json={} if method == "POST" else None).status_code == 404, (method, path)


def test_uploads_are_refused(door):
    assert httpx.post(f"{door}/gradio_api/upload", files={"files": b"x"}).status_code == 404
    assert httpx.post(f"{door}/gradio_api/queue/join", content=b"x" * (MAX_BYTES + 1)).status_code == 413
    assert httpx.post(f"{door}/gradio_api/queue/join", content=iter([b"x"])).status_code == 413, "of unknown length"
    chunked = {"Content-Length": "2", "Transfer-Encoding": "chunked"}
    assert b" 413 " in raw(int(door.rpartition(":")[2]), "POST", "/gradio_api/queue/join", chunked).splitlines()[0]


def test_configuration_names_no_path_of_this_computer(door, isolated):
    told = json.dumps(httpx.get(f"{door}/config").json()) + httpx.get(door).text + httpx.get(f"{door}/gradio_api/info").text
    assert os.getcwd() not in told
    assert str(isolated.parent.parent) not in told
    assert os.path.expanduser("~") + "/" not in told


def test_odd_calls_do_no_harm(address, room):
    for data in ([], [None], [{"prompt": 1}], ["x" * 300], [["Hello you"]], ["../app.py", 7]):
        for name in ("answer", "vote", "prompts"):
            httpx.post(f"{address}/gradio_api/call/{name}", json={"data": data})
        for index in range(10):
            httpx.post(f"{address}/gradio_api/queue/join", json={"data": data, "fn_index": index, "session_hash": "odd"})
    client = Client(address, verbose=False, analytics_enabled=False)
    assert client.predict(api_name="/prompts") == list(room.rules.prompts)
    client.close()
    assert room.store.votes() == []


def test_page_may_load_nothing_from_elsewhere(door):
    policy = httpx.get(door).headers["content-security-policy"]
    assert "http" not in policy
    assert policy.startswith("default-src 'self'")


def test_taken_port_is_a_sentence(room):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(BadInput, match=f"port {other.getsockname()[1]}: it is taken"):
            open_page(room, other.getsockname()[1], "127.0.0.1")
    assert room.served is None


def test_opened_twice_it_is_one_page(address, room):
    assert open_page(room, free_port(), "127.0.0.1").address == address


def test_closed_page_frees_its_port(room):
    port = free_port()
    for _ in range(2):
        open_page(room, port, "127.0.0.1").close()
        assert room.served is None
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://127.0.0.1:{port}")


def test_address_is_this_computers_and_loopback_without_a_network(monkeypatch):
    socket.inet_aton(lan_address())

    class Unconnected(socket.socket):
        def connect(self, *_):
            raise OSError("Network is unreachable")

    monkeypatch.setattr(socket, "socket", Unconnected)
    assert lan_address() == "127.0.0.1"


def raw(port: int, method: str, path: str, headers: dict[str, str] | None = None) -> bytes:
    """The reply to a path exactly as it is written: httpx would tidy it."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        lines = [f"{name}: {value}" for name, value in {"Host": "x", "Connection": "close", **(headers or {})}.items()]
        connection.sendall("\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode())
        return b"".join(iter(lambda: connection.recv(65536), b""))
