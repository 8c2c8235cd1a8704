"""Arguments as users type them, and every error's way to words and an exit code."""

from __future__ import annotations

import re
import subprocess
from argparse import Namespace
from pathlib import Path

import pytest

from anchored import errors
from anchored.cli import main as cli
from anchored.cli import retrain_command
from anchored.cli.console import human_size
from anchored.decisions.audit import RunsLost
from anchored.errors import AmbiguousRun, AnchoredError, BadParam, ConfigError, DirtyTree
from anchored.journal import Journal, Journals, Step
from anchored.records import RunRecord

CODES = {
    errors.WrongUse: 2,
    errors.RunFailed: 1,
    errors.ServiceFailed: 3,
    RunsLost: 1,
}


def leaves(kind: type[AnchoredError]) -> list[type[AnchoredError]]:
    below = [leaf for sub in kind.__subclasses__() for leaf in leaves(sub)]
    return below or [kind]


def test_every_error_has_the_exit_code_of_its_branch() -> None:
    for leaf in leaves(AnchoredError):
        branch = next(branch for branch in CODES if issubclass(leaf, branch))
        assert leaf.exit_code == CODES[branch], leaf


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = set(re.findall(r"[A-Z]\w+(?:Error|Failed|Use|Ready|Input|Tree|Name|Param|Run|Outcome|Changed|Full|Lost|Experiment)",
                           errors.__doc__ or ""))  # fmt: skip
    assert {leaf.__name__ for leaf in leaves(AnchoredError)} <= drawn


def test_an_interruption_hints_at_what_can_be_resumed_and_only_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_arguments: Namespace) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(retrain_command, "run", interrupted)
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    retrain = ["retrain", "--repo", str(tmp_path)]
    assert cli.main(retrain) == 130
    assert capsys.readouterr().err == "error: interrupted\n"
    run = RunRecord(run_id="1", name="one", experiment="e")
    journals = Journals(tmp_path)
    journals.begin(Journal("k", run, Step.OPENED, base="b", pinned="b"))
    assert cli.main(retrain) == 130
    assert "`anchored resume` finishes" in capsys.readouterr().err
    journals.close("k")


def test_errors_name_the_thing_and_the_way_out() -> None:
    tree = DirtyTree([f"file{n}" for n in range(25)])
    assert "… and 5 more" in tree.message
    assert tree.hint is not None
    assert "--snapshot" in tree.hint
    several = AmbiguousRun("it's", [f"run {n}" for n in range(12)], hint="name one by its id")
    assert "fits 12 runs" in several.message
    assert several.message.endswith("run 9\n  … and 2 more")
    assert ConfigError("bad", file="anchored.toml", key="a.b", line=3).message == (
        "anchored.toml:3: a.b: bad"
    )


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["run"], {"name": None, "params": [], "snapshot": False}),
        (["run", "a b", "-p", "x=1", "-p", "y=a=b"], {"name": "a b", "params": ["x=1", "y=a=b"]}),
        (["run", "n", "--snapshot"], {"snapshot": True}),
        (["--json", "list", "-n", "3"], {"json": True, "limit": 3}),
        (["list", "--json"], {"json": True, "limit": None}),
        (["--repo", "a", "show", "x", "--latest"], {"repo": "a", "run": "x", "latest": True}),
        (["show", "x", "--repo", "b", "--debug"], {"repo": "b", "debug": True}),
        (["resume"], {"run": None}),
        (["init", "--remote", "s3://b/x", "--untrack"], {"remote": "s3://b/x", "untrack": True}),
    ],
)
def test_arguments_stand_before_or_after_the_command(
    argv: list[str], expected: dict[str, object]
) -> None:
    got = vars(cli.parser().parse_args(argv))
    assert {name: got[name] for name in expected} == expected


@pytest.mark.parametrize("argv", [
    ["nonsense"], ["run", "a", "b"], ["show"], ["list", "-n", "0"], ["list", "-n", "x"],
    ["run", "--lags", "3"], ["run", "-p"],
])  # fmt: skip
def test_wrong_arguments_end_with_2_and_a_hint(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(argv)
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert "\nhint: " in said.err
    assert "Traceback" not in said.err


def test_parameters_are_split_at_the_first_equals_sign() -> None:
    assert cli.params_of(["a=1", "b=x=y", "c=", "a=2"]) == {"a": "2", "b": "x=y", "c": ""}
    for wrong in ("a", "=1", ""):
        with pytest.raises(BadParam, match="KEY=VALUE"):
            cli.params_of([wrong])


def test_outside_of_a_repository_is_wrong_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for argv in (["list"], ["show", "x"], ["run", "x"], ["resume"]):
        assert cli.main([*argv, "--repo", str(tmp_path)]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert re.match(r"error: .* is not in a Git repository\nhint: .*\n$", said.err)


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 0
    assert "usage: anchored" in capsys.readouterr().out


def test_sizes_as_people_read_them() -> None:
    shown = [human_size(n) for n in (0, 999, 1000, 1_500_000, 2_000_000_000, 10**16)]
    assert shown == ["0 B", "999 B", "1.0 KB", "1.5 MB", "2.0 GB", "10000.0 TB"]
