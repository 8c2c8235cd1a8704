"""What differs between two runs as one table that fits on a screen; the whole of it is JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from rich.console import Group
from rich.table import Table

from anchored.cli.console import human_size, plain
from anchored.decisions.differences import (
    Change,
    CodeChange,
    Differences,
    FileChange,
    OutputChange,
    Sides,
)
from anchored.records import RunRecord

SHOWN = 12  # lines of one kind
MARKS = {
    Change.ADDED: "[green]+[/]",
    Change.REMOVED: "[red]-[/]",
    Change.CHANGED: "[yellow]~[/]",
}
ABSENT = "[dim]-[/]"

Row = tuple[str, str, str, str]


def differences(found: Differences, one: RunRecord, other: RunRecord) -> Group:
    """Data, code, params, metrics and environment, the first run's beside the second's.

    Below the table stands what could not be told.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("", style="cyan", no_wrap=True)
    for header in ("", _title(one), _title(other), "change"):
        table.add_column(header, overflow="fold")
    sections = {
        "data": _data(found.data),
        "code": _code(found.code),
        "params": _cut(_values(found.params), len(found.params)),
        "metrics": _cut(_metrics(found.metrics), len(found.metrics)),
        "environment": _cut(_values(found.environment), len(found.environment)),
    }
    for name, rows in sections.items():
        for number, row in enumerate(rows):
            table.add_row("" if number else name, *row)
    problems = [f"{output.path}: {output.problem}" for output in found.data if output.problem]
    problems += [f"code: {found.code.problem}"] if found.code.problem else []
    return Group(table, *(f"[yellow]{plain(problem)}[/]" for problem in problems))


def _title(run: RunRecord) -> str:
    return f"{plain(run.name)} [dim]{plain(run.run_id[:8])}[/]"


def _cut(rows: Iterable[Row], count: int) -> Iterator[Row]:
    """The first rows, and how many more there are."""
    yield from islice(rows, SHOWN)
    if count > SHOWN:
        yield (f"[dim]… and {count - SHOWN} more[/]", "", "", "")


def _data(outputs: Iterable[OutputChange]) -> Iterator[Row]:
    for output in outputs:
        before, after = (plain((md5 or "-")[:12]) for md5 in (output.before, output.after))
        if len(output.files) == 1 and output.files[0].path == output.path:
            # A file is its own content: one line tells it all.
            file = output.files[0]
            sizes = _size(file.before), _size(file.after)
            one, other = (
                f"{md5}  {size}" for md5, size in zip((before, after), sizes, strict=True)
            )
            yield (f"{MARKS[file.change]} {plain(file.path)}", one, other, _growth(file))
            continue
        yield (plain(output.path), before, after, _counted(output.files))
        yield from _cut(map(_file, output.files), len(output.files))


def _file(file: FileChange) -> Row:
    name = f"  {MARKS[file.change]} {plain(file.path)}"
    return (name, _size(file.before), _size(file.after), _growth(file))


def _counted(files: Iterable[FileChange]) -> str:
    """How many files came, went and changed."""
    changes = [file.change for file in files]
    counts = [(mark, changes.count(change)) for change, mark in MARKS.items()]
    return " ".join(f"{mark}{count}" for mark, count in counts if count)


def _size(size: int | None) -> str:
    return ABSENT if size is None else human_size(size)


def _growth(file: FileChange) -> str:
    if file.before is None or file.after is None:
        return ""
    grown = file.after - file.before
    if not grown:
        return "same size"
    return f"{'-' if grown < 0 else '+'}{human_size(abs(grown))}"


def _code(code: CodeChange) -> Iterator[Row]:
    if not code.files and not code.problem:
        return
    yield ("", plain(code.before[:12]) or ABSENT, plain(code.after[:12]) or ABSENT, "")
    rows = ((f"{MARKS[change]} {plain(path)}", "", "", "") for path, change in code.files)
    yield from _cut(rows, len(code.files))


def _values(values: Mapping[str, Sides]) -> Iterator[Row]:
    for name, sides in values.items():
        before, after = (_value(value) for value in (sides.before, sides.after))
        yield (plain(name), before, after, "")


def _value(value: object) -> str:
    return ABSENT if value is None else plain(value)


def _metrics(metrics: Mapping[str, Sides]) -> Iterator[Row]:
    for name, sides in metrics.items():
        change = "" if sides.change is None else f"{sides.change:+.6g}"
        yield (plain(name), _number(sides.before), _number(sides.after), change)


def _number(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.6g}"
