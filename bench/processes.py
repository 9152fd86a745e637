"""What a process costs, read from the kernel, for all of its processes and threads; and how one is started and ended.

Rules of this file:
- Processor time is the kernel's clock of each process (clock_getcpuclockid: user and system time of all its threads, dead ones
  too, in ns), plus what /proc/PID/stat says of children that have ended. Work that goes on after the answers counts: a sample is
  taken once the processes have gone quiet.
- Only what was started here is ended here, by its id.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

QUIET_NS, QUIET_STEP, QUIET_LIMIT = 4_000_000, 0.2, 2.0
"""Quiet: less processor time than this in one step; waited for at most so many seconds."""
TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


class Process:
    """One started command and all of its descendants. Its output goes to `log`."""

    def __init__(self, command: list[str], environment: dict[str, str], log: Path) -> None:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self.log = log
        self._file = log.open("wb")
        self._began = time.perf_counter()
        self._process = subprocess.Popen(
            command, env=kept | environment, stdin=subprocess.DEVNULL, stdout=self._file, stderr=self._file
        )

    def pids(self) -> list[int]:
        return [] if self._process.poll() is not None else sorted(_tree(self._process.pid))

    def cpu_ns(self) -> int:
        return sum(_cpu_ns(pid) for pid in self.pids())

    def settled_cpu_ns(self) -> int:
        """`cpu_ns` once the work is over: records written, garbage collected."""
        deadline = time.monotonic() + QUIET_LIMIT
        last = self.cpu_ns()
        while time.monotonic() < deadline:
            time.sleep(QUIET_STEP)
            now = self.cpu_ns()
            if now - last < QUIET_NS:
                return now
            last = now
        return last

    def memory(self) -> dict[str, int]:
        """Resident and proportional bytes, of all processes."""
        sums = {"rss": 0, "pss": 0}
        for pid in self.pids():
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                name = line.partition(":")[0].lower()
                if name in sums:
                    sums[name] += int(line.split()[1]) * 1024
        return sums

    def wait_for(self, port: int, path: str, seconds: float) -> float:
        """Seconds from the command to a GET of `path` that is answered with 200. Raises RuntimeError with the log's end."""
        while time.perf_counter() - self._began < seconds and self._process.poll() is None:
            if _answers(port, path):
                return time.perf_counter() - self._began
            time.sleep(0.002)
        raise RuntimeError(f"it did not get ready: {self.log.read_text(errors='replace')[-2000:]}")

    def stop(self) -> None:
        pids = self.pids()
        if pids:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                for pid in pids:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                self._process.wait()
        self._file.close()


@contextlib.contextmanager
def started(command: list[str], environment: dict[str, str], log: Path) -> Iterator[Process]:
    process = Process(command, environment, log)
    try:
        yield process
    finally:
        process.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _tree(root: int) -> set[int]:
    """The process and its descendants, by the parents that /proc tells."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def _cpu_ns(pid: int) -> int:
    """The clock's id is made as clock_getcpuclockid(3) makes it: the complement of the id, then CPUCLOCK_SCHED."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return time.clock_gettime_ns(~pid << 3 | 2) + (int(fields[13]) + int(fields[14])) * TICK_NS


def _answers(port: int, path: str) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n".encode())
            return connection.recv(64).split(b" ")[1:2] == [b"200"]
    except (ConnectionError, TimeoutError):
        return False
