# SPDX-License-Identifier: MIT
"""What bench/run and bench/bindings have in common: programs on a CPU of
their own that never outlive us, rounds of runs in random order, runs that
were disturbed, medians, and ratios inside a round.

A figure is a number with a name; its unit is the end of the name: cpu_ns,
p99_ms, rss_kb. A run gives several, a round has one run of each variant.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import platform
import random
import re
import resource
import select
import signal
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import (
    Any,
    Callable,
    Dict,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    Type,
)

ROOT = Path(__file__).resolve().parent.parent
START_S = 10.0  # for a server, until it listens
STOP_S = 10.0
VOID_CPUS = 0.10  # that something else may have had in a run that counts
PR_SET_PDEATHSIG = 1  # prctl(2)

Figures = Dict[str, float]
Round = Dict[str, Figures]


class Failure(Exception):
    """A program did not do what it is for; the text says why."""


class Variant(NamedTuple):
    """One of those that are compared: its cells in the table, and what makes
    one run of it. A run raises Failure if it cannot be."""

    labels: Tuple[str, ...]
    run: Callable[[], Figures]

    @property
    def name(self) -> str:
        """By which a round knows it."""
        return ", ".join(self.labels)


class Plan(NamedTuple):
    """How often all is run, and what becomes of a disturbed run: it is
    repeated up to so many times, or counts like any other."""

    rounds: int
    seed: int
    repeats: int = 2
    keep_void: bool = False


class Outcome(NamedTuple):
    """The rounds; who was left out of them, and why; how many runs there were
    and how many of them void."""

    rounds: List[Round]
    left_out: Dict[str, str]
    runs: int
    void: int


class Summary(NamedTuple):
    """Of one figure over the rounds."""

    median: float
    low: float
    high: float


# ---- programs --------------------------------------------------------------


def environment(build: Path) -> Dict[str, str]:
    """In which programs run: the library and the packages of the tree."""
    paths = {
        "LD_LIBRARY_PATH": str(build / ".libs"),
        "PYTHONPATH": str(ROOT / "bindings/python"),
        "LUA_PATH": ";".join(
            f"{ROOT}/bindings/lua/{name}" for name in ("?.lua", "?/init.lua")
        ),
    }
    env = dict(os.environ)
    for name, path in paths.items():
        separator = ";" if name == "LUA_PATH" else ":"
        # An empty one at the end of LUA_PATH is Lua's own default.
        rest = env.get(name, separator if name == "LUA_PATH" else "")
        env[name] = path + (separator + rest if rest else "")
    return env


def last_line(text: str) -> str:
    """Of what a program said, to say why it failed."""
    # Python's error is the last of them, Lua's stands before its traceback.
    lines = [
        line
        for line in text.splitlines()
        if line and not line[0].isspace() and line != "stack traceback:"
    ]
    return lines[-1] if lines else "it said nothing"


def place(parent: int, cpu: int, nice: int) -> None:
    """In a new process, before it becomes a program: on that CPU, and ended
    by the kernel with its parent, also with one that has just gone."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    os.sched_setaffinity(0, {cpu})
    os.nice(nice)


class Program:
    """A program that runs on a CPU, in a with statement at whose end it is
    stopped. The kernel ends it should we be killed."""

    def __init__(
        self, command: Sequence[str], cpu: str, build: Path, nice: int = 0
    ) -> None:
        """Starts it; Failure if it is not there."""
        for part in command:
            if part.startswith("/") and not Path(part).exists():
                raise Failure(f"{part} is not there")
        # Of what it complains about the first 64 KB are kept: a pipe that
        # does not block refuses the rest, which is the least that it can
        # cost a server that has something to say about each failure.
        self._errors, complaints = os.pipe()
        os.set_blocking(self._errors, False)
        os.set_blocking(complaints, False)
        self._said = b""
        self._complaints = b""
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=complaints,
                env=environment(build),
                preexec_fn=partial(place, os.getpid(), int(cpu), nice),
            )
        except (OSError, subprocess.SubprocessError) as error:
            os.close(self._errors)
            raise Failure(f"{command[0]} on CPU {cpu}: {error}") from error
        finally:
            os.close(complaints)

    @property
    def pid(self) -> int:
        """Of the program itself: what places it becomes it."""
        return self._process.pid

    def _text(self) -> str:
        return self._said.decode(errors="replace")

    def _all(self) -> str:
        """Its output, and what it complains about."""
        with contextlib.suppress(BlockingIOError):
            while part := os.read(self._errors, 65536):
                self._complaints += part
        return self._text() + self._complaints.decode(errors="replace")

    def _complaint(self) -> str:
        return last_line(self._all())

    def _read(self, seconds: float) -> bool:
        """Some of its output; False at its end."""
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            return True
        part = os.read(self._process.stdout.fileno(), 65536)
        self._said += part
        return part != b""

    def line(self, beginning: str, seconds: float = START_S) -> str:
        """What follows that beginning of a line of its output; Failure if it
        ends, or does not say it within so many seconds."""
        end = time.monotonic() + seconds
        more = True
        while True:
            for text in self._text().splitlines(keepends=True):
                if text.startswith(beginning) and text.endswith("\n"):
                    return text[len(beginning) :].strip()
            if not more:
                raise Failure(self._complaint())
            if time.monotonic() >= end:
                raise Failure(f"no '{beginning}' within {seconds:.0f} s")
            more = self._read(0.1)

    def _to_end(self, seconds: float) -> None:
        """Of its output; Failure if that takes longer."""
        end = time.monotonic() + seconds
        while self._read(0.1):
            if time.monotonic() >= end:
                raise Failure(f"not at its end after {seconds:.0f} s")

    def result(self, seconds: float) -> Dict[str, Any]:
        """The JSON object in the last line of its output, once it has ended;
        Failure if it has not within so many seconds, or failed."""
        self._to_end(seconds)
        if self._process.wait(STOP_S) != 0:
            raise Failure(self._complaint())
        try:
            told = json.loads(self._text().splitlines()[-1])
        except (IndexError, ValueError) as error:
            raise Failure(f"no result: {self._complaint()}") from error
        if not isinstance(told, dict):
            raise Failure(f"no result: {self._complaint()}")
        return told

    def terminate(self) -> None:
        """SIGTERM, at which it is to end."""
        self._process.terminate()

    def interrupt(self, seconds: float) -> str:
        """SIGINT, and all that it has said and complained about by its end;
        Failure if that does not come within so many seconds."""
        self._process.send_signal(signal.SIGINT)
        self._to_end(seconds)
        return self._all()

    def check(self) -> None:
        """Failure if it has ended, though nobody told it to."""
        if self._process.poll() is not None:
            raise Failure("ended in the midst of it: " + self._complaint())

    def wait_until_traced(self) -> None:
        """By strace; Failure if it does not come within START_S seconds."""
        end = time.monotonic() + START_S
        status = Path(f"/proc/{self.pid}/status")
        while re.search(r"^TracerPid:\s+0$", status.read_text(), re.M):
            self.check()
            if time.monotonic() >= end:
                raise Failure("strace could not attach to it")
            time.sleep(0.01)

    def stop(self) -> None:
        """SIGTERM, SIGKILL if that does not do."""
        self._process.terminate()
        try:
            self._process.communicate(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        os.close(self._errors)

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.stop()


def port_of(server: Program) -> str:
    """That of its line "listening ADDRESS:PORT"; Failure as line()."""
    return server.line("listening ").rpartition(":")[2]


# ---- the machine -----------------------------------------------------------


def busy_seconds(stat: str) -> float:
    """Of all CPUs since the start, from the text of /proc/stat (proc(5)):
    user, nice, system, irq, softirq and steal. What a hypervisor gave to
    others disturbs as much as what the kernel did."""
    ticks = [int(field) for field in stat.split("\n", 1)[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def packet_threads() -> List[Path]:
    """The kernel's threads that deliver packets which came faster than who
    sent them could do it: ksoftirqd, one for each CPU."""
    found = []
    for name in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if name.read_text().startswith("ksoftirqd/"):
                found.append(name.parent / "stat")
    return found


PACKET_THREADS = packet_threads()


def ticks_of(stat: str) -> int:
    """User and system time from the text of /proc/PID/stat (proc(5))."""
    fields = stat.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def own_seconds() -> float:
    """Of CPU that we had, all programs that we ran to their end, and the
    kernel to deliver their packets."""
    ticks = sum(ticks_of(path.read_text()) for path in PACKET_THREADS)
    used: float = ticks / os.sysconf("SC_CLK_TCK")
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        used += usage.ru_utime + usage.ru_stime
    return used


class Watch:
    """How much of a CPU others have, from now on. What we run has to begin
    and end while it is watched."""

    def __init__(self) -> None:
        self._start = self._now()

    @staticmethod
    def _now() -> Tuple[float, float, float]:
        stat = Path("/proc/stat").read_text()
        return time.monotonic(), busy_seconds(stat), own_seconds()

    def others(self) -> float:
        """In CPUs: 0.5 is half of one, for all of the time."""
        wall, busy, own = (
            now - then for now, then in zip(self._now(), self._start)
        )
        return max(0.0, (busy - own) / max(wall, 1e-9))


def kilobytes(text: str, name: str) -> float:
    """The value of a line "NAME: N kB", as /proc has them; 0 without it."""
    found = re.search(rf"^{name}:\s+(\d+) kB$", text, re.MULTILINE)
    return float(found.group(1)) if found else 0.0


def rss_kb(pid: int) -> float:
    """Memory that a process has resident."""
    return kilobytes(Path(f"/proc/{pid}/status").read_text(), "VmRSS")


def slab_kb() -> float:
    """Memory of the kernel's own objects, sockets among them, that it cannot
    give back. It is that of the whole machine."""
    return kilobytes(Path("/proc/meminfo").read_text(), "SUnreclaim")


def thread_seconds(pid: int) -> Dict[str, float]:
    """CPU of each thread of a process by its id (schedstat in proc(5),
    nanoseconds)."""
    return {
        file.parent.name: int(file.read_text().split()[0]) / 1e9
        for file in Path(f"/proc/{pid}/task").glob("*/schedstat")
    }


def allow_files() -> None:
    """As many as we may have open: peers take a socket for each session."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def answer(*command: str) -> str:
    """What a command prints; empty if it cannot."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def mbedtls_version() -> str:
    """From its header: Debian has no file for pkg-config."""
    for name in ("version.h", "build_info.h"):
        header = Path("/usr/include/mbedtls") / name
        text = header.read_text() if header.exists() else ""
        found = re.search(r'define MBEDTLS_VERSION_STRING +"(.*)"', text)
        if found:
            return found.group(1)
    return ""


def machine() -> Dict[str, str]:
    """What figures of another machine are to be compared by."""
    model = re.search(
        r"^model name\s*: (.*)$",
        Path("/proc/cpuinfo").read_text(),
        re.MULTILINE,
    )
    told = {
        "CPU": model.group(1) if model else platform.machine(),
        "CPUs": str(os.cpu_count()),
        "kernel": platform.release(),
    }
    names = {"openssl": "OpenSSL", "gnutls": "GnuTLS", "wolfssl": "wolfSSL"}
    names["libuv"] = "libuv"
    for package, name in names.items():
        told[name] = answer("pkg-config", "--modversion", package)
    told["mbedTLS"] = mbedtls_version()
    return {name: value for name, value in told.items() if value}


# ---- rounds ----------------------------------------------------------------


def say(text: str) -> None:
    """Progress, which is no part of the result."""
    print(text, file=sys.stderr, flush=True)


class Rounds:
    """Runs variants round by round, each round in an order of its own."""

    def __init__(self, variants: Sequence[Variant], plan: Plan) -> None:
        self._left = list(variants)
        self._plan = plan
        self._order = random.Random(plan.seed)
        self._begin = time.monotonic()
        self._to_do = 0  # in this round
        self._out = Outcome([], {}, 0, 0)

    def _report(self, variant: Variant, text: str) -> None:
        passed = time.monotonic() - self._begin
        say(
            f"{passed:5.0f} s  round {len(self._out.rounds)} of "
            f"{self._plan.rounds}, {self._to_do} to do  "
            f"{variant.name}: {text}"
        )

    def _once(self, variant: Variant) -> Optional[Figures]:
        """A run; None if it was disturbed and does not count, not as a
        failure either."""
        watch = Watch()
        failure = None
        figures: Figures = {}
        try:
            figures = variant.run()
        except Failure as error:
            failure = error
        others = watch.others()
        void = others > VOID_CPUS
        self._out = self._out._replace(
            runs=self._out.runs + 1, void=self._out.void + void
        )
        figures["others_cpus"] = others
        if void:
            self._report(variant, f"void: others had {others:.0%} of a CPU")
        if failure is not None and (self._plan.keep_void or not void):
            raise failure
        if not void:
            self._report(variant, "done")
        return figures if self._plan.keep_void or not void else None

    def _run(self, variant: Variant) -> None:
        """Into the last round, unless it is always disturbed. Who fails once
        is named and left out of the rest."""
        try:
            for _ in range(1 + self._plan.repeats):
                figures = self._once(variant)
                if figures is not None:
                    self._out.rounds[-1][variant.name] = figures
                    return
        except Failure as failure:
            self._report(variant, f"left out: {failure}")
            self._out.left_out[variant.name] = str(failure)
            self._left.remove(variant)

    def run(self) -> Outcome:
        """All of them."""
        for _ in range(self._plan.rounds):
            self._out.rounds.append({})
            order = self._order.sample(self._left, len(self._left))
            for done, variant in enumerate(order, 1):
                self._to_do = len(order) - done
                self._run(variant)
        return self._out


# ---- what is made of figures -----------------------------------------------


def summary(values: Sequence[float]) -> Optional[Summary]:
    """None of no value."""
    if not values:
        return None
    return Summary(statistics.median(values), min(values), max(values))


def values_of(rounds: Sequence[Round], name: str, figure: str) -> List[float]:
    """One for each round that has it."""
    return [
        one[name][figure]
        for one in rounds
        if name in one and figure in one[name]
    ]


def ratios_of(
    rounds: Sequence[Round], name: str, figure: str, bases: Sequence[str]
) -> List[float]:
    """To the sum of what the bases have in the same round, for each round
    that has them all."""
    ratios = []
    for one in rounds:
        parts = [
            one.get(variant, {}).get(figure) for variant in (name, *bases)
        ]
        numbers = [part for part in parts if part is not None]
        if len(numbers) == len(parts) and bases and sum(numbers[1:]) > 0:
            ratios.append(numbers[0] / sum(numbers[1:]))
    return ratios
