# SPDX-License-Identifier: MIT
"""The figures that bench/run draws: SVG without a library, readable on light
and dark paper. Each has a title, axes with units, and a caption that says on
which machine and with which versions it was measured."""

from __future__ import annotations

import math
import textwrap
from typing import Callable, Dict, List, NamedTuple, Sequence, Tuple
from xml.sax.saxutils import escape

from measure import Outcome, Summary
from report import Table, column_of

WIDTH = 760
LEFT = 240  # of where a figure's data begin: labels stand there
RIGHT = 30
TOP = 50
ROW = 24
PLOT = 260  # height of a plot with lines
CAPTION = 110  # letters in a line of it

STYLE = """
.paper { fill: #ffffff }
text { font: 13px sans-serif; fill: #24292f }
.title { font-size: 16px; font-weight: bold }
.small { font-size: 11px }
.grid { stroke: #d0d7de }
.range { stroke: #24292f }
.c0 { fill: #0969da; stroke: #0969da }
.c1 { fill: #bc4c00; stroke: #bc4c00 }
.c2 { fill: #1a7f37; stroke: #1a7f37 }
.c3 { fill: #8250df; stroke: #8250df }
.c4 { fill: #8c959f; stroke: #8c959f }
@media (prefers-color-scheme: dark) {
.paper { fill: #0d1117 }
text { fill: #e6edf3 }
.grid { stroke: #30363d }
.range { stroke: #e6edf3 }
.c0 { fill: #58a6ff; stroke: #58a6ff }
.c1 { fill: #f0883e; stroke: #f0883e }
.c2 { fill: #3fb950; stroke: #3fb950 }
.c3 { fill: #bc8cff; stroke: #bc8cff }
.c4 { fill: #6e7681; stroke: #6e7681 }
}
.line { fill: none; stroke-width: 2 }
.dashed { stroke-dasharray: 6 4 }
"""


class Mark(NamedTuple):
    """A value with its label, which of the colours it has, and what is to be
    said beside it."""

    label: str
    value: Summary
    colour: int
    note: str = ""


class Series(NamedTuple):
    """Values over named places, for a line."""

    name: str
    colour: int
    dashed: bool
    points: List[Tuple[str, Summary]]


class Axis(NamedTuple):
    """Where a value is, from 0 to 1, and the values that have a tick."""

    place: Callable[[float], float]
    ticks: List[float]


def linear(highest: float) -> Axis:
    """From 0, with 6 to 11 ticks at round numbers."""
    highest = highest if highest > 0 else 1.0
    power = 10.0 ** math.floor(math.log10(highest))
    steps = [power * part for part in (0.1, 0.2, 0.5, 1.0)]
    step = next(one for one in steps if highest / one <= 10)
    count = math.ceil(highest / step)
    end = count * step
    return Axis(
        lambda value: value / end, [step * i for i in range(count + 1)]
    )


def logarithmic(lowest: float, highest: float) -> Axis:
    """Whole decades; what is not above 0 is at the low end."""
    low = math.floor(math.log10(max(lowest, 1e-3)))
    high = max(math.ceil(math.log10(max(highest, 1e-3))), low + 1)

    def place(value: float) -> float:
        exponent = math.log10(max(value, 10.0**low))
        return (exponent - low) / (high - low)

    return Axis(place, [10.0**i for i in range(low, high + 1)])


# ---- pieces ----------------------------------------------------------------


def number(value: float) -> str:
    return f"{value:,.3f}".rstrip("0").rstrip(".")


def text(
    x: float, y: float, words: str, kind: str = "", anchor: str = "start"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" '
        f'text-anchor="{anchor}">{escape(words)}</text>'
    )


def stroke(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
        f'class="{kind}"/>'
    )


def dot(x: float, y: float, colour: int) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" class="c{colour}"/>'


def document(
    title: str, body: Sequence[str], bottom: float, caption: str
) -> str:
    """The whole figure, the caption below 'bottom'."""
    notes = textwrap.wrap(caption, CAPTION)
    height = bottom + 16 * len(notes) + 12
    head = (
        '<svg xmlns="http://www.w3.org/2000/svg" role="img" '
        f'viewBox="0 0 {WIDTH} {height:.0f}" '
        f'width="{WIDTH}" height="{height:.0f}">'
    )
    lines = [
        head,
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height:.0f}" class="paper"/>',
        text(16, 26, title, "title"),
        *body,
    ]
    for i, note in enumerate(notes):
        lines.append(text(16, bottom + 16 * (i + 1), note, "small"))
    return "\n".join([*lines, "</svg>"]) + "\n"


def across(axis: Axis, value: float) -> float:
    """The x of a value."""
    return LEFT + axis.place(value) * (WIDTH - LEFT - RIGHT)


def scale(axis: Axis, bottom: float, unit: str) -> List[str]:
    """Ticks along the bottom, lines up from them, and what they count."""
    parts = []
    for tick in axis.ticks:
        x = across(axis, tick)
        parts.append(stroke(x, TOP, x, bottom, "grid"))
        parts.append(text(x, bottom + 16, number(tick), "small", "middle"))
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(text(middle, bottom + 36, unit, "", "middle"))
    return parts


# ---- figures ---------------------------------------------------------------


def bars(title: str, unit: str, marks: Sequence[Mark], caption: str) -> str:
    """A bar for each, from 0 to the median, with its range."""
    axis = linear(max([mark.value.high for mark in marks], default=1.0))
    bottom = TOP + ROW * len(marks) + 6
    parts = scale(axis, bottom, unit)
    for i, mark in enumerate(marks):
        y = TOP + ROW * i + 6
        end = across(axis, mark.value.median)
        parts.append(text(LEFT - 8, y + 12, mark.label, "", "end"))
        parts.append(
            f'<rect x="{LEFT}" y="{y}" width="{end - LEFT:.1f}" '
            f'height="{ROW - 8}" class="c{mark.colour}"/>'
        )
        parts.append(whisker(axis, mark, y + ROW / 2 - 4))
    return document(title, parts, bottom + 44, caption)


def dots(title: str, unit: str, marks: Sequence[Mark], caption: str) -> str:
    """A dot for each median, on a scale of decades, with its range."""
    axis = logarithmic(
        min([mark.value.low for mark in marks], default=1.0),
        max([mark.value.high for mark in marks], default=10.0),
    )
    bottom = TOP + ROW * len(marks) + 6
    parts = scale(axis, bottom, unit)
    for i, mark in enumerate(marks):
        y = TOP + ROW * i + ROW / 2
        parts.append(text(LEFT - 8, y + 4, mark.label, "", "end"))
        parts.append(whisker(axis, mark, y))
        x = across(axis, mark.value.median)
        parts.append(dot(x, y, mark.colour))
        parts.append(note_beside(axis, mark, y + 4))
    return document(title, parts, bottom + 44, caption)


def note_beside(axis: Axis, mark: Mark, y: float) -> str:
    """On the side of the range that has room for it."""
    low, high = across(axis, mark.value.low), across(axis, mark.value.high)
    if high < WIDTH - 120:
        return text(high + 8, y, mark.note, "small")
    return text(low - 8, y, mark.note, "small", "end")


def whisker(axis: Axis, mark: Mark, y: float) -> str:
    """From the least to the most."""
    low, high = across(axis, mark.value.low), across(axis, mark.value.high)
    return stroke(low, y, high, y, "range")


def lines(
    title: str,
    units: Tuple[str, str],
    xs: Sequence[str],
    series: Sequence[Series],
    caption: str,
) -> str:
    """A line for each series, over places that are named, on a scale of
    decades; the units are those of x and y."""
    values = [value for one in series for _, value in one.points]
    axis = logarithmic(
        min([value.low for value in values], default=1.0),
        max([value.high for value in values], default=10.0),
    )
    left, right, top = 90, WIDTH - 190, TOP + 16
    bottom = top + PLOT
    parts = [text(16, top - 14, units[1], "small")]
    for tick in axis.ticks:
        y = bottom - axis.place(tick) * PLOT
        parts.append(stroke(left, y, right, y, "grid"))
        parts.append(text(left - 8, y + 4, number(tick), "small", "end"))
    room = (right - left) / max(len(xs), 1)
    place = {x: left + room * (i + 0.5) for i, x in enumerate(xs)}
    for x, at in place.items():
        parts.append(text(at, bottom + 18, x, "small", "middle"))
    parts.append(text((left + right) / 2, bottom + 38, units[0], "", "middle"))
    ends = []
    for one in series:
        points = [
            (place[x], bottom - axis.place(value.median) * PLOT)
            for x, value in one.points
        ]
        parts += one_line(one, points)
        ends.append((points[-1][1], points[-1][0], one.name))
    return document(title, parts + names_at(ends), bottom + 48, caption)


def one_line(
    series: Series, points: Sequence[Tuple[float, float]]
) -> List[str]:
    """Through the points."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    kind = f"c{series.colour} line" + (" dashed" if series.dashed else "")
    line = f'<polyline points="{path}" class="{kind}"/>'
    return [line, *(dot(x, y, series.colour) for x, y in points)]


def names_at(ends: Sequence[Tuple[float, float, str]]) -> List[str]:
    """At the ends (y, x) of lines, none on top of another."""
    parts = []
    free = 0.0
    for y, x, name in sorted(ends):
        y = max(y, free)
        free = y + 15
        parts.append(text(x + 10, y + 4, name))
    return parts


# ---- of tables -------------------------------------------------------------


def hello_figure(table: Table, outcome: Outcome, caption: str) -> str:
    """Cost of a hello, ours apart from the peers and from what is no DTLS."""
    marks = []
    for variant in table.variants:
        value = column_of(table, outcome, variant.labels, "CPU ns/hello")
        name = variant.labels[0]
        bare = name.startswith(("reflector", "libuv"))
        colour = 0 if name.startswith("ours") else 4 if bare else 1
        if value is not None:
            marks.append(Mark(name, value, colour))
    marks.sort(key=lambda mark: mark.value.median)
    unit = "server's CPU for each hello answered, ns"
    return bars("Answering a hello without a cookie", unit, marks, caption)


def sessions_figure(table: Table, outcome: Outcome, caption: str) -> str:
    """Cost of a hello against sessions, for each server the server's and the
    sender's, in which the kernel's search for the socket is."""
    columns = {"": "CPU ns/hello", ", sender": "sender's CPU ns/hello"}
    names = list({variant.labels[0]: 0 for variant in table.variants})
    xs = list({variant.labels[1]: 0 for variant in table.variants})
    series = []
    for colour, name in enumerate(names):
        for suffix, column in columns.items():
            found = [
                (x, column_of(table, outcome, (name, x), column)) for x in xs
            ]
            points = [(x, value) for x, value in found if value is not None]
            if points:
                series.append(
                    Series(name + suffix, min(colour, 4), bool(suffix), points)
                )
    return lines(
        "A hello's cost, while the server holds sessions",
        ("idle sessions", "CPU for each hello, ns"),
        xs,
        series,
        caption,
    )


def flood_figure(table: Table, outcome: Outcome, caption: str) -> str:
    """What live sessions notice of floods: the time of an echo."""
    names = list({variant.labels[0]: 0 for variant in table.variants})
    marks = []
    for variant in table.variants:
        server, kind, place = variant.labels
        value = column_of(table, outcome, variant.labels, "echo p99 ms")
        lost = column_of(table, outcome, variant.labels, "echo lost %")
        if value is not None and lost is not None and place == "load's":
            colour = min(names.index(server), 4)
            note = f"{lost.median:.1f} % lost" if lost.median > 0 else ""
            marks.append(Mark(f"{kind}: {server}", value, colour, note))
    unit = "echo, 99th percentile, ms"
    title = "Live sessions, their clients beside a flood on one CPU"
    return dots(title, unit, marks, caption)


FIGURES: Dict[str, Callable[[Table, Outcome, str], str]] = {
    "hello": hello_figure,
    "sessions": sessions_figure,
    "flood": flood_figure,
}
