"""Fixtures of several contract suites."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.services.wandb_standin import WandbStandin

if TYPE_CHECKING:
    from tests.contract.wandb_client import Client


@pytest.fixture
def standin(wandb_standin: WandbStandin) -> Iterator[WandbStandin]:
    """The stand-in, which must have been asked nothing that it does not know."""
    wandb_standin.unknown.clear()
    yield wandb_standin
    assert wandb_standin.unknown == []


@pytest.fixture
def client(standin: WandbStandin, tmp_path: Path) -> Iterator[Client]:
    """The real W&B client, on a project of its own."""
    import wandb

    from tests.contract.wandb_client import Client

    yield Client(standin, tmp_path, uuid.uuid4().hex, standin.url)
    wandb.teardown()
