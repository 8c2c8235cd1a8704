"""GraphQL documents: what a client asks, parsed.

https://spec.graphql.org/October2021/#sec-Language: operations, aliases, arguments, variables with
defaults, fragments, `@include` and `@skip`; types are read over, since there is no schema.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_TOKEN = re.compile(
    r'[\s,\ufeff]+|#[^\n]*|(?P<token>\.\.\.|"(?:\\.|[^"\\])*"'
    r"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\$?[A-Za-z_]\w*|[{}()\[\]:!=@|&])"
)
_LITERALS = {"true": True, "false": False, "null": None}


class Unknown(Exception):
    """The stand-in has no answer for this field, argument or operation."""


@dataclass(frozen=True)
class Variable:
    name: str


@dataclass(frozen=True)
class Field:
    name: str
    key: str
    arguments: Mapping[str, Any]
    conditions: Mapping[str, Any]
    selection: "tuple[Field | Fragment, ...] | None"


@dataclass(frozen=True)
class Fragment:
    """A named fragment's use (`type` is looked up), or one written in place."""

    name: str | None
    type: str | None
    conditions: Mapping[str, Any]
    selection: "tuple[Field | Fragment, ...]"


@dataclass
class Document:
    """One parsed operation with its fragments."""

    kind: str = "query"
    name: str = ""
    defaults: dict[str, Any] = field(default_factory=dict)
    selection: tuple[Field | Fragment, ...] = ()
    fragments: dict[str, Fragment] = field(default_factory=dict)


def parsed(text: str) -> Document:
    """The document's operation; Unknown if it cannot be read or has several."""
    return _Parser(text).document()


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = [m["token"] for m in _TOKEN.finditer(text) if m["token"]] + ["end"]
        self._at = 0

    def document(self) -> Document:
        document = Document()
        while self._next != "end":
            if self._next == "fragment":
                fragment = self._definition_of_fragment()
                document.fragments[fragment.name or ""] = fragment
            elif document.selection:
                raise Unknown("a second operation in one document")
            else:
                self._operation(document)
        return document

    @property
    def _next(self) -> str:
        return self._tokens[self._at]

    def _take(self, wanted: str | None = None) -> str:
        token = self._next
        if wanted is not None and token != wanted:
            raise Unknown(f"GraphQL: {token!r} where {wanted!r} was expected")
        self._at += 1
        return token

    def _took(self, wanted: str) -> bool:
        if self._next == wanted:
            self._at += 1
            return True
        return False

    def _operation(self, document: Document) -> None:
        if self._next != "{":
            document.kind = self._take()
            if self._next not in ("(", "{", "@"):
                document.name = self._take()
            if self._took("("):
                while not self._took(")"):
                    self._declared(document.defaults)
        document.selection = self._selection()

    def _declared(self, defaults: dict[str, Any]) -> None:
        """`$name: [Type!]! = default`; types are the server's business, and it has none."""
        name = self._take().removeprefix("$")
        self._take(":")
        while self._next in ("[", "]", "!") or re.match(r"[A-Za-z_]", self._next):
            self._take()
        if self._took("="):
            defaults[name] = self._value()

    def _definition_of_fragment(self) -> Fragment:
        self._take("fragment")
        name = self._take()
        self._take("on")
        return Fragment(name, self._take(), {}, self._selection())

    def _selection(self) -> tuple[Field | Fragment, ...]:
        self._take("{")
        chosen: list[Field | Fragment] = []
        while not self._took("}"):
            chosen.append(self._fragment() if self._took("...") else self._field())
        return tuple(chosen)

    def _fragment(self) -> Fragment:
        if self._next in ("on", "{", "@"):
            of = self._take() and self._take() if self._next == "on" else None
            return Fragment(None, of, self._directives(), self._selection())
        return Fragment(self._take(), None, self._directives(), ())

    def _field(self) -> Field:
        key = name = self._take()
        if self._took(":"):
            name = self._take()
        arguments = self._arguments()
        conditions = self._directives()
        selection = self._selection() if self._next == "{" else None
        return Field(name, key, arguments, conditions, selection)

    def _directives(self) -> dict[str, Any]:
        conditions = {}
        while self._took("@"):
            name = self._take()
            if name not in ("include", "skip"):
                raise Unknown(f"the directive @{name}")
            conditions[name] = self._arguments()["if"]
        return conditions

    def _arguments(self) -> dict[str, Any]:
        return self._pairs(")") if self._took("(") else {}

    def _pairs(self, end: str) -> dict[str, Any]:
        pairs = {}
        while not self._took(end):
            name = self._take()
            self._take(":")
            pairs[name] = self._value()
        return pairs

    def _value(self) -> Any:
        token = self._take()
        if token == "{":
            return self._pairs("}")
        if token == "[":
            values = []
            while not self._took("]"):
                values.append(self._value())
            return values
        return Variable(token[1:]) if token.startswith("$") else _scalar(token)


def _scalar(token: str) -> Any:
    if token.startswith('"'):
        return re.sub(r"\\(.)", r"\1", token[1:-1])
    if re.match(r"-?\d", token):
        return float(token) if re.search(r"[.eE]", token) else int(token)
    return _LITERALS.get(token, token)  # what is left is an enum's value
