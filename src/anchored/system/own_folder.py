"""The folder of all that is ours in a repository: open runs, the local stack with its data and key.

`.dvc/anchored/`, for its owner's eyes alone. A `.gitignore` of its own keeps it out of Git; DVC
never looks into `.dvc`, and its users delete `.dvc/tmp` and `.dvc/cache`, not this.
"""

from __future__ import annotations

from pathlib import Path

from anchored.errors import NotReady

OWN = Path(".dvc") / "anchored"


def own_folder(root: Path) -> Path:
    """The folder, made if need be. Raises `NotReady` where it is another user's."""
    folder, ignored = root / OWN, root / OWN / ".gitignore"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        folder.chmod(0o700)  # of an earlier version: open to all
        if not ignored.exists():
            ignored.write_text("*\n")
    except PermissionError as error:
        raise NotReady(
            f"{folder} is another user's: runs under way and the local stack are theirs",
            hint="work in a clone of your own",
        ) from error
    return folder
