"""What the training interpreter was: the document `anchored/environment.json`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Self

from anchored.records.decoding import checked, checked_mapping

ENVIRONMENT_DOCUMENT = "anchored/environment.json"


@dataclass(frozen=True, slots=True)
class Environment:
    """What the training interpreter was: the document `anchored/environment.json`."""

    python: str = ""
    implementation: str = ""
    platform: str = ""
    machine: str = ""
    cpu: str = ""
    cpus: int = 0
    packages: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    kind: str = "inherit"

    def render(self) -> bytes:
        """The document's bytes: sorted, so that equal environments have equal hashes."""
        text = json.dumps(asdict(self), indent=2, sort_keys=True, ensure_ascii=False)
        return text.encode() + b"\n"

    def with_(self, **changes: Any) -> Self:
        """This environment with some of its facts replaced."""
        return replace(self, **changes)

    @property
    def md5(self) -> str:
        return hashlib.md5(self.render(), usedforsecurity=False).hexdigest()

    @classmethod
    def parse(cls, document: bytes | str) -> Self:
        """Of a document of our own; what others may have written is decoded elsewhere."""
        return cls.from_json(json.loads(document))

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Raises `ValueError` for a value that is no environment's."""
        facts = checked(value, Mapping)
        items = {f.name: facts[f.name] for f in fields(cls) if f.name in facts}
        for key, item in items.items():
            if key in {"packages", "variables"}:
                checked_mapping(item, str)
            else:
                checked(item, int if key == "cpus" else str)
        return cls(**items)

    def to_json(self) -> dict[str, Any]:
        return {
            "md5": self.md5,
            "python": self.python,
            "platform": self.platform,
            "packages": dict(sorted(self.packages.items())),
        }
