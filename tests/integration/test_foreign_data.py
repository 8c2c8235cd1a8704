"""Inputs and models that nobody here wrote: their names, their places, how DVC holds them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from anchored.errors import BadInput
from anchored.ports import Advance
from anchored.records import RunRecord
from anchored.run.open import RunRequest, check_request
from tests.proof import assert_sealed
from tests.repos import Repo

SUM = """
import json, os, pathlib
inputs, model = json.loads({given!r})
size = 0
for path in map(pathlib.Path, inputs):
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    size += sum(len(p.read_bytes()) for p in files)
place = pathlib.Path(model)
if {folder}:
    (place / "sub").mkdir(parents=True)
    (place / "sub/weights.bin").write_text(str(size))
    (place / "config.json").write_text("{{}}")
else:
    place.write_text(str(size))
"""


def trains_on(
    repo: Repo, inputs: list[str], model: str = "models/model.bin", *, folder: bool = False
) -> None:
    """Configures and commits a training that reads these inputs and writes a file or a folder."""
    given = json.dumps([inputs, model])
    repo.write(
        "anchored.toml",
        f"[data]\ninputs = {json.dumps(inputs, ensure_ascii=False)}\n[train]\ncommand = 'python train.py'\n"
        f"model = {json.dumps(model, ensure_ascii=False)}\n",
    )
    repo.write("train.py", SUM.format(given=given, folder=folder))
    repo.git("add", "anchored.toml", "train.py")
    repo.git("commit", "--quiet", "--message", "Configure")


def fresh_clone(repo: Repo) -> Repo:
    """Another user's clone of the branch, with the same DVC remote and no cache."""
    repo.git("push", "--quiet", "origin", "HEAD:main")
    clone = Repo(repo.root.parent / "clone")
    repo.git("clone", "--quiet", str(repo.origin), str(clone.root))
    return clone


def ignored_files(repo: Repo) -> set[str]:
    return set(repo.git("ls-files", "--others", "--ignored", "--exclude-standard").splitlines())


# --- names, files and folders ---------------------------------------------------------------------

NAMES = [
    "data/my file.csv", "données/été (1).csv", "data/it's \"quoted\".csv", "data/[a]*?.csv",
    "#hash/!bang.csv", "-dash/--file.csv", "data/a,b;c$d`e`.csv", "data/100% {x}.csv", "top.csv",
    "a/b/c/d.csv", "data/.hidden.csv", "data/naïve.csv", "data/back\\slash.csv", "data/ends ",
]  # fmt: skip
# A model has one place: all of that in a path.
COMPOSED = [
    '#hash/!bang/-dash/--file/.hidden/été (1)/it\'s "quoted"/[a]*?/a,b;c$d`e`/100% {x}/back\\slash/ends ',
    "!my first.bin",
]


def test_inputs_with_names_of_any_kind(repo: Repo) -> None:
    for n, name in enumerate(NAMES):
        repo.write(f"{name}/part.csv" if n % 2 else name, f"{n}\n")
    trains_on(repo, NAMES)
    sealed = repo.sealed()
    assert_sealed(repo, sealed.run)
    assert sealed.branch.advance == Advance.FORWARDED
    assert [p.path for p in sealed.run.data] == NAMES
    assert {p.path for p in repo.runs()[0].data} == set(NAMES)
    assert repo.git("status", "--porcelain", "-uall") == "?? data/numbers.csv"
    repo.dvc("checkout", "--force")
    assert all((repo.root / name).exists() for name in NAMES)


@pytest.mark.parametrize("name", COMPOSED)
def test_a_model_with_a_name_of_any_kind(repo: Repo, name: str) -> None:
    trains_on(repo, ["data/numbers.csv"], f"out/{name}", folder=True)
    sealed = repo.sealed()
    assert_sealed(repo, sealed.run)
    assert sealed.branch.advance == Advance.FORWARDED
    assert (sealed.run.model[0].path, sealed.run.model[0].nfiles) == (f"out/{name}", 2)
    assert repo.git("status", "--porcelain", "-uall") == ""


def test_many_inputs_files_and_folders(repo: Repo) -> None:
    inputs = [f"data/a rather long name of an input/number {n}.csv" for n in range(80)]
    for n, path in enumerate(inputs):
        repo.write(f"{path}/part.csv" if n % 3 == 0 else path, f"{n}\n")
    trains_on(repo, inputs)
    run = repo.run()
    assert_sealed(repo, run)
    assert len(run.data) == 80
    assert {p.path: p.md5 for p in repo.runs()[0].data} == {p.path: p.md5 for p in run.data}
    from anchored.history.find import found

    assert found(repo.open(), "one").to_json() == run.to_json()


def test_a_folder_model_is_sealed(repo: Repo) -> None:
    trains_on(repo, ["data"], "models/net", folder=True)
    run = repo.run()
    assert_sealed(repo, run)
    assert (run.model[0].nfiles, run.model[0].is_folder) == (2, True)


# --- how the user's DVC is set up -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("link", "external"),
    [("symlink", False), ("hardlink", True), ("copy", False), ("reflink,hardlink,symlink", True)],
)
def test_links_and_caches_of_any_kind(repo: Repo, link: str, external: bool) -> None:
    repo.dvc("config", "cache.type", link)
    if external:
        repo.dvc("cache", "dir", str(repo.root.parent / "the cache"))
    repo.commit()
    repo.dvc("add", "--quiet", "data/numbers.csv")
    sealed = repo.sealed()
    assert_sealed(repo, sealed.run)
    assert sealed.branch.advance == Advance.FORWARDED
    assert (repo.root / "data/numbers.csv").is_symlink() == (link == "symlink")
    assert repo.git("status", "--porcelain") == ""
    assert "up to date" in repo.dvc("status", "data/numbers.csv.dvc")


@pytest.mark.parametrize(
    ("autostage", "name"), [("false", "data/numbers.csv"), ("true", "data/my numbers [1].csv")]
)
def test_dvc_add_by_hand_before_a_run(repo: Repo, autostage: str, name: str) -> None:
    repo.dvc("config", "core.autostage", autostage)
    repo.write(name, "1\n2\n")
    trains_on(repo, [name])
    repo.git("add", ".dvc/config")
    repo.git("commit", "--quiet", "--message", "Autostage")
    repo.dvc("add", "--quiet", name)
    sealed = repo.sealed()
    assert_sealed(repo, sealed.run)
    assert sealed.branch.advance == Advance.FORWARDED
    assert (repo.root / name).read_text() == "1\n2\n"
    clone = fresh_clone(repo)
    clone.dvc("pull", "--quiet")
    assert clone.git("status", "--porcelain") == ""


@pytest.mark.parametrize("staged", [False, True])
def test_dvc_add_of_new_content_before_a_second_run(
    sealed: tuple[Repo, RunRecord], staged: bool
) -> None:
    repo, _ = sealed
    repo.write("data/numbers.csv", "5\n")
    repo.dvc("add", "--quiet", "data/numbers.csv")
    if staged:
        repo.git("add", "data/numbers.csv.dvc")
    two = repo.sealed("two")
    assert_sealed(repo, two.run)
    assert two.branch.advance == Advance.FORWARDED
    assert repo.git("status", "--porcelain") == ""
    assert two.run.metrics == {"total": 5}


def test_an_input_that_is_not_here_is_fetched(sealed: tuple[Repo, RunRecord]) -> None:
    repo, first = sealed
    clone = fresh_clone(repo)
    run = clone.run("two")
    assert_sealed(clone, run)
    assert (run.data, run.metrics) == (first.data, first.metrics)


@pytest.mark.parametrize("folder", [False, True], ids=["file", "folder"])
def test_an_input_that_only_dvc_2_has_versioned_is_fetched(repo: Repo, folder: bool) -> None:
    name = "data/old" if folder else "data/old.csv"
    text, md5 = b"1\r\n2\r\n", hashlib.md5(b"1\n2\n").hexdigest()
    keep(repo.store, md5, text)
    if folder:
        listing = json.dumps([{"md5": md5, "relpath": "part.csv"}]).encode()
        md5 = hashlib.md5(listing).hexdigest() + ".dir"
        keep(repo.store, md5, listing)
    repo.write(
        f"{name}.dvc", f"outs:\n- md5: {md5}\n  size: 6\n  path: {name.removeprefix('data/')}\n"
    )
    repo.git("add", "--force", f"{name}.dvc")
    trains_on(repo, [name])
    run = repo.run()
    assert_sealed(repo, run)
    model = repo.store / "files/md5" / run.model[0].md5[:2] / run.model[0].md5[2:]
    assert model.read_text() == "6"


def keep(store: Path, md5: str, content: bytes) -> None:
    """Puts an object where DVC 2 kept it."""
    (store / md5[:2]).mkdir(parents=True, exist_ok=True)
    (store / md5[:2] / md5[2:]).write_bytes(content)


# --- places that Git ignores ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "rules"),
    [
        (".gitignore", "data/\n/models\n*.dvc\n"),
        ("models/.gitignore", "*\n!.gitignore\n"),
        (".git/info/exclude", "models/*\ndata\n"),
        ("~", "models/\n*.csv\n*.bin\n"),
        ("?models/.gitignore", "*\n"),
        (".gitignore", b"# caf\xe9\r\nmodels/\r\n"),
    ],
)
def test_a_model_under_an_ignored_folder_is_seen_by_plain_dvc(
    repo: Repo, isolated: Path, file: str, rules: str | bytes
) -> None:
    repo.write("models/private.txt", "mine\n")
    hide(repo, isolated, file, rules)
    hidden = ignored_files(repo)
    sealed = repo.sealed()
    assert_sealed(repo, sealed.run)
    assert sealed.branch.advance == Advance.FORWARDED
    assert hidden - ignored_files(repo) <= {file.removeprefix("?"), "data/numbers.csv.dvc"}
    repo.dvc("pull", "--quiet")
    assert (repo.root / "models/model.bin").read_text() == "4950\n"
    (isolated / "excludes").unlink(missing_ok=True)
    clone = fresh_clone(repo)
    clone.dvc("pull", "--quiet")
    assert (clone.root / "models/model.bin").read_text() == "4950\n"
    assert (clone.root / "data/numbers.csv").exists()
    assert clone.git("status", "--porcelain") == ""


def hide(repo: Repo, home: Path, file: str, rules: str | bytes) -> None:
    """Adds ignore rules: committed, in the user's own excludes (`~`), or just lying there (`?`)."""
    text = rules if isinstance(rules, bytes) else rules.encode()
    if file == "~":
        (home / "excludes").write_bytes(text)
        repo.git("config", "--global", "core.excludesFile", str(home / "excludes"))
        return
    place = repo.root / file.removeprefix("?")
    place.parent.mkdir(exist_ok=True)
    place.write_bytes((place.read_bytes() if place.exists() else b"") + text)
    if not file.startswith(("?", ".git/")):
        repo.git("add", "--force", file)
        repo.git("commit", "--quiet", "--message", "Ignore")


def test_an_uncommitted_gitignore_that_git_would_not_overwrite_leaves_the_branch(
    repo: Repo,
) -> None:
    repo.write("models/.gitignore", "*\n!.gitignore\n")
    sealed = repo.sealed()
    assert_sealed(repo, sealed.run)
    assert sealed.branch.advance == Advance.LEFT
    assert "models/.gitignore" in sealed.branch.reason
    assert (repo.root / "models/.gitignore").read_text() == "*\n!.gitignore\n"


# --- what is refused ------------------------------------------------------------------------------


def refused(repo: Repo, match: str) -> BadInput:
    with pytest.raises(BadInput, match=match) as raised:
        check_request(repo.open(), RunRequest())
    return raised.value


def test_data_tracked_by_git_is_refused_with_the_way_out(repo: Repo) -> None:
    repo.git("add", "data")
    repo.git("commit", "--quiet", "--message", "Data")
    assert "--untrack" in str(refused(repo, "tracked by Git").hint)


@pytest.mark.parametrize("out", ["data/numbers.csv", "models/model.bin", "models", "data"])
def test_what_a_stage_owns_is_refused(repo: Repo, out: str) -> None:
    repo.write("dvc.yaml", f"stages:\n  prepare:\n    cmd: echo\n    outs: [{out}]\n")
    repo.commit()
    refused(repo, "output of a stage in dvc.yaml")


def test_a_folder_that_another_pointer_holds_is_refused(repo: Repo) -> None:
    repo.dvc("add", "--quiet", "data")
    repo.git("add", "data.dvc", ".gitignore")
    repo.git("commit", "--quiet", "--message", "Data")
    refused(repo, "already versioned by data.dvc")
