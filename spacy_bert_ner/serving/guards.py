"""Middleware before the endpoints: access, size and time limits, log and metrics."""

import asyncio
import hmac
import json
import logging
import time
import traceback
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .error_responses import RefusalError, listing, reply, shorten
from .metrics import ServiceMetrics
from .service_settings import KEY_VARIABLE, ServiceSettings

_LOG = logging.getLogger("spacy_bert_ner.serving")
HEALTH = ("/healthz", "/readyz")
PAGE_PATH = "/page/"
# Without a key: the page asks for it.
OPEN = ("/", *HEALTH)
# Nothing is loaded from elsewhere, and no text can become a part of the page.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# A body over the limit is read and discarded up to so many times the limit: clients read the response only once they
# have sent all of it.
PATIENCE = 16
# nginx's status for it.
CLIENT_DISCONNECTED = 499


class ClientDisconnectedError(Exception):
    """The client closed the connection before it had the response."""


class Guards:
    """ASGI middleware that admits requests, bounds their bodies and records what became of them."""

    def __init__(self, app: ASGIApp, settings: ServiceSettings, metrics: ServiceMetrics) -> None:
        self.app = app
        self.settings = settings
        self.metrics = metrics
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status = time.perf_counter(), CLIENT_DISCONNECTED
        self._under_way += 1

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                is_page = scope["path"] == "/" or scope["path"].startswith(PAGE_PATH)
                headers["Cache-Control"] = "no-cache" if is_page else "no-store"
            await send(message)

        try:
            body = await self._admit(scope, receive)
            await self._answer(scope, body, receive, send_on)
        except ClientDisconnectedError:
            pass
        except RefusalError as error:
            await reply({"error": error.message}, error.status, error.headers)(scope, receive, send_on)
        except Exception as error:
            self._log_error(error)
            message = "The service failed: its log says where. Please report it"
            await reply({"error": message}, 500)(scope, receive, send_on)
        finally:
            self._under_way -= 1
        self._note(scope, status, time.perf_counter() - start)

    async def _admit(self, scope: Scope, receive: Receive) -> bytes:
        """Check a request and read its body.

        RETURNS (bytes): The body.
        RAISES: RefusalError where the request is not admitted, ClientDisconnectedError where the client disconnects.
        """
        headers = Headers(scope=scope)
        refusal = self._check_host(scope, headers) or self._check_key(scope, headers) or self._check_encoding(headers)
        given = headers.get("content-length", "")
        length = int(given) if given.isdecimal() and len(given) < 20 else 0
        try:
            async with asyncio.timeout(self.settings.read_timeout):
                body = await self._read(receive) if length <= PATIENCE * self.settings.max_body_bytes else None
        except TimeoutError:
            message = (
                f"The request was not there after {self.settings.read_timeout:g} s: send it faster, or less at once"
            )
            raise RefusalError(408, message, "slow", Connection="close") from None
        if refusal and body is not None:
            raise refusal
        if self._under_way > self.settings.max_requests and scope["method"] == "POST":
            message = f"{self.settings.max_requests} requests are under way: send this one again in a second"
            raise RefusalError(503, message, "requests", Retry_After="1")
        if body is None:
            limit = self.settings.max_body_bytes
            raise RefusalError(
                413,
                f"The body is larger than {limit} bytes (--max-body-bytes): send less at once",
                "size",
                Connection="close",
            )
        return body

    async def _read(self, receive: Receive) -> bytes | None:
        """RETURNS (bytes | None): The body; None where it is too large."""
        chunks, size, limit = [], 0, self.settings.max_body_bytes
        while size <= PATIENCE * limit:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnectedError
            chunk = message.get("body", b"")
            size += len(chunk)
            if size <= limit:
                chunks.append(chunk)
            if not message.get("more_body"):
                break
        return b"".join(chunks) if size <= limit else None

    def _check_host(self, scope: Scope, headers: Headers) -> RefusalError | None:
        """Against DNS rebinding: a web page elsewhere may have its own name resolve to this machine."""
        hosts, host = self.settings.hosts, headers.get("host", "").lower()
        name = f"{host.partition(']')[0]}]" if host.startswith("[") else host.partition(":")[0]
        if not hosts or name in hosts or scope["path"] in HEALTH:
            return None
        message = f"Host: found {shorten(name)}, expected one of {listing(hosts)}: start with --allowed-host NAME"
        return RefusalError(421, message, "host")

    def _check_key(self, scope: Scope, headers: Headers) -> RefusalError | None:
        if self.settings.api_key is None or scope["path"] in OPEN or scope["path"].startswith(PAGE_PATH):
            return None
        scheme, _, key = headers.get("authorization", "").partition(" ")
        # In constant time, against timing attacks.
        if scheme.lower() == "bearer" and hmac.compare_digest(key.strip().encode(), self.settings.api_key.encode()):
            return None
        message = f"The API key is missing or wrong: send the service's {KEY_VARIABLE} as Authorization: Bearer KEY"
        return RefusalError(401, message, "key", WWW_Authenticate="Bearer")

    def _check_encoding(self, headers: Headers) -> RefusalError | None:
        encoding = headers.get("content-encoding", "identity")
        if encoding.lower() == "identity":
            return None
        return RefusalError(415, f"Content-Encoding: found {shorten(encoding)}, expected none: send plain JSON", "kind")

    async def _answer(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        """Run the app, and cancel it where the client disconnects."""
        messages = iter([{"type": "http.request", "body": body, "more_body": False}])
        gone = asyncio.ensure_future(receive())

        async def replay() -> Message:
            message = next(messages, None)
            return message if message is not None else await asyncio.shield(gone)

        answered = asyncio.ensure_future(self.app(scope, replay, send))
        try:
            await asyncio.wait({answered, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not answered.done():
                answered.cancel()
                await asyncio.wait({answered})
                raise ClientDisconnectedError
            answered.result()
        finally:
            gone.cancel()
            answered.cancel()

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        """Record a request in the log and the metrics; of its path only the route that it matched."""
        route = PAGE_PATH if scope["path"].startswith(PAGE_PATH) else getattr(scope.get("route"), "path", "other")
        self.metrics.requests.labels(route, str(status)).inc()
        self.metrics.seconds.labels(route).observe(seconds)
        texts: Iterable[str] = scope.get("state", {}).get("texts", ())
        said = f" {json.dumps(texts)}" if self.settings.log_texts and texts else ""
        _LOG.info("%s %s %d, %d texts, %.1f ms%s", _method(scope), route, status, len(list(texts)), 1e3 * seconds, said)

    def _log_error(self, error: Exception) -> None:
        """Log where an error came from, without its message where that may quote a text."""
        where = "".join(traceback.format_tb(error.__traceback__))
        _LOG.error("%s%s\n%s", type(error).__name__, f": {error}" if self.settings.log_texts else "", where)


def _method(scope: Scope) -> str:
    """RETURNS (str): A request's method; "other" for one that HTTP does not define."""
    method = str(scope["method"])
    return method if method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH") else "other"
