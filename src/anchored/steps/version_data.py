"""Version the data: inputs into DVC, pointers into the source commit, bytes into the remote."""

from __future__ import annotations

from anchored.decisions.ignores import ignore_file, ignore_line, reopen_lines, with_lines
from anchored.decisions.pointers import parse_pointer, pointer_path
from anchored.errors import BadInput
from anchored.journal import Journal, Step
from anchored.ports import PushOutcome
from anchored.records import Pointer
from anchored.steps.training_repo import TrainingRepo, moment


def version_data(repo: TrainingRepo, key: str) -> Journal:
    """Hashes the inputs and makes the source commit; moves no ref of the user's.

    An input that is not in the working tree is taken as its pointer at HEAD names it.
    """
    journal = repo.journal(key)
    if journal.step >= Step.DATA_VERSIONED:
        return journal
    run, when = journal.run, moment(journal.run.started)
    start = journal.base
    if journal.snapshot:
        message = f"Uncommitted changes of run {run.name}\n\nAnchored-Run: {run.run_id}\n"
        start = repo.code.commit_working_tree(message=message, when=when)
    inputs = repo.config_at(start).data.inputs
    data = tuple(_versioned(repo, path, start) for path in inputs)
    source = repo.code.commit(
        start,
        pointer_files(repo, data, start),
        message=f"Version data of run {run.name}\n\nAnchored-Run: {run.run_id}\n",
        when=when,
    )
    git = run.git.with_(source_commit=source)
    return repo.journals.write(journal.at(Step.DATA_VERSIONED, data=data, git=git))


def push_data(repo: TrainingRepo, key: str) -> PushOutcome:
    """Brings the inputs' objects to the remote and sees them there."""
    journal = repo.journal(key)
    if journal.step >= Step.DATA_PUSHED:
        return PushOutcome(objects=0, sent=0)
    outcome = repo.store.push(journal.run.data, repo.report)
    repo.journals.write(journal.at(Step.DATA_PUSHED))
    return outcome


def pointer_files(
    repo: TrainingRepo, pointers: tuple[Pointer, ...], commit: str
) -> dict[str, bytes]:
    """The files that a commit needs to hold these pointers: `.dvc` files and `.gitignore`s."""
    files: dict[str, bytes] = {}
    for pointer in pointers:
        file = pointer_path(pointer.path)
        files[file] = repo.store.render_pointer(repo.code.read(commit, file), pointer)
        _edit_ignores(repo, pointer.path, commit, files)
    return files


def _edit_ignores(repo: TrainingRepo, path: str, commit: str, files: dict[str, bytes]) -> None:
    """Git must ignore the output, and see its pointer: DVC overlooks pointers that Git ignores."""
    if repo.code.ignored_from(path) is None:
        _add_lines(repo, ignore_file(path), [ignore_line(path)], commit, files)
    file = pointer_path(path)
    if (ignored := repo.code.ignored_from(file)) is not None:
        ancestor, said_at = ignored
        lines = reopen_lines(file, said_at, ancestor)
        _add_lines(repo, said_at or ".gitignore", lines, commit, files)


def _add_lines(
    repo: TrainingRepo, file: str, lines: list[str], commit: str, files: dict[str, bytes]
) -> None:
    before = files.get(file) or repo.code.read(commit, file) or b""
    after = with_lines(before.decode(errors="surrogateescape"), lines)
    files[file] = after.encode(errors="surrogateescape")


def _versioned(repo: TrainingRepo, path: str, commit: str) -> Pointer:
    place = repo.root / path
    if place.exists():
        return repo.store.add(place, path, repo.report)
    file = pointer_path(path)
    text = repo.code.read(commit, file)
    for pointer in parse_pointer(text, file) if text is not None else ():
        if pointer.path == path and pointer.md5:
            repo.report.say(f"{path} is not here; taken as {file} names it")
            repo.store.fetch((pointer,), repo.report)
            return pointer
    raise BadInput(path, "there is no such input")
