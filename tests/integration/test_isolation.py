"""Training sees its commit and nothing else, and whatever it does, nobody's files are harmed."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from anchored.errors import AnchoredError, InputChanged
from anchored.records import RunRecord
from tests.killed import assert_cache_is_whole, assert_nothing_is_left, theirs
from tests.proof import assert_sealed, assert_stored
from tests.repos import SCRIPT, Repo

Sealed = tuple[Repo, RunRecord]
INPUT = "data/numbers.csv"
WRITES = {
    "overwrite": f"os.chmod({INPUT!r}, 0o644); open({INPUT!r}, 'w').write('spoilt')",
    "edit in place": f"f = open({INPUT!r}, 'r+'); f.write('9'); f.close()",
    "append": f"open({INPUT!r}, 'a').write('1\\n')",
    "truncate": f"os.truncate({INPUT!r}, 3)",
    "replace": f"os.unlink({INPUT!r}); open({INPUT!r}, 'w').write('spoilt')",
    "delete": f"os.unlink({INPUT!r})",
    "rename": f"os.rename({INPUT!r}, 'data/other.csv')",
    "hide the traces": (
        f"s = os.stat({INPUT!r}); f = open({INPUT!r}, 'r+'); f.write('9'); f.close(); "
        f"os.utime({INPUT!r}, ns=(s.st_atime_ns, s.st_mtime_ns))"
    ),
}


def use_links(repo: Repo, kind: str) -> None:
    """The user's own copy of the input becomes a link into the cache."""
    repo.dvc("config", "cache.type", kind)
    repo.dvc("add", INPUT)
    repo.git("add", "--all", ":/")
    repo.git("commit", "--quiet", "--message", "Link")
    shared = os.stat(repo.root / INPUT).st_nlink > 1 or (repo.root / INPUT).is_symlink()
    assert shared is (kind != "copy")


def log_of(repo: Repo, run_id: str) -> list[str]:
    """The lines that training wrote, as the tracker has them."""
    return (repo.artifact(run_id, "anchored/train.log") or b"").decode().splitlines()


@pytest.mark.parametrize(
    ("kind", "deeds"),
    [
        ("hardlink", list(WRITES)),
        *((kind, ["overwrite", "replace"]) for kind in ("copy", "symlink")),
    ],
)
def test_a_script_that_changes_its_input_is_caught(repo: Repo, kind: str, deeds: list[str]) -> None:
    use_links(repo, kind)
    repo.run("clean")
    content = (repo.root / INPUT).read_bytes()
    for deed in deeds:
        repo.script(SCRIPT + f"print('now'); {WRITES[deed]}\n")
        head, before = repo.head, theirs(repo)
        with pytest.raises(InputChanged, match=r"numbers\.csv") as caught:
            repo.run(deed)
        assert caught.value.exit_code == 1
        assert (repo.runs()[0].name, repo.runs()[0].state) == (deed, "failed")
        assert_cache_is_whole(repo)
        assert (repo.root / INPUT).read_bytes() == content
        assert (repo.head, theirs(repo)) == (head, before)
        assert_nothing_is_left(repo)
    repo.script(SCRIPT + "\n")
    assert_sealed(repo, repo.run("clean again"))


def test_a_file_added_to_an_input_folder_is_caught(repo: Repo) -> None:
    repo.write("data/folder/a.csv", "1\n")
    repo.write("data/folder/b/c.csv", "2\n")
    repo.configure('["data/numbers.csv"]', '["data/numbers.csv", "data/folder"]')
    assert_sealed(repo, repo.run("clean"))
    repo.script(SCRIPT + "open('data/folder/b/new.csv', 'w').write('3')\n")
    with pytest.raises(InputChanged, match=r"data/folder/b/new\.csv"):
        repo.run("spoiling")
    assert_cache_is_whole(repo)
    assert sorted(os.listdir(repo.root / "data/folder/b")) == ["c.csv"]


def test_a_new_time_or_mode_is_no_change(repo: Repo) -> None:
    repo.script(SCRIPT + f"import os\nos.utime({INPUT!r}, (1, 1)); os.chmod({INPUT!r}, 0o640)\n")
    assert_sealed(repo, repo.run())


def test_inputs_are_links_into_the_cache(repo: Repo) -> None:
    repo.script(SCRIPT + f"import os; print('inode', os.stat({INPUT!r}).st_ino)\n")
    run = repo.run()
    (line,) = [text for text in log_of(repo, run.run_id) if text.startswith("inode")]
    md5 = run.data[0].md5
    cached = repo.root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    assert int(line.split()[1]) == cached.stat().st_ino


def test_nothing_but_the_commit_is_seen(repo: Repo) -> None:
    repo.write(".gitignore", (repo.root / ".gitignore").read_text() + "ignored.txt\n")
    repo.write("tracked.txt", "committed")
    repo.script(
        SCRIPT
        + """
import subprocess
for folder, folders, names in os.walk("."):
    folders[:] = [name for name in folders if name != ".git"]
    for name in names:
        print("seen", os.path.join(folder, name))
print("tracked is", open("tracked.txt").read())
"""
    )
    repo.write("tracked.txt", "stashed")
    repo.write("stashed.txt", "x")
    repo.git("add", "stashed.txt")
    repo.git("stash")
    repo.write("untracked.py", "x")
    repo.write("ignored.txt", "x")
    repo.write("data/untracked.csv", "x")
    lines = log_of(repo, repo.run().run_id)
    seen = {line.split(" ", 1)[1][2:] for line in lines if line.startswith("seen")}
    assert "tracked is committed" in lines
    assert seen == {
        ".git", ".gitignore", "tracked.txt", ".dvcignore", ".dvc/.gitignore", ".dvc/config", "anchored.toml", "train.py",
        "data/.gitignore", "data/numbers.csv", "data/numbers.csv.dvc", "metrics.json",
        "models/model.bin", "report-1.txt",
    }  # fmt: skip


def test_a_search_upwards_finds_no_settings_of_the_users_folder(repo: Repo) -> None:
    """python-dotenv, python-decouple and dynaconf look from the script's folder up to the root."""
    names = (".env", ".secrets.toml", "settings.ini")
    ignores = (repo.root / ".gitignore").read_text()
    repo.write(".gitignore", ignores + ".env\n.secrets.toml\n")
    repo.script(
        SCRIPT
        + f"""
import dotenv
for name in {names}:
    for folder in pathlib.Path(__file__).resolve().parents:
        if (folder / name).exists():
            print("found", name, (folder / name).read_text())
            break
print("loaded", dotenv.load_dotenv(), dotenv.load_dotenv(dotenv.find_dotenv(usecwd=True)))
"""
    )
    for name in names:
        repo.write(name, "LEAKED=1")
    lines = log_of(repo, repo.run("one").run_id)
    assert [line.rstrip() for line in lines if "found" in line] == [f"found {n}" for n in names]
    assert "loaded False False" in lines
    repo.git("add", "--force", ".env")
    repo.git("commit", "--quiet", "--message", "Settings")
    lines = log_of(repo, repo.run("two").run_id)
    assert {"found .env LEAKED=1", "loaded True True"} <= set(lines)


def test_uncommitted_changes_are_seen_only_with_snapshot(repo: Repo) -> None:
    repo.write("train.py", SCRIPT + "print('uncommitted')\n")
    with pytest.raises(AnchoredError, match=r"train\.py"):
        repo.run()
    before = theirs(repo)
    run = repo.run(snapshot=True)
    assert "uncommitted" in log_of(repo, run.run_id)
    assert_sealed(repo, run)
    assert theirs(repo) == before


def test_variables_are_the_usual_ones_and_those_passed_on(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.configure(
        'command = "python train.py"',
        'command = "python train.py"\npass_env = ["SEASON", "API_TOKEN"]',
    )
    repo.script(SCRIPT + "print('variables', json.dumps(dict(os.environ)))\n")
    for name in ("SEASON", "API_TOKEN", "AWS_SECRET_ACCESS_KEY", "GIT_DIR_OF_SOMEONE"):
        monkeypatch.setenv(name, f"value-of-{name}")
    run = repo.run()
    (line,) = [text for text in log_of(repo, run.run_id) if text.startswith("variables")]
    seen = json.loads(line.removeprefix("variables "))
    assert seen["SEASON"] == "value-of-SEASON"
    assert "API_TOKEN" in seen
    assert "AWS_SECRET_ACCESS_KEY" not in seen
    assert "GIT_DIR_OF_SOMEONE" not in seen
    assert seen["ANCHORED_RUN_ID"] == seen["MLFLOW_RUN_ID"] == run.run_id
    recorded = json.loads(repo.artifact(run.run_id, "anchored/environment.json") or b"")
    assert recorded["variables"]["SEASON"] == "value-of-SEASON"
    assert recorded["variables"]["API_TOKEN"] == "***"
    for file in [*repo.root.glob("mlruns/**/*"), repo.root / "mlflow.db"]:
        assert not file.is_file() or b"value-of-API_TOKEN" not in file.read_bytes()


HARMLESS = (
    "git -c user.name=X -c user.email=x@x commit -q --allow-empty -m mine",
    "git checkout -q -b theirs",
    "git reset -q --hard HEAD",
    "git clean -fdxq -e data -e models -e metrics.json -e 'report-*' -e .dvc",
    "git add -f models",
)


def test_git_in_training_does_no_harm(repo: Repo) -> None:
    repo.script(
        SCRIPT
        + f"import subprocess\nfor command in {HARMLESS!r}:\n"
        + "    subprocess.run(command, shell=True, check=True)\n"
    )
    repo.write("notes.txt", "untracked")
    run = repo.run()
    assert_sealed(repo, run)
    assert repo.head == run.git.commit
    assert repo.git("rev-parse", "--abbrev-ref", "HEAD") == "main"
    assert repo.git("status", "--porcelain") == "?? notes.txt"
    assert_nothing_is_left(repo)


def test_cleaning_everything_away_in_training_is_caught(repo: Repo) -> None:
    repo.write("notes.txt", "untracked")
    repo.script(
        SCRIPT + "import subprocess\nsubprocess.run(['git', 'clean', '-fdxq'], check=True)\n"
    )
    with pytest.raises(InputChanged):
        repo.run()
    assert (repo.root / "notes.txt").exists()
    assert_cache_is_whole(repo)


def test_folders_that_training_made_read_only_are_removed(repo: Repo) -> None:
    repo.script(
        SCRIPT
        + "os.makedirs('locked/in'); open('locked/in/x', 'w'); os.chmod('locked/in', 0o500)\n"
    )
    assert_sealed(repo, repo.run())
    assert_nothing_is_left(repo)


# --- objects that were corrupt before ---------------------------------------------------------------


def corrupt(file: Path, content: bytes) -> None:
    """Other bytes under the same name, as read-only as DVC leaves it."""
    mode = stat.S_IMODE(file.stat().st_mode)
    file.chmod(0o644)
    file.write_bytes(content)
    file.chmod(mode)


def objects(repo: Repo, md5: str) -> tuple[Path, Path]:
    """The object in the cache and in the remote."""
    rest = Path("files/md5") / md5[:2] / md5[2:]
    return repo.root / ".dvc/cache" / rest, repo.store / rest


@pytest.mark.parametrize("same_size", [True, False])
def test_a_corrupt_cache_object_is_fetched_again(sealed: Sealed, *, same_size: bool) -> None:
    repo, first = sealed
    cached, _ = objects(repo, first.data[0].md5)
    size = cached.stat().st_size
    corrupt(cached, b"9" * (size if same_size else size - 1))
    second = repo.run("two")
    assert second.data == first.data
    assert_sealed(repo, second)
    assert_cache_is_whole(repo)


@pytest.mark.parametrize("same_size", [True, False])
def test_a_corrupt_cache_object_is_never_pushed(sealed: Sealed, *, same_size: bool) -> None:
    repo, first = sealed
    cached, stored = objects(repo, first.data[0].md5)
    size = cached.stat().st_size
    corrupt(cached, b"9" * (size if same_size else size - 1))
    stored.unlink()
    try:
        repo.run("two")
    except AnchoredError:
        assert not stored.exists()
        repo.run("three")
    assert_stored(repo.store, first.data[0].md5)
    assert_cache_is_whole(repo)


@pytest.mark.parametrize("size", [None, 2, 0])
def test_an_object_missing_or_cut_short_in_the_remote_is_put_back(
    sealed: Sealed, size: int | None
) -> None:
    repo, first = sealed
    for pointer in (first.data[0], first.model[0]):
        _, stored = objects(repo, pointer.md5)
        stored.chmod(0o644)
        if size is None:
            stored.unlink()
        else:
            os.truncate(stored, size)
    assert_sealed(repo, repo.run("two"))


def test_an_object_missing_from_a_folder_in_the_remote_is_put_back(repo: Repo) -> None:
    repo.script(
        SCRIPT.replace("models/model.bin", "models/m/a.bin")
        + "open('models/m/b.bin', 'w').write('b')\n"
    )
    repo.script((repo.root / "train.py").read_text().replace('Path("models")', 'Path("models/m")'))
    repo.configure("models/model.bin", "models/m")
    first = repo.run("one")
    listing = json.loads(objects(repo, first.model[0].md5)[1].read_bytes())
    for entry in listing:
        objects(repo, entry["md5"])[1].unlink()
    assert_sealed(repo, repo.run("two"))
