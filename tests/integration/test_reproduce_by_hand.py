"""External runs, which careful scripts made with three tags, are reproduced by their names."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from anchored.errors import AmbiguousRun, BadInput, GitRemoteFailed, NotReady
from tests.integration.test_reproduce import failed_for, forget_cache
from tests.repos import SCRIPT, Repo

Handmade = tuple[Repo, dict[str, str]]


def by_hand(repo: Repo, *, push: bool = True) -> dict[str, str]:
    """What a careful script of today does; the three tags it sets."""
    repo.dvc("add", "data/numbers.csv")
    repo.git("add", "--all", ":/")
    repo.git("commit", "--quiet", "--message", "Data")
    os.environ["ANCHORED_PARAMS"] = str(repo.write("params.json", '{"power": 1}'))
    repo.git("rm", "--quiet", "--cached", "--ignore-unmatch", "params.json")
    (repo.root / "models").mkdir(exist_ok=True)
    subprocess.run([sys.executable, "train.py"], cwd=repo.root, check=True, capture_output=True)
    del os.environ["ANCHORED_PARAMS"]
    (repo.root / "params.json").unlink()
    commit = repo.head
    repo.dvc("add", "models/model.bin")
    repo.dvc("push")
    repo.git("add", "--all", ":/")
    repo.git("commit", "--quiet", "--message", "Model")
    if push:
        repo.git("push", "--quiet", "origin", "HEAD")

    def md5(path: str) -> str:
        return hashlib.md5((repo.root / path).read_bytes()).hexdigest()

    return {
        "git_commit": commit,  # taken down before the model was versioned, as scripts do
        "dvc_data_md5": md5("data/numbers.csv"),
        "dvc_model_md5": md5("models/model.bin"),
    }


@pytest.fixture
def handmade(prepared_by: Callable[..., Handmade]) -> Handmade:
    return prepared_by(by_hand)


def test_a_run_made_by_hand_is_reproduced_by_its_name(handmade: Handmade) -> None:
    repo, tags = handmade
    run_id = repo.foreign("by hand", **tags)
    forget_cache(repo)
    found = repo.reproduce("by hand")
    assert (found.run, found.verdict) == (run_id, "identical"), found
    assert repo.tags(run_id) | tags == repo.tags(run_id), "nothing of theirs is changed"


def test_a_run_of_another_experiment_answers_to_its_name(handmade: Handmade) -> None:
    repo, tags = handmade
    run_id = repo.foreign("elsewhere", experiment="Default", **tags)
    assert repo.reproduce("elsewhere").run == run_id
    repo.foreign("elsewhere", experiment="another", **tags)
    with pytest.raises(AmbiguousRun):
        repo.reproduce("elsewhere")


def test_params_that_a_tracker_knows_as_texts_are_numbers_again(handmade: Handmade) -> None:
    repo, tags = handmade
    run_id = repo.foreign("with params", **tags)
    repo.open().tracker.log(run_id, params={"power": 1, "other": "x"}, metrics={})
    assert repo.open().tracker.run(run_id).params["power"] == "1"
    assert repo.reproduce("with params").verdict == "identical"


def test_a_command_gets_what_the_run_logged_and_the_defaults(repo: Repo) -> None:
    """Each parameter: what the configuration says, what the run logged, what the command gets."""
    cases = {
        "flag": ("true", "False", "false"), "share": ("1", "0.5", "0.5"),
        "depth": ("3", "None", "None"), "rate": ("0.1", "1e-05", "1e-05"),
        "seed": ("7", None, "7"),
    }  # fmt: skip
    configured = "\n".join(f"{name} = {value}" for name, (value, _, _) in cases.items())
    repo.configure("power = 1", f"power = 1\n{configured}")
    words = " ".join(f"{{{name}}}" for name in cases)
    repo.configure("python train.py", f"python train.py {words}")
    repo.script("import sys; print('given:', *sys.argv[1:])\n" + SCRIPT)
    run_id = repo.foreign("by hand", **by_hand(repo))
    params = {name: logged for name, (_, logged, _) in cases.items() if logged is not None}
    repo.open().tracker.log(run_id, params=params | {"fit_intercept": "True"}, metrics={})
    found = repo.reproduce("by hand")
    assert found.verdict == "identical", found
    log = repo.artifact(found.reproduction, "anchored/train.log") or b""
    given = " ".join(word for _, _, word in cases.values())
    assert f"given: {given}\n" in log.decode()


def test_tags_may_end_a_line(handmade: Handmade) -> None:
    repo, tags = handmade
    repo.foreign("by hand", **{tag: f"{value}\n" for tag, value in tags.items()})
    assert repo.reproduce("by hand").verdict == "identical"


def test_what_mlflow_measured_of_the_machine_is_not_compared(handmade: Handmade) -> None:
    repo, tags = handmade
    run_id = repo.foreign("by hand", **tags)
    repo.open().tracker.log(run_id, params={}, metrics={"system/cpu_utilization_percentage": 3.5})
    assert repo.reproduce("by hand").verdict == "identical"


def test_a_run_within_a_run_is_not_the_latest(handmade: Handmade) -> None:
    repo, tags = handmade
    run_id = repo.foreign("by hand", **tags)
    repo.foreign("fold 1", **{"mlflow.parentRunId": run_id})
    assert repo.reproduce("latest").run == run_id


def test_a_shallow_clone_is_deepened_and_its_commit_not_taken_for_lost(
    handmade: Handmade, tmp_path: Path
) -> None:
    repo, tags = handmade
    repo.foreign("by hand", **tags)
    clone = Repo(tmp_path / "shallow/work")
    repo.git("clone", "--quiet", "--depth=1", repo.origin.as_uri(), str(clone.root))
    shutil.copy(repo.root / "mlflow.db", clone.root)
    shutil.copytree(repo.store, clone.store)
    clone.git("remote", "rename", "origin", "gone")
    clone.git("remote", "set-url", "gone", (tmp_path / "gone").as_uri())
    with pytest.raises(GitRemoteFailed, match="'gone'"):
        clone.reproduce("by hand")
    clone.git("remote", "remove", "gone")
    with pytest.raises(NotReady, match="shallow") as refused:
        clone.reproduce("by hand")
    assert len(clone.runs()) == 1, "no verdict, no run"
    assert "git fetch --unshallow" in str(refused.value.hint)
    clone.git("remote", "add", "origin", repo.origin.as_uri())
    refs = clone.git("show-ref")
    assert clone.reproduce("by hand").verdict == "identical"
    assert clone.git("rev-parse", "--is-shallow-repository") == "false"
    assert set(refs.splitlines()) <= set(clone.git("show-ref").splitlines())
    assert "refs/anchored/seen" not in clone.git("show-ref")


def test_data_that_the_commit_does_not_name_is_taken_from_the_tag(handmade: Handmade) -> None:
    repo, old = handmade
    repo.write("data/numbers.csv", "1\n")
    new = by_hand(repo)
    repo.foreign("mixed", **{**new, "git_commit": old["git_commit"]})
    found = repo.reproduce("mixed")
    assert found.verdict == "identical"
    repo.script(SCRIPT + "\n")
    repo.foreign("off", **{**new, "git_commit": old["git_commit"], "dvc_model_md5": "0" * 32})
    found = repo.reproduce("off")
    assert found.verdict == "equivalent"
    assert any("data/numbers.csv: the run names" in cause for cause in found.causes)


def test_a_commit_on_a_branch_of_the_remote_alone_is_brought_here(repo: Repo) -> None:
    base = repo.head
    repo.git("switch", "--quiet", "--create", "theirs")
    tags = by_hand(repo)
    repo.foreign("theirs", **tags)
    repo.git("switch", "--quiet", "main")
    repo.git("branch", "--quiet", "--delete", "--force", "theirs")
    repo.git("update-ref", "-d", "refs/remotes/origin/theirs")
    repo.git("reflog", "expire", "--expire=now", "--all")
    repo.git("gc", "--quiet", "--prune=now")
    branches = repo.git("for-each-ref", "refs/heads", "refs/remotes")
    assert repo.reproduce("theirs").verdict == "identical"
    assert repo.git("for-each-ref", "refs/heads", "refs/remotes") == branches
    assert repo.git("for-each-ref", "refs/anchored/seen") == ""
    assert repo.head == base


def test_a_commit_that_is_gone_is_missing(handmade: Handmade) -> None:
    repo, tags = handmade
    repo.foreign("gone", **{**tags, "git_commit": "deadbeef" * 5})
    failed_for(repo.reproduce("gone"), "commit missing", "deadbeef" * 5)


def test_a_commit_that_no_ref_vouches_for_is_not_run(handmade: Handmade) -> None:
    repo, tags = handmade
    repo.write("train.py", "open('/tmp/anchored-was-here', 'w')\n")
    stray = repo.git("commit-tree", "-m", "x", repo.git("write-tree"), "-p", repo.head)
    repo.foreign("stray", **{**tags, "git_commit": stray})
    failed_for(repo.reproduce("stray"), stray, "no ref of this repository")


def test_what_is_no_name_of_a_commit_is_never_given_to_git(handmade: Handmade) -> None:
    repo, tags = handmade
    for commit in ("--upload-pack=touch /tmp/x", "main", "HEAD", "a b", "DEADBEEF"):
        run_id = repo.foreign("odd", **{**tags, "git_commit": commit})
        failed_for(repo.reproduce(run_id), "is no name of a commit")


def test_tags_that_lead_out_of_the_repo_are_refused(handmade: Handmade) -> None:
    repo, tags = handmade
    run_id = repo.foreign("out", **tags)
    repo.open().tracker.log(run_id, tags={"dvc_data_md5/../../x": "0" * 32})
    with pytest.raises(BadInput, match=r"\.\./\.\./x"):
        repo.reproduce("out")
