"""Enough of GraphQL to answer a client's own documents field by field.

https://spec.graphql.org/October2021/: operations, aliases, arguments, variables with defaults,
fragments, `@include` and `@skip`. There is no schema: a node knows its fields, and what it does not
know is an error, so that nothing is answered by accident.
"""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_TOKEN = re.compile(
    r'[\s,\ufeff]+|#[^\n]*|(?P<token>\.\.\.|"(?:\\.|[^"\\])*"'
    r"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\$?[A-Za-z_]\w*|[{}()\[\]:!=@|&])"
)
_LITERALS = {"true": True, "false": False, "null": None}


class Unknown(Exception):
    """The stand-in has no answer for this field, argument or operation."""


class Refused(Exception):
    """The answer to a known question is an error; clients see message and HTTP status."""

    def __init__(self, message: str, status: int = 200) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Node:
    """An object of the graph: values, or functions of the field's arguments that give them."""

    type: str
    fields: Mapping[str, Any]
    interfaces: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Variable:
    name: str


@dataclass(frozen=True)
class _Field:
    name: str
    key: str
    arguments: Mapping[str, Any]
    conditions: Mapping[str, Any]
    selection: "tuple[_Field | _Fragment, ...] | None"


@dataclass(frozen=True)
class _Fragment:
    """A named fragment's use (`type` is looked up), or one written in place."""

    name: str | None
    type: str | None
    conditions: Mapping[str, Any]
    selection: "tuple[_Field | _Fragment, ...]"


@dataclass
class Document:
    """One parsed operation with its fragments."""

    kind: str = "query"
    name: str = ""
    defaults: dict[str, Any] = field(default_factory=dict)
    selection: tuple[_Field | _Fragment, ...] = ()
    fragments: dict[str, _Fragment] = field(default_factory=dict)


def parsed(text: str) -> Document:
    """The document's operation; documents with several are not known here."""
    return _Parser(text).document()


def answered(document: Document, variables: Mapping[str, Any], root: Node) -> dict[str, Any]:
    """What `root` answers to the document; Unknown or Refused if it does not."""
    return _Answer(document, document.defaults | dict(variables)).of(root, document.selection)


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

    def _definition_of_fragment(self) -> _Fragment:
        self._take("fragment")
        name = self._take()
        self._take("on")
        return _Fragment(name, self._take(), {}, self._selection())

    def _selection(self) -> tuple[_Field | _Fragment, ...]:
        self._take("{")
        chosen: list[_Field | _Fragment] = []
        while not self._took("}"):
            chosen.append(self._fragment() if self._took("...") else self._field())
        return tuple(chosen)

    def _fragment(self) -> _Fragment:
        if self._next in ("on", "{", "@"):
            of = self._take() and self._take() if self._next == "on" else None
            return _Fragment(None, of, self._directives(), self._selection())
        return _Fragment(self._take(), None, self._directives(), ())

    def _field(self) -> _Field:
        key = name = self._take()
        if self._took(":"):
            name = self._take()
        arguments = self._arguments()
        conditions = self._directives()
        selection = self._selection() if self._next == "{" else None
        return _Field(name, key, arguments, conditions, selection)

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
        return _Variable(token[1:]) if token.startswith("$") else _scalar(token)


def _scalar(token: str) -> Any:
    if token.startswith('"'):
        return re.sub(r"\\(.)", r"\1", token[1:-1])
    if re.match(r"-?\d", token):
        return float(token) if re.search(r"[.eE]", token) else int(token)
    return _LITERALS.get(token, token)  # what is left is an enum's value


class _Answer:
    def __init__(self, document: Document, variables: Mapping[str, Any]) -> None:
        self._fragments = document.fragments
        self._variables = variables

    def of(self, node: Node, selection: tuple[_Field | _Fragment, ...]) -> dict[str, Any]:
        answer: dict[str, Any] = {}
        for chosen in self._fields_for(node, selection):
            value = self._value_of(chosen, node)
            known = answer.get(chosen.key)
            if isinstance(known, dict) and isinstance(value, dict):
                value = known | value  # the same field, chosen by two fragments
            answer[chosen.key] = value
        return answer

    def _fields_for(
        self, node: Node, selection: tuple[_Field | _Fragment, ...]
    ) -> Iterator[_Field]:
        for chosen in selection:
            if not self._wanted(chosen.conditions):
                continue
            if isinstance(chosen, _Field):
                yield chosen
                continue
            fragment = self._fragments[chosen.name] if chosen.name else chosen
            if fragment.type in (None, node.type, *node.interfaces):
                yield from self._fields_for(node, fragment.selection)

    def _wanted(self, conditions: Mapping[str, Any]) -> bool:
        return bool(self._given(conditions.get("include", True))) and not self._given(
            conditions.get("skip", False)
        )

    def _value_of(self, chosen: _Field, node: Node) -> Any:
        if chosen.name == "__typename":
            return node.type
        if chosen.name not in node.fields:
            raise Unknown(f'Cannot query field "{chosen.name}" on type "{node.type}".')
        value = node.fields[chosen.name]
        arguments = {
            name: self._given(argument)
            for name, argument in chosen.arguments.items()
            if not (isinstance(argument, _Variable) and argument.name not in self._variables)
        }
        if callable(value):
            value = _called(value, arguments, f"{node.type}.{chosen.name}")
        elif arguments:
            raise Unknown(f'Unknown arguments {sorted(arguments)} on "{node.type}.{chosen.name}".')
        return self._completed(value, chosen)

    def _given(self, argument: Any) -> Any:
        """The argument with its variables in place; parts whose variable is not given are left out."""
        if isinstance(argument, _Variable):
            return self._variables.get(argument.name)
        if isinstance(argument, dict):
            return {
                key: self._given(value)
                for key, value in argument.items()
                if not (isinstance(value, _Variable) and value.name not in self._variables)
            }
        if isinstance(argument, list):
            return [self._given(value) for value in argument]
        return argument

    def _completed(self, value: Any, chosen: _Field) -> Any:
        if isinstance(value, list) and (
            chosen.selection or any(isinstance(v, Node) for v in value)
        ):
            return [self._completed(item, chosen) for item in value]
        if value is None or (chosen.selection is None and not isinstance(value, Node)):
            return value
        if chosen.selection is None or not isinstance(value, Node):
            raise Unknown(f'Field "{chosen.name}" is asked for as what it is not.')
        return self.of(value, chosen.selection)


def _called(function: Callable[..., Any], arguments: dict[str, Any], name: str) -> Any:
    """`entityName` is the parameter `entity_name`, `id` may be `id_`; a mutation takes its `input`."""
    if list(arguments) == ["input"]:
        arguments = arguments["input"]
    parameters = {p.rstrip("_"): p for p in inspect.signature(function).parameters}
    given = {_snake(argument): value for argument, value in arguments.items()}
    if unknown := given.keys() - parameters.keys():
        raise Unknown(f'Unknown arguments {sorted(unknown)} on "{name}".')
    try:
        return function(**{parameters[argument]: value for argument, value in given.items()})
    except TypeError as error:
        raise Unknown(f'"{name}": {error}') from error


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z]+)", r"_\1", name).lower()


def page(nodes: Sequence[Node], *, after: str | None = None, first: int = 50) -> Node:
    """A connection as https://relay.dev/graphql/connections.htm has it; cursors are the nodes' ids."""
    ids = [node.fields.get("id", str(at)) for at, node in enumerate(nodes)]
    start = 0 if not after else ids.index(after) + 1
    shown = list(zip(ids, nodes, strict=True))[start : start + first]
    edges = [Node("Edge", {"cursor": cursor, "node": node}) for cursor, node in shown]
    info = {"endCursor": shown[-1][0] if shown else None, "hasNextPage": start + first < len(nodes)}
    return Node(
        "Connection",
        {"edges": edges, "pageInfo": Node("PageInfo", info), "totalCount": len(nodes)},
    )
