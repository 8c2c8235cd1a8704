"""What `.gitignore` files must say so that Git ignores an output and sees its pointer.

Rules: gitignore(5). A later line wins; a file cannot be re-included when a folder above it is
excluded, so every folder on the way has to be opened and its other content closed again.
"""

from __future__ import annotations

import posixpath
import re

# As DVC does, that its lines and ours are the same; but for backslashes and spaces at the end,
# which DVC leaves as they are, and Git takes for something else.
_SPECIAL = re.compile(r"([\\*?\[\]!#]| +$)")


def with_lines(text: str, lines: list[str]) -> str:
    """The file's text with the lines appended that it does not hold yet."""
    present = set(text.splitlines())
    missing = [line for line in lines if line not in present]
    if not missing:
        return text
    start = text if not text or text.endswith("\n") else text + "\n"
    return start + "".join(f"{line}\n" for line in missing)


def ignore_file(output: str) -> str:
    """The `.gitignore` that DVC uses for an output: the one beside it."""
    return posixpath.join(posixpath.dirname(output), ".gitignore")


def ignore_files(path: str) -> list[str]:
    """The `.gitignore`s that have a say in whether a path is ignored, from the root down."""
    folders = path.split("/")[:-1]
    return ["/".join([*folders[:depth], ".gitignore"]) for depth in range(len(folders) + 1)]


def ignore_line(output: str) -> str:
    """The line in it, as DVC writes it, with what is special to Git escaped."""
    return "/" + escaped(posixpath.basename(output))


def reopen_lines(pointer: str, ignore_at: str, ignored_from: str) -> list[str]:
    """Lines for the `.gitignore` at `ignore_at` that let Git and DVC see an ignored pointer.

    `ignored_from` is the topmost excluded path on the way to `pointer`. All else that was ignored
    stays ignored: `models/` becomes "open models, close all in it, open the pointer".

    All is opened before it is closed, and closed by `?*`, for DVC's sake: to its dulwich a
    `models/*` closes `models/` itself, whatever re-opens that by name (seen with dulwich 1.2.21).
    """
    base = posixpath.dirname(ignore_at)
    below = posixpath.relpath(pointer, base or ".").split("/")
    depth = len(posixpath.relpath(ignored_from, base or ".").split("/"))
    lines = []
    for level in range(depth, len(below)):
        folder = "/".join(escaped(part) for part in below[:level])
        lines += [f"!/{folder}/", f"!/{folder}/*", f"/{folder}/?*"]
    lines.append("!/" + "/".join(escaped(part) for part in below))
    return lines


def escaped(name: str) -> str:
    """A file name as a gitignore pattern that fits only itself."""
    return _SPECIAL.sub(lambda m: "".join(f"\\{character}" for character in m[0]), name)
