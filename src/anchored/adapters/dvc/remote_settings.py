"""Which DVC remote a run uses: told when it opens, and used to its end whatever is configured then.

Secrets are never told: they are looked up in the user's own configuration when they are needed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dvc.config import Config
from dvc.config_schema import RelPath
from dvc.repo import Repo

from anchored.decisions.redaction import is_secret_name, url_without_credentials
from anchored.errors import NotReady

NAME, URL = "name", "url"


class _CommittedConfig(Config):
    """DVC's configuration of a repository, with `.dvc/config` as a commit has it."""

    def __init__(self, root: Path, committed: bytes) -> None:
        self._committed = committed
        super().__init__(str(root / ".dvc"))

    def _load_config(self, level: str) -> Any:
        if level != "repo":
            return super()._load_config(level)
        with tempfile.NamedTemporaryFile() as file:
            file.write(self._committed)
            file.flush()
            return self.load_file(file.name)


def remote_settings(root: Path, committed: bytes) -> dict[str, Any]:
    """The default remote's `name` and options by a commit's `.dvc/config`; empty without one."""
    config = _CommittedConfig(root, committed)
    name = str(config["core"].get("remote") or "")
    options = config["remote"].get(name)
    if options is None:
        return {}
    told = {key: _plain(value) for key, value in options.items() if not is_secret_name(key)}
    return {**told, URL: url_without_credentials(str(options[URL])), NAME: name}


def repo_with(root: Path, settings: Mapping[str, Any]) -> Repo:
    """The DVC repository at a root with this remote as its default one, and no option but these."""
    name = str(settings[NAME])
    live = Config(str(root / ".dvc"), validate=False).get("remote", {}).get(name, {})
    options = {key: value for key, value in settings.items() if key != NAME}
    options |= {key: value for key, value in live.items() if is_secret_name(key)}
    if url_without_credentials(str(live.get(URL, ""))) == options[URL]:
        options[URL] = live[URL]
    repo = Repo(str(root), config={"core": {"remote": name}, "remote": {name: options}})
    for key in live.keys() - options.keys():
        repo.config["remote"][name].pop(key, None)
    return repo


def _plain(value: Any) -> Any:
    """A value that JSON takes; DVC tells paths by classes of their own."""
    return value if isinstance(value, bool | int | float) else str(value)


def refuse_relative_remote(repo: Repo) -> None:
    """DVC would make a new, empty remote beside the clone, on this machine alone."""
    name = repo.config["core"].get("remote")
    if isinstance(repo.config["remote"].get(name, {}).get("url"), RelPath):
        raise NotReady(
            f"the DVC remote {name!r} is a path relative to the repository: from a clone of it,"
            " that leads nowhere",
            hint=f"give it a URL or an absolute path: `dvc remote modify {name} url URL`;"
            " commit and push that",
        )
