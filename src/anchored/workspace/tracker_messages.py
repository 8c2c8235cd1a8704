"""What goes between a tracker's own process and the one that uses it: pickles of these, over pipes.

A `Take` and a `Drop` have no reply. Every other message has one, in the order of the messages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

PAGE = 1_000  # items of an iterator that are sent at once


@dataclass(frozen=True, slots=True)
class Take:
    """The tracker to call from now on."""

    tracker: Any


@dataclass(frozen=True, slots=True)
class Call:
    """A method of the tracker, to be called."""

    method: str
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class More:
    """Asks for the next items of a stream. Fewer than `PAGE` are the last."""

    stream: int


@dataclass(frozen=True, slots=True)
class Drop:
    """Nobody wants the rest of a stream."""

    stream: int


@dataclass(frozen=True, slots=True)
class Result:
    """What a call returned, or the next items of a stream."""

    value: Any


@dataclass(frozen=True, slots=True)
class Stream:
    """A call returned an iterator, which stays in the tracker's process under this number."""

    number: int


@dataclass(frozen=True, slots=True)
class Failure:
    """What a call raised, or the iterator of a stream, which is then at its end."""

    error: Exception


Message = Take | Call | More | Drop
Reply = Result | Stream | Failure
