"""A tracker in a process of its own, which loads its libraries while ours does other work.

MLflow and its SQL store take longer to import than everything else of a run does, and two threads
of one Python import no faster than one. The process ends when ours does, however that ends: its
standard input then reaches its end.

Messages are pickles, over pipes that nobody else has: the tracker first, then (method, arguments)
one way and (kind of answer, result or error) the other. An iterator stays over there; its number
comes, and then by `MORE` a page at a time.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Any, BinaryIO, Protocol

from anchored.errors import AnchoredError, TrackerFailed
from anchored.system.lifeline import end_with_parent

RESULT, STREAM, FAILURE = "result", "stream", "failure"
MORE = ""  # no tracker's method
PAGE = 1_000  # items of an iterator


class Described(Protocol):
    """What of a tracker is known without asking it."""

    kind: str
    uri: str
    takes_runs: bool
    keeps_models: bool


class TrackerProcess:
    """Stands for a tracker: has its methods, which run over there. Starts loading at once.

    `module` is the adapter's, whose function `load` gets `uri`: a guess at what the tracker will
    be, for the sake of time. What it is in truth, `take` says before the first call.
    """

    def __init__(self, module: str, uri: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, module, uri],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Ctrl-C is for us: the tracker still has to record what became of the run.
            start_new_session=True,
        )
        # A call is one piece of work for this thread: interrupted in waiting for its answer, we
        # leave it to read that, and the next call does not get it for its own.
        self._thread = ThreadPoolExecutor(max_workers=1)
        atexit.register(self._process.terminate)

    def take(self, tracker: Described) -> None:
        """Makes this stand for a tracker."""
        self.kind, self.uri = tracker.kind, tracker.uri
        self.takes_runs, self.keeps_models = tracker.takes_runs, tracker.keeps_models
        self._thread.submit(self._send, tracker)

    def __getattr__(self, method: str) -> Callable[..., Any]:
        if method.startswith("_"):
            raise AttributeError(method)
        return lambda *args, **kwargs: self._call(method, args, kwargs)

    def _call(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        kind, result = self._answer(self._ask(method, *args, **kwargs))
        return self._pages(result) if kind == STREAM else result

    def _pages(self, number: int) -> Iterator[Any]:
        """What an iterator over there yields; the next page is made while this one is used."""
        ahead = self._ask(MORE, number)
        while page := self._answer(ahead)[1]:
            ahead = self._ask(MORE, number)
            yield from page

    def _ask(self, method: str, *args: Any, **kwargs: Any) -> Future[tuple[str, Any]]:
        return self._thread.submit(self._exchange, (method, args, kwargs))

    def _answer(self, asked: Future[tuple[str, Any]]) -> tuple[str, Any]:
        try:
            kind, result = asked.result()
        except (EOFError, OSError) as error:
            raise TrackerFailed("the tracker's process has ended") from error
        if kind == FAILURE:
            raise result
        return kind, result

    def _exchange(self, request: Any) -> tuple[str, Any]:
        self._send(request)
        assert self._process.stdout is not None
        answer: tuple[str, Any] = pickle.load(self._process.stdout)  # noqa: S301 - our own process
        return answer

    def _send(self, message: Any) -> None:
        assert self._process.stdin is not None
        pickle.dump(message, self._process.stdin)
        self._process.stdin.flush()


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answers calls to the tracker that comes first, until the requests end."""
    streams: dict[int, Iterator[Any]] = {}
    try:
        tracker = pickle.load(requests)  # noqa: S301 - from the process that started this one
        while True:
            method, args, kwargs = pickle.load(requests)  # noqa: S301
            call = partial(_more, streams) if method == MORE else partial(_done, tracker, method)
            kind, result = _answered(call, args, kwargs)
            if isinstance(result, Iterator):
                streams[len(streams)] = result
                kind, result = STREAM, len(streams) - 1
            pickle.dump((kind, result), answers)
            answers.flush()
    except EOFError:
        return


def _more(streams: Mapping[int, Iterator[Any]], number: int) -> list[Any]:
    return list(islice(streams[number], PAGE))


def _done(tracker: Any, method: str, *args: Any, **kwargs: Any) -> Any:
    return getattr(tracker, method)(*args, **kwargs)


def _answered(
    call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[str, Any]:
    try:
        return RESULT, call(*args, **kwargs)
    except AnchoredError as error:
        # The cause does not travel with a pickle; --debug shall show it all the same.
        error.add_note(traceback.format_exc())
        return FAILURE, error
    except Exception as error:  # noqa: BLE001 - a bug of ours, whose own type may not be known there
        bug = RuntimeError(f"{type(error).__name__}: {error}")
        bug.add_note(traceback.format_exc())
        return FAILURE, bug


if __name__ == "__main__":
    # What a library prints goes to the terminal, not among the answers.
    requests_from, answers_to = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    # Nor does it wait for the answer of a server when nobody is left to have it.
    end_with_parent()
    # Importing makes a hundred thousand objects and no garbage; looking for some takes a tenth.
    gc.set_threshold(300_000, 20, 50)
    # Of a library that is not there, whoever makes the tracker says it better.
    with suppress(ImportError):
        importlib.import_module(sys.argv[1]).load(sys.argv[2])
    serve(requests_from, answers_to)
