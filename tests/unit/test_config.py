"""Whatever is wrong with the configuration, the error names the file, the key and the line."""

from __future__ import annotations

import posixpath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchored.config import Config, has_table, parse_config
from anchored.decisions.command import placeholders
from anchored.decisions.paths import normalized, overlapping
from anchored.errors import BadParam, ConfigError

GOOD = """\
experiment = "sums"
[data]
inputs = [
  "data/a.csv",
  "data/b",
]

[train]
command = "python train.py --lags {lags} {flag} {{x}}"
model = "model.bin"
[train.params]
lags = 6
rate = 0.5
flag = true
name = "x"
"""
COMMAND = '"python train.py --lags {lags} {flag} {{x}}"'


def parsed(text: str, file: str = "anchored.toml") -> Config:
    return parse_config(text, file, default_experiment="folder")


def edited(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


def test_what_is_not_said_has_its_default() -> None:
    config = parsed(edited('experiment = "sums"\n', ""))
    assert config.experiment == "folder"
    assert config.tracker.uri == "sqlite:///mlflow.db"
    assert config.data.inputs == ("data/a.csv", "data/b")
    assert config.train.environment == "inherit"


def test_a_table_of_pyproject_is_the_same_configuration() -> None:
    text = GOOD.replace("[", "[tool.anchored.").replace("inputs = [tool.anchored.", "inputs = [")
    text = "[tool.anchored]\n" + text
    assert has_table(text.encode())
    assert parsed(text, "pyproject.toml") == parsed(GOOD)
    with pytest.raises(
        ConfigError, match=r"pyproject.toml:10: tool.anchored.train.comand: unknown"
    ):
        parsed(text.replace("command =", "comand ="), "pyproject.toml")
    assert not has_table(b"[tool.other]\n")
    assert not has_table(b"not toml")
    assert not has_table(b"tool = 3")


@pytest.mark.parametrize(
    ("text", "line", "key", "words"),
    [
        ("experiment = ", 1, None, "not valid TOML"),
        (edited("lags = 6", "lags = 6\nlags = 7"), 13, None, "not valid TOML"),
        (edited('"sums"', '"sums"\nexperimnt = "x"'), 2, "experimnt", "unknown key"),
        (GOOD + "[trian]\nx = 1\n", 16, "trian", "unknown key"),
        (edited("model =", "modle ="), 10, "train.modle", "unknown key"),
        (edited('model = "model.bin"\n', ""), 8, "train.model", "required"),
        ("[data]\ninputs = ['a']\n", None, "train", "required"),
        (edited('"sums"', "3"), 1, "experiment", "string"),
        (edited('"sums"', f'"{"x" * 201}"'), 1, "experiment", "200"),
        (edited('  "data/b",', "  7,"), 3, "data.inputs", "string"),
        (edited('  "data/b",', '  "../b",'), 3, "data.inputs", "outside the repository"),
        (edited('  "data/b",', '  "/b",'), 3, "data.inputs", "outside the repository"),
        (edited('  "data/b",', '  "data/a.csv/c",'), 3, "data.inputs", "overlap"),
        (edited('"data/a.csv",\n  "data/b",', ""), 3, "data.inputs", "at least 1"),
        (edited('"model.bin"', '"data/b/m"'), 10, "train.model", "overlaps the input 'data/b'"),
        (edited('"model.bin"', '".git/m"'), 10, "train.model", "belongs to git"),
        (edited('"model.bin"', '""'), 10, "train.model", "must not be empty"),
        (edited("{lags}", "{lagz}"), 9, "train.command", "{lagz} is not among [train.params]"),
        (edited("{lags}", "{}"), 9, "train.command", "write a literal brace twice"),
        (edited("{lags}", "{0.x}"), 9, "train.command", "write a literal brace twice"),
        (edited("{{x}}", "{x"), 9, "train.command", "write a literal brace twice"),
        (edited("{lags}", "{name:.3f}"), 9, "train.command", "{name:.3f}"),
        (edited("{lags}", "{lags:{rate}}"), 9, "train.command", "{lags:{rate}}"),
        (edited("{lags}", "'{lags}'"), 9, "train.command", "inside quotes"),
        (edited("{lags}", '\\"a {lags}\\"'), 9, "train.command", "inside quotes"),
        (edited("{lags}", "\\\\{lags}"), 9, "train.command", "inside quotes"),
        (edited("rate = 0.5", "rate = [1]"), 13, "train.params.rate", "a string, a finite number"),
        (edited("rate = 0.5", "rate = nan"), 13, "train.params.rate", "a string, a finite number"),
        (
            edited("rate = 0.5", "rate = 2020-01-01"),
            13,
            "train.params.rate",
            "a string, a finite number",
        ),
        (
            edited("rate = 0.5", "float = [1]"),
            13,
            "train.params.float",
            "a string, a finite number",
        ),
        (edited('name = "x"', 'name = "a\\u0000b"'), 15, "train.params.name", "NUL"),
        (edited("[train]", "[train]\ntimeout = 0"), 9, "train.timeout", "greater than 0"),
        (edited("[train]", '[train]\ntimeout = "1h"'), 9, "train.timeout", "number"),
        (edited('[\n  "data/a.csv",\n  "data/b",\n]', '"data/a.csv"'), 3, "data.inputs", "tuple"),
        (edited('  "data/b",', '  "./data/",'), 3, "data.inputs", "overlap"),
        (edited('"model.bin"', '"data"'), 10, "train.model", "overlaps the input"),
        (edited(COMMAND, '" "'), 9, "train.command", "empty"),
        (edited("[train]", '[train]\nenvironment = "conda"'), 9, "train.environment", "inherit"),
        (GOOD + '[tracker]\nkind = "x"\n', 17, "tracker.kind", "mlflow"),
        (GOOD + '[retrain]\ngoal = "min"\n', 16, "retrain.metric", "required"),
        ("train = 3\n" + GOOD.split("[train]", maxsplit=1)[0], 1, "train", "must be a table"),
        ('train = {comand = "x"}\n', 1, "train.comand", "unknown key"),
    ],
)
def test_an_error_names_key_and_line(
    text: str, line: int | None, key: str | None, words: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        parsed(text)
    error = raised.value
    assert words in error.message, error.message
    assert (error.line, error.key) == (line, key), error.message
    assert error.message.startswith(f"anchored.toml:{line}: " if line else "anchored.toml: ")
    assert error.exit_code == 2


def test_text_that_looks_like_a_table_is_not_taken_for_one() -> None:
    text = 'experiment = """\n[train]\nmodle = 1\n"""\n' + GOOD.split("\n", 1)[1]
    with pytest.raises(ConfigError) as raised:
        parsed(text.replace('model = "model.bin"', 'modle = "model.bin"'))
    assert raised.value.line == 13


def test_a_byte_order_mark_is_no_error() -> None:
    assert parse_config(b"\xef\xbb\xbf" + GOOD.encode(), "anchored.toml", default_experiment="x")


@pytest.mark.parametrize(("stated", "kind", "experiment"), [
    ("", "wandb", "theirs"), ("", "mlflow", "folder"), ('experiment = "ours"', "wandb", "ours"),
])  # fmt: skip
def test_a_project_that_is_left_open_is_the_one_of_the_environment(
    stated: str, kind: str, experiment: str
) -> None:
    text = f'{stated}\ndata.inputs = ["a"]\ntrain = {{command = "x", model = "m"}}\ntracker.kind = "{kind}"'
    variables = {"WANDB_PROJECT": "theirs"}
    config = parse_config(text, "anchored.toml", default_experiment="folder", variables=variables)
    assert config.experiment == experiment


@pytest.mark.parametrize(
    ("name", "given_value", "value"),
    [
        ("lags", "12", 12), ("lags", 12, 12), ("lags", "1_000", 1000),
        ("rate", "3", 3.0), ("rate", "1e-3", 0.001), ("rate", 2, 2.0),
        ("flag", "false", False), ("flag", True, True),
        ("name", "12", "12"), ("name", "true", "true"), ("name", "a=b $(x) 'y'", "a=b $(x) 'y'"),
    ],
)  # fmt: skip
def test_a_parameter_gets_the_type_of_the_file(name: str, given_value: Any, value: Any) -> None:
    got = parsed(GOOD).params_with({name: given_value})
    assert (got[name], type(got[name])) == (value, type(value))
    assert list(got) == ["lags", "rate", "flag", "name"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lagz", "1"), ("lags", "1.5"), ("lags", "x"), ("lags", "true"), ("lags", ""),
        ("rate", "nan"), ("rate", "inf"), ("rate", float("nan")), ("rate", "{}"), ("flag", "1"),
        ("flag", 1), ("lags", "1\nx = 2"), ("name", "a\0b"), ("name", "a\udcff"),
        ("name", [1]), ("name", None),
    ],
)  # fmt: skip
def test_a_parameter_that_does_not_fit_is_refused(name: str, value: Any) -> None:
    with pytest.raises(BadParam, match=name):
        parsed(GOOD).params_with({name: value})


def test_literal_braces_are_no_placeholders() -> None:
    found = list(placeholders("awk '{{print}}' {a} {b:.2f} {c!r}"))
    assert [part.name for part in found] == [None, None, "a", "b", "c"]


@pytest.mark.parametrize("spec", [":.3f", ":05d", ":g", ":.2e", "!r", ":>8"])
def test_a_format_is_read_of_commits_of_the_past_and_refused_for_new_runs(spec: str) -> None:
    config = parsed(edited("{lags}", f"{{lags{spec}}}"))
    with pytest.raises(ConfigError, match=r"train\.command: \{lags\} is a plain name") as raised:
        config.check_placeholders()
    assert "write {lags}" in (raised.value.hint or "")
    parsed(GOOD).check_placeholders()


@pytest.mark.parametrize("field", [
    "{lags:>2000000000}", "{lags:{rate}}", "{lags:.999f}", "{lags.real}", "{lags[0]}", "{lags!s}",
    "{lags!r:9999}", "{lags:\\u00e9^9}",
])  # fmt: skip
def test_a_placeholder_that_is_more_than_a_name_is_refused_of_any_commit(field: str) -> None:
    with pytest.raises(ConfigError, match=r"train\.command"):
        parsed(edited("{lags}", field))


@pytest.mark.parametrize("name", ["", " ", "a/b", "a:b", ".", "..", "../x"])
def test_a_registered_model_that_no_registry_takes_is_refused(name: str) -> None:
    text = f'{GOOD}\n[retrain]\nmetric = "rmse"\nregistered_model = "{name}"\n'
    with pytest.raises(ConfigError, match=r"retrain\.registered_model: must be a plain name"):
        parsed(text)


@given(st.text(st.sampled_from("ab./~ é-"), min_size=1, max_size=12))
def test_a_normalized_path_stays_inside_and_is_normal(path: str) -> None:
    try:
        clean = normalized(path)
    except ValueError:
        return
    assert posixpath.normpath(clean) == clean
    assert not clean.startswith("/")
    assert ".." not in clean.split("/")


@pytest.mark.parametrize("path", [
    "", " ", ".", "./", "..", "../x", "a/../..", "/x", "//x", "~/x", ".git/x", "./.dvc", "a\nb",
    "a\0b", "a\x7fb",
])  # fmt: skip
def test_paths_that_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"must|outside|belongs"):
        normalized(path)


def test_paths_overlap_where_one_lies_in_the_other() -> None:
    assert overlapping(["a", "b", "b/c"]) == ("b", "b/c")
    assert overlapping(["data.csv", "data", "data-2/x"]) is None
    assert overlapping(["a", "a"]) == ("a", "a")
