"""How much load `spellout serve` bears: `python bench/serve.py [RUN]`, with Debian's `wrk`.

Requests a second, latencies and processor time of /health, /score of one name and /make of ten lines, with one
worker and with two, 16 connections. The baselines do the same work with the same model behind what somebody would
write by hand (see `serve_baselines.py`): FastAPI, if it is installed, and the standard library's http.server. They
check and describe less, have no limits, and ask for new lines too. Rounds alternate, so that a busy machine is busy
for all; the figure is the median. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from machine import machine
from spellout.api import train
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.training.runs.run import save_run

BASELINES = str(Path(__file__).with_name("serve_baselines.py"))
REQUESTS = {"/health": None, "/score": {"lines": ["Sophia"]}, "/make": {"n": 10}}
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}
CONNECTIONS = 16


def commands(run: Path) -> dict[str, list[str]]:
    """What is compared: each prints its address when it listens there."""
    ours = [sys.executable, "-m", "spellout", "serve", str(run), "--port", "0"]
    found = {"spellout serve": ours, "spellout serve --workers 2": [*ours, "--workers", "2"]}
    for name in ("http.server", *(["fastapi"] if find_spec("fastapi") else [])):
        found[name] = [sys.executable, BASELINES, name, str(run)]
    return found


def processor_seconds(pid: int) -> float:
    """What a process and those that it started have used, which a busy machine does not change much."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            fields = stat.read_text().rpartition(")")[2].split()
            if pid in (int(stat.parent.name), int(fields[1])):
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def serving(command: list[str]) -> Iterator[tuple[str, int]]:
    """Start a server, and give its address when it answers, and its process."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{address}/health", timeout=10).close()
                break
            except OSError:
                time.sleep(0.1)
        try:
            yield address, process.pid
        finally:
            process.terminate()


def load(address: str, pid: int, path: str, body: object, seconds: int) -> tuple[float, float, float, float]:
    """Requests a second; in milliseconds median latency, that of the slowest 1 %, processor time of a request."""
    script = f'wrk.method = "POST"\nwrk.body = {json.dumps(json.dumps(body))}\n' if body else ""
    script += 'wrk.headers["Content-Type"] = "application/json"\n'
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as lua:
        lua.write(script)
        lua.flush()
        threads = ["-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "60s", "--latency"]
        command = ["wrk", *threads, "-s", lua.name, address + path]
        before = processor_seconds(pid)
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        used = processor_seconds(pid) - before
    if "Non-2xx" in out or "Socket errors" in out:
        sys.exit(f"{address}{path} failed under load:\n{out}")
    found = {name: re.search(rf"^ +{name} +([\d.]+)(us|ms|s)", out, re.MULTILINE) for name in ("50%", "99%")}
    half, most = (float(one[1]) * UNITS[one[2]] for one in found.values() if one)
    rate, count = re.search(r"Requests/sec: +([\d.]+)", out), re.search(r"(\d+) requests in", out)
    assert rate is not None
    assert count is not None
    return float(rate[1]), half, most, used / int(count[1]) * 1e3


def measured(run: Path, rounds: int, seconds: int) -> dict[str, dict[str, dict[str, float]]]:
    """Medians over rounds in which the servers take turns."""
    rows: dict[tuple[str, str], list[tuple[float, float, float, float]]] = {}
    with ExitStack() as stack:
        addresses = {name: stack.enter_context(serving(each)) for name, each in commands(run).items()}
        for _ in range(rounds):
            for path, body in REQUESTS.items():
                for name, (address, pid) in addresses.items():
                    rows.setdefault((name, path), []).append(load(address, pid, path, body, seconds))
    result: dict[str, dict[str, dict[str, float]]] = {}
    for (name, path), figures in rows.items():
        rate, half, most, used = (statistics.median(column) for column in zip(*figures, strict=True))
        told = {"requests_a_second": round(rate), "median_ms": round(half, 2), "p99_ms": round(most, 2)}
        told["processor_ms"] = round(used, 3)
        result.setdefault(name, {})[path] = told
        rates = f"{rate:>8.0f} requests/s{half:>9.2f} ms{most:>9.2f} ms (99 %)"
        print(f"{name:<28}{path:<9}{rates}{used:>8.3f} ms of a processor")
    return result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "run", nargs="?", type=Path, help="a run folder; without it, an n-gram of the bundled names"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3, help="of each measurement")
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("bench/serve.py needs wrk, which is not installed: apt-get install wrk")
    with tempfile.TemporaryDirectory() as place:
        run = arguments.run
        if run is None:
            run = Path(place) / "names"
            save_run(train(Prepared.of(Lines.bundled(), DataConfig()), "ngram").run, run)
        result = measured(run, arguments.rounds, arguments.seconds)
    print(json.dumps({"bench": "serve", "machine": machine(), "connections": CONNECTIONS, **result}))


if __name__ == "__main__":
    main()
