"""A past run, named by its name, trains again: what the verdict says, and why."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from anchored.errors import (
    AmbiguousRun,
    BadInput,
    BadParam,
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


# --- interrupted ------------------------------------------------------------------------------------


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
