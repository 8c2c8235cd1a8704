"""A tracker in a process of its own, which loads its libraries while ours does other work.

MLflow and its SQL store take longer to import than everything else of a run does, and two threads
of one Python import no faster than one. The process ends when ours does, however that ends: its
standard input then reaches its end.

Messages are pickles of (method, arguments) one way and (worked, result or error) the other, over
pipes that nobody else has.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Protocol

from anchored.errors import AnchoredError, TrackerFailed


class Loadable(Protocol):
    """A tracker that can import what it needs, and nothing more, before it is first used."""

    kind: str
    uri: str

    def load(self) -> None: ...


class TrackerProcess:
    """Stands for a tracker: has its methods, which run over there. Starts loading at once."""

    def __init__(self, tracker: Loadable) -> None:
        self.kind, self.uri = tracker.kind, tracker.uri
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Ctrl-C is for us: the tracker still has to record what became of the run.
            start_new_session=True,
        )
        pickle.dump(tracker, self._requests)
        self._requests.flush()

    def __getattr__(self, method: str) -> Callable[..., Any]:
        if method.startswith("_"):
            raise AttributeError(method)
        return lambda *args, **kwargs: self._call(method, args, kwargs)

    def _call(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with self._lock:
            try:
                pickle.dump((method, args, kwargs), self._requests)
                self._requests.flush()
                worked, result = pickle.load(self._answers)  # noqa: S301 - our own process
            except (EOFError, OSError) as error:
                raise TrackerFailed("the tracker's process has ended") from error
        if worked:
            return result
        raise result

    @property
    def _requests(self) -> BinaryIO:
        assert self._process.stdin is not None
        return self._process.stdin  # type: ignore[return-value]

    @property
    def _answers(self) -> BinaryIO:
        assert self._process.stdout is not None
        return self._process.stdout  # type: ignore[return-value]


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Loads the tracker that comes first, then answers calls until the requests end."""
    tracker = pickle.load(requests)  # noqa: S301 - from the process that started this one
    tracker.load()
    while True:
        try:
            method, args, kwargs = pickle.load(requests)  # noqa: S301
        except EOFError:
            return
        pickle.dump(_answer(tracker, method, args, kwargs), answers)
        answers.flush()


def _answer(
    tracker: Any, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[bool, Any]:
    try:
        result = getattr(tracker, method)(*args, **kwargs)
        return True, list(result) if isinstance(result, Iterator) else result
    except AnchoredError as error:
        # The cause does not travel with a pickle; --debug shall show it all the same.
        error.add_note(traceback.format_exc())
        return False, error
    except Exception as error:  # noqa: BLE001 - whatever it was, the caller has to know
        failure = TrackerFailed(f"{type(error).__name__}: {error}", transient=False)
        failure.add_note(traceback.format_exc())
        return False, failure


if __name__ == "__main__":
    # What a library prints goes to the terminal, not among the answers.
    answers_to = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, answers_to)
