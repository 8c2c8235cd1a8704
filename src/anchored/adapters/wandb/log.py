"""What the W&B SDK wrote offline: one transaction log for each time that a run was opened.

`wandb/offline-run-TIME-ID/run-ID.wandb` is a log in LevelDB's framing (github.com/google/leveldb,
doc/log_format.md) of protobuf messages `wandb_internal.Record`. Before the first block are seven
bytes of W&B's own, and checksums are plain CRC-32 (both seen in logs of wandb 0.31.0). The end of
a log whose writer was killed may be missing: what precedes it counts.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from struct import Struct
from typing import Any

from anchored.decisions.decoding import DEPTH, Unreadable, json_value

BLOCK = 1 << 15
HEAD = Struct("<IHB")  # before a fragment: CRC-32 of kind and fragment, length, kind
IDENT = b":W&B\xe1\xbe\x00"
KINDS = FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4
REMEMBERED = 4_096  # logs: one that has been read is read again only when it has grown


# The JSON that was last given to a key, or to the last of several that lead inwards; None: removed.
_Updates = dict[tuple[str, ...], str | None]


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

    With an id, only what may be of that run: by the names of its folders.
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
    logs = (e for e in _scanned(folder) if e.name.endswith(".wandb") and e.is_file())
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
    from google.protobuf.message import DecodeError
    from wandb.proto.wandb_internal_pb2 import Record

    segment = Segment(Path(file).parent, last_write=changed_ns / 1e9)
    summary: _Updates = {}
    for message in _messages(Path(file).read_bytes()):
        try:
            record = Record.FromString(message)
        except DecodeError:  # none of W&B's; nor may be all that follows
            break
        _take(record, segment, summary)
    for (*way, last), text in summary.items():
        inner = _place(segment.summary, way)
        inner.pop(last, None)
        if text is not None:
            inner |= _read_value(last, text)
    return segment


def _read_value(key: str, text: str) -> dict[str, Any]:
    """The value of a key, as JSON gives it; none where that cannot be read."""
    try:
        return {key: json_value(text, finite=False)}
    except Unreadable:
        return {}


def _messages(log: bytes) -> Iterator[bytes]:
    """The messages of a log, up to the first that is incomplete."""
    if not log.startswith(IDENT):
        return
    at, view = len(IDENT), memoryview(log)
    parts: list[bytes] = []
    while at + HEAD.size <= len(log):
        if (left := BLOCK - at % BLOCK) < HEAD.size:  # too little for another fragment
            at += left
            continue
        checksum, length, kind = HEAD.unpack_from(log, at)
        begin, end = at + HEAD.size, at + HEAD.size + length
        intact = end <= len(log) and zlib.crc32(view[begin - 1 : end]) == checksum
        if not intact or kind not in KINDS:
            return
        parts = [log[begin:end]] if kind in (FULL, FIRST) else [*parts, log[begin:end]]
        if kind in (FULL, LAST):
            yield b"".join(parts)
        at = end


def _take(record: Any, segment: Segment, summary: _Updates) -> None:
    """Adds what one record says."""
    match record.WhichOneof("record_type"):
        case "summary":
            _note(summary, record.summary)
        case "run":
            run = record.run
            segment.run_id, segment.project = run.run_id, run.project
            segment.name = run.display_name
            segment.started = run.start_time.ToMilliseconds()
            _configure(segment.config, run.config)
            _note(summary, run.summary)
        case "config":
            _configure(segment.config, record.config)
        case "files":
            segment.files += [file.path for file in record.files.files]
        case "artifact":
            segment.artifacts.append(_artifact(record.artifact))
        case "exit":
            segment.exit_code = record.exit.exit_code


def _note(summary: _Updates, record: Any) -> None:
    """Keeps the last that is said of each key, in the order in which that was said.

    Every step of a run says its values again: what only the last step is asked for is parsed once.
    """
    for item in record.update:
        key = tuple(item.nested_key) or (item.key,)
        summary.pop(key, None)
        summary[key] = item.value_json
    for item in record.remove:
        key = tuple(item.nested_key) or (item.key,)
        summary.pop(key, None)
        summary[key] = None


def _configure(config: dict[str, Any], record: Any) -> None:
    for item in record.update:
        *way, last = item.nested_key or [item.key]
        merge(_place(config, way), _read_value(last, item.value_json))
    for item in record.remove:
        *way, last = item.nested_key or [item.key]
        _place(config, way).pop(last, None)


def merge(config: dict[str, Any], update: Mapping[str, Any]) -> None:
    """Updates a config as W&B does (seen with 0.31.0): a mapping adds to an existing one."""
    for key, value in update.items():
        known = config.get(key)
        if isinstance(known, dict) and isinstance(value, dict):
            merge(known, value)
        else:
            config[key] = value


def _place(values: dict[str, Any], way: Sequence[str]) -> dict[str, Any]:
    """The mapping that keys lead to; made if need be."""
    for key in way[:DEPTH]:
        deeper = values.get(key)
        if not isinstance(deeper, dict):
            values[key] = deeper = {}
        values = deeper
    return values


def _artifact(record: Any) -> LoggedArtifact:
    metadata = _read_value("", record.metadata or "{}").get("")
    return LoggedArtifact(
        name=record.name,
        kind=record.type,
        metadata=metadata if isinstance(metadata, dict) else {},
        files={entry.path: Path(entry.local_path) for entry in record.manifest.contents},
    )
