"""Answers to GraphQL documents, field by field.

There is no schema: a node knows its fields, and what it does not know is an error, so that nothing
is answered by accident.
"""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.services.wandb_standin.documents import Document, Field, Fragment, Unknown, Variable


class Refused(Exception):
    """The answer to a known question is an error; clients see message and HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Node:
    """An object of the graph: values, or functions of the field's arguments that give them."""

    type: str
    fields: Mapping[str, Any]
    interfaces: tuple[str, ...] = ()


def answered(document: Document, variables: Mapping[str, Any], root: Node) -> dict[str, Any]:
    """What `root` answers to the document; Unknown or Refused if it does not."""
    return _Answer(document, document.defaults | dict(variables)).of(root, document.selection)


class _Answer:
    def __init__(self, document: Document, variables: Mapping[str, Any]) -> None:
        self._fragments = document.fragments
        self._variables = variables

    def of(self, node: Node, selection: tuple[Field | Fragment, ...]) -> dict[str, Any]:
        answer: dict[str, Any] = {}
        for chosen in self._fields_for(node, selection):
            value = self._value_of(chosen, node)
            known = answer.get(chosen.key)
            if isinstance(known, dict) and isinstance(value, dict):
                value = known | value  # the same field, chosen by two fragments
            answer[chosen.key] = value
        return answer

    def _fields_for(self, node: Node, selection: tuple[Field | Fragment, ...]) -> Iterator[Field]:
        for chosen in selection:
            if not self._wanted(chosen.conditions):
                continue
            if isinstance(chosen, Field):
                yield chosen
                continue
            fragment = self._fragments[chosen.name] if chosen.name else chosen
            if fragment.type in (None, node.type, *node.interfaces):
                yield from self._fields_for(node, fragment.selection)

    def _wanted(self, conditions: Mapping[str, Any]) -> bool:
        return bool(self._given(conditions.get("include", True))) and not self._given(
            conditions.get("skip", False)
        )

    def _value_of(self, chosen: Field, node: Node) -> Any:
        if chosen.name == "__typename":
            return node.type
        if chosen.name not in node.fields:
            raise Unknown(f'Cannot query field "{chosen.name}" on type "{node.type}".')
        value = node.fields[chosen.name]
        arguments = {
            name: self._given(argument)
            for name, argument in chosen.arguments.items()
            if not (isinstance(argument, Variable) and argument.name not in self._variables)
        }
        if callable(value):
            value = _called(value, arguments, f"{node.type}.{chosen.name}")
        elif arguments:
            raise Unknown(f'Unknown arguments {sorted(arguments)} on "{node.type}.{chosen.name}".')
        return self._completed(value, chosen)

    def _given(self, argument: Any) -> Any:
        """The argument with its variables in place; parts whose variable is not given are left out."""
        if isinstance(argument, Variable):
            return self._variables.get(argument.name)
        if isinstance(argument, dict):
            return {
                key: self._given(value)
                for key, value in argument.items()
                if not (isinstance(value, Variable) and value.name not in self._variables)
            }
        if isinstance(argument, list):
            return [self._given(value) for value in argument]
        return argument

    def _completed(self, value: Any, chosen: Field) -> Any:
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
    """`entityName` is the parameter `entity_name`, `id` may be `id_`; a mutation takes its `input`.

    What is given as null is as if it were not given.
    """
    if list(arguments) == ["input"]:
        arguments = arguments["input"]
    parameters = {p.rstrip("_"): p for p in inspect.signature(function).parameters}
    given = {_snake(argument): value for argument, value in arguments.items() if value is not None}
    if unknown := given.keys() - parameters.keys():
        raise Unknown(f'Unknown arguments {sorted(unknown)} on "{name}".')
    try:
        return function(**{parameters[argument]: value for argument, value in given.items()})
    except TypeError as error:
        raise Unknown(f'"{name}": {error}') from error


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z]+)", r"_\1", name).lower()


def page(
    nodes: Sequence[Node],
    *,
    after: str | None = None,
    first: int = 50,
    edges: Sequence[Mapping[str, Any]] = (),
) -> Node:
    """A connection as https://relay.dev/graphql/connections.htm has it; cursors are the nodes' ids.

    `edges` are what each node's edge has beside it.
    """
    ids = [node.fields.get("id", str(at)) for at, node in enumerate(nodes)]
    start = 0 if not after else ids.index(after) + 1
    shown = range(len(nodes))[start : start + first]
    chosen = [
        Node("Edge", {"cursor": ids[at], "node": nodes[at]} | (edges[at] if edges else {}))
        for at in shown
    ]
    end = ids[shown[-1]] if shown else None
    info = Node("PageInfo", {"endCursor": end, "hasNextPage": start + first < len(nodes)})
    fields = {"edges": chosen, "pageInfo": info, "totalCount": len(nodes)}
    return Node("Connection", fields)
