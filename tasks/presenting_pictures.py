"""What Prefect's UI shows of the plots that training wrote: from the tracker, or embedded."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from prefect.artifacts import create_image_artifact, create_markdown_artifact

from anchored.journal import Journal
from anchored.records import RunRecord
from anchored.training_repo import TrainingRepo
from tasks.presenting import artifact_key, as_markdown, never_failing

KINDS = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".svg": "image/svg+xml",
}
LINKED, EMBEDDED = 24, 6  # pictures that are shown, at the most
LARGEST = 200_000  # bytes of one that is embedded: it is kept in Prefect's database


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture among a run's artifacts, and where a browser gets it: an address, or itself."""

    path: str
    url: str


def pictures_of(repo: TrainingRepo, run: Journal) -> tuple[Picture, ...]:
    """The pictures that training wrote; to be taken before sealing takes the files away."""
    paths = [path for path in run.output_files if PurePosixPath(path).suffix.lower() in KINDS]
    served = {path: repo.tracker.picture_url(run.run.run_id, path) for path in paths[:LINKED]}
    if all(served.values()):
        return tuple(Picture(path, url) for path, url in served.items())
    outputs = repo.journals.outputs(run.key) / "artifacts"
    small = [path for path in paths if _size(outputs / path) <= LARGEST]
    return tuple(Picture(path, _embedded(outputs / path)) for path in small[:EMBEDDED])


@never_failing
def present_pictures(run: RunRecord, pictures: Sequence[Picture]) -> None:
    """Shows the pictures, one history of each for each experiment."""
    for picture in pictures:
        key = artifact_key("plot", f"{run.experiment} {picture.path}")
        path = as_markdown(picture.path)
        said = f"{path} of run **{as_markdown(run.name)}**"
        if picture.url.startswith("data:"):
            # Of an image's page its address is a part, which would be the picture in letters.
            markdown = f"![{path}]({picture.url})"
            create_markdown_artifact(markdown=markdown, key=key, description=said)
        else:
            create_image_artifact(image_url=picture.url, key=key, description=said)


def _embedded(file: Path) -> str:
    content = base64.b64encode(file.read_bytes()).decode("ascii")
    return f"data:{KINDS[file.suffix.lower()]};base64,{content}"


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # of a run that was sealed at the first try
        return LARGEST + 1
