"""Make a repository ready: DVC, its remote, an `anchored.toml`. Each part only if it is missing."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from anchored.config import FILE, PYPROJECT, has_table, named_paths
from anchored.decisions.ignores import ignore_file, ignore_line, with_lines
from anchored.decisions.pointers import parse_pointer
from anchored.decisions.redaction import url_without_credentials
from anchored.decisions.starter import Found, imports_wandb_alone, starter_config
from anchored.errors import AnchoredError, ConfigError, WrongUse
from anchored.ports import CodeRepo
from anchored.training_repo import config_from

REMOTE = "storage"
IGNORED = ["/mlflow.db", "/mlruns/", "/wandb/", "/restored/"]


class DataSetup(Protocol):
    """What of DVC has to be set up."""

    def is_set_up(self) -> bool: ...

    def remote_url(self) -> str: ...

    def set_up(self) -> None: ...

    def set_remote(self, name: str, url: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Initialized:
    """What was done, what is in order already counting for nothing, and what is left to do."""

    done: tuple[str, ...]
    todo: tuple[str, ...]
    changed: tuple[str, ...] = field(default=())


def init_repo(
    code: CodeRepo, data: DataSetup, *, remote: str | None, untrack: bool, tracker_uri: str
) -> Initialized:
    """Sets up what is missing; commits nothing. Doing it again changes nothing.

    Raises `WrongUse` for another default remote than the one asked for, and for credentials in
    its URL.
    """
    _check_remote(data, remote)
    done, todo, changed = [], [], []
    if not data.is_set_up():
        data.set_up()
        done.append("set up DVC, which stages the pointers that it writes")
        changed += [".dvc", ".dvcignore"]
    if remote and not data.remote_url():
        data.set_remote(REMOTE, remote)
        done.append(f"DVC's default remote is {remote}")
        changed.append(".dvc/config")
    elif not data.remote_url():
        todo.append("name a place for data and models: anchored init --remote URL")
    if not _has_config(code.root):
        starter = starter_config(_found(code, tracker_uri), code.root.name)
        (code.root / FILE).write_text(starter.text, encoding="utf-8")
        done.append(f"wrote {FILE}")
        changed.append(FILE)
        todo += [f"fill in {key} in {FILE}" for key in starter.to_fill_in]
    else:
        todo += _config_trouble(code)
    if _ignore_local_records(code.root):
        done.append("Git ignores the local tracker records and restored runs")
        changed.append(".gitignore")
    in_git = _configured_in_git(code)
    if in_git and untrack:
        code.untrack(in_git)
        done += [f"took {path} out of Git's index; the file stays" for path in in_git]
        todo.append("git commit, so that DVC can version what Git no longer does")
    elif in_git:
        todo.append(f"Git tracks {', '.join(in_git[:3])}: anchored init --untrack hands it to DVC")
    if hidden := _ignore_outputs(code):
        done.append("Git ignores the data and the model, which DVC versions")
        changed += hidden
    if changed:
        todo.append(f"git add {' '.join(dict.fromkeys(changed))} && git commit")
    return Initialized(tuple(done), tuple(todo), tuple(dict.fromkeys(changed)))


def _check_remote(data: DataSetup, remote: str | None) -> None:
    if remote is None:
        return
    if url_without_credentials(remote) != remote:
        raise WrongUse(
            "credentials in a remote's URL would be committed with .dvc/config",
            hint="leave them out here; `dvc remote modify --local` keeps them to this machine",
        )
    present = data.remote_url() if data.is_set_up() else ""
    if present and _place(present) != _place(remote):
        raise WrongUse(
            f"the default DVC remote is {url_without_credentials(present)} already",
            hint="change it with `dvc remote modify`, if that is what you want",
        )


def _place(url: str) -> str:
    return url.rstrip("/") if "://" in url else os.path.realpath(os.path.expanduser(url))


def _has_config(root: Path) -> bool:
    pyproject = root / PYPROJECT
    return (root / FILE).exists() or (pyproject.exists() and has_table(pyproject.read_bytes()))


def _found(code: CodeRepo, tracker_uri: str) -> Found:
    """What the repository has; what cannot be read as a pointer is passed over."""
    tracked, untracked = code.tracked_under(""), code.untracked_files()
    outputs = []
    for file in (f for f in (*tracked, *untracked) if f.endswith(".dvc")):
        try:
            outputs += [p.path for p in parse_pointer((code.root / file).read_bytes(), file)]
        except (AnchoredError, OSError):
            continue
    found = Found(tuple(sorted(outputs)), tracked, untracked, tracker_uri)
    script = (_read(code.root / found.script) if found.script else None) or b""
    return replace(found, uses_wandb=imports_wandb_alone(script.decode(errors="replace")))


def _ignore_local_records(root: Path) -> bool:
    file = root / ".gitignore"
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    after = with_lines(before, [line for line in IGNORED if line.strip("/") not in before])
    if after != before:
        file.write_text(after, encoding="utf-8")
    return after != before


def _ignore_outputs(code: CodeRepo) -> list[str]:
    """Keeps `git add --all` from taking what DVC is to version; returns the files edited."""
    edited = []
    for path in _configured(code):
        if not code.tracked_under(path) and code.ignored_from(path) is None:
            file = code.root / ignore_file(path)
            before = file.read_text(encoding="utf-8") if file.exists() else ""
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(with_lines(before, [ignore_line(path)]), encoding="utf-8")
            edited.append(ignore_file(path))
    return edited


def _configured(code: CodeRepo) -> tuple[str, ...]:
    file = code.root / FILE
    return named_paths(file.read_bytes()) if file.is_file() else ()


def _configured_in_git(code: CodeRepo) -> tuple[str, ...]:
    """Files of the configured inputs and model that Git tracks."""
    return tuple(name for path in _configured(code) for name in code.tracked_under(path))


def _config_trouble(code: CodeRepo) -> list[str]:
    """What keeps the configuration that is there from being used."""
    try:
        config = config_from(lambda path: _read(code.root / path), code.root.name)
        config.check_placeholders()
    except ConfigError as error:
        return [f"mend {error.message}"]
    return []


def _read(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None
