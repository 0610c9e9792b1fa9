"""Forty phones at once on the embedded small family: everybody gets his own texts, and the presenter goes first."""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from gradio_client import Client

import detox_core.compare
from audience import open_page
from detox_core.audience.room import DECODING, Room
from detox_core.models.variants import default_family
from detox_core.request import Request
from detox_core.service import Service
from detox_core.store import Store, recorded
from tests.audience.conftest import LONG, free_port, until
from tests.browser.conftest import serve

PHONES = 40


@pytest.fixture
def written(monkeypatch):
    """Every comparison the engine makes, in the order of service: prompt -> its texts by variant (none yet: being written)."""
    engine, texts = detox_core.compare.compare, {}

    def compare(request, *arguments):
        assert request.prompt not in texts, "answered once for everybody"
        texts[request.prompt] = {}
        made = engine(request, *arguments)
        texts[request.prompt] = {reply.variant: reply.text for reply in made.generations}
        return made

    monkeypatch.setattr(detox_core.compare, "compare", compare)
    return texts


def test_forty_phones_get_their_own_texts_and_the_presenter_goes_first(written):
    service = Service()
    room = Room(service, Store())
    room.rules.free_text = True
    served = open_page(room, free_port(), "127.0.0.1")
    curated = room.rules.prompts
    prompts = [curated[at % len(curated)] if at % 2 else f"Person number {at} is always late." for at in range(PHONES)]
    try:
        with ThreadPoolExecutor(PHONES) as phones:
            results = [phones.submit(phone, served.address, prompt) for prompt in prompts]
            until(lambda: len(written) > len(curated) + 1)
            before = len(written)
            presenter = service.submit(Request("The presenter's prompt", default_family()[:3], DECODING))
            assert presenter.finished.wait(LONG)
            ahead = list(written).index("The presenter's prompt") - before
            unserved = PHONES // 2 + len(curated) + 1 - len(written)
            answers = [result.result(LONG) for result in results]
    finally:
        served.close()
    assert ahead <= 1, "at most the job that began in that very moment"
    assert unserved > 0, "phones were still waiting when the presenter had his answer"
    for prompt, (texts, reveal) in zip(prompts, answers, strict=True):
        labels = {variant.id: variant.label for variant in room.variants}
        assert {reveal[letter]["variant"]: text for letter, text in texts.items()} == {labels[v]: t for v, t in written[prompt].items()}
    assert len(room.store.votes()) == PHONES
    assert len({vote.visitor for vote in room.store.votes()}) == PHONES


def phone(address: str, prompt: str) -> tuple[dict[str, str], dict[str, dict]]:
    """One visitor from the first request to the reveal."""
    options = {"timeout": LONG}  # its own default, 5 seconds, is short where forty clients share two cores with the server
    client = Client(address, verbose=False, analytics_enabled=False, httpx_kwargs=options)
    try:
        texts = client.predict(prompt, api_name="/answer")
        return texts, client.predict("ABC"[threading.get_ident() % 3], api_name="/vote")
    finally:
        client.close()


def test_forty_pages_stream_while_the_presenters_page_answers(tmp_path):
    port = free_port()
    # A thread of its own: Playwright, where it ran before in this process, keeps a loop running in the main one.
    with ThreadPoolExecutor(1) as thread, serve(tmp_path, phones=port) as (app, _):
        pages = forty_pages(f"http://127.0.0.1:{port}", f"{app}/_stcore/health")
        views, health = thread.submit(asyncio.run, pages).result()
    assert len(views) == PHONES
    assert [view["problem"] for view in views] == [""] * PHONES
    for number, view in enumerate(views):
        assert view["prompt"] == prompt_of(number)
        assert [answer["letter"] for answer in view["answers"]] == ["A", "B", "C"]
        assert view["ready"]
    shown = {(view["prompt"], *sorted(str(answer["parts"]) for answer in view["answers"])) for view in views}
    assert len(shown) == len(recorded()), "one prompt, the same three texts for everybody"
    assert health
    assert set(health) == {200}


def prompt_of(number: int) -> str:
    curated = list(recorded().values())
    return curated[number % len(curated)].prompt


async def forty_pages(address: str, health_url: str) -> tuple[list[dict], list[int]]:
    """What forty browsers would do, all at once: the last view of each, and what the app's health check said meanwhile."""
    health: list[int] = []

    async def look(client: httpx.AsyncClient) -> None:
        while True:
            health.append((await client.get(health_url)).status_code)
            await asyncio.sleep(0.2)

    async with httpx.AsyncClient(timeout=LONG, limits=httpx.Limits(max_connections=None)) as client:
        handlers = (await client.get(f"{address}/config")).json()["dependencies"]
        ask = next(handler["id"] for handler in handlers if handler["api_name"] == "ask")
        looking = asyncio.create_task(look(client))
        views = await asyncio.gather(*(one_page(client, address, ask, number) for number in range(PHONES)))
        looking.cancel()
    return views, health


async def one_page(client: httpx.AsyncClient, address: str, ask: int, number: int) -> dict:
    """Gradio's own protocol: join the queue, then read events until the answers are complete."""
    join = {"data": [prompt_of(number)], "fn_index": ask, "session_hash": f"page{number}"}
    (await client.post(f"{address}/gradio_api/queue/join", json=join)).raise_for_status()
    async with client.stream("GET", f"{address}/gradio_api/queue/data", params={"session_hash": f"page{number}"}) as events:
        async for line in events.aiter_lines():
            event = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
            if event.get("msg") == "process_completed":
                assert event["success"], event
                return event["output"]["data"][0]
    raise AssertionError("the stream ended before the answers were complete")
