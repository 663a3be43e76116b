"""Benchmark of the service under load: latency, throughput, memory over time, and behaviour under overload.

    python benchmarks/serve.py MODEL CORPUS.spacy OUT.json [--seconds 60] [--clients 32] [--soak 600] [--overload 20]

The service runs in its own process; this one sends texts of 30 words of the corpus, one per request, by a cheap client;
"client_cpu" is the client's share of all processors. Both share one machine, which must be idle otherwise. Needs
Linux's /proc.
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import spacy
from spacy.language import Language
from spacy.tokens import DocBin
from wasabi import msg

from spacy_bert_ner.storage.files import write_atomically

WORDS = 30
UNIT = 100_000
# Alternations of this process and the service, since a machine's speed changes within minutes.
TURNS = 4
# Seconds for earlier requests to finish.
REST = 5.0


class Call(NamedTuple):
    """A request: its start within the measurement and its duration, in seconds, and its status."""

    started: float
    seconds: float
    status: int


class Client:
    """One connection to the service.

    host (str): Address.
    port (int): Port.
    """

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, text: str) -> int:
        """Send a text and discard the answer. RETURNS (int): The status; 0 where the connection broke."""
        kept = self._streams is not None
        try:
            return await self._ask(text)
        except (ConnectionError, asyncio.IncompleteReadError):
            self._streams = None
        # A connection that was kept may be closed as the request goes out: HTTP's clients then send it again.
        return await self.ask(text) if kept else 0

    async def _ask(self, text: str) -> int:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self.host, self.port)
        reader, writer = self._streams
        body = json.dumps({"text": text}).encode()
        head = f"POST /v1/entities HTTP/1.1\r\nHost: {self.host}\r\nContent-Type: application/json"
        writer.write(f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(answer.partition(b"content-length: ")[2].split(b"\r\n", 1)[0])
        await reader.readexactly(length)
        if b"\r\nconnection: close" in answer:
            await self.close()
        return int(answer.split(b" ", 2)[1])

    async def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()
            await self._streams[1].wait_closed()
            self._streams = None


async def ask_closed(address: tuple[str, int], texts: Sequence[str], clients: int, seconds: float) -> list[Call]:
    """Send requests from several clients, each of which sends the next one after its answer.

    address (tuple[str, int]): Host and port.
    texts (Sequence[str]): The texts to send, repeatedly.
    clients (int): Number of clients.
    seconds (float): Duration.
    RETURNS (list[Call]): All requests.
    """
    stream, calls, start = cycle(texts), [], time.perf_counter()

    async def work() -> None:
        client = Client(*address)
        while (started := time.perf_counter() - start) < seconds:
            status = await client.ask(next(stream))
            calls.append(Call(started, time.perf_counter() - start - started, status))
        await client.close()

    await asyncio.gather(*(work() for _ in range(clients)))
    return calls


async def ask_open(address: tuple[str, int], texts: Sequence[str], rate: float, seconds: float) -> list[Call]:
    """Send requests at a constant rate, without waiting for answers. RETURNS (list[Call]): All requests.

    address (tuple[str, int]): Host and port.
    texts (Sequence[str]): The texts to send, repeatedly.
    rate (float): Requests per second.
    seconds (float): Duration.
    """
    stream, calls, start = cycle(texts), [], time.perf_counter()
    idle: list[Client] = []

    async def one() -> None:
        client = idle.pop() if idle else Client(*address)
        started = time.perf_counter() - start
        status = await client.ask(next(stream))
        calls.append(Call(started, time.perf_counter() - start - started, status))
        idle.append(client)

    async with asyncio.TaskGroup() as tasks:
        for i in range(round(rate * seconds)):
            await asyncio.sleep(max(0.0, i / rate - (time.perf_counter() - start)))
            tasks.create_task(one())
    for client in idle:
        await client.close()
    return calls


def summarise(calls: Sequence[Call]) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): Requests by status, and percentiles of the accepted ones' time in milliseconds."""
    accepted = [call.seconds for call in calls if call.status == 200]
    statuses = {str(status): sum(call.status == status for call in calls) for status in {call.status for call in calls}}
    p50, p95, p99 = np.percentile(accepted, [50, 95, 99]) * 1000 if accepted else (None, None, None)
    times = {name: value and round(float(value), 2) for name, value in (("p50", p50), ("p95", p95), ("p99", p99))}
    return {"requests": len(calls), "statuses": statuses, "milliseconds": times}


def measure_latency(nlp: Language, address: tuple[str, int], texts: Sequence[str], seconds: float) -> dict[str, Any]:
    """Compare one client with calls in this process, in turns. RETURNS (dict[str, Any]): Medians in milliseconds."""
    times: list[float] = []
    calls: list[Call] = []
    for _ in range(TURNS):
        until = time.perf_counter() + seconds / TURNS
        for text in cycle(texts):
            started = time.perf_counter()
            nlp(text)
            times.append(time.perf_counter() - started)
            if started > until:
                break
        calls += asyncio.run(ask_closed(address, texts, 1, seconds / TURNS))
    alone, served = round(float(np.median(times)) * 1000, 2), summarise(calls)
    return {"in_process": alone, "served": served, "more": round(served["milliseconds"]["p50"] - alone, 2)}


def measure_throughput(
    nlp: Language, address: tuple[str, int], texts: Sequence[str], clients: int, seconds: float
) -> dict[str, Any]:
    """Compare many clients with nlp.pipe in this process, in turns.

    RETURNS (dict[str, Any]): Words a second, and their ratio.
    """
    per_text = float(np.mean([len(nlp.make_doc(text)) for text in texts]))
    calls: list[Call] = []
    alone = words = wall = cpu = 0.0
    for _ in range(TURNS):
        started = time.perf_counter()
        for doc in nlp.pipe(cycle(texts), batch_size=64):
            words += len(doc)
            if time.perf_counter() - started > seconds / TURNS / 3:
                break
        alone += time.perf_counter() - started
        before, started = time.process_time(), time.perf_counter()
        calls += asyncio.run(ask_closed(address, texts, clients, seconds / TURNS))
        wall += time.perf_counter() - started
        cpu += time.process_time() - before
    alone = words / alone
    served = sum(call.status == 200 for call in calls) * per_text / wall
    return {
        **summarise(calls),
        "clients": clients,
        "seconds": round(wall, 1),
        "words_per_second": round(served),
        "pipe_words_per_second": round(alone),
        "ratio": round(served / alone, 3),
        "client_cpu": round(cpu / wall / (os.cpu_count() or 1), 3),
    }


def measure_memory(
    address: tuple[str, int], pid: int, texts: Sequence[str], clients: int, seconds: float
) -> dict[str, Any]:
    """Measure the service's memory under load and after it. RETURNS (dict[str, Any]): MiB, and MiB per 100,000 words.

    All its processes count. The first fifth does not: caches, also of matrix kernels, grow there.
    """
    samples, words = [], 0
    for part in range(20):
        calls = asyncio.run(ask_closed(address, texts, clients, seconds / 20))
        words += WORDS * sum(call.status == 200 for call in calls)
        if part >= 4:
            samples.append((words / UNIT, resident_mib(pid)))
    x, y = np.array(samples).T
    time.sleep(min(5.0, seconds / 10))
    return {
        "words": words,
        "mib_at_start": round(samples[0][1], 1),
        "mib_at_end": round(samples[-1][1], 1),
        "mib_idle": round(resident_mib(pid), 1),
        "mib_per_100k": round(float(np.polyfit(x, y, 1)[0]), 3),
    }


def measure_overload(address: tuple[str, int], texts: Sequence[str], rate: float, seconds: float) -> dict[str, Any]:
    """Send twice what the service can answer, and measure how soon it recovers. RETURNS (dict[str, Any]): Figures.

    rate (float): Requests per second that it can answer.
    """
    before = summarise(asyncio.run(ask_closed(address, texts, 1, min(3.0, seconds))))
    overloaded = asyncio.run(ask_open(address, texts, 2 * rate, seconds))
    after = asyncio.run(ask_closed(address, texts, 1, min(3.0, 2 * seconds)))
    usual = max(2 * before["milliseconds"]["p50"], before["milliseconds"]["p99"]) / 1000
    slow = [call.started + call.seconds for call in after if call.status != 200 or call.seconds > usual]
    soon = [end for end in slow if end < 1.0]
    return {
        "rate": round(2 * rate, 1),
        **summarise(overloaded),
        "recovery_seconds": round(max(soon, default=0.0), 3),
        "slow_a_second_later": len(slow) - len(soon),
    }


def texts_of(corpus: Path, nlp: Language) -> list[str]:
    """RETURNS (list[str]): The corpus's texts, cut into pieces of 30 words."""
    docs = DocBin().from_disk(corpus).get_docs(nlp.vocab)
    words = [doc[i : i + WORDS].text for doc in docs for i in range(0, len(doc) - WORDS + 1, WORDS)]
    if not words:
        raise SystemExit(f"{corpus} holds no document of {WORDS} words")
    return words


@contextmanager
def service(model: Path, workers: str) -> Iterator[tuple[tuple[str, int], int]]:
    """Serve a model in its own process. YIELDS: Its address, once it answers, and the process's id."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "spacy",
        "bert-ner",
        "serve",
        str(model),
        "--port",
        str(port),
        "--workers",
        workers,
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.2)
        else:
            raise SystemExit(f"The service ended with {process.returncode}: {' '.join(command)}")
        # One process may answer while another loads.
        time.sleep(REST)
        yield ("127.0.0.1", port), process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def resident_mib(pid: int) -> float:
    """RETURNS (float): Memory of a process and of its child processes, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return int(status.split("RssAnon:")[1].split()[0]) / 1024 + sum(resident_mib(int(child)) for child in children)


def main() -> None:
    """Parse the arguments, measure, print a table, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of the pipeline")
    parser.add_argument("corpus", type=Path, help="a corpus to take texts from (.spacy)")
    parser.add_argument("output", type=Path, help="where to write the figures (.json)")
    parser.add_argument("--seconds", type=float, default=60, help="of load by many clients; a sixth of it by one")
    parser.add_argument("--workers", default="auto", help="the service's processes")
    parser.add_argument("--clients", type=int, default=32, help="clients at once")
    parser.add_argument("--soak", type=float, default=600, help="seconds for which memory is watched; 0 for none")
    parser.add_argument("--overload", type=float, default=20, help="seconds of twice the load; 0 for none")
    args = parser.parse_args()
    nlp = spacy.load(args.model)
    texts = texts_of(args.corpus, nlp)
    figures: dict[str, Any] = {"texts": len(texts), "processors": os.cpu_count(), "workers": args.workers}
    with service(args.model, args.workers) as (address, pid):
        figures["latency"] = measure_latency(nlp, address, texts, args.seconds / 6)
        time.sleep(REST)
        figures["load"] = measure_throughput(nlp, address, texts, args.clients, args.seconds)
        time.sleep(REST)
        if args.overload:
            rate = figures["load"]["requests"] / figures["load"]["seconds"]
            figures["overload"] = measure_overload(address, texts, rate, args.overload)
        if args.soak:
            figures["memory"] = measure_memory(address, pid, texts, args.clients, args.soak)
    for name, values in figures.items():
        if isinstance(values, dict):
            msg.divider(name)
            msg.table([(key, str(value)) for key, value in values.items()])
    args.output.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(args.output, (json.dumps(figures, indent=2) + "\n").encode())
    msg.good(f"Wrote {args.output}")


if __name__ == "__main__":
    main()
