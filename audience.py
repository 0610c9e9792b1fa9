"""`python audience.py`: the app for the presenter, and a Gradio page for phones on a port of its own."""

import argparse
import asyncio
import os
import re
import secrets
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported

import gradio as gr
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from detox_core.audience.room import MAX_CHARACTERS, PORT, Room, Served
from detox_core.audience.view import NOTHING, picture
from detox_core.errors import BadInput, DetoxError
from detox_core.figures.colors import COLORS, RAMPS

TICK = 0.4  # seconds between looks at a job
LOOK = 10.0  # seconds between looks at what the presenter allows
MAX_BYTES = 20_000  # of a request
PARTS = Path(__file__).parent / "pages" / "phones"
PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "concurrency_limit": None}
LAUNCH: dict[str, Any] = {
    "prevent_thread_lock": True,
    "share": False,
    "show_error": False,
    "quiet": True,
    "inbrowser": False,
    "ssr_mode": False,
    "run_history": False,
    "enable_monitoring": False,
    "mcp_server": False,
    "footer_links": [],
    "max_threads": 200,  # also how many visitors' events are under way at once
}
PICKER = '<p class="paused" role="status"></p><div class="picker" dir="auto"></div>'
ANSWERS = """<p class="problem" role="alert"></p><p class="asked" dir="auto"></p><p class="status" role="status"></p><p class="told"></p>
<button class="veil" hidden></button><div class="cards" dir="auto"></div><button class="other" hidden>Another prompt</button>"""
OPEN = re.compile(  # all that a visitor's browser, or gradio_client, needs; Gradio itself has more doors than a page for strangers should
    r"(GET|HEAD) (/|/config|/theme\.css|/favicon\.ico|/robots\.txt|/(assets|static)/[\w./-]+|/gradio_api/(info|startup-events))"
    r"|GET /gradio_api/(heartbeat/[\w-]+|queue/data|call/(answer|vote|prompts)/\w+)"
    r"|POST /gradio_api/(queue/join|cancel|reset|call/(answer|vote|prompts))"
)


class Door:
    """ASGI middleware: lets through what `OPEN` names, small requests only, and forbids the page to load anything from elsewhere."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http" or ".." in scope["path"] or not OPEN.fullmatch(f"{scope['method']} {scope['path']}"):
            await PlainTextResponse("There is nothing here.", 404)(scope, receive, send)
            return
        headers = Headers(scope=scope)
        size = headers.get("content-length", "" if scope["method"] == "POST" else "0")
        if "transfer-encoding" in headers or not size.isdecimal() or int(size) > MAX_BYTES:
            await PlainTextResponse(f"A request may have {MAX_BYTES:,} bytes.", 413)(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer["Content-Security-Policy"] = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'none'"
                answer["Referrer-Policy"] = "no-referrer"
                answer["X-Content-Type-Options"] = "nosniff"
            await send(message)

        await self.app(scope, receive, guarded)


def session_of(request: gr.Request) -> str:
    """What tells this page load from others."""
    return request.session_hash or secrets.token_hex(8)


async def answered(room: Room, session: str, prompt: str) -> AsyncIterator[dict[str, Any]]:
    """The page's view of a prompt, until its answers are complete or the visitor asks for something else."""
    try:
        ballot = room.ask(session, prompt)
    except DetoxError as error:
        current = room.current(session)
        yield {**(picture(room, session, current) if current else NOTHING), "problem": str(error)}
        return
    before: dict[str, Any] = {}
    while room.current(session) is ballot:
        active = ballot.job.active
        now = picture(room, session, ballot)
        if now != before:
            yield now
        if not active:
            return
        before = now
        await asyncio.sleep(TICK)


def voted(room: Room, session: str, letter: Any) -> dict[str, Any]:
    """The page's view after a vote: the reveal, or why there is none."""
    problem = ""
    try:
        room.vote(session, letter)
    except DetoxError as error:
        problem = str(error)
    current = room.current(session)
    return {**(picture(room, session, current) if current else NOTHING), "problem": problem}


def build(room: Room) -> gr.Blocks:
    """The page for phones, and its typed API: /prompts, /answer and /vote."""
    with gr.Blocks(title="Which answer would you post?", analytics_enabled=False) as page:
        with gr.Column() as gate:
            gr.Markdown((PARTS / "notice.md").read_text(encoding="utf-8"))
            enter = gr.Button("I am 18 or older and want to see it", variant="primary")
        with gr.Column(visible=False) as inside:
            _add_game(room, page)
        enter.click(lambda: (gr.Column(visible=False), gr.Column(visible=True)), None, [gate, inside], **PRIVATE)
        _add_api(room)
    return page


def _add_game(room: Room, page: gr.Blocks) -> None:
    """What is behind the gate: the prompts, the answers and the vote."""

    async def pick(event: gr.EventData, request: gr.Request) -> AsyncIterator[dict[str, Any]]:
        async for view in answered(room, session_of(request), event._data.get("prompt")):
            yield view

    async def ask(prompt: str, request: gr.Request) -> AsyncIterator[dict[str, Any]]:
        async for view in answered(room, session_of(request), prompt):
            yield view

    async def choose(event: gr.EventData, request: gr.Request) -> dict[str, Any]:
        return voted(room, session_of(request), event._data.get("letter"))

    def offered() -> dict[str, Any]:
        return {"prompts": list(room.rules.prompts), "open": room.rules.open}

    async def look() -> tuple[Any, Any]:
        return offered(), gr.Column(visible=room.rules.free_text)

    with gr.Column(elem_classes="picking"):
        gr.Markdown("## Pick a prompt")
        picker = gr.HTML(offered(), html_template=PICKER, js_on_load=(PARTS / "picker.js").read_text(encoding="utf-8"))
        with gr.Column(visible=room.rules.free_text) as own:
            typed = gr.Textbox(label="Or type your own", max_length=MAX_CHARACTERS, lines=2, placeholder="One sentence")
            send = gr.Button("Ask", variant="primary")
    answers = gr.HTML(NOTHING, html_template=ANSWERS, js_on_load=(PARTS / "answers.js").read_text(encoding="utf-8"))
    picker.click(pick, None, answers, trigger_mode="multiple", **PRIVATE)
    gr.on([send.click, typed.submit], ask, typed, answers, trigger_mode="multiple", **PRIVATE)
    answers.click(choose, None, answers, **PRIVATE)
    gr.on([page.load, gr.Timer(LOOK).tick], look, None, [picker, own], **PRIVATE)


def _add_api(room: Room) -> None:
    """What programs may call; each call of one client belongs to the same visitor."""

    async def prompts() -> list[str]:
        return list(room.rules.prompts)

    async def answer(prompt: str, request: gr.Request) -> dict[str, str]:
        try:
            ballot = room.ask(session_of(request), prompt)
            while ballot.job.active:
                ballot.job.watch()
                await asyncio.sleep(TICK)
            if ballot.job.state == "failed":
                raise BadInput(ballot.job.error or "There are no answers.")
        except DetoxError as error:
            raise gr.Error(str(error), print_exception=False) from error
        return {letter: reply.text if reply else "" for letter, reply in ballot.replies().items()}

    async def vote(letter: Literal["A", "B", "C"], request: gr.Request) -> dict[str, dict[str, str | float | None]]:
        try:
            ballot = room.vote(session_of(request), letter)
        except DetoxError as error:
            raise gr.Error(str(error), print_exception=False) from error
        scores = {name: reply.score if reply else None for name, reply in ballot.replies().items()}
        values = {name: score.value if score and score.scored else None for name, score in scores.items()}
        return {name: {"variant": ballot.behind(name).label, "score": value} for name, value in values.items()}

    described = {
        "prompts": (prompts, "The prompts one can ask for."),
        "answer": (answer, "The answers of the three models to a prompt, blind: letter -> text."),
        "vote": (vote, "Vote for one of the last answers: letter -> which model it was, and its score."),
    }
    for name, (function, about) in described.items():
        gr.api(function, api_name=name, api_description=about, concurrency_limit=None)


def _style() -> str:
    """The page's style sheet, with the app's colours for light and dark."""
    rules = [(PARTS / "phones.css").read_text(encoding="utf-8")]
    for theme, where, text in (
        ("light", ".gradio-container", "#fff"),
        ("dark", ".dark .gradio-container, .dark.gradio-container", "#15181d"),
    ):
        rules.append(f"{where} {{ --own: {COLORS[theme][1]}; --own-text: {text}; }}")
        dark = ".dark " if theme == "dark" else ""
        rules += [f"{dark}.bar .step{step} {{ background: {color}; }}" for step, color in enumerate(RAMPS[theme])]
    return "\n".join(rules)


def lan_address() -> str:
    """This computer's address for others in the same network; 127.0.0.1 without a network. Nothing is sent for it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address kept for documentation; connecting a UDP socket only picks the way out
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def open_page(room: Room, port: int = PORT, host: str = "0.0.0.0") -> Served:
    """Serve the phones' page in a thread of this process; it is `room.served` until it is closed.

    Raises:
        BadInput: the port is taken or may not be used.
    """
    if room.served:
        return room.served
    page = build(room)
    page.queue(max_size=500, default_concurrency_limit=None)
    family = ["system-ui", "sans-serif"]
    try:
        page.launch(
            server_name=host,
            server_port=port,
            **LAUNCH,
            favicon_path=PARTS.parent / "icon.svg",
            app_kwargs={"middleware": [Middleware(Door)]},
            theme=gr.themes.Default(font=family, font_mono=family),
            css=_style(),
        )
    except (OSError, ValueError, OverflowError) as error:
        page.close()
        raise BadInput(
            f"The page cannot be served on port {port}: it is taken, or not allowed. Choose another, for example {port + 1}."
        ) from error
    except Exception as error:  # Gradio asks its own page once, and tells of it in many ways
        page.close(verbose=False)
        raise BadInput(f"The page was opened, but this computer cannot reach it ({error}). Behind a proxy, set NO_PROXY=*.") from error

    def close() -> None:
        page.close(verbose=False)
        room.served = None

    room.prepare()
    room.served = Served(f"http://{lan_address() if host == '0.0.0.0' else host}:{port}", close)
    return room.served


def main() -> None:
    """Open both pages in one process, so that they share one model."""
    from streamlit.web import cli

    from pages.engine import room

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=PORT, help=f"of the phones' page (default {PORT})")
    parser.add_argument("--app-port", type=int, default=8501, help="of the app, which only this computer can open (default 8501)")
    options = parser.parse_args()
    try:
        served = open_page(room(), options.port)
    except DetoxError as error:
        parser.exit(2, f"{error}\n")
    print(f"Phones: {served.address}   (QR code in the app under Settings, Audience)", flush=True)
    cli.main(["run", str(Path(__file__).parent / "app.py"), "--server.port", str(options.app_port), "--server.address", "127.0.0.1"])


if __name__ == "__main__":
    main()
