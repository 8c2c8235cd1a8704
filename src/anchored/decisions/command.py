"""The training command with its parameters filled in, safe for a shell."""

from __future__ import annotations

import math
import re
import shlex
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from anchored.records import ParamValue

# What placeholders took besides a name until runs were sealed by it: a number's format, as `.3f`.
# Its digits are bounded, for `{n:>2000000000}` is two gigabytes.
_FORMAT = re.compile(r"[<>^]?\+?0?\d{0,2}(?:\.\d{1,2})?[defgEFGs]?")
_NAME = re.compile(r"[A-Za-z_][\w-]*")


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A `{name}` in a template, and the text before it; the last text has a placeholder of none."""

    before: str
    name: str | None = None
    spec: str = ""
    conversion: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether it is a name and nothing else."""
        return not self.spec and not self.conversion


def placeholders(template: str) -> Iterator[Placeholder]:
    """The parts of a training command. Raises `ValueError` for a template that is none.

    `{{` and `}}` are literal braces. Of commits of the past `{rate:.3f}` and `{name!r}` are taken,
    too; new runs are refused unless each placeholder is plain.
    """
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"{error}; write a literal brace twice") from error
    for before, name, spec, conversion in parts:
        if name is not None and not _NAME.fullmatch(name):
            raise ValueError(f"{{{name}}} is no parameter; write a literal brace twice")
        if not _FORMAT.fullmatch(spec or "") or conversion not in {None, "r"}:
            more = f"!{conversion}" if conversion else f":{spec}"[:40]
            raise ValueError(f"{{{name}{more}}}: a placeholder is a plain name")
        yield Placeholder(before, name, spec or "", conversion or "")


def filled_command(template: str, params: Mapping[str, ParamValue]) -> str:
    """The command with every `{param}` replaced by its value, quoted for a POSIX shell.

    Raises `ValueError` for a template that is none, and a format that a value does not take.
    """
    filled = []
    for part in placeholders(template):
        filled.append(part.before)
        if part.name is not None:
            value = params[part.name]
            try:
                shown = repr(value) if part.conversion else format(_plain(value), part.spec)
            except ValueError as error:
                raise ValueError(f"{{{part.name}:{part.spec}}}: {error}") from error
            filled.append(shlex.quote(shown))
    return "".join(filled)


def names_in_quotes(template: str) -> Iterator[str]:
    """Placeholders inside quotes or behind a backslash: there, a quoted value is not safe.

    In `"{name}"` the quotes put around the value would be plain text, and `$(…)` in it would run.
    """
    state = ""
    for part in placeholders(template):
        for character in part.before:
            state = _state_after(state, character)
        if part.name is not None and state:
            yield part.name


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
        raise ValueError("must be a string, a finite number or a boolean")
    if isinstance(value, str) and any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value):
        raise ValueError("must not contain NUL or text that is not valid Unicode")
    return value


def _plain(value: ParamValue) -> ParamValue:
    """Truth values in the spelling that command lines use; all else as it is."""
    return str(value).lower() if isinstance(value, bool) else value
