"""Records, tags and journals say the same after a trip through JSON, a tracker or the disk."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anchored.decisions import tags
from anchored.errors import UnknownRun
from anchored.journal import Journal, Journals, Step, new_key
from anchored.records import (
    Ended,
    Environment,
    FlowLink,
    GitFacts,
    Pointer,
    RunRecord,
    State,
    TrackedRun,
    TrackerLink,
)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
hexes = st.text("0123456789abcdef", min_size=32, max_size=32)
paths = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
pointers = st.builds(
    Pointer,
    path=paths,
    md5=st.one_of(hexes, hexes.map(lambda md5: f"{md5}.dir")),
    size=st.integers(0, 2**50),
    nfiles=st.integers(1, 10**7),
    hash_name=st.sampled_from(["md5", "md5-dos2unix"]),
)
commits = hexes | st.just("")
several = st.lists(pointers, max_size=4, unique_by=lambda p: p.path).map(tuple)
numbers = st.floats(allow_nan=False, allow_infinity=False)
runs = st.builds(
    RunRecord,
    run_id=hexes,
    name=text,
    experiment=text,
    state=st.sampled_from(State),
    git=st.builds(
        GitFacts, commit=commits, source_commit=commits, branch=text, repo_url=text, ref=text
    ),
    data=several,
    model=several,
    params=st.dictionaries(
        text, st.one_of(text, st.booleans(), st.integers(), numbers), max_size=3
    ),
    metrics=st.dictionaries(text, numbers, max_size=3),
    command=text,
    environment=hexes.map(lambda md5: {"md5": md5}) | st.just({}),
    prefect=st.builds(FlowLink, flow_run_id=text, url=text),
    reproduces=st.none() | hexes,
    verdict=st.none() | st.sampled_from(["identical", "failed"]),
)
environments = st.builds(
    Environment,
    python=text,
    cpu=text,
    cpus=st.integers(0, 512),
    packages=st.dictionaries(text, text, max_size=3),
    variables=st.dictionaries(text, text, max_size=3),
)


def tracked(run: RunRecord) -> TrackedRun:
    """The run as a tracker gives it back: params have become text."""
    return TrackedRun(
        run_id=run.run_id,
        name=run.name,
        experiment=run.experiment,
        tags=tags.render_tags(run),
        params={name: str(value) for name, value in run.params.items()},
        metrics=run.metrics,
        url="",
    )


@given(runs)
def test_a_run_is_the_same_after_json(run: RunRecord) -> None:
    assert RunRecord.from_json(json.loads(json.dumps(run.to_json()))) == run


@given(runs)
def test_a_run_is_the_same_after_its_tags(run: RunRecord) -> None:
    expected = run.with_(tracker=TrackerLink("mlflow", "sqlite:///x.db"))
    assert tags.record_of(tracked(run), kind="mlflow", uri="sqlite:///x.db") == expected


@given(runs)
def test_a_tracker_may_give_tags_in_any_order(run: RunRecord) -> None:
    turned = replace(tracked(run), tags=dict(reversed(tags.render_tags(run).items())))
    again = tags.record_of(turned, kind="", uri="")
    assert (again.data, again.model) == (run.data, run.model)


@given(environments)
def test_equal_environments_have_equal_hashes_and_are_the_same_after_json(
    environment: Environment,
) -> None:
    again = Environment.parse(environment.render())
    assert again == environment
    assert again.md5 == environment.md5
    assert replace(environment, python=environment.python + "x").md5 != environment.md5


def test_json_of_a_later_version_is_still_read() -> None:
    value = RunRecord(run_id="1", name="n", experiment="e").to_json()
    value |= {"new": 1, "git": {**value["git"], "tree": "x"}}
    assert RunRecord.from_json(value) == RunRecord(run_id="1", name="n", experiment="e")


def test_a_run_without_a_page_is_looked_for_in_its_tracker() -> None:
    assert TrackerLink("wandb", "file:///a/wandb").place == "W&B at file:///a/wandb"
    assert TrackerLink("wandb", "https://w.org/a", "https://w.org/a/r").place.endswith("/a/r")


def test_runs_made_elsewhere_need_three_tags_only() -> None:
    foreign = TrackedRun(
        run_id="1", name="old", experiment="e", params={"a": "1"}, metrics={"m": 1.0}, url="",
        tags={"git_commit": "c", "dvc_data_md5": "d.dir", "dvc_model_md5": "m"},
        ending=Ended.FINISHED,
    )  # fmt: skip
    run = tags.record_of(foreign, kind="mlflow", uri="")
    assert run.git.commit == "c"
    assert run.data == (Pointer("", "d.dir"),)
    assert run.model == (Pointer("", "m"),)
    assert run.params == {"a": "1"}


def test_a_hash_tag_weighs_more_than_the_details() -> None:
    pointer = Pointer("a.csv", "1" * 32, size=5)
    run = RunRecord(run_id="1", name="n", experiment="e", data=(pointer,))
    other = replace(tracked(run), tags=tags.render_tags(run) | {
        "dvc_data_md5": "2" * 32, "dvc_data_md5/a.csv": "2" * 32,
    })  # fmt: skip
    assert tags.record_of(other, kind="", uri="").data == (Pointer("a.csv", "2" * 32),)


def test_a_hash_tag_that_the_tracker_could_not_keep_is_made_up_for_by_the_details() -> None:
    data = (Pointer("a.csv", "1" * 32), Pointer("x" * 300, "2" * 32, size=7))
    run = RunRecord(run_id="1", name="n", experiment="e", data=data)
    kept = {key: value for key, value in tags.render_tags(run).items() if len(key) < 250}
    assert tags.record_of(replace(tracked(run), tags=kept), kind="", uri="").data == data


def test_broken_details_are_ignored() -> None:
    run = RunRecord(run_id="1", name="n", experiment="e")
    for broken in ("{", "[]", "1", '{"data": 3}', '{"data": [{}]}', '{"params": [1]}'):
        rotten = replace(tracked(run), tags={tags.RECORD: broken, tags.STATE: "odd"})
        assert tags.record_of(rotten, kind="", uri="").state == State.RUNNING


@settings(max_examples=50)
@given(run=runs, environment=environments, step=st.sampled_from(Step), files=several)
def test_a_journal_is_the_same_after_json(
    run: RunRecord, environment: Environment, step: Step, files: tuple[Pointer, ...]
) -> None:
    journal = Journal("k", run, Step.OPENING, base="b", pinned="p", snapshot=True)
    journal = journal.at(step)
    journal = replace(journal, environment=environment, output_files=tuple(map(str, files)))
    assert Journal.from_json(json.loads(json.dumps(journal.to_json()))) == journal


def new_journal() -> Journal:
    run = RunRecord(run_id="1", name="näme 'x'", experiment="e")
    return Journal(new_key(), run, Step.OPENING, base="b", pinned="b")


def test_journals_keep_what_is_written_and_forget_what_is_closed(tmp_path: Path) -> None:
    journals, journal = Journals(tmp_path), new_journal()
    assert list(journals.all()) == []
    journals.begin(journal)
    assert Journals(tmp_path).read(journal.key) == journal
    assert [j.key for j in journals.all()] == [journal.key]
    journals.close(journal.key)
    assert journals.read(journal.key) is None


@pytest.mark.parametrize("key", ["", ".", "..", "../../../evil", "/etc", "a/b", "k\0", "x" * 65])
def test_a_key_leads_nowhere_else(tmp_path: Path, key: str) -> None:
    with pytest.raises(UnknownRun):
        Journals(tmp_path).read(key)


def test_other_files_beside_journals_are_no_journals(tmp_path: Path) -> None:
    journals, journal = Journals(tmp_path), new_journal()
    journals.begin(journal)
    (journals.folder / "tracker.lock").touch()
    (journals.folder / "empty").mkdir()
    assert journals.claim(journal.key) is not None
    assert [j.key for j in journals.all()] == [journal.key]


CLAIM = """
import sys
from pathlib import Path
from anchored.journal import Journals
print(Journals(Path(sys.argv[1])).claim(sys.argv[2]) is not None, flush=True)
sys.stdin.read()
"""


def test_a_run_belongs_to_one_process_until_that_gives_it_up_or_dies(tmp_path: Path) -> None:
    journals, journal = Journals(tmp_path), new_journal()
    journals.begin(journal)
    command = [sys.executable, "-c", CLAIM, str(tmp_path), journal.key]

    def claimed_by_another() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        answers.append(process.stdout.readline().strip())
        return process

    answers: list[str] = []
    claimed_by_another().communicate()
    assert Journals(tmp_path).claim(journal.key) == journal, "this process may claim it again"
    journals.release(journal.key)
    with claimed_by_another() as other:
        assert journals.claim(journal.key) is None
        other.kill()
    assert answers == ["False", "True"]
    assert journals.claim(journal.key) == journal
    assert journals.claim("unknown") is None
    journals.close(journal.key)
