"""The server of the annotation page: routes, who may ask what, and what is told when it fails.

It serves one run to people whom its token was given to. It listens on this machine alone unless
told; other web pages in the same browser cannot ask it (Host and Origin are compared, and the token
travels in a header of its own), and no file is chosen by what a client sends.
"""

from __future__ import annotations

import signal
import socket
import sys
import traceback
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from hmac import compare_digest
from pathlib import Path
from re import compile as pattern
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from al.annotators.store import Store
from al.io.errors import DataError
from al.io.storage import FAILURES
from al.io.tables import FileRow

from .bodies import SMALL, Caller, Refusal, annotator_of, json_of, session_of
from .onward import Loop
from .service import Service

STATIC = Path(__file__).parent / "static"
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
ANY = ("0.0.0.0", "::")  # every address of this machine; its name is told then
GRACE = 5  # seconds that requests have to end when the server stops
_HOST = pattern(r"(\[[0-9a-f:.]+\]|[^:\[\]]+)(:[0-9]{1,5})?")


def app(
    loop: Loop,
    store: Store,
    layout: Any,
    token: str,
    hosts: Collection[str],
    files: Mapping[str, FileRow],
    root: str | Path,
) -> Starlette:
    """Return the server of a run as an application of ASGI.

    Args:
        loop: the run.
        store: annotations of its dataset.
        layout: of its dataset.
        token: what clients have to know.
        hosts: names, without port, by which clients may call this server.
        files: rows of ``data.csv`` by path; may be empty.
        root: ``data_root``.

    Raises:
        DataError: annotations cannot be written.
    """
    store.probe()
    service = Service(loop, store, layout, files, root)
    service.warm()
    served = {p.name: p for p in sorted(STATIC.iterdir()) if p.suffix in KINDS}

    async def page(request: Request) -> Response:
        file = served.get(request.path_params.get("name", "index.html"))
        if file is None:
            return _told(404, "There is no such page.")
        return Response(await run_in_threadpool(file.read_bytes), media_type=KINDS[file.suffix])

    routes = [Route("/", page), Route("/static/{name}", page), *_routes(service)]
    guard = Middleware(Guard, token=token, hosts={host.lower() for host in hosts})
    server = Starlette(
        routes=routes, middleware=[guard], exception_handlers={HTTPException: _unknown}
    )
    server.router.redirect_slashes = False
    server.state.token = token
    return server


def serve(
    server: Starlette, host: str, port: int, ready: Callable[[str], None] | None = None
) -> None:
    """Serve until SIGINT or SIGTERM, in the main thread; requests that are under way end first.

    Args:
        server: of ``app``.
        host: address to listen on.
        port: 0 takes a free one.
        ready: called with the address, token included, once it listens; ``None``: it is printed.

    Raises:
        OSError: the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family)
    # Else the second part of an answer waits 40 ms for the first to be acknowledged.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    name = socket.gethostname() if host in ANY else f"[{host}]" if ":" in host else host
    address = f"http://{name}:{listener.getsockname()[1]}/#token={server.state.token}"
    config = uvicorn.Config(
        server,
        access_log=False,
        log_level="warning",
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=GRACE,
    )
    (ready or (lambda told: print(told, flush=True)))(address)
    # uvicorn raises what stopped it once more when it has ended.
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])
    finally:
        signal.signal(signal.SIGTERM, before)


class Guard:
    """Lets through who may ask, and adds headers to every answer.

    Args:
        app: what is guarded.
        token: that requests of ``/api/`` need.
        hosts: names of this server.
    """

    def __init__(self, app: ASGIApp, token: str, hosts: Collection[str]) -> None:
        self.app = app
        self.token = token.encode()
        self.hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":  # there are no web sockets: it closes them
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        try:
            self._check(scope)
        except Refusal as refusal:
            answer = JSONResponse(refusal.body, refusal.status)
            await answer(scope, receive, with_headers)
            return
        await self.app(scope, receive, with_headers)

    def _check(self, scope: Scope) -> None:
        """Raise Refusal (403) where a request may not be answered."""
        headers = Headers(scope=scope)
        host = headers.get("host", "").lower()
        parts = _HOST.fullmatch(host)
        if parts is None or parts[1].strip("[]") not in self.hosts:
            raise Refusal(403, "This server is not called by that name; use the printed address.")
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in (f"http://{host}", f"https://{host}"):
            raise Refusal(403, "Another web page cannot ask this server.")
        if not scope["path"].startswith("/api/"):
            return
        if not compare_digest(headers.get("x-token", "").encode(), self.token):
            raise Refusal(
                403,
                "This page is of a server that has ended: open the address that was printed last. "
                "What was drawn is kept.",
            )
        annotator = annotator_of(headers.get("x-annotator"))
        scope["caller"] = Caller(annotator, session_of(headers.get("x-session")))


def _routes(service: Service) -> list[Route]:
    """Return what can be asked; of an address only the id of a region varies."""
    region = "/api/regions/{id}"

    def tile(request: Request, _: Caller) -> Response:
        at = (str(request.path_params[name]) for name in ("level", "down", "across"))
        content = service.tile(_id(request), request.query_params.get("cycle"), *at)
        kind = "image/bmp" if content.startswith(b"BM") else "image/jpeg"
        return Response(content, media_type=kind)

    def thumbnail(request: Request, _: Caller) -> Response:
        return Response(service.thumbnail(_id(request)), media_type="image/jpeg")

    def plane(request: Request, _: Caller) -> Response:
        asked = request.query_params
        content = service.slice(_id(request), *(asked.get(k) for k in ("cycle", "axis", "index")))
        return Response(content, media_type="application/octet-stream")

    return [
        _reads("/api/run", lambda _, who: service.run()),
        _reads("/api/cycle", lambda _, who: service.cycle(who)),
        _reads(f"{region}/tile/{{level}}/{{down}}/{{across}}", tile),
        _reads(f"{region}/thumbnail", thumbnail),
        _reads(f"{region}/slice", plane),
        _reads(f"{region}/proposal", lambda request, who: service.proposal(who, _id(request))),
        _writes("POST", "/api/again", lambda _, who, __: service.again(who)),
        _writes("POST", "/api/next", lambda _, who, body: service.next(who, body)),
        _writes("POST", f"{region}/open", lambda r, who, _: service.open(who, _id(r))),
        _writes("PUT", f"{region}/draft", _of_region(service.draft), service),
        _writes("POST", f"{region}/done", _of_region(service.done), service),
        _writes("POST", f"{region}/skip", _of_region(service.skip)),
        _writes("POST", f"{region}/beat", _of_region(service.beat)),
        _writes("POST", f"{region}/release", lambda r, who, _: service.release(who, _id(r))),
    ]


def _id(request: Request) -> str:
    return str(request.path_params["id"])


def _of_region(
    act: Callable[[Caller, str, dict[str, Any]], Any],
) -> Callable[[Request, Caller, dict[str, Any]], Any]:
    return lambda request, who, body: act(who, _id(request), body)


def _reads(path: str, act: Callable[[Request, Caller], Any]) -> Route:
    async def answer(request: Request) -> Any:
        return await run_in_threadpool(act, request, request.scope["caller"])

    return Route(path, _telling(answer), methods=["GET"])


def _writes(
    method: str,
    path: str,
    act: Callable[[Request, Caller, dict[str, Any]], Any],
    sized: Service | None = None,
) -> Route:
    """``sized``: says how many pixels there may be in the body; without it there are none."""

    async def answer(request: Request) -> Any:
        most = SMALL
        if sized is not None:
            most = await run_in_threadpool(sized.most_bytes, _id(request))
        body = json_of(await _bounded(request, most))
        return await run_in_threadpool(act, request, request.scope["caller"], body)

    return Route(path, _telling(answer), methods=[method])


async def _bounded(request: Request, most: int) -> bytes:
    """Read a body of up to ``most`` bytes. Raises Refusal (413) before more is read."""
    refusal = Refusal(413, f"The body is too large; allowed: {most} bytes.")
    told = request.headers.get("content-length", "0")
    if not told.isdecimal() or int(told[:20]) > most:
        raise refusal
    body = bytearray()
    async for part in request.stream():
        if len(body) + len(part) > most:
            raise refusal
        body += part
    return bytes(body)


def _telling(
    act: Callable[[Request], Awaitable[Any]],
) -> Callable[[Request], Awaitable[Response]]:
    """Have what goes wrong told in a sentence, and the rest of it in the server's own window."""

    async def answer(request: Request) -> Response:
        try:
            result = await act(request)
            return result if isinstance(result, Response) else JSONResponse(result)
        except Refusal as refusal:
            return JSONResponse(refusal.body, refusal.status)
        except ClientDisconnect:
            return _told(400, "The request was cut off.")
        except DataError as error:
            return _told(422, str(error))
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            if isinstance(error, OSError) and error.errno in FAILURES:
                reason, remedy = FAILURES[error.errno]
                return _told(
                    507, f"Not saved: {reason}. To do: {remedy}. This page keeps the rest."
                )
            return _told(500, "The server failed at this; its own window says more.")

    return answer


async def _unknown(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return _told(status, "There is nothing of that name here.")


def _told(status: int, message: str) -> Response:
    return JSONResponse({"message": message}, status)
