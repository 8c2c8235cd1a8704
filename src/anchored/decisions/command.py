"""The training command with its parameters filled in, safe for a shell."""

from __future__ import annotations

import shlex
import string
from collections.abc import Mapping

from anchored.records import ParamValue


def filled_command(template: str, params: Mapping[str, ParamValue]) -> str:
    """The command with every `{param}` replaced by its value, quoted for a POSIX shell.

    `{{` and `}}` are literal braces; `{rate:.3f}` formats as in Python.
    """
    parts = []
    for text, name, spec, conversion in string.Formatter().parse(template):
        parts.append(text)
        if name is not None:
            value = params[name]
            shown = repr(value) if conversion == "r" else format(_plain(value), spec or "")
            parts.append(shlex.quote(shown))
    return "".join(parts)


def _plain(value: ParamValue) -> ParamValue:
    """Truth values in the spelling that command lines use; all else as it is."""
    return str(value).lower() if isinstance(value, bool) else value
