"""What the W&B SDK wrote offline: one transaction log for each time that a run was opened.

`wandb/offline-run-TIME-ID/run-ID.wandb` is a log in LevelDB's framing (github.com/google/leveldb,
doc/log_format.md) of protobuf messages `wandb_internal.Record`. Before the first block stand seven
bytes of W&B's own, and checksums are plain CRC-32 (both seen in logs of wandb 0.31.0). The end of
a log whose writer was killed may be missing: what stands before it counts.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

BLOCK = 1 << 15
FRAME = 7  # bytes before a fragment: CRC-32, length and kind of the fragment
IDENT = b":W&B\xe1\xbe\x00"
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4
# Fields of `Record` that say what a run is; the others are its history and what it printed.
SUMMARY, CONFIG, FILES, ARTIFACT, RUN, EXIT = 3, 5, 6, 8, 17, 18
TOLD = {SUMMARY, CONFIG, FILES, ARTIFACT, RUN, EXIT}
REMEMBERED = 4_096  # logs: one that has been read is read again only when it has grown


@dataclass(frozen=True, slots=True)
class LoggedArtifact:
    """An artifact as a log has it: for each of its files the place where it waits for a sync."""

    name: str
    kind: str
    metadata: Mapping[str, Any]
    files: Mapping[str, Path]


@dataclass(slots=True)
class Segment:
    """What one log says of its run. `started` is in milliseconds since the epoch.

    Without an `exit_code` the writer has not ended, or not by itself. `last_write` is in seconds
    since the epoch.
    """

    folder: Path
    last_write: float = 0.0
    run_id: str = ""
    project: str = ""
    name: str = ""
    started: int = 0
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    artifacts: list[LoggedArtifact] = field(default_factory=list)
    exit_code: int | None = None


def segments(folder: Path, run_id: str = "") -> list[Segment]:
    """All that was logged offline below W&B's folder, in the order in which it was begun.

    With an id, only what may be of that run: the names of its folders tell.
    """
    found = (
        segment
        for entry in _scanned(folder)
        if entry.name.startswith("offline-run-") and run_id in entry.name
        for segment in segment_in(entry.path)
    )
    return sorted(found, key=lambda segment: (segment.started, _natural(segment.folder.name)))


def segment_in(folder: Path | str) -> list[Segment]:
    """What one folder holds: one segment, or none as long as its log does not name its run."""
    logs = (entry for entry in _scanned(folder) if entry.name.endswith(".wandb"))
    return [segment for log in logs if (segment := _of(log)).run_id]


def _scanned(folder: Path | str) -> Sequence[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return ()


def _natural(name: str) -> tuple[str, int]:
    """Of several begun within a second, the second ends in `-1`."""
    match = re.fullmatch(r"(.*?-run-[^-]*-.*?)(?:-(\d+))?", name)
    return (match[1], int(match[2] or 0)) if match else (name, 0)


def _of(log: os.DirEntry[str]) -> Segment:
    facts = log.stat()
    return _read(log.path, facts.st_size, facts.st_mtime_ns)


@lru_cache(REMEMBERED)
def _read(file: str, _size: int, changed_ns: int) -> Segment:
    from wandb.proto.wandb_internal_pb2 import Record

    segment = Segment(Path(file).parent, last_write=changed_ns / 1e9)
    for message in _messages(Path(file).read_bytes()):
        if _tells(message):
            _take(Record.FromString(message), segment)
    return segment


def _messages(log: bytes) -> Iterator[bytes]:
    """The messages of a log, up to the first that is not whole."""
    if not log.startswith(IDENT):
        return
    at = len(IDENT)
    parts: list[bytes] = []
    while at + FRAME <= len(log):
        if BLOCK - at % BLOCK < FRAME:  # too little of the block is left for another fragment
            at += BLOCK - at % BLOCK
            continue
        checksum, length, kind = _frame(log, at)
        fragment = log[at + FRAME : at + FRAME + length]
        if kind not in (FULL, FIRST, MIDDLE, LAST) or len(fragment) < length:
            return
        if zlib.crc32(fragment, zlib.crc32(bytes([kind]))) != checksum:
            return
        parts = [fragment] if kind in (FULL, FIRST) else [*parts, fragment]
        if kind in (FULL, LAST):
            yield b"".join(parts)
        at += FRAME + length


def _frame(log: bytes, at: int) -> tuple[int, int, int]:
    little = int.from_bytes
    return little(log[at : at + 4], "little"), little(log[at + 4 : at + 6], "little"), log[at + 6]


def _tells(message: bytes) -> bool:
    """Whether a `Record` says what its run is.

    Found by the numbers of its fields alone: most records are of a history that nobody asks for,
    and would be parsed in vain.
    """
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        if key >> 3 in TOLD:
            return True
        value, at = _varint(message, at)
        if key & 7 == 2:  # of a field with a length, that is the value
            at += value
    return False


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """A number in seven bits a byte, and where it ends."""
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at


def _take(record: Any, segment: Segment) -> None:
    """Adds what one record says."""
    match record.WhichOneof("record_type"):
        case "run":
            run = record.run
            segment.run_id, segment.project, segment.name = (
                run.run_id,
                run.project,
                run.display_name,
            )
            segment.started = run.start_time.ToMilliseconds()
            _update(segment.config, run.config)
            _update(segment.summary, run.summary)
        case "config":
            _update(segment.config, record.config)
        case "summary":
            _update(segment.summary, record.summary)
        case "files":
            segment.files += [file.path for file in record.files.files]
        case "artifact":
            segment.artifacts.append(_artifact(record.artifact))
        case "exit":
            segment.exit_code = record.exit.exit_code


def _update(values: dict[str, Any], record: Any) -> None:
    """Sets and removes values as a record says, each by its key or by the keys on the way to it."""
    for item in record.update:
        inner, last = _place(values, item)
        inner[last] = json.loads(item.value_json)
    for item in record.remove:
        inner, last = _place(values, item)
        inner.pop(last, None)


def _place(values: dict[str, Any], item: Any) -> tuple[dict[str, Any], str]:
    """The mapping that an item is about, made if need be, and the key in it."""
    *way, last = item.nested_key or [item.key]
    for key in way:
        deeper = values.get(key)
        if not isinstance(deeper, dict):
            values[key] = deeper = {}
        values = deeper
    return values, last


def _artifact(record: Any) -> LoggedArtifact:
    return LoggedArtifact(
        name=record.name,
        kind=record.type,
        metadata=json.loads(record.metadata or "{}"),
        files={entry.path: Path(entry.local_path) for entry in record.manifest.contents},
    )
