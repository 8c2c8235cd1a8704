"""What training left in its worktree: judged, and set aside before the tree is gone."""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from anchored.config import Config
from anchored.decisions.metrics_file import parse_metrics
from anchored.errors import BadOutcome


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a training left: metrics of its file, and the paths of its artifacts."""

    metrics: Mapping[str, float]
    files: tuple[str, ...] = ()


class OutputFiles:
    """Model, metrics and artifacts of one training, as the configuration names them."""

    def __init__(self, tree: Path, config: Config) -> None:
        self._tree, self._train, self._inputs = tree, config.train, config.data.inputs
        self._metrics_before: tuple[int, int] | None = None

    def prepare(self) -> None:
        """Makes the folders that training writes to.

        A metrics file that exists already, committed by mistake, is none that training wrote.
        """
        for place in filter(None, (self._train.model, self._train.metrics)):
            (self._tree / place).parent.mkdir(parents=True, exist_ok=True)
        self._metrics_before = self._metrics_stamp()

    def metrics(self) -> dict[str, float]:
        """The metrics that training wrote. Raises `BadOutcome` where it wrote none, or bad ones."""
        file = self._train.metrics
        if file is None:
            return {}
        stamp = self._metrics_stamp()
        if stamp is None or stamp == self._metrics_before:
            raise BadOutcome(f"training wrote no {file}", hint="see train.metrics")
        return parse_metrics((self._tree / file).read_bytes(), file)

    def set_aside(self, folder: Path) -> tuple[str, ...]:
        """Moves model and artifacts out of the tree into a folder; returns the artifacts' paths.

        Raises `BadOutcome` for no model, an empty one, and one that leads out of the tree.
        """
        shutil.rmtree(folder, ignore_errors=True)
        artifacts, model = tuple(self._artifacts()), self._train.model
        self._refuse_bad_model(model)
        for path in artifacts:
            target = folder / "artifacts" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            _set_link(self._tree / path, target)
        place, target = self._tree / model, folder / "model" / model
        target.parent.mkdir(parents=True, exist_ok=True)
        if any(p.is_symlink() for p in (place, *(place.rglob("*") if place.is_dir() else ()))):
            _set_links(place, target)
        else:
            place.rename(target)
        return artifacts

    def _metrics_stamp(self) -> tuple[int, int] | None:
        if self._train.metrics is None:
            return None
        file = self._tree / self._train.metrics
        if not file.is_file():
            return None
        info = file.stat()
        return info.st_ino, info.st_mtime_ns

    def _refuse_bad_model(self, model: str) -> None:
        place = self._tree / model
        if not place.exists():
            raise BadOutcome(f"training wrote no {model}", hint="see train.model in anchored.toml")
        files = [p for p in place.rglob("*") if p.is_file()] if place.is_dir() else [place]
        if not any(file.stat().st_size for file in files):
            raise BadOutcome(f"training wrote an empty {model}")
        home = os.path.realpath(self._tree)
        for file in files:
            if not os.path.realpath(file).startswith(home + os.sep):
                raise BadOutcome(f"{model} is or holds a link that leaves the repository")

    def _artifacts(self) -> Iterable[str]:
        home = os.path.realpath(self._tree)
        taken = (*self._inputs, self._train.model)
        seen: set[str] = set()
        for pattern in self._train.artifacts:
            for path in sorted(glob.glob(pattern, root_dir=self._tree, recursive=True)):
                file = self._tree / path
                own = not any(path == t or path.startswith(f"{t}/") for t in taken)
                inside = os.path.realpath(file).startswith(home + os.sep)
                if file.is_file() and own and inside and path not in seen:
                    seen.add(path)
                    yield path


def _set_links(place: Path, target: Path) -> None:
    """A file or folder anew with its links followed: DVC versions content, not links."""
    if place.is_dir():
        shutil.copytree(place, target, symlinks=False, copy_function=_set_link)
    else:
        _set_link(place, target)


def _set_link(file: str | Path, target: str | Path) -> None:
    """The file, links followed, under a second name: a full disk has room for no second copy."""
    try:
        os.link(os.path.realpath(file), target)
    except OSError:  # a file system without hardlinks
        shutil.copyfile(file, target)
