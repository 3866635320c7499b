"""Around Gradio: security headers, a limit on what a visitor may send, and forms that arrive whole or not at all."""

from __future__ import annotations

import asyncio
from tempfile import SpooledTemporaryFile

from python_multipart.multipart import parse_options_header
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .limits import MAX_UPLOAD

MAX_FORM = MAX_UPLOAD + 16 * 2**20  # bytes; the largest upload with its form
MAX_BODY = 16 * 2**20  # bytes of anything else: while JSON is parsed, nobody is served
_FORM_IN_MEMORY = 2**20  # bytes; larger forms wait on disk, in a file without a name
_PIECE = 256 * 2**10  # bytes handed on at once

# Gradio's page needs inline scripts and eval. Nothing needs another host. Frames are allowed: Spaces need them.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' blob: data:; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "permissions-policy": "geolocation=(), microphone=()",
    "cross-origin-opener-policy": "same-origin",
}


class SecurityMiddleware:
    """Refuses bodies that are too large before they fill the memory, and adds the headers.

    Args:
        max_body: bytes of a request that is not a form.
        max_form: bytes of a form, which may hold a photo.
        no_cache_path: below it, browsers ask each time whether a file has changed.
    """

    def __init__(
        self, app: ASGIApp, max_body: int = MAX_BODY, max_form: int = MAX_FORM, no_cache_path: str = ""
    ) -> None:
        self._app, self._max_body, self._max_form, self._no_cache_path = app, max_body, max_form, no_cache_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        if sum(name == b"content-type" for name, _ in scope["headers"]) > 1:  # readers differ in which they take
            await _refuse(send, 400, b"send one content-type")
            return
        is_form = headers.get(b"content-type", b"").startswith(b"multipart/form-data")
        max_bytes = self._max_form if is_form else self._max_body
        if int(headers.get(b"content-length", b"0") or 0) > max_bytes:
            await _refuse(send, 413, b"too large")
            return
        received = 0

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > max_bytes:
                raise HTTPException(413)  # Starlette, which is reading the body, responds with it
            return message

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if self._no_cache_path and scope["path"].startswith(self._no_cache_path):
                    headers["cache-control"] = "no-cache"
            await send(message)

        await self._app(scope, receive_counted, send_with_headers)


class WholeFormMiddleware:
    """Waits for the end of a form before Gradio sees its beginning.

    Gradio writes a file while it arrives and leaves it behind when the visitor goes away, or when the form never ends.
    Here the form waits in a file that has no name: whatever happens, the system removes it. A slow visitor meanwhile
    occupies nothing else.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        boundary = _form_boundary(scope)
        if boundary is None:
            await self._app(scope, receive, send)
            return
        with SpooledTemporaryFile(_FORM_IN_MEMORY) as form:
            try:
                size = await _write_body(receive, form)
            except HTTPException as error:
                await _refuse(send, error.status_code, b"too large")
                return
            if size is None:
                return  # the visitor has gone: there is nobody to answer
            form.seek(max(0, size - len(boundary) - 64))
            start = b"\r\n" if form.tell() == 0 else b""  # a form without parts begins with its end
            if b"\r\n--" + boundary + b"--" not in start + form.read():
                await _refuse(send, 400, b"the form is incomplete")
                return
            form.seek(0)
            left = size

            async def receive_from_file() -> Message:
                nonlocal left
                if left <= 0:
                    return await receive()  # tells Gradio when the visitor goes away
                piece = await asyncio.to_thread(form.read, _PIECE)
                left -= len(piece)
                return {"type": "http.request", "body": piece, "more_body": left > 0}

            await self._app(scope, receive_from_file, send)


def _form_boundary(scope: Scope) -> bytes | None:
    """What separates the parts of a form, as Gradio reads it; None for other requests."""
    if scope["type"] != "http":
        return None
    kind, options = parse_options_header(dict(scope["headers"]).get(b"content-type"))
    return options.get(b"boundary") if kind == b"multipart/form-data" else None


async def _write_body(receive: Receive, file: SpooledTemporaryFile[bytes]) -> int | None:
    """Bytes written, or None where the visitor went away before the end."""
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        piece = message.get("body", b"")
        size += len(piece)
        await asyncio.to_thread(file.write, piece)
        if not message.get("more_body", False):
            return size


async def _refuse(send: Send, status: int, reason: bytes) -> None:
    headers = [(b"content-type", b"text/plain"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": reason})
