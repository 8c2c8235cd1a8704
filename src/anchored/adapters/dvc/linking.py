"""Cache objects linked into a worktree: by hardlinks, where the file system has no better ones.

DVC's own way of doing it takes five times as long for small files (seen with dvc-data 3.18).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from anchored.adapters.dvc.export import Sources
from anchored.decisions.restoring import WantedFile, folders_of
from anchored.ports import Report
from anchored.system.files import drop

SHOWN_EVERY = 1_000


def is_linked(
    sources: Sources, files: Sequence[WantedFile], target: Path, into: Path, report: Report
) -> bool:
    """Links files into a tree in which nothing is at their common path `target` yet.

    False, with nothing left behind, where that is not so, where reflinks are possible, which are
    better, or where hardlinks are not.
    """
    if os.path.lexists(target) or not files or _can_reflink(sources, files[0], target):
        return False
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for folder in folders_of(file.path for file in files):
            os.makedirs(into / folder, exist_ok=True)
        cache, root = sources.cache(files[0].hash_name), str(into)
        for done, file in enumerate(files):
            os.link(cache.path_of(file.oid), f"{root}/{file.path}")
            if done % SHOWN_EVERY == 0:
                report.progress(f"linking {target.name}", done, len(files))
    except OSError:
        # Another disk, too many links to one file, none at all: DVC's own way tells or does it.
        shutil.rmtree(target, ignore_errors=True) if target.is_dir() else drop(str(target))
        return False
    return True


def _can_reflink(sources: Sources, file: WantedFile, target: Path) -> bool:
    probe = f"{target}.anchored"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        sources.reflink(sources.cache(file.hash_name).path_of(file.oid), probe)
    except OSError:
        return False
    finally:
        drop(probe)
    return True
