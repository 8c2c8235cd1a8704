"""What leaves Anchored: words on a terminal, JSON, Prefect's pages; a bug of ours as exit code 70."""

from __future__ import annotations

import io
import json
import re
import subprocess
from argparse import Namespace
from pathlib import Path

import pytest

from anchored.cli import console, render, retrain_command
from anchored.cli import main as cli
from anchored.cli.audit_command import findings
from anchored.cli.render_diff import differences
from anchored.cli.terminal_report import TerminalReport
from anchored.decisions.audit import Audit, Finding, Problem
from anchored.decisions.differences import Change, CodeChange, Differences, OutputChange, Sides
from anchored.decisions.naming import flow_tags
from anchored.errors import AGAIN, DiskFull, GitRemoteFailed, TrainingFailed
from anchored.journal import Journal, Journals, Step
from anchored.records import GitFacts, Pointer, RunRecord, TrackerLink
from tasks.presenting import as_address, as_markdown, lineage_table
from tasks.reporting import RunLog

EVIL = "\x1b]0;pwned\x07\x1b[2J\x9b31m\u202egpj.\u2066x\u200b\r\nerror: fake\x7f\udc80[red]:x:"
ACTING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u202e\u2066\ud800-\udfff]")


def evil_run() -> RunRecord:
    return RunRecord(
        run_id=EVIL, name=EVIL, experiment=EVIL, command=EVIL, params={EVIL: EVIL},
        metrics={EVIL: 1.0}, environment={"python": EVIL, "platform": EVIL, "md5": EVIL},
        git=GitFacts(EVIL, EVIL, EVIL, EVIL, EVIL), data=(Pointer(EVIL, EVIL),),
        model=(Pointer(EVIL, EVIL),), tracker=TrackerLink("mlflow", EVIL, EVIL), started=EVIL,
        ended=EVIL, reproduces=EVIL, verdict=EVIL,
    )  # fmt: skip


@pytest.fixture(params=[False, True], ids=["pipe", "terminal"])
def screen(request: pytest.FixtureRequest) -> console.Plain:
    return console.Plain(
        file=io.StringIO(), width=500, force_terminal=request.param, color_system=None,
        highlight=False, emoji=False,
    )  # fmt: skip


def printed(screen: console.Plain) -> str:
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


def test_nothing_that_others_wrote_acts_on_the_terminal(screen: console.Plain) -> None:
    run = evil_run()
    output = OutputChange(EVIL, EVIL, EVIL, problem=EVIL)
    code = CodeChange(EVIL, EVIL, ((EVIL, Change.ADDED),), patch=EVIL, problem=EVIL)
    sides = {EVIL: Sides(EVIL, EVIL)}
    found = Differences((output,), code, params=sides, environment=sides)
    audit = Audit(1, 0, (Finding(EVIL, EVIL, Problem.RECORD_UNREADABLE, EVIL),))
    for shown in (
        render.listing([run]), render.lineage(run, whole=True), differences(found, run, run),
        findings(audit),
    ):  # fmt: skip
        screen.print(shown)
    screen.print(EVIL, markup=False)
    said = printed(screen)
    assert not ACTING.search(said)
    assert "\\x1b]0;pwned\\x07" in said
    assert "[red]" in said
    assert said.count("\nerror: fake") == 1, "a line end in a name is none; in a message it is"


def test_what_a_report_says_is_filtered_on_terminals_and_in_logs(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    report = TerminalReport("x")
    log = RunLog()
    caplog.set_level("INFO")
    for one in (report, log):
        one.warn(EVIL)
        one.say(EVIL)
        one.output(f"\x1b[1mbold\x1b[0m {EVIL.splitlines()[0]}")
    said = capsys.readouterr().err + "\n".join(record.getMessage() for record in caplog.records)
    assert not ACTING.search(said)
    assert "bold \\x1b]0" in said


def test_json_stays_the_same_document(capsys: pytest.CaptureFixture[str]) -> None:
    render.print_json({EVIL: [EVIL, "é👩‍💻\U000e0041"]})
    said = capsys.readouterr().out
    assert not ACTING.search(said)
    assert json.loads(said) == {EVIL: [EVIL, "é👩‍💻\U000e0041"]}
    assert "é👩" in said


@pytest.mark.parametrize("text", [
    "[x](https://evil.example)", "![x](https://evil.example/a.png)", "<img src=x onerror=y>",
    "https://evil.example", "`code`", "&lt;b&gt;", "# title", "a@evil.example", "~~x~~", "1. x",
])  # fmt: skip
def test_a_name_on_a_page_is_text_alone(text: str) -> None:
    shown = as_markdown(text)
    # Every punctuation mark is escaped, so none of them means anything to Markdown.
    assert not re.search(r"(?<!\\)[!-.:-@\[\]^-`{-~]", shown.replace("\\\\", ""))
    assert re.sub(r"\\(.)", r"\1", shown) == text


def test_pages_and_labels_hold_no_controls_and_links_lead_to_pages() -> None:
    rows = lineage_table(evil_run())
    for text in (*(cell for row in rows for cell in row.values()), as_markdown(EVIL),
                 *flow_tags(name=EVIL, commit=EVIL, data=EVIL, model=EVIL)):  # fmt: skip
        assert not ACTING.search(text)
        assert "\n" not in text
    assert as_address("javascript:alert(1)") == ""
    assert (
        as_address("http://h/#/runs/a) [x](http://evil")
        == "http://h/#/runs/a%29%20[x]%28http://evil"
    )
    assert (
        as_address("http://h:5000/#/experiments/1/runs/ab")
        == "http://h:5000/#/experiments/1/runs/ab"
    )


@pytest.fixture
def retrain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """How a command ends that raises an error, in a repository of its own."""
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)

    def ended(error: BaseException, *options: str) -> int:
        def run(_arguments: Namespace) -> int:
            raise error

        monkeypatch.setattr(retrain_command, "run", run)
        return cli.main(["retrain", "--repo", str(tmp_path), *options])

    return ended


def test_a_bug_of_ours_is_70_and_says_how_to_report_it(
    retrain, capsys: pytest.CaptureFixture[str]
) -> None:
    assert retrain(KeyError(f"x\x1b {EVIL}")) == 70
    said = capsys.readouterr().err
    assert said.startswith("error: KeyError: ")
    assert "bug in Anchored" in said
    assert "report it" in said
    assert "--debug" in said
    assert said.count("\n") == 2
    assert not ACTING.search(said)


def test_a_full_disk_is_no_bug(retrain) -> None:
    assert retrain(OSError(28, "No space left on device")) == 3


def test_the_words_of_errors_are_filtered(retrain, capsys: pytest.CaptureFixture[str]) -> None:
    assert retrain(TrainingFailed(EVIL, tail=[EVIL, "\x1b[31mred\x1b[0m"], hint=EVIL)) == 1
    said = capsys.readouterr().err
    assert not ACTING.search(said)
    assert "  red\n" in said


def test_tracebacks_are_shown_without_secrets(
    retrain, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://user:s3cre7@db/mlflow")
    monkeypatch.setenv("PGPASSWORD", "hunt7r")
    cause = ValueError("cannot connect to https://me:another1@host/x with password hunt7r")
    cause.__cause__ = RuntimeError("user=user password='s3cre7'\x1b[2J")
    cause.add_note("in the tracker's process: ghp_" + "a1B2" * 9)
    for error in (cause, GitRemoteFailed("no answer")):
        error.__context__ = cause if error is not cause else None
        assert retrain(error, "--debug") in {70, 3}
        said = capsys.readouterr().err
        assert "Traceback" in said or "ValueError" in said
        for secret in ("s3cre7", "hunt7r", "another1", "ghp_"):
            assert secret not in said
        assert not ACTING.search(said)


def test_resume_is_promised_only_where_something_was_begun(
    retrain, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    errors = (DiskFull("x"), GitRemoteFailed("x", hint=f"wait, then {AGAIN}"))
    for error in errors:
        assert retrain(error) == 3
        said = capsys.readouterr().err
        assert "resume" not in said
        assert "again" in said
    run = RunRecord(run_id="1", name="one", experiment="e")
    journals = Journals(tmp_path)
    journals.begin(Journal("k", run, Step.OPENED, base="b", pinned="b"))
    for error in errors:
        retrain(error)
        assert "`anchored resume` finishes what was begun" in capsys.readouterr().err
    journals.close("k")
