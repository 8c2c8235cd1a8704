"""A tracker in a process of its own answers as it does in ours, whatever happens in between."""

from __future__ import annotations

import importlib
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from anchored.errors import AmbiguousRun, TrackerFailed
from anchored.workspace import open as workspace
from anchored.workspace.tracker_process import PAGE, TrackerProcess


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


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> Iterator[TrackerProcess]:
    monkeypatch.chdir(Path(__file__).parents[2])
    process = TrackerProcess("tests.unit.test_tracker_process", "elsewhere")
    process.take(Echo())
    yield process
    process._process.kill()
    process._process.wait()
    process._thread.shutdown()


def test_it_answers_and_says_what_it_is(echo: TrackerProcess) -> None:
    assert (echo.kind, echo.uri) == ("echo", "here")
    assert echo.say("yes") == "yes"


@pytest.mark.parametrize("count", [0, 1, PAGE, 2 * PAGE + 1])
def test_what_it_yields_comes_a_page_at_a_time(echo: TrackerProcess, count: int) -> None:
    numbers = echo.numbers(count)
    assert echo.say("between") == "between"
    assert next(numbers, 0) == 0
    assert echo.say("within a page") == "within a page"
    assert list(numbers) == list(range(1, count))


def test_an_iterator_that_fails_fails_here(echo: TrackerProcess) -> None:
    numbers = echo.numbers(PAGE, broken=True)
    assert next(numbers) == 0
    with pytest.raises(AmbiguousRun):
        list(numbers)
    assert echo.say("still there") == "still there"


def test_errors_come_with_all_their_fields(echo: TrackerProcess) -> None:
    with pytest.raises(AmbiguousRun) as refused:
        echo.refuse()
    assert (refused.value.candidates, refused.value.hint) == (("1", "2"), "name one")
    # A bug, and no failure of the tracker's: the command ends with 70.
    with pytest.raises(RuntimeError, match="ZeroDivisionError: by nought"):
        echo.break_down()
    assert echo.say("still there") == "still there"


def test_an_interrupted_call_leaves_its_answer_to_nobody(echo: TrackerProcess) -> None:
    echo.say("loaded")
    before = signal.signal(signal.SIGALRM, _interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        with pytest.raises(KeyboardInterrupt):
            echo.say("too late", after=1)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert echo.say("next") == "next"


def test_a_process_that_is_gone_is_a_failed_tracker(echo: TrackerProcess) -> None:
    echo.say("loaded")
    psutil.Process(echo._process.pid).kill()
    with pytest.raises(TrackerFailed, match="has ended"):
        echo.say("anyone?")


def test_a_library_that_is_not_there_is_left_to_others_to_tell(
    capfd: pytest.CaptureFixture[str],
) -> None:
    process = TrackerProcess("tests.unit.no_such_adapter", "elsewhere")
    process.take(Echo())
    assert process.say("all the same") == "all the same"
    process._process.kill()
    process._process.wait()
    assert capfd.readouterr().err == ""


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_what_is_loaded_here_is_not_loaded_aside(tmp_path: Path) -> None:
    (tmp_path / "anchored.toml").write_text('[tracker]\nkind = "mlflow"\n')
    importlib.import_module(workspace.ADAPTERS["mlflow"])
    before = psutil.Process().children()
    workspace.load_tracker_aside(tmp_path)
    assert psutil.Process().children() == before
