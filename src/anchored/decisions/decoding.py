"""One decoder for what others wrote: JSON, YAML and TOML, within bounds and without surprises.

Whoever can push a commit or write to the tracker chooses these bytes. Size, depth and numbers are
bounded before a parser that recurses, or grows faster than its input, sees them; a string that is
beyond the bounds, ambiguous or not valid is `Unreadable`, and nothing else is ever raised.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import accumulate
from typing import Any, NoReturn

import yaml

from anchored.display.shown import shown

MEBIBYTE = 1 << 20
DEPTH = 32
NODES = 30_000  # of a YAML document, whose parsers are the slowest
DIGITS = 1_000  # of a number
WHY = 200  # characters

_JSON_STRING = re.compile(r'"[^"\\]*+(?:\\.?[^"\\]*+)*+(?:"|\Z)', re.DOTALL)
_TOML_QUIET = re.compile(  # strings and comments
    r'"""(?:[^"\\]|\\.?|"(?!""))*+(?:"""|\Z)'
    r"|'''(?:[^']|'(?!''))*+(?:'''|\Z)"
    r'|"[^"\\\n]*+(?:\\.?[^"\\\n]*+)*+(?:"|\n|\Z)'
    r"|'[^'\n]*+(?:'|\n|\Z)"
    r"|\#[^\n]*+",
    re.DOTALL,
)
_NO_BRACKET = re.compile(r"[^\[\]{}]+")
_NO_DOT = re.compile(r"[\w\s-]+")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class Unreadable(ValueError):
    """What others wrote cannot be read; `why` says it in short and printable words."""

    def __init__(self, why: str) -> None:
        super().__init__(shown(why, WHY))

    @property
    def why(self) -> str:
        return str(self)


def json_value(
    text: bytes | str, *, longest: int = MEBIBYTE, finite: bool = True, unicode: bool = True
) -> Any:
    """The value of a JSON text of at most `longest` bytes.

    Refuses keys that are there twice, and unless the caller has words of its own for these, NaN and
    infinite numbers (`finite`) and lone surrogates (`unicode`), as which names of files that are
    not UTF-8 are written. A string may hold NUL, if as an escape.
    """
    text = _text(text, longest)
    if text.count("[") + text.count("{") > DEPTH:
        _check_depth(_JSON_STRING.sub("", text))
    try:
        value = json.loads(
            text,
            parse_int=_int,
            parse_float=partial(_float, finite=finite),
            parse_constant=_no_number if finite else float,
            object_pairs_hook=_object,
        )
    except Unreadable:
        raise
    except (ValueError, RecursionError) as error:
        raise Unreadable(str(error)) from error
    if unicode and _SURROGATE.search(text):
        _check_strings(value)
    return value


def yaml_value(text: bytes | str, *, longest: int = MEBIBYTE // 4) -> Any:
    """The one document of a YAML text, of mappings, lists and strings alone.

    No scalar has a type: `2001-99-99`, `1e5` and `yes` are the strings that they look like.
    Refuses anchors, aliases, tags, merge keys, NUL, and keys that are there twice or no strings.
    """
    text = _text(text, longest)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        value = _composed(yaml.parse(text, Loader=loader))
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or type(error).__name__
        raise Unreadable(f"{problem}{place}") from error
    _check_strings(value)
    if any("\0" in node for node in _nodes(value) if isinstance(node, str)):
        raise Unreadable("contains NUL")
    return value


def toml_value(text: bytes | str, *, longest: int = MEBIBYTE // 4) -> dict[str, Any]:
    """The tables of a TOML text. Where a line of it is not valid, `why` says which."""
    text = _text(text, longest)
    bare = _TOML_QUIET.sub("", text)
    _check_depth(bare)
    if "." * DEPTH in _NO_DOT.sub("", bare):  # a dotted key makes a table of each part
        raise Unreadable(f"nested more than {DEPTH} levels deep")
    try:
        value = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # its own, and an integer's of too many digits
        raise Unreadable(str(error)) from error
    if any(isinstance(n, int) and n.bit_length() > 4 * DIGITS for n in _nodes(value)):
        raise Unreadable(f"a number has more than {DIGITS} digits")
    return value


def _text(text: bytes | str, longest: int) -> str:
    if len(text) > longest:
        raise Unreadable(f"longer than {longest:,} bytes")
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")
        else:
            text.encode()  # lone surrogates
    except UnicodeError as error:
        raise Unreadable("not valid UTF-8") from error
    return text.removeprefix("\ufeff")


def _check_depth(bare: str) -> None:
    """Raises for brackets that nest too deeply in a string whose strings are taken out."""
    brackets = _NO_BRACKET.sub("", bare)
    if max(accumulate(1 if b in "[{" else -1 for b in brackets), default=0) > DEPTH:
        raise Unreadable(f"nested more than {DEPTH} levels deep")


def _int(digits: str) -> int:
    if len(digits) > DIGITS:
        raise Unreadable(f"a number has more than {DIGITS} digits")
    return int(digits)


def _float(digits: str, *, finite: bool) -> float:
    if len(digits) > DIGITS:
        raise Unreadable(f"a number has more than {DIGITS} digits")
    number = float(digits)
    if finite and math.isinf(number):
        raise Unreadable("a number is too large")
    return number


def _no_number(name: str) -> NoReturn:
    raise Unreadable(f"{name} is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise Unreadable("a key is there twice")
    return value


def _composed(events: Iterable[Any]) -> Any:
    """The value of the one document in a stream of YAML events; recurses nowhere."""
    root: list[Any] = []
    open_nodes: list[Any] = [root]
    keys: list[str | None] = [None]  # the key that waits for its value, of each open mapping
    for count, event in enumerate(events):
        if count > NODES:
            raise Unreadable(f"more than {NODES:,} values")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise Unreadable("YAML anchors and aliases are not read")
        if isinstance(event, yaml.CollectionEndEvent):
            open_nodes.pop()
            keys.pop()
        elif isinstance(event, yaml.NodeEvent):
            if getattr(event, "tag", None) is not None:
                raise Unreadable("YAML tags are not read")
            value = _begun(event)
            _put(open_nodes[-1], keys, value, is_scalar=isinstance(event, yaml.ScalarEvent))
            if not isinstance(value, str):
                open_nodes.append(value)
                keys.append(None)
                if len(open_nodes) > DEPTH + 1:
                    raise Unreadable(f"nested more than {DEPTH} levels deep")
    if len(root) != 1:
        raise Unreadable("not one YAML document" if root else "empty")
    return root[0]


def _begun(event: Any) -> Any:
    if isinstance(event, yaml.ScalarEvent):
        return event.value
    return {} if isinstance(event, yaml.MappingStartEvent) else []


def _put(container: Any, keys: list[str | None], value: Any, *, is_scalar: bool) -> None:
    if isinstance(container, list):
        container.append(value)
    elif keys[-1] is not None:
        container[keys[-1]] = value
        keys[-1] = None
    elif not is_scalar or value == "<<":
        raise Unreadable("a key is no plain string")
    elif value in container:
        raise Unreadable("a key is there twice")
    else:
        keys[-1] = value


def _check_strings(value: Any) -> None:
    for node in _nodes(value):
        try:
            _ = node.encode() if isinstance(node, str) else b""
        except UnicodeError as error:
            raise Unreadable("contains text that is not valid Unicode") from error


def _nodes(value: Any) -> Iterator[Any]:
    """Every value inside a value, keys among them. Raises for what nests too deeply."""
    waiting = [(value, 1)]
    while waiting:
        node, depth = waiting.pop()
        yield node
        if isinstance(node, Mapping):
            waiting += [(key, depth) for key in node]
            node = node.values()
        elif not isinstance(node, list):
            continue
        if depth > DEPTH:
            raise Unreadable(f"nested more than {DEPTH} levels deep")
        waiting += [(item, depth + 1) for item in node]
