"""Version the data: inputs into DVC, pointers into the source commit, bytes into the remote."""

from __future__ import annotations

from anchored.decisions.ignores import (
    ignore_file,
    ignore_files,
    ignore_line,
    reopen_lines,
    with_lines,
)
from anchored.decisions.naming import open_ref
from anchored.decisions.pointers import LEGACY_HASH, parse_pointer, pointer_path
from anchored.errors import BadInput
from anchored.journal import Journal, Step
from anchored.ports import PushOutcome
from anchored.records import Pointer
from anchored.training_repo import TrainingRepo, moment


def version_data(repo: TrainingRepo, key: str) -> Journal:
    """Hashes the inputs and makes the source commit; moves no ref of the user's.

    An input that is not in the working tree is taken as its pointer at HEAD names it.
    """
    journal = repo.journal(key)
    if journal.step >= Step.DATA_VERSIONED:
        return journal
    run, start = journal.run, journal.pinned
    inputs = repo.config_at(start).data.inputs
    # A retrain brings its own: the user's folder plays no part in it.
    data = run.data or tuple(_versioned(repo, path, start) for path in inputs)
    source = repo.code.commit(
        start,
        pointer_files(repo, data, start, here=not journal.retrain),
        message=f"Version data of run {run.name}\n\nAnchored-Run: {run.run_id}\n",
        when=moment(run.started),
    )
    repo.code.keep(open_ref(key), source)
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
    repo: TrainingRepo, pointers: tuple[Pointer, ...], commit: str, *, here: bool
) -> dict[str, bytes]:
    """The files that a commit needs to hold these pointers: `.dvc` files and `.gitignore`s.

    With `here` what is uncommitted in the user's folder counts if it hides a pointer.
    """
    files: dict[str, bytes] = {}
    for pointer in pointers:
        file = pointer_path(pointer.path)
        files[file] = repo.store.render_pointer(repo.code.read(commit, file), pointer)
        _edit_ignores(repo, pointer.path, commit, files, here=here)
    return files


def _edit_ignores(
    repo: TrainingRepo, path: str, commit: str, files: dict[str, bytes], *, here: bool
) -> None:
    """Git must ignore the output, and see its pointer: DVC overlooks pointers that Git ignores.

    The output for everyone who has the commit, by its `.gitignore`s alone; the pointer here too,
    where an uncommitted `.gitignore` or the user's own excludes may hide it.
    """

    def text_of(file: str, *, in_tree: bool) -> bytes | None:
        if (text := files.get(file) or repo.code.read(commit, file)) is not None:
            return text
        place = repo.root / file
        return place.read_bytes() if in_tree and place.is_file() else None

    def rules(*, in_tree: bool) -> dict[str, bytes]:
        texts = {file: text_of(file, in_tree=in_tree) for file in ignore_files(path)}
        return {file: text for file, text in texts.items() if text is not None}

    def add_lines(file: str, lines: list[str]) -> None:
        before = (text_of(file, in_tree=here) or b"").decode(errors="surrogateescape")
        files[file] = with_lines(before, lines).encode(errors="surrogateescape")

    ignored = repo.code.ignored_from(path, rules(in_tree=False))
    if ignored is None or not ignored[1]:
        add_lines(ignore_file(path), [ignore_line(path)])
    file = pointer_path(path)
    if (ignored := repo.code.ignored_from(file, rules(in_tree=here))) is not None:
        ancestor, said_at = ignored
        add_lines(said_at or ".gitignore", reopen_lines(file, said_at, ancestor))


def _versioned(repo: TrainingRepo, path: str, commit: str) -> Pointer:
    place = repo.root / path
    if place.exists():
        return repo.store.add(place, path, repo.report)
    if (pointer := committed_pointer(repo, path, commit)) is None:
        raise BadInput(path, "there is no such input")
    # A clone that Anchored keeps never has them.
    tell = repo.report.say if repo.code.managed else repo.report.warn
    tell(f"{path} is not in your folder; taken as {pointer_path(path)} names it")
    return pointer


def committed_pointer(repo: TrainingRepo, path: str, commit: str) -> Pointer | None:
    """The pointer that a commit has of an input, all its content in the cache; None for none."""
    file = pointer_path(path)
    text = repo.code.read(commit, file)
    for pointer in parse_pointer(text, file) if text is not None else ():
        if pointer.path == path and pointer.md5:
            repo.store.fetch((pointer,), repo.report)
            return _rehashed(repo, pointer) if pointer.hash_name == LEGACY_HASH else pointer
    return None


def _rehashed(repo: TrainingRepo, pointer: Pointer) -> Pointer:
    """A pointer that DVC 2 wrote, by the hash of its bytes: the old one overlooks line ends."""
    with repo.journals.scratch() as folder:
        repo.store.checkout((pointer,), folder, repo.report)
        return repo.store.add(folder / pointer.path, pointer.path, repo.report)
