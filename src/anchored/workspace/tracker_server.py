"""The process that a tracker has for its own: loads its libraries, then answers calls to it.

It ends when the process that started it does, however that ends: its standard input is then at its
end.
"""

from __future__ import annotations

import gc
import importlib
import os
import pickle
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count, islice
from typing import Any, BinaryIO

from anchored.errors import AnchoredError
from anchored.system.lifeline import end_with_parent
from anchored.workspace.tracker_messages import (
    PAGE,
    Call,
    Drop,
    Failure,
    Message,
    More,
    Reply,
    Result,
    Stream,
    Take,
)


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Answers messages until there are no more."""
    served = _Served()
    while True:
        try:
            message: Message = pickle.load(requests)  # noqa: S301 - from the process that started us
        except EOFError:
            return
        if (reply := served.reply(message)) is not None:
            pickle.dump(reply, replies)
            replies.flush()


class _Served:
    """A tracker, and the iterators that calls to it have returned and that are not at their end."""

    def __init__(self) -> None:
        self._tracker: Any = None
        self._streams: dict[int, Iterator[Any]] = {}
        self._numbers = count()

    def reply(self, message: Message) -> Reply | None:
        match message:
            case Take(tracker):
                self._tracker = tracker
                return None
            case Drop(number):
                self._streams.pop(number, None)
                return None
            case Call():
                return _tried(lambda: self._called(message))
            case More(number):
                return self._page(number)

    def _called(self, call: Call) -> Result | Stream:
        result = getattr(self._tracker, call.method)(*call.args, **call.kwargs)
        if not isinstance(result, Iterator):
            return Result(result)
        number = next(self._numbers)
        self._streams[number] = result
        return Stream(number)

    def _page(self, number: int) -> Reply:
        reply = _tried(lambda: Result(list(islice(self._streams[number], PAGE))))
        if not isinstance(reply, Result) or len(reply.value) < PAGE:
            self._streams.pop(number, None)
        return reply


def _tried(answer: Callable[[], Reply]) -> Reply:
    try:
        return answer()
    except AnchoredError as error:
        # The cause is not part of a pickled error; --debug shows it all the same.
        error.add_note(traceback.format_exc())
        return Failure(error)
    except Exception as error:  # noqa: BLE001 - a bug of ours, of a type that may be unknown there
        bug = RuntimeError(f"{type(error).__name__}: {error}")
        bug.add_note(traceback.format_exc())
        return Failure(bug)


if __name__ == "__main__":
    # What a library prints goes to the terminal, not among the replies.
    requests_from, replies_to = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    # Nor does it wait for the answer of a server when nobody is left to have it.
    end_with_parent()
    # Importing makes a hundred thousand objects and no garbage; looking for some takes a tenth.
    gc.set_threshold(300_000, 20, 50)
    # A library that is not installed is reported better by whoever makes the tracker.
    with suppress(ImportError):
        importlib.import_module(sys.argv[1]).load(sys.argv[2])
    serve(requests_from, replies_to)
