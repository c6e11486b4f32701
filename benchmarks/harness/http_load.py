"""Many clients of one HTTP server: each sends a request, waits for the answer, and sends the next.

Run as ``python -m benchmarks.harness.http_load`` in a process of its own, it reads a ``Load`` as JSON from stdin and
writes what came of it as JSON to stdout. It speaks just enough HTTP/1.1 over kept connections to cost the processor
little, because it shares it with the server that it measures.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Load:
    """What to send: ``bodies`` in turn to ``path``, by so many ``clients``, for so many ``seconds``."""

    port: int
    path: str
    bodies: Sequence[str]
    headers: Mapping[str, str]
    clients: int
    seconds: float
    keys: str = ""
    """What stands before the number of each request in its idempotency key; none where empty."""


@dataclass
class Loaded:
    """What came of it.

    Attributes:
        taken: seconds of each answered request.
        statuses: status to how often it came; ``broken`` where a connection broke.
        seconds: from the first request to the last answer.
        versions: version of a release to the seconds after the start at which it answered first.
        names: the ``interaction_id`` of each answer that says that it is recorded.
    """

    taken: list[float] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    versions: dict[str, float] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)


def start_load(load: Load) -> subprocess.Popen[str]:
    """Begin ``load`` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.harness.http_load"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if process.stdin:
        process.stdin.write(json.dumps(asdict(load)))
        process.stdin.close()
    return process


def end_load(process: subprocess.Popen[str]) -> Loaded:
    """Wait for a load to end, and return what came of it."""
    told = process.stdout.read() if process.stdout else ""
    process.wait()
    return Loaded(**json.loads(told))


def run_load(load: Load) -> Loaded:
    """Run ``load`` from beginning to end."""
    return end_load(start_load(load))


async def _run(load: Load) -> Loaded:
    loaded = Loaded()
    began = time.perf_counter()
    await asyncio.gather(*(_ask(load, number, loaded, began) for number in range(load.clients)))
    loaded.seconds = time.perf_counter() - began
    return loaded


async def _ask(load: Load, number: int, loaded: Loaded, began: float) -> None:
    sent = number
    while time.perf_counter() < began + load.seconds:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", load.port)
            while time.perf_counter() < began + load.seconds:
                sent += load.clients
                at = time.perf_counter()
                writer.write(_request(load, sent))
                status, body = await _read(reader)
                _note(loaded, status, body, at=at, began=began)
            writer.close()
        except (OSError, asyncio.IncompleteReadError):
            loaded.statuses["broken"] = loaded.statuses.get("broken", 0) + 1
            await asyncio.sleep(0.05)


def _request(load: Load, number: int) -> bytes:
    body = load.bodies[number % len(load.bodies)].encode()
    keyed = {"Idempotency-Key": f"{load.keys}{number}"} if load.keys else {}
    about = {"Host": "127.0.0.1", "Content-Type": "application/json", "Content-Length": str(len(body)), **keyed}
    head = "".join(f"{name}: {value}\r\n" for name, value in {**about, **load.headers}.items())
    return f"POST {load.path} HTTP/1.1\r\n{head}\r\n".encode() + body


async def _read(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status, *lines = head.split("\r\n")
    length = next(int(line.partition(":")[2]) for line in lines if line.lower().startswith("content-length:"))
    return status.split(" ")[1], await reader.readexactly(length)


def _note(loaded: Loaded, status: str, body: bytes, *, at: float, began: float) -> None:
    now = time.perf_counter()
    loaded.statuses[status] = loaded.statuses.get(status, 0) + 1
    if status != "200":
        return
    loaded.taken.append(now - at)
    answer = json.loads(body)
    if isinstance(answer, dict) and answer.get("recorded"):
        loaded.names.append(answer["interaction_id"])
        loaded.versions.setdefault(str(answer["version"]), now - began)


def main() -> None:
    """Run the load that stdin describes."""
    print(json.dumps(asdict(asyncio.run(_run(Load(**json.load(sys.stdin)))))))


if __name__ == "__main__":
    main()
