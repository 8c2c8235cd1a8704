"""A tracker in a process of its own, which loads its libraries while ours does other work.

MLflow and its SQL store take longer to import than everything else of a run does, and two threads
of one Python import no faster than one. And both libraries take settings from
`os.environ`, which all threads of a process share.
"""

from __future__ import annotations

import atexit
import pickle
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from anchored.errors import TrackerFailed
from anchored.ports import NO_FILES, NOTHING, LoggedFiles, ModelContent, Pages, Tracker
from anchored.records import Ended, ModelVersion, ParamValue, TrackedRun
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

P = ParamSpec("P")
R = TypeVar("R")


class TrackerProcess:
    """The process. Starts loading at once, and ends when ours does.

    `module` is the adapter's, whose function `load` gets `uri`: a guess at what the tracker's will
    be, to save time. Its environment is ours at this moment.
    """

    def __init__(self, module: str, uri: str = "") -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "anchored.workspace.tracker_server", module, uri],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Ctrl-C is for us: the tracker still has to record what became of the run.
            start_new_session=True,
        )
        # An exchange is one piece of work for this thread: where we are interrupted in waiting for
        # a reply, the thread still reads it, and the next call does not get it for its own.
        self._thread = ThreadPoolExecutor(max_workers=1)
        atexit.register(self._process.terminate)

    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return self._process.poll() is not None

    def end(self) -> None:
        """Ends the process as soon as the calls that were begun have their replies."""
        atexit.unregister(self._process.terminate)
        self._thread.shutdown()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(OSError):  # of a process that was killed
                pipe.close()
        self._process.terminate()
        self._process.wait()

    def send(self, message: Take | Drop) -> None:
        """Sends a message that has no reply."""
        self._thread.submit(self._send, message)

    def ask(self, message: Call | More) -> Future[Reply]:
        """Sends a message; its reply comes in the end."""
        return self._thread.submit(self._exchange, message)

    def _exchange(self, message: Message) -> Reply:
        self._send(message)
        assert self._process.stdout is not None
        reply: Reply = pickle.load(self._process.stdout)  # noqa: S301 - our own process
        return reply

    def _send(self, message: Message) -> None:
        assert self._process.stdin is not None
        pickle.dump(message, self._process.stdin)
        self._process.stdin.flush()


class TrackerProxy:
    """A tracker whose methods run in a process of its own.

    `kind`, `uri` and the like are known without asking it.
    """

    def __init__(self, process: TrackerProcess, tracker: Tracker) -> None:
        self.process = process
        self.kind, self.uri = tracker.kind, tracker.uri
        self.takes_runs, self.keeps_models = tracker.takes_runs, tracker.keeps_models
        process.send(Take(tracker))

    def open_run(self, *, name: str, tags: Mapping[str, str], started: datetime) -> TrackedRun:
        return self._call(Tracker.open_run, name=name, tags=tags, started=started)

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, ParamValue] = NOTHING,
        metrics: Mapping[str, float] = NOTHING,
        files: LoggedFiles = NO_FILES,
        tags: Mapping[str, str] = NOTHING,
    ) -> tuple[str, ...]:
        # The defaults are read-only views, which cannot be pickled.
        return self._call(
            Tracker.log,
            run_id,
            params=dict(params),
            metrics=dict(metrics),
            files=files,
            tags=dict(tags),
        )

    def log_model(self, run_id: str, content: ModelContent, *, tags: Mapping[str, str]) -> None:
        self._call(Tracker.log_model, run_id, content, tags=tags)

    def end_run(self, run_id: str, ending: Ended, *, name: str, ended: datetime) -> None:
        self._call(Tracker.end_run, run_id, ending, name=name, ended=ended)

    def reopen_run(self, run_id: str, *, without: Sequence[str] = ()) -> None:
        self._call(Tracker.reopen_run, run_id, without=without)

    def run(self, run_id: str) -> TrackedRun:
        return self._call(Tracker.run, run_id)

    def runs(self, limit: int | None = None) -> Iterable[TrackedRun]:
        return self._call(Tracker.runs, limit)

    def runs_by_id(self, ids: Collection[str]) -> list[TrackedRun]:
        return self._call(Tracker.runs_by_id, ids)

    def runs_tagged(self, tag: str, value: str) -> list[TrackedRun]:
        return self._call(Tracker.runs_tagged, tag, value)

    def runs_named(self, name: str, *, everywhere: bool = False) -> list[TrackedRun]:
        return self._call(Tracker.runs_named, name, everywhere=everywhere)

    def runs_starting_with(self, prefix: str) -> list[TrackedRun]:
        return self._call(Tracker.runs_starting_with, prefix)

    def artifact(self, run_id: str, path: str) -> bytes | None:
        return self._call(Tracker.artifact, run_id, path)

    def artifacts(self, runs: Sequence[TrackedRun], path: str) -> dict[str, bytes]:
        return self._call(Tracker.artifacts, runs, path)

    def registered(self, run_id: str, *, model: str, md5: str) -> ModelVersion | None:
        return self._call(Tracker.registered, run_id, model=model, md5=md5)

    def register(
        self, run_id: str, content: ModelContent, *, model: str, tags: Mapping[str, str]
    ) -> ModelVersion:
        return self._call(Tracker.register, run_id, content, model=model, tags=tags)

    def version_of_alias(self, model: str, alias: str) -> ModelVersion | None:
        return self._call(Tracker.version_of_alias, model, alias)

    def set_alias(self, model: str, alias: str, version: str) -> ModelVersion:
        return self._call(Tracker.set_alias, model, alias, version)

    def training_variables(self, run_id: str) -> dict[str, str]:
        return self._call(Tracker.training_variables, run_id)

    def refuses_to_join(self, run_id: str, output: Sequence[str]) -> bool:
        return self._call(Tracker.refuses_to_join, run_id, output)

    def metrics_kept_in(self, tree: Path) -> dict[str, float]:
        return self._call(Tracker.metrics_kept_in, tree)

    def pages(self) -> Pages:
        return self._call(Tracker.pages)

    def picture_url(self, run_id: str, path: str) -> str:
        return self._call(Tracker.picture_url, run_id, path)

    def _call(
        self, method: Callable[Concatenate[Tracker, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """What this method of the tracker returns, called in its process."""
        result: R = self._value(self.process.ask(Call(method.__name__, args, kwargs)))
        return result

    def _value(self, asked: Future[Reply]) -> Any:
        try:
            reply = asked.result()
        except (EOFError, OSError) as error:
            raise TrackerFailed("the tracker's process has ended") from error
        match reply:
            case Result(value):
                return value
            case Stream(number):
                return self._items(number)
            case Failure(raised):
                raise raised

    def _items(self, stream: int) -> Iterator[Any]:
        """What an iterator there yields; the next page is made while this one is used."""
        ahead, is_last = self.process.ask(More(stream)), False
        try:
            while not is_last:
                items: Sequence[Any] = self._value(ahead)
                is_last = len(items) < PAGE
                if not is_last:
                    ahead = self.process.ask(More(stream))
                yield from items
        finally:
            if not is_last:
                with suppress(RuntimeError):  # at the end of our process, no more is sent
                    self.process.send(Drop(stream))
