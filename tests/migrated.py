"""Databases that are migrated already, for tests that are not about a first start."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.services.fixtures import prefect_template


def put_prefect_database(home: Path, config: pytest.Config) -> None:
    """Where a Prefect server of this home will look for its database, once there is one to copy.

    Its migrations take half of the time of a first start.
    """
    template = prefect_template(config)
    if template is not None and template.exists():
        home.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(template, home / "prefect.db")
