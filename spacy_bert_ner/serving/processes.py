"""The service's processes, run by uvicorn."""

import asyncio
import errno
import ipaddress
import json
import os
import socket
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import h11
from fastapi import FastAPI
from spacy.cli._util import import_code
from uvicorn import Config, Server
from uvicorn.config import LOGGING_CONFIG
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.supervisors import Multiprocess
from wasabi import msg

from spacy_bert_ner.processors import usable_cores

from .naming import name_models
from .service_settings import LOOPBACK, METRICS_VARIABLE, ServiceSettings
from .shared_address import Listener

# Connections for each request that may be under way; uvicorn answers 503 to the others and closes them.
CONNECTIONS = 4
# Seconds for what remains after the deadline of all requests.
SHUTDOWN_GRACE = 5


class PunctualProtocol(H11Protocol):
    """uvicorn's protocol, for which uvicorn itself has no time limit: clients that do not finish their headers."""

    timeout = ServiceSettings.read_timeout
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_headers()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()
        elif self._timer is None:
            self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _await_headers(self) -> None:
        self._timer = self.loop.call_later(self.timeout, self._give_up)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            body = json.dumps({"error": f"No request came within {self.timeout:g} s"}).encode()
            head = f"HTTP/1.1 408 Request Timeout\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
            self.transport.write(f"{head}\r\nConnection: close\r\n\r\n".encode() + body)
            self.transport.close()


def is_loopback(host: str) -> bool:
    """RETURNS (bool): Whether a network address can be reached from this machine only. host (str): It."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def allowed_hosts(host: str, more: Sequence[str]) -> tuple[str, ...]:
    """Choose the accepted values of the header Host.

    host (str): The address to listen on.
    more (Sequence[str]): Names that the user allows.
    RETURNS (tuple[str, ...]): The names; empty for all.
    """
    names = tuple(name.lower() for name in more)
    if is_loopback(host):
        return (*LOOPBACK, f"[{host}]" if ":" in host else host, *names)
    return (*names, *LOOPBACK) if names else ()


def run(
    models: Sequence[str],
    settings: ServiceSettings,
    host: str,
    port: int,
    workers: int | Literal["auto"] = "auto",
    code: Path | None = None,
    gpu_id: int = -1,
) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are finished then.

    models (Sequence[str]): See app.load_app.
    settings (ServiceSettings): Limits and guards.
    host (str): Address to listen on.
    port (int): Port; 0 for any that is free.
    workers (int | Literal["auto"]): Processes, each with its own models; "auto" for one a core, or with a GPU one.
    code (Path | None): Python file with registered functions to import.
    gpu_id (int): GPU, or -1 for the CPU.
    RAISES: ValueError where the models cannot be served, OSError where the address cannot be listened on.
    """
    name_models(models)
    if workers == "auto":
        workers = usable_cores() if gpu_id < 0 else 1
    with listen(host, port) as listener, tempfile.TemporaryDirectory(prefix="bert-ner-serve-") as folder:
        shown = f"[{host}]" if ":" in host else host
        msg.info(f"Loading, then serving on http://{shown}:{listener.getsockname()[1]}/")
        settings = replace(settings, workers=workers, folder=Path(folder))
        make: Any = partial(load_in_process, list(models), settings, code, gpu_id)
        if workers > 1:
            os.environ.setdefault(METRICS_VARIABLE, folder)
            Multiprocess(_configure(make, settings, workers), [listener]).run()
            return
        # uvicorn raises it again once all is finished.
        with suppress(KeyboardInterrupt):
            make_server(make(), settings).run([listener])


def make_server(app: FastAPI, settings: ServiceSettings) -> Server:
    """Create the server of one process.

    app (FastAPI): The application.
    settings (ServiceSettings): Limits.
    RETURNS (Server): uvicorn's, to be run with a socket.
    """
    return Server(_configure(lambda: app, settings, 1))


def listen(host: str, port: int) -> Listener:
    """Bind an address before a model is loaded, so that an address in use is reported at once.

    host (str): Address.
    port (int): Port; 0 for any that is free.
    RETURNS (Listener): Bound to it.
    RAISES: OSError where it cannot be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return Listener.bound(family, (host, port))
    except OSError as error:
        advice = "name an address of this machine with --host"
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            advice = "choose another one with --port, or --port 0 for any that is free"
        raise OSError(f"Cannot listen on port {port} of {host} ({error.strerror or error}): {advice}") from error


def load_in_process(
    models: Sequence[str], settings: ServiceSettings, code: Path | None = None, gpu_id: int = -1
) -> FastAPI:
    """Load pipelines in the process that serves them. RETURNS (FastAPI): Their application."""
    # Imported here: prometheus_client reads the environment when it is imported.
    from .app import load_app

    import_code(code)
    return load_app(models, settings, gpu_id)


def _configure(make: Any, settings: ServiceSettings, workers: int) -> Config:
    # Our own log has the same lines, without the parts of a URL that a client chooses.
    log: dict[str, Any] = deepcopy(LOGGING_CONFIG)
    log["loggers"]["spacy_bert_ner"] = {"handlers": ["default"], "level": "INFO", "propagate": False}
    return Config(
        make,
        factory=True,
        loop="asyncio",
        http=PunctualProtocol,
        ws="none",
        workers=workers,
        log_config=log,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS * settings.max_requests,
        timeout_keep_alive=5,
        # Until then a worker may be importing; uvicorn kills one that does not respond.
        timeout_worker_healthcheck=60,
        timeout_graceful_shutdown=int(settings.deadline) + SHUTDOWN_GRACE,
    )
