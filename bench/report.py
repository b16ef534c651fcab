# SPDX-License-Identifier: MIT
"""What a table of bench/run is, and what is made of its rounds: Markdown, and
the same for JSON. A ratio is always one of two figures of the same round."""

from __future__ import annotations

from typing import (
    Any,
    Callable,
    Dict,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    Union,
)

from measure import Outcome, Summary, Variant, ratios_of, summary, values_of


class Column(NamedTuple):
    """A figure, times a scale and with so many digits. With bases it is the
    ratio to what they have of it in the same round, in sum."""

    title: str
    figure: str
    digits: int = 0
    scale: float = 1.0
    bases: Optional[Callable[[Tuple[str, ...]], Sequence[str]]] = None


class Target(NamedTuple):
    """What a row is to reach in a column: at most, or at least, a number;
    "below" the least of other rows."""

    labels: Tuple[str, ...]
    column: str
    relation: str  # "<=", ">=" or "<"
    limit: Union[float, Sequence[str]]


class Table(NamedTuple):
    """What is run for a table, and how it is shown."""

    name: str
    title: str
    heads: Tuple[str, ...]
    variants: List[Variant]
    columns: List[Column]
    targets: List[Target] = []
    notes: List[str] = []


def cell(value: Optional[Summary], digits: int) -> str:
    """The median, and the range where there is one."""
    if value is None:
        return "-"
    # Adding 0 makes 0 of -0.
    median, low, high = (
        f"{round(number, digits) + 0:,.{digits}f}" for number in value
    )
    return median if low == high else f"{median} ({low}–{high})"


def column_of(
    table: Table, outcome: Outcome, labels: Tuple[str, ...], title: str
) -> Optional[Summary]:
    """Of a row; None without a run."""
    column = next(one for one in table.columns if one.title == title)
    name = ", ".join(labels)
    values = (
        ratios_of(outcome.rounds, name, column.figure, column.bases(labels))
        if column.bases
        else values_of(outcome.rounds, name, column.figure)
    )
    return summary([value * column.scale for value in values])


def limit_of(
    table: Table, outcome: Outcome, target: Target
) -> Optional[float]:
    """The number that is to be reached; None if no other row has one."""
    if isinstance(target.limit, (int, float)):
        return float(target.limit)
    by_name = {variant.name: variant.labels for variant in table.variants}
    found = [
        column_of(table, outcome, by_name[name], target.column)
        for name in target.limit
    ]
    medians = [value.median for value in found if value is not None]
    return min(medians) if medians else None


def met(value: float, relation: str, limit: float) -> bool:
    """Whether the relation holds."""
    if relation == ">=":
        return value >= limit
    # There is nothing less than none.
    return value <= limit if relation == "<=" or value == 0 else value < limit


def verdict(table: Table, outcome: Outcome, target: Target) -> Optional[bool]:
    """Whether a target is met; None if that cannot be said."""
    value = column_of(table, outcome, target.labels, target.column)
    limit = limit_of(table, outcome, target)
    if value is None or limit is None:
        return None
    return met(value.median, target.relation, limit)


def targets_cell(
    table: Table, outcome: Outcome, labels: Tuple[str, ...]
) -> str:
    """All targets of a row, each with what became of it."""
    words = {True: "met", False: "**not met**", None: "-"}
    texts = []
    for target in table.targets:
        if target.labels == labels:
            limit = (
                f"{target.limit:,g}"
                if isinstance(target.limit, (int, float))
                else "every peer's"
            )
            texts.append(
                f"{target.column} {target.relation} {limit}: "
                + words[verdict(table, outcome, target)]
            )
    return "; ".join(texts)


def row_of(
    table: Table, outcome: Outcome, labels: Tuple[str, ...]
) -> List[str]:
    """The cells of a variant; those of a table without columns are all its
    figures, the largest first."""
    if table.columns:
        cells = [
            cell(
                column_of(table, outcome, labels, column.title), column.digits
            )
            for column in table.columns
        ]
    else:
        figures = dict(outcome.rounds[0].get(", ".join(labels), {}))
        figures.pop("others_cpus", None)
        ordered = sorted(figures.items(), key=lambda pair: -pair[1])
        cells = [", ".join(f"{name} {value:.2f}" for name, value in ordered)]
    if table.targets:
        cells.append(targets_cell(table, outcome, labels))
    return [*labels, *cells]


def line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def markdown(table: Table, outcome: Outcome) -> str:
    """The table, what is to be known for reading it, and who is missing."""
    titles = [column.title for column in table.columns] or ["calls"]
    heads = [*table.heads, *titles, *(["target"] if table.targets else [])]
    names = {name for one in outcome.rounds for name in one}
    lines = [f"### {table.title}", "", line(heads), line(["---"] * len(heads))]
    lines += [
        line(row_of(table, outcome, variant.labels))
        for variant in table.variants
        if variant.name in names
    ]
    lines += ["", f"{outcome.void} of {outcome.runs} runs were void."]
    for variant in table.variants:
        if variant.name in outcome.left_out:
            why = outcome.left_out[variant.name]
            lines.append(f"Left out: {variant.name}: {why}.")
        elif variant.name not in names:
            lines.append(f"Without a run that counts: {variant.name}.")
    return "\n".join([*lines, *table.notes]) + "\n"


def as_json(table: Table, outcome: Outcome) -> Dict[str, Any]:
    """All runs, the rows' medians and ranges, and the targets."""
    return {
        "title": table.title,
        "rounds": outcome.rounds,
        "left_out": outcome.left_out,
        "runs": outcome.runs,
        "void": outcome.void,
        "rows": {
            variant.name: {
                column.title: column_of(
                    table, outcome, variant.labels, column.title
                )
                for column in table.columns
            }
            for variant in table.variants
        },
        "targets": [
            {**target._asdict(), "met": verdict(table, outcome, target)}
            for target in table.targets
        ],
    }
