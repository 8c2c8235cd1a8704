r"""Text that others wrote, as a terminal, a log and a page may have it: nothing in it acts.

A terminal obeys control characters, hides zero-width ones and reorders lines by bidi overrides; a
name, a branch or an error of a server may hold any of them. They become visible escapes, such as
`\x1b` and `\u202e`; ordinary text, emoji among it, stays as it is.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

ZWJ = "\u200d"
# C0, DEL and C1; what has no width, reorders or separates lines; lone surrogates; tag characters.
_ACTING = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff9-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_IN_LINES = re.compile(f"[{_ACTING}]")
_IN_A_LINE = re.compile(f"[{_ACTING}\t\n]")
_COLOUR = re.compile(r"\x1b\[[0-9;:]{0,64}m")


def shown(text: Any, longest: int | None = None) -> str:
    """One line of a text, whatever it holds, cut to `longest` characters if it has more."""
    return _cut(_IN_A_LINE.sub(_escaped, str(text)), longest)


def shown_lines(text: Any, longest: int | None = None) -> str:
    """The same for a text of several lines, with the tabs and line ends that it has."""
    return _cut(_IN_LINES.sub(_escaped, str(text).replace("\r\n", "\n")), longest)


def shown_output(line: str) -> str:
    """A line of a program's output: without its colours, and as its last carriage return left it.

    Colours would run on into what follows, and stand as gibberish in logs.
    """
    return _IN_LINES.sub(_escaped, _COLOUR.sub("", line).rstrip("\r").rpartition("\r")[2])


def shown_json(text: str) -> str:
    """A JSON document, the same one, with what would act on a terminal as JSON's own escapes."""
    return _IN_LINES.sub(lambda match: json.dumps(match[0])[1:-1], text)


def _cut(text: str, longest: int | None) -> str:
    return text if longest is None or len(text) <= longest else text[: longest - 1] + "…"


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    if character == ZWJ and _joins_emoji(match.string, match.start()):
        return character
    return character.encode("unicode-escape").decode("ascii")


def _joins_emoji(text: str, place: int) -> bool:
    before, after = text[place - 1 : place], text[place + 1 : place + 2]
    return (
        bool(before and after)
        and (before == "\ufe0f" or unicodedata.category(before) in {"So", "Sk"})
        and unicodedata.category(after) == "So"
    )
