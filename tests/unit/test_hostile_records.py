"""What a stranger put into pointers, listings, tags and records is refused, one by one."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from anchored.adapters.mlflow.place import artifacts_here
from anchored.config import has_table, named_paths, parse_config
from anchored.decisions import tags
from anchored.decisions.audit_facts import subject_of
from anchored.decisions.decoding import Unreadable
from anchored.decisions.gate import Decision
from anchored.decisions.listings import parse_listing
from anchored.decisions.paths import normalized
from anchored.decisions.pointers import parse_pointer, read_pointers, readable_pointers
from anchored.errors import ConfigError, NotReady
from anchored.records import Environment, Pointer, TrackedRun

MD5 = "0" * 32


@pytest.mark.parametrize("out", [
    "md5: 2001-99-99\n  path: {}", "md5: [a]\n  path: x", "path: x\n  size: {}", "path: x\n  size: -1",
    "path: x\n  size: 1e9", f"path: x\n  size: {'9' * 5000}", "path: [x]", "path: x\n  hash: {}",
    "path: &a x\n  md5: *a",
])  # fmt: skip
def test_hostile_pointers_are_refused_by_name(out: str) -> None:
    text = f"outs:\n- {out}\n"
    with pytest.raises(NotReady, match=r"^d/x\.dvc"):
        parse_pointer(text, "d/x.dvc")
    assert readable_pointers(text, "d/x.dvc") == ()
    assert read_pointers(text, "d/x.dvc")[1].startswith("d/x.dvc")


def test_a_date_is_no_hash_but_text() -> None:
    (pointer,) = parse_pointer("outs:\n- md5: 2001-99-99\n  size: 012\n  path: 1e5\n", "x.dvc")
    assert pointer == Pointer("1e5", "2001-99-99", 12, hash_name="md5-dos2unix")


@pytest.mark.parametrize("text", [
    b"", b"{}", b"[[]]", b"[{}]", b'[{"md5": 1, "relpath": "a"}]', b"[" * 7900,
    b'[{"md5": "a", "relpath": "x"}, {"md5": "b", "relpath": "x"}]',
    b'[{"md5": "a", "relpath": "\\ud800"}]',
    *(b'[{"md5": "%s", "relpath": "%s"}]' % (MD5.encode(), path) for path in (
        b"../x", b"/x", b"a//b", b"a/./b", b"", b"a/../../b", b"a\\u0000b", b"x" * 256, b"a/" * 1200 + b"b",
    )),
    b'[{"md5": "../../x", "relpath": "a"}]', b'[{"md5": "%s.dir", "relpath": "a"}]' % MD5.encode(),
])  # fmt: skip
def test_what_is_no_listing_is_refused(text: bytes) -> None:
    with pytest.raises(Unreadable):
        parse_listing(text)


def test_a_listing_is_read_as_dvc_writes_it() -> None:
    text = json.dumps([{"md5": MD5, "relpath": "a/b.txt"}, {"md5": MD5, "relpath": "ü"},
                       {"md5": MD5, "relpath": "not \udcff UTF-8"}])  # fmt: skip
    found = {"a/b.txt": MD5, "ü": MD5, "not \udcff UTF-8": MD5}
    assert parse_listing(text.encode()) == found


@pytest.mark.parametrize("path", ["x" * 256, "é" * 128, "a/" * 1100 + "b", "\udcff"])
def test_paths_that_no_file_system_takes_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"longer|Unicode"):
        normalized(path)


def tracked(record: str, started: int | None = None) -> TrackedRun:
    return TrackedRun(
        run_id="1", name="n", experiment="e", params={}, metrics={}, url="", started=started,
        tags={tags.RECORD: record, tags.STATE: "sealed", "git_commit": "c", "dvc_model_md5": MD5},
    )  # fmt: skip


@pytest.mark.parametrize("record", [
    "[" * 7900, "[]", '{"data": {}}', '{"data": [[]]}', '{"data": [{"path": 1, "md5": "a"}]}',
    '{"data": [{"path": "x", "md5": "a", "size": "1"}]}', '{"data": [{"path": "x", "md5": "a", "size": Infinity}]}',
    '{"params": [["a", 1]]}', '{"params": {"a": {}}}', '{"command": ["rm"]}', '{"metrics": [{}]}',
    '{"metrics": 3}', '{"ref": {}}', f'{{"params": {{"a": {"9" * 5000}}}}}', '{"command": "\\udc80"}',
])  # fmt: skip
def test_a_run_whose_details_cannot_be_read_is_known_by_its_other_tags(record: str) -> None:
    run = tags.record_of(tracked(record), kind="mlflow", uri="")
    assert (run.git.commit, run.model, run.command) == ("c", (Pointer("", MD5),), "")
    why = tags.unreadable_details({tags.RECORD: record})
    assert why
    assert why.isprintable()
    (said,) = subject_of(tracked(record), None, kind="mlflow", uri="").unreadable
    assert said.startswith("the tag anchored.record: ")


def test_details_that_can_be_read_are_no_finding() -> None:
    details = '{"command": "c", "later": [1], "params": {"a": 1}}'
    assert tags.unreadable_details({tags.RECORD: details}) == ""
    assert tags.unreadable_details({}) == ""
    assert tags.record_of(tracked(details), kind="", uri="").params == {"a": 1}


@pytest.mark.parametrize("moment", [10**30, -(10**30), 2**62, -1])
def test_times_out_of_range_are_unknown(moment: int) -> None:
    started = tags.record_of(tracked("", started=moment), kind="", uri="").started
    assert started == "" or datetime.fromisoformat(started).tzinfo == UTC


@pytest.mark.parametrize("document", [
    b"", b"[]", b"3", b'{"python": 3}', b'{"packages": []}', b'{"packages": {"a": []}}', b'{"cpus": true}',
    b"[" * 7900,
])  # fmt: skip
def test_environments_that_are_none_are_refused(document: bytes) -> None:
    with pytest.raises(ValueError):
        Environment.from_json(json.loads(document) if document[:2] != b"[[" else [])
    (said,) = subject_of(tracked(""), document, kind="mlflow", uri="").unreadable
    assert said.startswith("anchored/environment.json: ")


@pytest.mark.parametrize("value", [
    [], 3, {"passed": 1}, {"reason": 1}, {"value": "1"}, {"needed": None}, {"run_id": {}}, {},
])  # fmt: skip
def test_decisions_that_are_none_are_refused(value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        Decision.from_json(value)


@pytest.mark.parametrize("text", [
    b"a = " + b"[" * 7900, b".".join([b"a"] * 5000) + b" = 1", b"a = " + b"1" * 5000, b"\xff = 1",
    b"[data]\ninputs = 3\n" + b"[" + b" " * 250_000 + b"x]\n",
])  # fmt: skip
def test_a_hostile_configuration_is_a_config_error(text: bytes) -> None:
    with pytest.raises(ConfigError, match=r"anchored\.toml"):
        parse_config(text, "anchored.toml", default_experiment="e")
    assert not has_table(text)
    assert named_paths(text) == ()


@pytest.mark.parametrize("place", [
    "http://[::1", "file://[/mlruns/x", f"file:///{'x' * 5000}/mlruns/x", "",
])  # fmt: skip
def test_a_place_that_is_none_is_taken_as_it_is(place: str) -> None:
    assert artifacts_here(place, Path("/repo/mlruns")) == place
