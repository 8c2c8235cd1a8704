"""The training command with its parameters filled in, safe for a shell."""

from __future__ import annotations

import math
import shlex
import string
from collections.abc import Iterator, Mapping

from anchored.records import ParamValue


def filled_command(template: str, params: Mapping[str, ParamValue]) -> str:
    """The command with every `{param}` replaced by its value, quoted for a POSIX shell.

    `{{` and `}}` are literal braces; `{rate:.3f}` formats as in Python. Raises `ValueError` for a
    format that the value does not take.
    """
    parts = []
    for text, name, spec, conversion in string.Formatter().parse(template):
        parts.append(text)
        if name is not None:
            value = params[name]
            try:
                shown = repr(value) if conversion == "r" else format(_plain(value), spec or "")
            except ValueError as error:
                raise ValueError(f"{{{name}:{spec}}}: {error}") from error
            parts.append(shlex.quote(shown))
    return "".join(parts)


def names_in_quotes(template: str) -> Iterator[str]:
    """Placeholders inside quotes or behind a backslash: there, a quoted value is not safe.

    In `"{name}"` the quotes put around the value would be plain text, and `$(…)` in it would run.
    """
    state = ""
    for text, name, _, _ in string.Formatter().parse(template):
        for character in text:
            state = _state_after(state, character)
        if name is not None and state:
            yield name


def _state_after(state: str, character: str) -> str:
    """The shell's quoting after one more character: none, `'`, `"`, or those with a backslash."""
    if state.endswith("\\"):
        return state[:-1]
    if character == "\\" and state != "'":
        return state + "\\"
    if character in "'\"" and state in ("", character):
        return "" if state else character
    return state


def checked_value(value: object) -> ParamValue:
    """The value, if a parameter may have it. Raises `ValueError` with words for the user."""
    infinite = isinstance(value, float) and not math.isfinite(value)
    if infinite or not isinstance(value, bool | int | float | str):
        raise ValueError("must be a text, a finite number or a truth value")
    if isinstance(value, str) and any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value):
        raise ValueError("must not contain NUL or text that is not valid Unicode")
    return value


def _plain(value: ParamValue) -> ParamValue:
    """Truth values in the spelling that command lines use; all else as it is."""
    return str(value).lower() if isinstance(value, bool) else value
