"""Which trackers have a process of their own, of all that this process opens.

Two reasons for one: it loads while we do other work (`load_tracker_aside`), or the caller's
`os.environ`, which the trackers' libraries make us change while they are called, is to stay as it
is whatever several threads do (`trackers_aside`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from anchored.tracker_names import DEFAULT, TrackerName
from anchored.workspace.repos import config_folders
from anchored.workspace.trackers import TRACKERS, known_name

if TYPE_CHECKING:
    from anchored.config import Config
    from anchored.ports import Tracker
    from anchored.workspace.tracker_process import TrackerProcess, TrackerProxy

_Key = tuple[str, str, str, Path]  # kind, URI, experiment, root


class _Processes:
    """The trackers' processes; safe for several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._loading: dict[TrackerName, list[TrackerProcess]] = {}
        self._in_use: dict[_Key, TrackerProxy] = {}
        self._wanted = 0  # how many blocks are open that want all trackers aside
        self._of_blocks = list[_Key]()  # the trackers that were opened in them

    def load(self, kind: TrackerName, uri: str, root: Path) -> None:
        """Begins to load a tracker of this kind, unless it is loaded, here or for this repo."""
        from anchored.workspace.tracker_process import TrackerProcess

        module = TRACKERS[kind].module
        with self._lock:
            if any((key[0], key[3]) == (kind, root) for key in self._in_use):
                return
            if self._wanted or module not in sys.modules:
                self._loading.setdefault(kind, []).append(TrackerProcess(module, uri))

    def take(self, kind: TrackerName, key: _Key, tracker: Tracker) -> Tracker:
        """The tracker, or a proxy of it if it has a process of its own."""
        with self._lock:
            known = self._in_use.get(key)
            if known is not None:
                if not (self._wanted and known.process.has_ended()):
                    return known
                known.process.end()
            if (process := self._process(kind, key)) is None:
                return tracker
            from anchored.workspace.tracker_process import TrackerProxy

            self._in_use[key] = TrackerProxy(process, tracker)
            return self._in_use[key]

    def _process(self, kind: TrackerName, key: _Key) -> TrackerProcess | None:
        if self._wanted:
            self._of_blocks.append(key)
        if loading := self._loading.get(kind):
            return loading.pop()
        if not self._wanted:
            return None
        from anchored.workspace.tracker_process import TrackerProcess

        return TrackerProcess(TRACKERS[kind].module, key[1])

    @contextmanager
    def wanted(self) -> Iterator[None]:
        """All trackers that are opened in the block have a process, which ends after the last."""
        with self._lock:
            self._wanted += 1
        try:
            yield
        finally:
            ending: list[TrackerProxy] = []
            with self._lock:
                self._wanted -= 1
                if not self._wanted:
                    ending = [self._in_use.pop(key) for key in dict.fromkeys(self._of_blocks)]
                    self._of_blocks.clear()
            for proxy in ending:
                proxy.process.end()


_PROCESSES = _Processes()


def trackers_aside() -> AbstractContextManager[None]:
    """Gives every tracker that any thread opens within the block a process of its own.

    So `os.environ` stays as it is here, whatever the trackers' libraries need. The processes end
    with the block, or with the last of several that overlap; repos that were opened in it are of no
    use after that.
    """
    return _PROCESSES.wanted()


def load_tracker_aside(repo: str | Path | None = None, tracker: str | None = None) -> None:
    """Lets the tracker load in a process of its own, for every later opening of this repo.

    `tracker` is as for `open_repo`. Does nothing where this process has loaded it already. Only
    looks at what the configuration says of the tracker; opening reports whether it is right.
    """
    for folder in config_folders(repo):
        file = folder / "anchored.toml"
        if file.is_file():
            kind, uri = _configured(file)
            if tracker not in {None, kind}:
                kind, uri = str(tracker), ""
            if (name := known_name(kind)) is not None:
                _PROCESSES.load(name, uri, folder)
            return


def tracker_at(config: Config, root: Path) -> Tracker:
    """The tracker that a configuration means, in a process of its own if it is to have one."""
    kind = config.tracker.kind
    tracker = TRACKERS[kind].make(config, root)
    return _PROCESSES.take(kind, (kind, tracker.uri, config.experiment, root), tracker)


def _configured(file: Path) -> tuple[str, str]:
    """Kind and URI as a configuration has them that nobody has checked yet."""
    from anchored.decisions.decoding import toml_value

    with suppress(OSError, ValueError, AttributeError):
        said = toml_value(file.read_bytes()).get("tracker", {})
        return str(said.get("kind", DEFAULT)), str(said.get("uri", ""))
    return "", ""
