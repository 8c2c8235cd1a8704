"""Keys of tags, params and metrics in the characters that MLflow takes, and back."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass

LONGEST_KEY, LONGEST_TAG = 250, 8_000

_UNSAFE = re.compile(r"[^/\w.\- ]")
_PATH = re.compile(r"[/.]")


@dataclass(frozen=True, slots=True)
class Keys:
    """How keys are written. `flat` is for file stores: a key is a file there, and `a/b` can be none
    beside `a`.
    """

    flat: bool = False

    def safe(self, key: str) -> str:
        """A key as MLflow takes it; `:28` stands for `(`, as `%28` does in a URL.

        MLflow refuses keys that are no plain path (`a//b`, `../a`): their `/` and `.` are so
        written.
        """
        safe = _UNSAFE.sub(_coded, key)
        plain = safe == posixpath.normpath(safe) and not safe.startswith(("/", ".."))
        if not plain or safe == ".":
            return _PATH.sub(_coded, safe)
        return safe.replace("/", ":2f") if self.flat else safe

    def original(self, key: str) -> str:
        """The inverse of `safe`; a key that a script has logged with `:` in it stays as it is."""
        try:
            original = re.sub(
                r"(?::[0-9a-f]{2})+",
                lambda m: bytes.fromhex(m[0].replace(":", "")).decode(),
                key,
            )
        except UnicodeDecodeError:
            return key
        return original if original.isprintable() and self.safe(original) == key else key

    def safe_tags(self, tags: Mapping[str, str]) -> dict[str, str]:
        """Tags that MLflow takes: what is too long for it is in `anchored/run.json` only.

        A value too long leaves its tag empty, for what the tag said before no longer holds.
        """
        safe = {self.safe(key): value for key, value in tags.items()}
        return {
            key: value if len(value) <= LONGEST_TAG else ""
            for key, value in safe.items()
            if len(key) <= LONGEST_KEY
        }


def _coded(match: re.Match[str]) -> str:
    return "".join(f":{byte:02x}" for byte in match[0].encode())
