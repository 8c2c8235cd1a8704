"""Values as plain HTML tables, as a notebook shows them.

No colours of their own: text and lines are those of the page, be it light or dark.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any

from anchored.display.shown import shown

LONGEST = 200  # characters of a cell
ROWS = 200  # of a table


def table(title: str, rows: Sequence[Sequence[Any]], header: Sequence[str] = ()) -> str:
    """A table under a title; whatever others wrote in it is text, and not HTML."""
    lines = [f"<table><caption style='text-align:left'><b>{text(title)}</b></caption>"]
    if header:
        lines.append(f"<thead>{_row('th', header)}</thead>")
    lines.append(f"<tbody>{''.join(_row('td', row) for row in rows[:ROWS])}</tbody></table>")
    if (more := len(rows) - ROWS) > 0:
        lines.append(f"<p>and {more:,} more</p>")
    return "\n".join(lines)


def facts(title: str, pairs: Iterable[tuple[str, Any]]) -> str:
    """A table of what is known of one thing: a name and a value in each row, if it has one."""
    return table(title, [pair for pair in pairs if pair[1] not in ("", None)])


def text(value: Any) -> str:
    """One cell: nothing for None, a number in up to six digits."""
    if value is None:
        return ""
    told = f"{value:.6g}" if isinstance(value, float) else shown(value, LONGEST)
    return html.escape(told)


def _row(cell: str, values: Sequence[Any]) -> str:
    style = "style='text-align:left'"
    return f"<tr>{''.join(f'<{cell} {style}>{text(value)}</{cell}>' for value in values)}</tr>"
