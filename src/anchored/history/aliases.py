"""Which run a registry's alias names."""

from __future__ import annotations

from anchored.errors import UnknownRun
from anchored.ports import ModelRegistry


def run_of_alias(registry: ModelRegistry, model: str, alias: str) -> str:
    """The id of the run whose model an alias names. Raises `UnknownRun`."""
    version = registry.version_of_alias(model, alias)
    if version is None:
        raise UnknownRun(f"the registered model {model!r} has no alias {alias!r}")
    if not version.run_id:
        raise UnknownRun(
            f"@{alias} is version {version.version} of the registered model {model!r}, "
            "which names no run"
        )
    return version.run_id
