"""A repo that registers its models, and the versions that MLflow has of them."""

from __future__ import annotations

from typing import Any

from mlflow import MlflowClient

from tests.repos import Repo

MODEL = "sums's model"


def registering_models(repo: Repo) -> Repo:
    """The repo, with a configuration that names a registered model."""
    text = (repo.root / "anchored.toml").read_text()
    repo.write(
        "anchored.toml",
        f'{text}\n[retrain]\nmetric = "total"\nregistered_model = "{MODEL}"\n',
    )
    repo.commit("Name the registered model")
    return repo


def client_of(repo: Repo) -> MlflowClient:
    return MlflowClient(repo.open().tracker.uri)


def versions(repo: Repo) -> list[Any]:
    """All versions of the registered model, the first first."""
    found = client_of(repo).search_model_versions()
    return sorted((v for v in found if v.name == MODEL), key=lambda v: int(v.version))
