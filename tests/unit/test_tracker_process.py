"""A tracker in a process of its own answers as it does in ours, whatever happens in between."""

from __future__ import annotations

import importlib
import inspect
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from anchored.errors import AmbiguousRun, TrackerFailed
from anchored.ports import Tracker
from anchored.workspace import trackers_aside
from anchored.workspace.tracker_messages import (
    PAGE,
    Call,
    Drop,
    Failure,
    More,
    Result,
    Stream,
    Take,
)
from anchored.workspace.tracker_process import TrackerProcess, TrackerProxy
from anchored.workspace.tracker_server import _Served
from anchored.workspace.trackers import TRACKERS


def load(uri: str) -> None:
    """What an adapter imports ahead."""
    assert uri == "elsewhere"


class Echo:
    """A tracker for tests: says what it is told."""

    kind, uri, takes_runs, keeps_models = "echo", "here", True, False

    def say(self, word: str, *, after: float = 0) -> str:
        time.sleep(after)
        return word

    def numbers(self, count: int, *, broken: bool = False) -> Iterator[int]:
        yield from range(count)
        if broken:
            raise AmbiguousRun("one", ["1", "2"], hint="name one")

    def refuse(self) -> None:
        raise AmbiguousRun("one", ["1", "2"], hint="name one")

    def break_down(self) -> None:
        raise ZeroDivisionError("by nought")


class EchoProxy(TrackerProxy):
    """Its proxy, as the one of a tracker is written."""

    def __init__(self, process: TrackerProcess) -> None:
        tracker: Any = Echo()
        super().__init__(process, tracker)

    def asked(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return self._call(method, *args, **kwargs)

    def say(self, word: str, *, after: float = 0) -> Any:
        return self.asked(Echo.say, word, after=after)

    def numbers(self, count: int, *, broken: bool = False) -> Any:
        return self.asked(Echo.numbers, count, broken=broken)


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> Iterator[EchoProxy]:
    monkeypatch.chdir(Path(__file__).parents[2])
    process = TrackerProcess("tests.unit.test_tracker_process", "elsewhere")
    yield EchoProxy(process)
    process.end()
    assert process.has_ended()


def test_it_answers_and_says_what_it_is(echo: EchoProxy) -> None:
    assert (echo.kind, echo.uri) == ("echo", "here")
    assert echo.say("yes") == "yes"


def test_the_proxy_has_every_method_of_a_tracker_as_it_is() -> None:
    methods = [name for name in dir(Tracker) if not name.startswith("_")]
    assert len(methods) > 20
    for name in methods:
        own, port = getattr(TrackerProxy, name), getattr(Tracker, name)
        assert inspect.signature(own) == inspect.signature(port), name


@pytest.mark.parametrize("count", [0, 1, PAGE, 2 * PAGE, 2 * PAGE + 1])
def test_what_it_yields_comes_a_page_at_a_time(echo: EchoProxy, count: int) -> None:
    numbers = echo.numbers(count)
    assert echo.say("between") == "between"
    assert next(numbers, 0) == 0
    assert echo.say("within a page") == "within a page"
    assert list(numbers) == list(range(1, count))


def test_an_iterator_that_fails_fails_here(echo: EchoProxy) -> None:
    numbers = echo.numbers(PAGE, broken=True)
    assert next(numbers) == 0
    with pytest.raises(AmbiguousRun):
        list(numbers)
    assert echo.say("still there") == "still there"


def test_an_iterator_that_nobody_wants_any_more_is_given_up(echo: EchoProxy) -> None:
    numbers = echo.numbers(5 * PAGE)
    assert next(numbers) == 0
    numbers.close()
    assert echo.say("still there") == "still there"


def test_the_server_keeps_no_stream_that_is_at_its_end() -> None:
    served = _Served()
    assert served.reply(Take(Echo())) is None
    assert served.reply(Call("numbers", [PAGE + 1])) == Stream(0)
    assert served.reply(Call("numbers", [PAGE + 1])) == Stream(1)
    assert served.reply(Call("numbers", [1], {"broken": True})) == Stream(2)
    assert served.reply(More(0)) == Result(list(range(PAGE)))
    assert set(served._streams) == {0, 1, 2}
    assert served.reply(More(0)) == Result([PAGE])
    assert isinstance(served.reply(More(2)), Failure)
    assert served.reply(Drop(1)) is None
    assert served.reply(Drop(1)) is None
    assert not served._streams


def test_errors_come_with_all_their_fields(echo: EchoProxy) -> None:
    with pytest.raises(AmbiguousRun) as refused:
        echo.asked(Echo.refuse)
    assert (refused.value.candidates, refused.value.hint) == (("1", "2"), "name one")
    # A bug, and no failure of the tracker's: the command ends with 70.
    with pytest.raises(RuntimeError, match="ZeroDivisionError: by nought"):
        echo.asked(Echo.break_down)
    assert echo.say("still there") == "still there"


def test_an_interrupted_call_leaves_its_answer_to_nobody(echo: EchoProxy) -> None:
    echo.say("loaded")
    before = signal.signal(signal.SIGALRM, _interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        with pytest.raises(KeyboardInterrupt):
            echo.say("too late", after=1)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert echo.say("next") == "next"


def test_a_process_that_is_gone_is_a_failed_tracker(echo: EchoProxy) -> None:
    echo.say("loaded")
    psutil.Process(echo.process._process.pid).kill()
    with pytest.raises(TrackerFailed, match="has ended"):
        echo.say("anyone?")


def test_a_library_that_is_not_installed_is_left_to_others_to_report(
    capfd: pytest.CaptureFixture[str],
) -> None:
    process = TrackerProcess("tests.unit.no_such_adapter", "elsewhere")
    assert EchoProxy(process).say("all the same") == "all the same"
    process.end()
    assert capfd.readouterr().err == ""


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_what_is_loaded_here_is_not_loaded_aside(tmp_path: Path) -> None:
    (tmp_path / "anchored.toml").write_text('[tracker]\nkind = "mlflow"\n')
    importlib.import_module(TRACKERS["mlflow"].module)
    before = psutil.Process().children()
    trackers_aside.load_tracker_aside(tmp_path)
    assert psutil.Process().children() == before
