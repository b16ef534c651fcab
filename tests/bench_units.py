# SPDX-License-Identifier: MIT
"""Unit tests of bench/run: figures, rounds, void runs, tables, drawings, and
programs that do not do what they should; then all of it with programs that
only pretend. tests/benchrun_test.sh runs it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from functools import partial
from pathlib import Path
from typing import Any, Dict, Iterator, List
from unittest import mock
from xml.etree import ElementTree

BENCH = Path(os.environ["DTLSL_BENCH"])
sys.path.insert(0, str(BENCH))

import figures  # noqa: E402
import floods  # noqa: E402
import measure  # noqa: E402
import report  # noqa: E402
import running  # noqa: E402
import tables  # noqa: E402

CPU = str(min(os.sched_getaffinity(0)))

# Of all programs: its own name and arguments decide what it says. For sh, as
# hundreds of them are started.
PRETENDER = r"""#!/bin/sh
trap "told_to_end=1" TERM
flooding=${0%/*}/flooding
all='"seconds": 1, "server_s": 0.5, "server_user_s": 0.1,
"server_system_s": 0.4, "client_s": 0.5, "server_rss_kb": 2048'
storm="$all"', "started": 100, "completed": 100, "failed": 0,
"retransmitted": 1, "within_4s": 99, "within_8s": 100, "p50_ms": 1,
"p99_ms": 2, "max_ms": 3'
echo="$all"', "messages": 1000, "lost": 0, "p50_ms": 0.1, "p99_ms": 1,
"max_ms": 4'
hold()
{
    until [ "$told_to_end" ]; do sleep 0.02; done
}
beside_flood()
{
    until [ -e "$flooding" ]; do sleep 0.02; done
}
case "${0##*/} $* " in
bound*) told=$all', "operations": 1000' ;;
flood*)
    case " $*" in
    *" -t "[1-9][0-9]*) touch "$flooding" && hold && rm "$flooding" ;;
    esac
    told=$all', "sent": 2000, "sent_bytes": 400000, "replies": 1000,
"reply_bytes": 60000, "unread": 0, "malformed": 0, "longest_reply": 60,
"verified": 900'
    ;;
"load storm"*" -d "*) beside_flood && told=$storm ;;
"load storm"*) told=$storm ;;
"load echo"*) told=$echo ;;
"load mixed"*)
    echo "peers 127.1.0.1:4000,127.1.0.2:4000"
    beside_flood
    told="\"paced\": {$echo}, \"storm\": {$storm}"
    ;;
"load idle"*)
    echo "ready 2000 2048"
    hold
    told=$all', "open": 2000, "failed": 0, "closed": 0, "retransmitted": 3,
"messages": 9, "lost": 0, "handshakes_per_second": 700'
    ;;
*) echo "listening 127.0.0.1:4" && hold && exit ;;
esac
echo {$told}
"""

# One that is never ready.
FOREVER = "#!%s\nimport signal\nsignal.pause()\n"


def script(path: Path, text: str) -> str:
    """An executable file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def summary(value: float) -> measure.Summary:
    return measure.Summary(value, value, value)


class Statistics(unittest.TestCase):
    """Medians and ratios."""

    ROUNDS: List[measure.Round] = [
        {"a": {"x": 2.0}, "b": {"x": 4.0}, "c": {"x": 1.0}},
        {"a": {"x": 3.0}, "b": {"x": 2.0}},
        {"a": {"x": 9.0}},
    ]

    def test_a_summary_is_median_and_range(self) -> None:
        self.assertEqual(measure.summary([5, 1, 2]), (2, 1, 5))
        self.assertEqual(measure.summary([1, 2]), (1.5, 1, 2))
        self.assertIsNone(measure.summary([]))

    def test_values_are_of_rounds_that_have_them(self) -> None:
        self.assertEqual(measure.values_of(self.ROUNDS, "b", "x"), [4, 2])
        self.assertEqual(measure.values_of(self.ROUNDS, "b", "y"), [])

    def test_a_ratio_is_inside_a_round(self) -> None:
        ratios = measure.ratios_of(self.ROUNDS, "a", "x", ["b"])
        self.assertEqual(ratios, [0.5, 1.5])

    def test_bases_are_summed_where_a_round_has_all(self) -> None:
        ratios = measure.ratios_of(self.ROUNDS, "a", "x", ["b", "c"])
        self.assertEqual(ratios, [0.4])

    def test_a_base_of_nothing_gives_no_ratio(self) -> None:
        rounds: List[measure.Round] = [{"a": {"x": 1.0}, "b": {"x": 0.0}}]
        self.assertEqual(measure.ratios_of(rounds, "a", "x", ["b"]), [])
        self.assertEqual(measure.ratios_of(rounds, "a", "x", []), [])


class Machine(unittest.TestCase):
    """What is read of the system."""

    def test_busy_is_all_but_idle_and_waiting(self) -> None:
        ticks = os.sysconf("SC_CLK_TCK")
        stat = "cpu  1 2 3 100 50 4 5 6 9 9\ncpu0 7 7 7 7\n"
        self.assertEqual(measure.busy_seconds(stat) * ticks, 21)

    def test_time_of_a_thread_is_behind_its_name(self) -> None:
        stat = "15 (a) b) S 2 0 0 0 -1 69238848 0 0 0 0 7 35 0 0 20 0 1 0"
        self.assertEqual(measure.ticks_of(stat), 42)

    def test_what_we_use_is_not_anothers(self) -> None:
        stats = iter(["cpu 0 0 0 0 0 0 0 0 0 0", "cpu 90 0 0 0 0 0 0 60 0 0"])
        ticks = os.sysconf("SC_CLK_TCK")
        with mock.patch.object(
            Path, "read_text", lambda _: next(stats)
        ), mock.patch.object(
            measure, "own_seconds", iter([1.0, 1.0 + 100 / ticks]).__next__
        ), mock.patch.object(
            time, "monotonic", iter([10.0, 12.0]).__next__
        ):
            others = measure.Watch().others()
        self.assertAlmostEqual(others, 50 / ticks / 2)

    def test_kilobytes_are_found_by_their_name(self) -> None:
        text = "VmRSS:\t   12 kB\nVmRSSx:  13 kB\n"
        self.assertEqual(measure.kilobytes(text, "VmRSS"), 12)
        self.assertEqual(measure.kilobytes(text, "RSS"), 0)

    def test_this_process_has_memory_and_a_thread(self) -> None:
        self.assertGreater(measure.rss_kb(os.getpid()), 1000)
        self.assertGreaterEqual(len(measure.thread_seconds(os.getpid())), 1)


class Counted(unittest.TestCase):
    """Rounds of runs that are made up."""

    def rounds(
        self, others: List[float], variants: int, **plan: Any
    ) -> measure.Outcome:
        """That many variants, and what others had in run after run."""
        self.ran: List[str] = []

        def run(name: str) -> measure.Figures:
            self.ran.append(name)
            return {"run": float(len(self.ran))}

        chosen = [
            measure.Variant((name,), partial(run, name))
            for name in "abcdefgh"[:variants]
        ]
        share = iter(others)
        with mock.patch.object(
            measure.Watch, "others", lambda _: next(share)
        ), mock.patch.object(measure, "say"):
            return measure.Rounds(chosen, measure.Plan(**plan)).run()

    def test_each_round_has_every_variant_in_its_own_order(self) -> None:
        out = self.rounds([0.0] * 32, 8, rounds=4, seed=3)
        orders = [self.ran[i : i + 8] for i in range(0, 32, 8)]
        self.assertEqual([sorted(one) for one in orders], [[*"abcdefgh"]] * 4)
        self.assertGreater(len({tuple(one) for one in orders}), 1)
        self.assertEqual((out.runs, out.void), (32, 0))
        before = self.ran
        self.rounds([0.0] * 32, 8, rounds=4, seed=3)
        self.assertEqual(self.ran, before)

    def test_a_disturbed_run_is_void_and_repeated(self) -> None:
        out = self.rounds([0.11, 0.10], 1, rounds=1, seed=1)
        self.assertEqual((out.runs, out.void), (2, 1))
        self.assertEqual(out.rounds[0]["a"]["run"], 2)

    def test_repeats_are_bounded(self) -> None:
        out = self.rounds([0.5] * 9, 1, rounds=1, seed=1, repeats=2)
        self.assertEqual((out.runs, out.void, out.rounds), (3, 3, [{}]))

    def test_a_failure_of_a_disturbed_run_is_none(self) -> None:
        failures = [measure.Failure("late")]

        def run() -> measure.Figures:
            if failures:
                raise failures.pop()
            return {"x": 1.0}

        share = iter([0.5, 0.0])
        with mock.patch.object(
            measure.Watch, "others", lambda _: next(share)
        ), mock.patch.object(measure, "say"):
            out = measure.Rounds(
                [measure.Variant(("a",), run)], measure.Plan(1, 1)
            ).run()
        self.assertEqual((out.left_out, out.void, out.runs), ({}, 1, 2))
        self.assertEqual(out.rounds[0]["a"]["x"], 1)

    def test_void_runs_count_where_that_is_asked_for(self) -> None:
        out = self.rounds([0.5], 1, rounds=1, seed=1, keep_void=True)
        self.assertEqual((out.runs, out.void), (1, 1))
        self.assertEqual(out.rounds[0]["a"]["others_cpus"], 0.5)

    def test_who_fails_is_left_out_of_the_rest(self) -> None:
        def fail() -> measure.Figures:
            raise measure.Failure("no such thing")

        variants = [
            measure.Variant(("bad",), fail),
            measure.Variant(("good",), lambda: {"x": 1.0}),
        ]
        with mock.patch.object(measure, "say"):
            out = measure.Rounds(
                variants, measure.Plan(2, 1, keep_void=True)
            ).run()
        self.assertEqual(out.left_out, {"bad": "no such thing"})
        self.assertEqual([[*one] for one in out.rounds], [["good"]] * 2)


class Programs(unittest.TestCase):
    """Those that fail, in small scripts."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name) / "program"

    def program(self, text: str) -> measure.Program:
        path = script(self.path, "#!/bin/sh\n" + text)
        return measure.Program([path], CPU, self.path.parent)

    def test_a_line_and_a_result_are_found(self) -> None:
        with self.program(
            "echo noise; echo listening 1.2.3.4:56; echo '{}'"
        ) as program:
            self.assertEqual(measure.port_of(program), "56")
            self.assertEqual(program.result(10), {})

    def test_what_it_complained_about_is_said(self) -> None:
        with self.program("echo no such option >&2; exit 2") as program:
            with self.assertRaisesRegex(measure.Failure, "no such option"):
                program.line("listening ")

    def test_no_result_is_a_failure(self) -> None:
        for text in ("", "echo 3", "echo '{'", "echo '{}'; exit 1"):
            with self.subTest(text), self.program(text) as program:
                with self.assertRaises(measure.Failure):
                    program.result(10)

    def test_one_that_is_not_there_is_named(self) -> None:
        with self.assertRaisesRegex(measure.Failure, "/no/such is not there"):
            measure.Program(["/no/such"], CPU, self.path)

    def test_waiting_has_an_end(self) -> None:
        with self.program("exec sleep 60") as program:
            with self.assertRaisesRegex(measure.Failure, "no 'ready '"):
                program.line("ready ", 0.0)
            with self.assertRaisesRegex(measure.Failure, "not at its end"):
                program.result(0.0)

    def test_who_complains_a_lot_never_waits(self) -> None:
        with self.program(
            "head -c 9000000 /dev/zero | tr '\\0' x >&2; echo '{}'"
        ) as program:
            self.assertEqual(program.result(30), {})

    def test_nothing_is_left_even_if_it_does_not_listen(self) -> None:
        text = "trap '' TERM; echo up; while :; do sleep 0.1; done"
        with mock.patch.object(measure, "STOP_S", 0.2):
            with self.program(text) as program:
                program.line("up")
        with self.assertRaises(ProcessLookupError):
            os.kill(program.pid, 0)

    def test_one_that_ended_by_itself_is_a_failure(self) -> None:
        with self.program("echo gone >&2") as program:
            program._to_end(10)
            program._process.wait()
            with self.assertRaisesRegex(measure.Failure, "midst of it: gone"):
                program.check()


class Rendered(unittest.TestCase):
    """Tables with targets."""

    @staticmethod
    def table() -> report.Table:
        def never() -> measure.Figures:
            raise AssertionError

        names = ["ours", "base", "peer", "absent"]
        return report.Table(
            "t",
            "A title",
            ("server",),
            [measure.Variant((name,), never) for name in names],
            [
                report.Column("us", "x_us", 1),
                report.Column("share %", "share", 0, 100),
                report.Column("us / base", "x_us", 2, 1, lambda _: ["base"]),
            ],
            [
                report.Target(("ours",), "us / base", "<=", 1.5),
                report.Target(("ours",), "share %", ">=", 50),
                report.Target(("ours",), "us", "<", ["peer", "base"]),
                report.Target(("ours",), "us", "<", ["absent"]),
            ],
            ["A note."],
        )

    OUT = measure.Outcome(
        [
            {
                "ours": {"x_us": 1500.0, "share": 0.2},
                "base": {"x_us": 1e3},
                "peer": {"x_us": 1e4},
            },
            {"ours": {"x_us": 1000.0, "share": 0.3}, "base": {"x_us": 1e3}},
        ],
        {"absent": "no such program"},
        7,
        2,
    )

    def test_markdown_has_rows_ranges_ratios_and_targets(self) -> None:
        lines = report.markdown(self.table(), self.OUT).splitlines()
        self.assertEqual(
            lines[:7],
            [
                "### A title",
                "",
                "| server | us | share % | us / base | target |",
                "| --- | --- | --- | --- | --- |",
                "| ours | 1,250.0 (1,000.0–1,500.0) | 25 (20–30) | "
                "1.25 (1.00–1.50) | us / base <= 1.5: met; share % >= 50: "
                "**not met**; us < every peer's: **not met**; "
                "us < every peer's: - |",
                "| base | 1,000.0 | - | 1.00 |  |",
                "| peer | 10,000.0 | - | 10.00 |  |",
            ],
        )
        self.assertIn("2 of 7 runs were void.", lines)
        self.assertIn("Left out: absent: no such program.", lines)
        self.assertEqual(lines[-1], "A note.")

    def test_one_without_a_run_that_counts_is_named(self) -> None:
        out = measure.Outcome([{}], {}, 3, 3)
        text = report.markdown(self.table(), out)
        self.assertIn("Without a run that counts: ours.", text)

    def test_every_row_has_as_many_cells_as_the_head(self) -> None:
        text = report.markdown(self.table(), self.OUT)
        rows = [line for line in text.splitlines() if line.startswith("|")]
        self.assertEqual({line.count("|") for line in rows}, {6})

    def test_json_says_what_was_met(self) -> None:
        told = json.loads(json.dumps(report.as_json(self.table(), self.OUT)))
        verdicts = [target["met"] for target in told["targets"]]
        self.assertEqual(verdicts, [True, False, False, None])
        self.assertEqual(told["rows"]["base"]["us"], [1000, 1000, 1000])

    def test_relations(self) -> None:
        self.assertTrue(report.met(1, "<=", 1) and report.met(1, ">=", 1))
        self.assertTrue(report.met(0, "<", 0))
        self.assertFalse(report.met(1, "<", 1) or report.met(2, "<=", 1))


class Tables(unittest.TestCase):
    """Those of bench/run, as they are."""

    @staticmethod
    def bench(quick: bool) -> running.Bench:
        files = Path("/c"), Path("/k")
        keys = ("ECDSA P-256", "RSA-2048")
        return running.Bench(
            Path("/b"), ("0", "1"), 1.0, quick, {key: files for key in keys}
        )

    def test_targets_and_bases_are_of_rows_and_columns(self) -> None:
        for quick in (False, True):
            for name, make in tables.TABLES.items():
                table = make(self.bench(quick))
                names = [variant.name for variant in table.variants]
                rows = [variant.labels for variant in table.variants]
                titles = [column.title for column in table.columns]
                with self.subTest(name, quick=quick):
                    self.assertEqual(table.name, name)
                    self.assertEqual(len(set(names)), len(names))
                    self.assertEqual(len(set(titles)), len(titles))
                    for target in table.targets:
                        self.assertIn(target.labels, rows)
                        self.assertIn(target.column, titles)
                        if not isinstance(target.limit, (int, float)):
                            self.assertLessEqual({*target.limit}, {*names})
                    for column in table.columns:
                        for row in rows if column.bases else []:
                            assert column.bases is not None
                            bases = column.bases(row)
                            self.assertLessEqual({*bases}, {*names})

    def test_all_but_held_take_45_minutes_at_most(self) -> None:
        self.assertEqual([*tables.PACES], [*tables.TABLES])
        paces = {
            name: pace for name, pace in tables.PACES.items() if name != "held"
        }
        self.assertLessEqual(
            tables.duration_s(self.bench(False), paces), 45 * 60
        )

    def test_all_get_the_same_buffers_and_mtu(self) -> None:
        bench = self.bench(False)
        shared = running.command_of(bench, running.SHARED, "1400")
        self.assertEqual(
            " ".join(shared),
            "/b/examples/echo -o cert-file=/c -o key-file=/k -o mtu=1400 "
            "-o recv-buffer=2097152 -o isolate=0 127.0.0.1 0",
        )
        kept = running.command_of(bench, running.OPENSSL_KEPT)
        self.assertEqual(
            " ".join(kept),
            "/b/bench/openssl_server -H -r 2097152 -c /c -k /k -m 1232 "
            "127.0.0.1 0",
        )
        floor = running.command_of(bench, running.FLOOR_ALL)
        self.assertEqual(
            " ".join(floor),
            "/b/bench/reflector -b 64 -o -r 2097152 0.0.0.0 0",
        )

    def test_answers_that_were_not_read_are_answers(self) -> None:
        told = dict.fromkeys(
            "server_s server_user_s server_system_s client_s".split(), 1.0
        )
        told.update(sent=200, replies=60, unread=40, seconds=2, malformed=0)
        figures_of = tables.hello_figures(told)
        self.assertEqual(figures_of["cpu_ns"], 1e7)
        self.assertEqual(figures_of["answered"], 0.5)

    def test_system_calls_are_read_from_strace(self) -> None:
        text = (
            "% time     seconds  usecs/call     calls    errors syscall\n"
            "------ ----------- ----------- --------- --------- --------\n"
            " 60.00    0.500000           5       100        10 recvmsg\n"
            " 40.00    0.300000           3        90           sendmmsg\n"
            "------ ----------- ----------- --------- --------- --------\n"
            "100.00    0.800000           4       190        10 total\n"
        )
        self.assertEqual(
            tables.calls_of(text), {"recvmsg": 100, "sendmmsg": 90}
        )

    def test_nothing_that_came_back_is_a_failure(self) -> None:
        with self.assertRaises(measure.Failure):
            running.per({"server_s": 1.0}, "server_s", 0)

    def test_honest_users_are_counted_by_share(self) -> None:
        echo = {
            "messages": 99,
            "lost": 1,
            "p50_ms": 1,
            "p99_ms": 2,
            "max_ms": 3,
        }
        storm = {
            "started": 50,
            "within_4s": 40,
            "within_8s": 50,
            "retransmitted": 5,
            "p99_ms": 7,
        }
        told = floods.mixed_figures({"paced": echo, "storm": storm})
        self.assertAlmostEqual(told["lost"], 0.01)
        self.assertAlmostEqual(told["failed_4s"], 0.2)
        self.assertAlmostEqual(told["ok_8s"], 1.0)
        self.assertAlmostEqual(told["retransmitted"], 0.1)


class Drawn(unittest.TestCase):
    """Figures."""

    def parsed(self, text: str) -> List[str]:
        """All that is written in one, which has to be XML."""
        root = ElementTree.fromstring(text)
        self.assertEqual(root.tag, "{http://www.w3.org/2000/svg}svg")
        self.assertIn("prefers-color-scheme: dark", text)
        width, height = float(root.get("width", 0)), float(
            root.get("height", 0)
        )
        for one in root.iter():
            for x, most in (
                ("x", width),
                ("y", height),
                ("cx", width),
                ("cy", height),
                ("x2", width),
                ("y2", height),
            ):
                self.assertLessEqual(0, float(one.get(x, 0)))
                self.assertLessEqual(float(one.get(x, 0)), most)
        return [one.text or "" for one in root.iter()]

    def test_bars_have_labels_units_and_a_caption(self) -> None:
        marks = [
            figures.Mark("<ours> & co", measure.Summary(4700, 4500, 5000), 0),
            figures.Mark("peer", summary(9000), 1),
        ]
        words = self.parsed(figures.bars("T", "ns", marks, "on a machine"))
        for word in ("T", "ns", "<ours> & co", "peer", "on a machine"):
            self.assertIn(word, words)

    def test_a_longer_bar_is_more(self) -> None:
        marks = [
            figures.Mark("a", summary(1), 0),
            figures.Mark("b", summary(2), 0),
        ]
        root = ElementTree.fromstring(figures.bars("", "", marks, ""))
        widths = [
            float(one.get("width", 0))
            for one in root
            if one.tag.endswith("rect")
        ][1:]
        self.assertAlmostEqual(widths[1], 2 * widths[0], 1)

    def test_lines_have_a_name_for_each_and_both_units(self) -> None:
        series = [
            figures.Series(
                name, 0, False, [("0", summary(4000)), ("10", summary(last))]
            )
            for name, last in (("ours", 4100), ("peer", 118000))
        ]
        words = self.parsed(
            figures.lines("T", ("sessions", "ns"), ["0", "10"], series, "c")
        )
        for word in ("ours", "peer", "sessions", "ns", "10", "100,000"):
            self.assertIn(word, words)

    def test_names_of_lines_do_not_overlap(self) -> None:
        texts = figures.names_at([(100, 5, "a"), (101, 5, "b"), (99, 5, "c")])
        places = [ElementTree.fromstring(one).get("y") for one in texts]
        self.assertEqual(places, ["103.0", "118.0", "133.0"])

    def test_nothing_can_be_drawn(self) -> None:
        self.parsed(figures.bars("T", "ns", [], "c"))
        self.parsed(figures.dots("T", "ms", [], "c"))
        self.parsed(figures.lines("T", ("a", "b"), [], [], "c"))

    def test_a_value_of_nothing_stays_on_the_paper(self) -> None:
        marks = [figures.Mark("a", summary(0), 0, "5 % lost")]
        self.parsed(figures.dots("T", "ms", marks, "c"))
        self.parsed(figures.bars("T", "ms", marks, "c"))

    def test_axes(self) -> None:
        for highest in (0.3, 1, 9, 10, 4999, 5001, 9713, 123456):
            axis = figures.linear(highest)
            self.assertEqual(axis.place(axis.ticks[-1]), 1)
            self.assertLessEqual(highest, axis.ticks[-1])
            self.assertIn(len(axis.ticks), range(4, 13))
        axis = figures.logarithmic(3, 2000)
        self.assertEqual(axis.ticks, [1, 10, 100, 1000, 10000])
        self.assertEqual([axis.place(1), axis.place(100)], [0, 0.5])


@contextlib.contextmanager
def pretended() -> Iterator[Path]:
    """A folder of a build whose programs pretend."""
    with tempfile.TemporaryDirectory() as name:
        for path in (
            "examples/echo",
            "bench/openssl_server",
            "bench/reflector",
            "bench/bound",
            "bench/flood",
            "bench/load",
        ):
            script(Path(name) / path, PRETENDER)
        yield Path(name)


def command(build: Path, *options: str) -> List[str]:
    return [
        sys.executable,
        str(BENCH / "run"),
        "--build",
        str(build),
        "--cpus",
        f"{CPU},{CPU}",
        "--keep-void",
        *options,
    ]


class Whole(unittest.TestCase):
    """bench/run itself."""

    def run_it(self, *options: str) -> "subprocess.CompletedProcess[str]":
        with pretended() as build:
            return subprocess.run(
                command(build, *options),
                capture_output=True,
                text=True,
                timeout=120,
            )

    def test_quick_prints_tables_and_writes_json_and_figures(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            out = Path(name) / "out.json"
            names = [
                one
                for one in tables.TABLES
                if one not in ("calls", "workers", "held")
            ]
            only = [part for one in names for part in ("--only", one)]
            done = self.run_it(
                "--quick", "--json", str(out), "--figures", name, *only
            )
            self.assertEqual(done.returncode, 0, done.stderr)
            told: Dict[str, Any] = json.loads(out.read_text())
            self.assertEqual(list(told["tables"]), names)
            self.assertEqual(done.stdout.count("\n### "), len(names))
            self.assertIn("Left out: GnuTLS: ", done.stdout)
            for figure in figures.FIGURES:
                text = (Path(name) / f"{figure}.svg").read_text()
                ElementTree.fromstring(text)
        hello = told["tables"]["hello"]["rows"]["ours"]
        self.assertEqual(hello["CPU ns/hello"], [500000] * 3)
        self.assertEqual(hello["CPU / reflector 64"], [1] * 3)
        flood = told["tables"]["flood"]["rows"]["ours, hello, load's"]
        self.assertEqual(flood["replies/requests, bytes"], [0.15] * 3)
        self.assertAlmostEqual(flood["failed in 4 s %"][0], 1)
        self.assertNotIn("it said nothing", done.stderr)

    def test_a_table_of_nothing_is_status_1(self) -> None:
        with pretended() as build:
            (build / "examples/echo").unlink()
            done = subprocess.run(
                command(build, "--only", "workers"),
                capture_output=True,
                text=True,
                timeout=120,
            )
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(f"{build}/examples/echo is not there", done.stdout)

    def test_wrong_options_are_refused(self) -> None:
        for words in (
            ["--only", "nothing"],
            ["--cpus", "a"],
            ["--rounds", "0"],
            ["--seconds", "0"],
            ["--json", "/no/such/file"],
        ):
            with self.subTest(words):
                done = self.run_it(*words)
                self.assertEqual(done.returncode, 2, done.stderr)

    def test_a_build_without_programs_is_named(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            done = subprocess.run(
                command(Path(name)), capture_output=True, text=True, timeout=60
            )
        self.assertEqual(done.returncode, 1)
        self.assertIn("make bench-programs", done.stderr)

    def test_a_signal_leaves_nothing_behind(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            with self.subTest(number), pretended() as build:
                self.stopped(build, number)

    def stopped(self, build: Path, number: int) -> None:
        """While sessions are held; its programs have the build in their
        command lines."""
        script(build / "bench/load", FOREVER % sys.executable)
        with open(build / "log", "w") as log:
            running_it = subprocess.Popen(
                command(build, "--quick", "--only", "memory"),
                stdout=log,
                stderr=log,
            )
            self.until(lambda: len(self.left(build)) > 1)
            running_it.send_signal(number)
            status = running_it.wait(30)
        self.assertEqual(status, -9 if number == signal.SIGKILL else 130)
        self.until(lambda: not self.left(build))

    @staticmethod
    def left(build: Path) -> List[str]:
        """Processes of the build, but for the runner."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                words = path.read_bytes().decode(errors="replace")
                if f"{build}/" in words:
                    found.append(words)
        return found

    def until(self, condition: Any) -> None:
        """Waits for it, for long enough."""
        end = time.monotonic() + 30
        while not condition():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)


if __name__ == "__main__":
    unittest.main()
