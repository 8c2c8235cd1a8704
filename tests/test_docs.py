"""What the documentation says of the command line and the configuration is what they do."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from anchored.cli.main import parser
from anchored.config import Tracker, parse_config
from anchored.decisions.starter import Found, starter_config
from anchored.errors import ConfigError

PROJECT = Path(__file__).parents[1]
README = (PROJECT / "README.md").read_text(encoding="utf-8")
PAGES = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *(PROJECT / "docs").rglob("*.md")]


def test_the_configuration_in_the_readme_is_valid() -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    config = parse_config(block, "anchored.toml", default_experiment="x")
    assert config.train.params == {"lr": 0.01}


def test_the_readme_names_every_command_and_no_other() -> None:
    told = set(re.findall(r"`anchored ([a-z]+)", README))
    (commands,) = (a.choices for a in parser()._actions if a.dest == "command")
    assert told == set(commands or ())


def test_the_trackers_in_the_documents_are_valid() -> None:
    text = (PROJECT / "docs/trackers.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    kinds = [Tracker.model_validate(tomllib.loads(b)["tracker"]).kind for b in blocks]
    assert kinds == ["mlflow", "wandb"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_what_init_writes_is_valid_once_it_is_filled_in() -> None:
    found = Found(outputs=("data/a.csv", "models/m.joblib"), tracked=("train.py",))
    starter = starter_config(found, 'a "name"')
    assert starter.to_fill_in == ()
    config = parse_config(starter.text, "anchored.toml", default_experiment="x")
    assert config.experiment == 'a "name"'
    assert (config.data.inputs, config.train.model) == (("data/a.csv",), "models/m.joblib")


def test_what_init_cannot_know_is_refused_at_its_line() -> None:
    starter = starter_config(Found(), "x")
    assert starter.to_fill_in == ("data.inputs", "train.command", "train.model")
    with pytest.raises(ConfigError) as caught:
        parse_config(starter.text, "anchored.toml", default_experiment="x")
    line = starter.text.splitlines()[(caught.value.line or 0) - 1]
    assert "FILL IN" in line
