"""A past run, named by its name, trains again: what the verdict says, and why."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from anchored.errors import (
    AmbiguousRun,
    BadInput,
    BadParam,
    GitRemoteFailed,
    NotReady,
    RemoteFailed,
    UnknownRun,
)
from anchored.journal import Journal, Journals, Step
from anchored.records import Reproduction, RunRecord
from tests.forked import in_process
from tests.killed import assert_cache_is_whole, assert_nothing_is_left, resume, theirs
from tests.repos import SCRIPT, Repo

NOISY = SCRIPT.replace("import json", "import random, json").replace(
    'json.dump({"total": total}', 'json.dump({"total": total + random.random()}'
)


Sealed = tuple[Repo, RunRecord]
Handmade = tuple[Repo, dict[str, str]]


def object_of(repo: Repo, md5: str, home: Path | None = None) -> Path:
    return (home or repo.store) / "files/md5" / md5[:2] / md5[2:]


def forget_cache(repo: Repo) -> None:
    shutil.rmtree(repo.root / ".dvc/cache")


def failed_for(reproduction: Reproduction, *words: str) -> None:
    assert reproduction.verdict == "failed"
    said = "; ".join(reproduction.causes)
    assert [word for word in words if word not in said] == [], said


def test_a_run_is_reproduced_by_its_name(sealed: Sealed) -> None:
    repo, first = sealed
    repo.write("data/numbers.csv", "1\n2\n")
    repo.script(SCRIPT.replace("total is", "the total is"))
    repo.run("two")
    forget_cache(repo)
    before = theirs(repo)
    found = repo.reproduce("one")
    assert (found.verdict, found.causes) == ("identical", ())
    assert (found.run, found.name) == (first.run_id, "one")
    assert [(c.what, c.recorded, c.equal) for c in found.checks] == [
        ("model models/model.bin", first.model[0].md5, True),
        ("metric total", 4950.0, True),
        ("environment", first.environment["md5"], True),
    ]
    assert theirs(repo) == before
    assert_nothing_is_left(repo)
    assert_cache_is_whole(repo)


def test_the_reproduction_is_a_run_that_points_at_its_original(sealed: Sealed) -> None:
    repo, first = sealed
    found = repo.reproduce("one")
    again = repo.open().tracker.run(found.reproduction)
    assert again.tags["anchored.reproduces"] == first.run_id
    assert again.tags["anchored.verdict"] == "identical"
    assert again.tags["git_commit"] == first.git.commit
    assert again.tags["dvc_model_md5"] == first.model[0].md5
    assert again.ending == "finished"
    assert repo.tags(first.run_id)["anchored.verdict"] == "identical"
    assert repo.tags(first.run_id)["anchored.state"] == "sealed"
    document = json.loads(repo.artifact(found.reproduction, "anchored/verdict.json") or b"")
    assert document == found.to_json()
    assert b"total is" in (repo.artifact(found.reproduction, "anchored/train.log") or b"")
    # One name, one run: the reproduction has a name of its own, and `latest` is no reproduction.
    assert repo.reproduce("one").run == first.run_id
    assert repo.reproduce("latest").run == first.run_id
    assert repo.reproduce(found.reproduction).run == first.run_id


def test_params_and_command_are_those_of_the_run(repo: Repo) -> None:
    repo.run("squares", params={"power": 2})
    repo.configure("power = 1", "power = 3")
    assert repo.reproduce("squares").verdict == "identical"


def test_what_a_name_does_not_settle_is_refused(sealed: Sealed) -> None:
    repo, _ = sealed
    repo.run("one")
    with pytest.raises(AmbiguousRun):
        repo.reproduce("one")
    with pytest.raises(UnknownRun):
        repo.reproduce("none")
    with pytest.raises(BadParam, match="accuracy"):
        repo.reproduce("latest", tolerances={"accuracy": "1"})
    assert len(repo.runs()) == 2


def test_training_that_differs_from_itself_is_different_and_said_to_be(repo: Repo) -> None:
    repo.script(NOISY)
    repo.run("one")
    found = repo.reproduce("one")
    assert found.verdict == "different"
    assert "training is not deterministic" in found.causes[0]
    assert repo.tags(found.run)["anchored.verdict"] == "different"
    near = repo.reproduce("one", tolerances={"tot*": "1.0"})
    assert near.verdict == "equivalent"


def test_repeats_measure_the_noise_and_judge_by_it(repo: Repo) -> None:
    # Three fresh trainings spread over 0.8; what was recorded lies among them.
    values = repo.root.parent / "values"
    values.write_text("0.5 0.1 0.9 0.4")
    script = SCRIPT.replace(
        'json.dump({"total": total}',
        f'v = open({str(values)!r}).read().split(); open({str(values)!r}, "w").write(" ".join(v[1:]))\n'
        'json.dump({"total": total + float(v[0])}',
    )
    repo.script(script)
    repo.run("one")
    found = repo.reproduce("one", repeat=3)
    assert values.read_text() == ""
    assert found.verdict == "equivalent"
    assert any("does not agree with itself" in cause for cause in found.causes)
    assert len(repo.runs()) == 2, "however often it trains, a reproduction is one run"


def test_another_environment_is_named_as_the_cause(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.script(
        "import os, json, pathlib\n"
        "n = int(os.environ.get('OMP_NUM_THREADS', 1))\n"
        "pathlib.Path('models/model.bin').write_text(str(n))\n"
        "json.dump({'threads': n}, open('metrics.json', 'w'))\n"
    )
    repo.run("one")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    found = repo.reproduce("one")
    assert found.verdict == "different"
    assert found.causes == ("variables differ: OMP_NUM_THREADS none → 7",)


def test_an_object_that_the_remote_lost_is_named(sealed: Sealed) -> None:
    repo, run = sealed
    forget_cache(repo)
    object_of(repo, run.data[0].md5).unlink()
    (repo.root / "data/numbers.csv").unlink()
    found = repo.reproduce("one")
    failed_for(found, "data/numbers.csv", run.data[0].md5, "lacks")
    assert repo.open().tracker.run(found.reproduction).ending == "failed"
    assert repo.tags(run.run_id)["anchored.verdict"] == "failed"
    assert_nothing_is_left(repo)


def test_an_object_that_the_remote_holds_corrupt_is_named(sealed: Sealed) -> None:
    repo, run = sealed
    forget_cache(repo)
    file = object_of(repo, run.data[0].md5)
    file.chmod(0o644)
    file.write_bytes(b"9" * file.stat().st_size)
    failed_for(repo.reproduce("one"), "data/numbers.csv", run.data[0].md5, "corrupt")
    assert_cache_is_whole(repo)


def test_a_corrupt_cache_object_is_fetched_again(sealed: Sealed) -> None:
    repo, run = sealed
    file = object_of(repo, run.data[0].md5, repo.root / ".dvc/cache")
    file.chmod(0o644)
    file.write_bytes(b"spoilt")
    assert repo.reproduce("one").verdict == "identical"
    assert_cache_is_whole(repo)


def test_a_remote_that_does_not_answer_is_no_verdict(sealed: Sealed) -> None:
    repo, run = sealed
    forget_cache(repo)
    repo.store.rename(repo.store.with_name("away"))
    repo.store.touch()
    with pytest.raises(RemoteFailed):
        repo.reproduce("one")
    assert "anchored.verdict" not in repo.tags(run.run_id)
    assert repo.runs()[0].state == "failed"
    assert_nothing_is_left(repo)


def test_training_that_fails_today_is_a_failed_verdict_with_its_reason(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    repo.script("import os\nos.environ['OMP_NUM_THREADS']\n" + SCRIPT)
    repo.run("one")
    monkeypatch.delenv("OMP_NUM_THREADS")
    failed_for(repo.reproduce("one"), "training ended with exit status 1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert repo.reproduce("one").verdict == "identical"


def test_a_run_that_never_was_whole_is_refused(repo: Repo) -> None:
    run_id = repo.foreign("bare")
    with pytest.raises(NotReady, match="names no Git commit"):
        repo.reproduce(run_id)


# --- where the commit is ------------------------------------------------------------------------


def test_a_rebased_squashed_and_collected_history_loses_nothing(repo: Repo) -> None:
    repo.git("switch", "--quiet", "--create", "topic")
    runs = []
    for n in range(3):
        repo.script(SCRIPT.replace("total is", f"total {n} is"))
        runs.append(repo.run(f"run {n}"))
    repo.git("switch", "--quiet", "main")
    repo.git("merge", "--quiet", "--squash", "topic")
    repo.git("commit", "--quiet", "--message", "All in one")
    repo.git("branch", "--quiet", "--delete", "--force", "topic")
    repo.git("push", "--quiet", "--force", "origin", "main")
    for root in (repo.root, repo.origin):
        repo.git("reflog", "expire", "--expire=now", "--all", cwd=root)
        repo.git("gc", "--quiet", "--prune=now", cwd=root)
    assert [repo.reproduce(run.name).verdict for run in runs] == ["identical"] * 3


def test_a_fresh_clone_elsewhere_with_a_cold_cache_reproduces(sealed: Sealed) -> None:
    repo, run = sealed
    clone = Repo(repo.root.parent / "elsewhere" / "clone")
    repo.git("clone", "--quiet", str(repo.origin), str(clone.root))
    clone.git("config", "user.name", "Ada")
    clone.dvc("remote", "modify", "--local", "store", "url", str(repo.store))
    clone.configure(
        "[train.params]", f'[tracker]\nuri = "sqlite:///{repo.root}/mlflow.db"\n[train.params]'
    )
    assert clone.git("for-each-ref", "refs/anchored") == ""
    found = clone.reproduce("one")
    assert found.verdict == "identical"
    assert found.run == run.run_id
    assert clone.git("rev-parse", run.git.ref) == run.git.commit
    assert clone.git("status", "--porcelain") == ""


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


def test_a_link_of_the_commit_leads_no_input_out_of_the_tree(sealed: Sealed) -> None:
    repo, run = sealed
    outside = repo.root.parent / "outside"
    outside.mkdir()
    tags = repo.tags(run.run_id)
    repo.git("rm", "--quiet", "-r", "--cached", "data")
    shutil.move(repo.root / "data", repo.root.parent / "kept")
    (repo.root / "data").symlink_to(outside)
    repo.git("add", "data")
    repo.git("commit", "--quiet", "--message", "Lead out")
    repo.foreign("led", **{**{k: tags[k] for k in ("dvc_data_md5/data/numbers.csv",
                 "dvc_model_md5", "dvc_data_md5")}, "git_commit": repo.head})  # fmt: skip
    with pytest.raises(BadInput, match="leaves the repository"):
        repo.reproduce("led")
    assert list(outside.iterdir()) == []


# --- cut off ------------------------------------------------------------------------------------


def killed_in_training(repo: Repo) -> None:
    write = Journals.write

    def deadly(self: Journals, journal: Journal) -> Journal:
        write(self, journal)
        if journal.step == Step.TRAINING:
            os.kill(os.getpid(), signal.SIGKILL)
        return journal

    Journals.write = deadly  # type: ignore[method-assign]
    repo.reproduce("one")


def test_a_reproduction_that_is_killed_is_closed_as_failed(sealed: Sealed) -> None:
    repo, run = sealed
    assert in_process(killed_in_training, repo).exitcode == -signal.SIGKILL
    assert resume(repo) == []
    (cut_off,) = [r for r in repo.runs() if r.reproduces == run.run_id]
    assert cut_off.state == "failed"
    assert "anchored.verdict" not in repo.tags(run.run_id)
    assert_nothing_is_left(repo)
    assert repo.reproduce("one").verdict == "identical"


def test_outputs_of_a_folder_and_inputs_in_folders_are_compared(repo: Repo) -> None:
    repo.write("data/folder/a.csv", "1\n")
    repo.write("data/folder/b/c.csv", "2\n")
    repo.configure('["data/numbers.csv"]', '["data/numbers.csv", "data/folder"]')
    repo.configure('"models/model.bin"', '"models"')
    repo.run("folders")
    forget_cache(repo)
    shutil.rmtree(repo.root / "data/folder")
    found = repo.reproduce("folders")
    assert found.verdict == "identical"
    assert any(str(check.recorded).endswith(".dir") for check in found.checks)
