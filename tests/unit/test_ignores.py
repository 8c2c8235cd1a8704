"""What is written to `.gitignore` does what it is for, in the eyes of the real Git."""

from __future__ import annotations

import posixpath
import subprocess
from pathlib import Path

import pytest
import yaml

from anchored.decisions.ignores import ignore_file, ignore_line, reopen_lines, with_lines
from anchored.decisions.metrics_file import parse_metrics
from anchored.decisions.pointers import LEGACY_HASH, parse_pointer, pointer_path
from anchored.decisions.variables import moved_imports, training_variables, worth_recording
from anchored.errors import BadOutcome, NotReady
from anchored.records import Pointer

OUTPUTS = [
    "model.bin", "models/model.bin", "a/b/c d.bin", "x/*.bin", "x/[ab].bin", "x/a?b", "#x", "!x",
    "x/ends with space ", "x/é ü.csv", "x/back\\slash", "a/!b/#c/[d]/e*", "-x",
]  # fmt: skip


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    return tmp_path


def ignored(tree: Path, path: str) -> bool:
    argv = ["git", "check-ignore", "--quiet", "--no-index", "--", path]
    return subprocess.run(argv, cwd=tree, check=False).returncode == 0


def write(tree: Path, path: str, text: str) -> None:
    (tree / path).parent.mkdir(parents=True, exist_ok=True)
    (tree / path).write_text(text)


@pytest.mark.parametrize("output", OUTPUTS)
def test_an_output_is_ignored_and_nothing_else_is(tree: Path, output: str) -> None:
    write(tree, ignore_file(output), ignore_line(output) + "\n")
    assert ignored(tree, output)
    folder = posixpath.dirname(output)
    for other in ("other.bin", "a.bin", "aab", "x"):
        beside = posixpath.join(folder, other)
        assert ignored(tree, beside) == (beside == output)
    assert not ignored(tree, pointer_path(output))


@pytest.mark.parametrize(
    ("pattern", "output", "also_hidden"),
    [
        ("models/", "models/model.bin", "models/other"),
        ("/models", "models/deep/down/model.bin", "models/deep/other"),
        ("*.dvc", "model.bin", "other.dvc"),
        ("models/*", "models/model.bin", "models/other"),
        ("o t[x]*/", "o tx [1]/m #.bin", "o tx [1]/other"),
        ("**/deep/", "a/deep/m.bin", "a/deep/other"),
    ],
)
def test_a_hidden_pointer_is_shown_and_all_else_stays_hidden(
    tree: Path, pattern: str, output: str, also_hidden: str
) -> None:
    write(tree, ".gitignore", pattern + "\n")
    pointer = pointer_path(output)
    (tree / posixpath.dirname(pointer)).mkdir(parents=True, exist_ok=True)
    parts = pointer.split("/")
    ancestors = ["/".join(parts[: n + 1]) for n in range(len(parts))]
    top = next(a for a in ancestors if ignored(tree, a if a == pointer else f"{a}/"))
    lines = reopen_lines(pointer, ".gitignore", top)
    write(tree, ".gitignore", with_lines(pattern + "\n", lines))
    assert not ignored(tree, pointer)
    assert ignored(tree, also_hidden)
    assert ignored(tree, output) or pattern == "*.dvc"


def test_lines_are_added_once_and_nothing_is_lost() -> None:
    assert with_lines("a\nb", ["b", "c"]) == "a\nb\nc\n"
    assert with_lines("", ["c"]) == "c\n"
    assert with_lines("a\nc\n", ["c"]) == "a\nc\n"


def test_a_pointer_is_read_with_paths_from_the_root() -> None:
    text = (
        "wdir: ..\nouts:\n- md5: abc.dir\n  size: 3\n  nfiles: 2\n  hash: md5\n  path: data/x y\n"
    )
    assert parse_pointer(text, "sub/x.dvc") == (Pointer("data/x y", "abc.dir", 3, 2),)
    old = parse_pointer(b"outs:\n- {md5: abc, path: x}\n", "x.dvc")
    assert old == (Pointer("x", "abc", hash_name=LEGACY_HASH),)


@pytest.mark.parametrize("text", [
    "", "{", "- a", "outs: 3", "outs: [3]", "outs:\n- md5: x\n", "outs:\n- path: ../x\n",
    "outs:\n- path: /x\n", "outs:\n- {path: x, size: many}\n", "a: b: c", "outs:\n- {path: x, nfiles: [1]}\n",
])  # fmt: skip
def test_what_is_no_pointer_is_refused_by_name(text: str) -> None:
    with pytest.raises(NotReady, match=r"x\.dvc"):
        parse_pointer(text, "x.dvc")


def test_a_pointer_is_found_beside_its_output() -> None:
    assert pointer_path("a b/c") == "a b/c.dvc"
    assert yaml.safe_load("a: 1") == {"a": 1}


def test_metrics_are_numbers_of_a_flat_object() -> None:
    assert parse_metrics(b'{"a": 1, "b/c (x)": -2.5e-3}', "m") == {"a": 1.0, "b/c (x)": -0.0025}
    assert parse_metrics(b"\xef\xbb\xbf{}", "m") == {}


@pytest.mark.parametrize(("text", "words"), [
    (b"", "not valid JSON"),
    (b"{'a': 1}", "not valid JSON"),
    (b"\xff\xfe\xff", "not valid JSON"),
    (b"[" * 100_000, "not valid JSON"),
    (b"[1]", "not a list"),
    (b"null", "not null"),
    (b'{"a": NaN}', "'a' is nan"),
    (b'{"a": -Infinity}', "'a' is -inf"),
    (b'{"a": 1e999}', "'a' is inf"),
    (b'{"a": 1' + b"0" * 400 + b"}", "'a' is too large"),
    (b'{"a": "1"}', "'a' is a string"),
    (b'{"a": true}', "'a' is a boolean"),
    (b'{"a": {"b": 1}}', "'a' is an object"),
    (b'{"a": null}', "'a' is null"),
    (b'{"": 1}', "without a name"),
])  # fmt: skip
def test_metrics_that_are_none_are_named(text: bytes, words: str) -> None:
    with pytest.raises(BadOutcome, match=r"metrics\.json") as raised:
        parse_metrics(text, "metrics.json")
    assert words in raised.value.message


def test_training_sees_the_usual_variables_and_those_it_was_given() -> None:
    inherited = {
        "PATH": "/bin", "LC_ALL": "C", "HOME": "/h", "SECRET": "x", "MLFLOW_EXPERIMENT_ID": "3",
        "OMP_NUM_THREADS": "2", "FOO": "1", "MLFLOW_RUN_ID": "old", "ANCHORED_REPO": "x",
    }  # fmt: skip
    seen = training_variables(inherited, ["FOO", "UNSET"], {"MLFLOW_RUN_ID": "new"})
    assert seen == {
        "PATH": "/bin", "LC_ALL": "C", "HOME": "/h", "OMP_NUM_THREADS": "2", "FOO": "1",
        "MLFLOW_RUN_ID": "new", "PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1",
    }  # fmt: skip
    assert worth_recording(seen, ["FOO"]) == {
        "FOO": "1", "OMP_NUM_THREADS": "2", "PYTHONHASHSEED": "0",
    }  # fmt: skip


@pytest.mark.parametrize(("python_path", "editable", "added", "expected"), [
    ("", [], [], ""),
    ("/r/src:/else:/r", [], [], "/t/src:/else:/t"),
    ("::/r/a", [], [], "/t/a"),
    ("relative", [], [], "relative"),
    ("/rest", [], [], "/rest"),
    ("/else", ["/r"], [], "/t/src:/t:/else"),
    ("", ["/r/pkg", "/other"], [], "/t/pkg/src:/t/pkg"),
    ("/else:/r/a", [], ["/r/lib", "/other", "/r"], "/else:/t/a:/t/lib:/t"),
    ("", ["/r"], ["/r/src", "/r/lib"], "/t/src:/t:/t/lib"),
])  # fmt: skip
def test_code_of_the_repo_is_imported_from_the_private_tree(
    python_path: str, editable: list[str], added: list[str], expected: str
) -> None:
    root, tree = Path("/r"), Path("/t")
    moved = moved_imports(python_path, root=root, tree=tree, editable=editable, added=added)
    assert moved == expected
