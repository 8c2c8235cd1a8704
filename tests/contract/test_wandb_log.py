"""The reader of W&B's transaction logs against logs of the real SDK, whole and harmed.

What is right is what `wandb leet inspect` says, W&B's own reader, which ends with its first fault.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import wandb

from anchored.adapters.wandb.log import BLOCK, HEAD, Segment, segment_in, segments
from anchored.adapters.wandb.offline import SILENT, OfflineRuns
from anchored.adapters.wandb.tracker import WandbTracker
from anchored.records import Ended
from tests.killed import wait_for

PARAMS = {"net": {"depth": 3, "inner": {"x": [1, {"y": 2}]}}, "name": "é🚀\n", "on": True}
ODD = {"inf": math.inf, "none": None, "a.b": 1, "": 2, "s": {"k": 1}, "list": [{"a": 1}], "to": {}}
# A mapping is merged into what there is of it in the config, and takes its place in the summary.
CHANGED = {"net": {"inner": {"z": 5}}, "s": 1, "list": [], "to": {"a": {"b": 1}}, "none": 0}


@contextmanager
def opened(folder: Path, run_id: str, **init: Any) -> Iterator[Any]:
    """A run of the SDK in this process."""
    settings = wandb.Settings(silent=True, console="off", x_disable_stats=True)
    with wandb.init(
        dir=folder, mode="offline", id=run_id, reinit="create_new", settings=settings, **init
    ) as run:
        yield run


def only(folder: Path) -> Segment:
    """The one segment there is, once the SDK's service has written its end."""
    wait_for(lambda: any(s.exit_code is not None for s in segments(folder / "wandb")))
    (segment,) = segments(folder / "wandb")
    return segment


def inspected(folder: Path) -> dict[str, Any]:
    """What W&B's own reader says of a log."""
    done = subprocess.run(
        [sys.executable, "-m", "wandb", "leet", "inspect", "--summary", "--json", str(folder)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def as_inspected(values: dict[str, Any]) -> dict[str, Any]:
    """Values as that reader shows them: without W&B's own, and numbers that JSON has not as text."""
    shown: dict[str, Any] = json.loads(
        json.dumps({key: value for key, value in values.items() if key != "_wandb"}),
        parse_constant=str,
    )
    return shown


def assert_inspected_alike(segment: Segment) -> None:
    theirs = inspected(segment.folder)
    assert as_inspected(segment.config) == theirs["config"]
    assert as_inspected(segment.summary) == theirs["summary"]
    for ours, key in (
        (segment.run_id, "run_id"), (segment.project, "project"), (segment.name, "name"),
        (segment.exit_code, "exit_code"),
    ):  # fmt: skip
        assert ours == theirs.get(key), key


def test_a_log_says_what_the_reader_of_wandb_says(tmp_path: Path) -> None:
    with opened(tmp_path, "a-b_c", name="only 'one' ü", project="p q", config=PARAMS | ODD) as run:
        run.define_metric("acc", summary="max,min")
        run.define_metric("hidden", summary="none")
        for step, acc in enumerate((0.1, 0.9, 0.3)):
            run.log({"acc": acc, "hidden": 1, "deep": {"er": step, "est": {"x": 1}}, "a/b": 1e300})
        run.log({"nan": math.nan, "inf": -math.inf, "deep": {"er": 7}, "a/b": {"c": 1}})
        run.config.update(CHANGED, allow_val_change=True)
        run.summary.update(
            {"best": 7, "gone": 1, "": 0, "x": {"a": 1, "b": {"c": 1}}, "y": {"a": 1}}
        )
        run.summary["x"] = {"b": {"d": 1}}
        run.summary["y"]["b"] = {"c": 2, "d": 3}
        del run.summary["y"]["a"]
        del run.summary["gone"]
        run.finish(exit_code=3)
    segment = only(tmp_path)
    assert_inspected_alike(segment)
    assert segment.config["net"] == {"depth": 3, "inner": {"x": [1, {"y": 2}], "z": 5}}
    assert segment.summary["acc"] == {"max": 0.9, "min": 0.1}
    assert (segment.summary["x"], segment.summary["y"]) == (
        {"b": {"d": 1}},
        {"b": {"c": 2, "d": 3}},
    )
    assert segment.folder.name.endswith("-a-b_c")


def test_records_of_more_than_a_block_are_read(tmp_path: Path) -> None:
    long = {f"part {n}": os.urandom(n).hex() for n in (10, 20_000, 40_000, 200_000)}
    with opened(tmp_path, "long", config=long) as run:
        run.summary.update(long)
        for n in range(3_000):
            run.log({"n": n})
    segment = only(tmp_path)
    assert {key: segment.config[key] for key in long} == long
    assert segment.summary["n"] == 2_999
    assert_inspected_alike(segment)


def test_whatever_is_left_of_a_block_is_passed_over(tmp_path: Path) -> None:
    """Less than the head of a fragment is filled with zeros, and the next record begins a block."""

    def log_of(run_id: str, pads: list[int]) -> bytes:
        with opened(tmp_path, run_id) as run:
            for n, pad in enumerate(pads):
                run.summary["pad"] = f"{n}" + "x" * pad
        wait_for(lambda: any(s.exit_code == 0 for s in segments(tmp_path / "wandb", run_id)))
        (segment,) = segments(tmp_path / "wandb", run_id)
        assert segment.summary["pad"] == f"{len(pads) - 1}" + "x" * pads[-1]
        return next(segment.folder.glob("*.wandb")).read_bytes()

    measured = log_of("first", [20_000, 20_000])
    first, second = measured.index(b'"0x'), measured.index(b'"1x')
    head, last = second - first - 20_000, BLOCK - first - len('"0"')
    left = set()
    for shift in range(-12, 13, 4):  # what stands before the first differs by some bytes
        log = log_of(f"no {shift:02}", [last + shift, *(BLOCK - n - head for n in range(1, 7))])
        ends = [log[at - HEAD.size : at] for at in range(BLOCK, len(log), BLOCK)]
        left |= {len(end) - len(end.rstrip(b"\0")) for end in ends}
    assert left == {0, 1, 2, 3, 4, 5, 6}


def test_runs_of_one_process_and_segments_of_one_second_are_told_apart(tmp_path: Path) -> None:
    ids = ["a", "a-1", "aa", "a_b", "b-a"]
    for n in range(3):
        for run_id in ids:
            with opened(
                tmp_path, run_id, project=run_id, config={"n": {f"{n}": run_id}, "last": n}
            ):
                pass
    runs = OfflineRuns(tmp_path, project="a")
    wait_for(lambda: [s.exit_code for s in segments(tmp_path / "wandb")] == [0] * 15)
    for run_id in ids:
        found = runs.find(run_id)
        assert found is not None
        config = {key: value for key, value in found.config.items() if key != "_wandb"}
        assert config == {"n": {"0": run_id, "1": run_id, "2": run_id}, "last": 2}, run_id
        assert found.project == run_id
    assert sorted(run.run_id for run in runs.everywhere()) == sorted(ids)
    assert runs.find("b") is runs.find("") is None


# --- harmed -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The log of a run whose summary counts from 0 to 99 in records of their own."""
    folder = tmp_path_factory.mktemp("whole")
    with opened(folder, "a1", config={"long": "x" * 40_000}) as run:
        for n in range(100):
            run.summary["n"] = n
    (log,) = only(folder).folder.glob("*.wandb")
    return log.read_bytes()


def read(content: bytes, tmp_path: Path) -> Segment | None:
    """What is read of a log with this content; None for nothing."""
    folder = tmp_path / "offline-run-20260102_000000-a1"
    folder.mkdir(exist_ok=True)
    (folder / "run-a1.wandb").unlink(missing_ok=True)
    (folder / "run-a1.wandb").write_bytes(content)
    return next(iter(segment_in(folder)), None)


def test_a_log_that_ends_anywhere_is_read_up_to_its_last_whole_record(
    whole: bytes, tmp_path: Path
) -> None:
    counted = []
    for end in [*range(0, 800, 9), *range(BLOCK - 20, BLOCK + 20), *range(40_500, len(whole))]:
        segment = read(whole[:end], tmp_path)
        counted.append(segment.summary.get("n", -1) if segment else -2)
        assert segment is None or segment.exit_code is None
    assert counted == sorted(counted)
    assert set(counted) == {*range(-2, 100)}
    last = read(whole, tmp_path)
    assert last is not None
    assert (last.summary["n"], last.exit_code, len(last.config["long"])) == (99, 0, 40_000)


def test_reading_ends_at_a_byte_that_is_not_what_was_written(whole: bytes, tmp_path: Path) -> None:
    counted = []
    for at in [*range(0, 800, 9), *range(BLOCK - 20, BLOCK + 20), *range(40_500, len(whole), 3)]:
        harmed = bytearray(whole)
        harmed[at] ^= 0b100
        segment = read(bytes(harmed), tmp_path)
        counted.append(segment.summary.get("n", -1) if segment else -2)
    assert counted == sorted(counted)
    assert set(counted) == {*range(-2, 100)}


@pytest.mark.parametrize("content", [b"", b":W&B", b"no log\n" * 10_000, b"\0" * 70_000])
def test_a_file_that_is_no_log_holds_no_run(content: bytes, tmp_path: Path) -> None:
    assert read(content, tmp_path) is None


def test_a_folder_that_holds_no_log_holds_no_run(tmp_path: Path) -> None:
    assert segments(tmp_path / "not there") == []
    (tmp_path / "offline-run-20260102_000000-empty").mkdir()
    (tmp_path / "offline-run-20260102_000000-odd" / "run-odd.wandb").mkdir(parents=True)
    (tmp_path / "offline-run-a-file").write_text("")
    (tmp_path / "latest-run").symlink_to("offline-run-gone")
    (tmp_path / "offline-run-20260102_000000-gone").symlink_to("gone")
    assert segments(tmp_path) == []


# --- runs of the user's own -------------------------------------------------------------------------

BY_HAND = """\
import os, signal, wandb
tags = {"git_commit": "1" * 40, "dvc_data_md5": "2" * 32, "dvc_model_md5": "3" * 32}
run = wandb.init(name="only one", project="sums", id="by-hand_1", config={
    **tags, "lags": 6, "model": "forest", "net": {"depth": 3}})
for step in range(3):
    run.log({"rmse": 1 / (step + 1), "val": {"r2": 0.5}, "note": "text"})
"""
FLUSHED = "settings=wandb.Settings(x_transaction_log_flush_interval=0.05), "


def by_hand(folder: Path, end: str = "") -> int:
    """The exit status of a script that makes a run by itself."""
    code = BY_HAND.replace("wandb.init(", f"wandb.init({FLUSHED}") + end
    env = {**os.environ, "WANDB_MODE": "offline", "WANDB_DIR": str(folder), "WANDB_SILENT": "true"}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=env, check=False, stderr=subprocess.DEVNULL
    ).returncode


def found(folder: Path) -> Any:
    """The run as the tracker has it, by its name."""
    (run,) = WandbTracker(OfflineRuns(folder, project="sums")).runs_named("only one")
    return run


def test_a_run_made_by_hand_is_found_with_its_tags_and_params(tmp_path: Path) -> None:
    assert by_hand(tmp_path) == 0
    run = found(tmp_path)
    assert (run.run_id, run.experiment, run.ending) == ("by-hand_1", "sums", Ended.FINISHED)
    assert run.params == {"lags": "6", "model": "forest", "net.depth": "3"}
    assert run.metrics == {"rmse": 1 / 3, "val.r2": 0.5}
    assert run.tags["git_commit"] == "1" * 40
    assert (run.tags["dvc_data_md5"], run.tags["dvc_model_md5"]) == ("2" * 32, "3" * 32)
    assert run.started < run.ended
    assert WandbTracker(OfflineRuns(tmp_path, project="other")).runs_named("only one") == []
    (segment,) = segments(tmp_path / "wandb")
    assert_inspected_alike(segment)


@pytest.mark.parametrize("end", ["__import__('sys').exit(7)", "1 / 0", "run.finish(exit_code=1)"])
def test_a_run_made_by_hand_that_failed_is_failed(tmp_path: Path, end: str) -> None:
    by_hand(tmp_path, end)
    assert found(tmp_path).ending == Ended.FAILED


def test_a_run_made_by_hand_that_was_killed_is_known_by_its_silence(tmp_path: Path) -> None:
    assert by_hand(tmp_path, "import time; time.sleep(1)\nos.kill(os.getpid(), signal.SIGKILL)") < 0
    run = found(tmp_path)
    assert (run.ending, run.ended) == (None, None)
    assert run.metrics == {"rmse": 1 / 3, "val.r2": 0.5}
    (log,) = (tmp_path / "wandb").glob("offline-*/*.wandb")
    last = log.stat().st_mtime - SILENT - 10
    os.utime(log, (last, last))
    run = found(tmp_path)
    assert (run.ending, run.ended) == (Ended.KILLED, int(last * 1000))
