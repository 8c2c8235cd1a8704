"""What `anchored up` started for a training repo, on disk: ports, processes, what is deployed.

In `.dvc/anchored/`, beside all data of the local stack. A `.gitignore` of its own keeps the folder
out of Git; DVC never looks into `.dvc`.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from anchored.system.file_lock import locked
from anchored.system.own_folder import OWN, own_folder

FOLDER = OWN
FILE, LOCK, KEY = "stack.json", "lock", "key"
PREFECT, TRACKER, WORKER = "prefect", "tracker", "worker"
CLOCK = 2.0  # seconds by which a process's start may seem to move when the clock is set


@dataclass(frozen=True, slots=True)
class Started:
    """A process that was started; `created` in seconds since the epoch.

    The number alone is no proof: after a reboot it is another's. `made_of` tells command and
    settings from others.
    """

    pid: int
    created: float
    made_of: str

    def process(self) -> psutil.Process | None:
        """The process, if it is this one and still runs."""
        with suppress(psutil.Error):
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) < CLOCK
            # One that nobody waited for, as in a container without an init, stays as a zombie.
            if same and process.status() != psutil.STATUS_ZOMBIE:
                return process
        return None


@dataclass(frozen=True, slots=True)
class StackRecord:
    """Ports and processes by part, and digests of the tracker shown and of what is deployed.

    `title` is the tracker's name as people know it. `elsewhere` is where its runs are to be seen if
    no part shows them, and `hint` how, if no browser does.
    """

    ports: Mapping[str, int] = field(default_factory=dict)
    processes: Mapping[str, Started] = field(default_factory=dict)
    title: str = ""
    shows: str = ""
    elsewhere: str = ""
    hint: str = ""
    deployed: str = ""

    def url(self, part: str) -> str:
        """Where a part with a port is served."""
        return f"http://127.0.0.1:{self.ports[part]}"

    def process(self, part: str) -> psutil.Process | None:
        """The part's process, if it runs."""
        started = self.processes.get(part)
        return started.process() if started else None

    def runs(self, part: str) -> bool:
        """Whether the part's process is there; it may not answer yet, or not any more."""
        return self.process(part) is not None


def read_stack(root: Path) -> StackRecord:
    """What stands in the repo; an empty record where there is none that can be read."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        said = json.loads((root / FOLDER / FILE).read_text())
        processes = {part: Started(**value) for part, value in said.pop("processes").items()}
        return StackRecord(processes=processes, **said)
    return StackRecord()


def write_stack(root: Path, record: StackRecord) -> None:
    """Puts the record in the place of the one before, whole."""
    _write(root / FOLDER / FILE, json.dumps(asdict(record), indent=1))


@contextmanager
def stack_locked(root: Path, on_wait: Callable[[], None]) -> Iterator[Path]:
    """The stack's folder, made if need be, for one at a time; the others say so and wait.

    Raises `NotReady` where it is another user's.
    """
    folder = own_folder(root)
    with locked(folder / LOCK, on_wait=on_wait):
        yield folder


def read_key(root: Path) -> str:
    """What the stack's Prefect server asks for, USER:PASSWORD; empty where it has no key yet."""
    with suppress(OSError, UnicodeError):
        return (root / FOLDER / KEY).read_text().strip()
    return ""


def made_key(root: Path) -> str:
    """The key of the repo's stack, made where there is none."""
    if not (key := read_key(root)):
        key = new_key()
        _write(root / FOLDER / KEY, f"{key}\n")
    return key


def new_key() -> str:
    """A key that nobody knows, USER:PASSWORD."""
    return f"anchored:{secrets.token_urlsafe(32)}"


def _write(file: Path, text: str) -> None:
    """A file for its owner's eyes only, whole at every moment."""
    part = file.with_name(f"{file.name}.part")
    part.unlink(missing_ok=True)
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(text)
    part.replace(file)


def digest(*parts: str) -> str:
    """Tells texts from others without telling them: an address may hold a password."""
    return hashlib.sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()


def page_of_tracker(root: Path, uri: str) -> str:
    """Where the local stack shows the tracker of a resolved URI; empty while it does not."""
    record = read_stack(root)
    return record.url(TRACKER) if record.shows == digest(uri) and record.runs(TRACKER) else ""
