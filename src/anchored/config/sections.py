"""`anchored.toml`: what a training repo says of its data, its training and its tracker."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    model_validator,
)

from anchored.config.params import as_type_of
from anchored.decisions.command import (
    checked_value,
    filled_command,
    names_in_quotes,
    placeholders,
)
from anchored.decisions.margin import Margin, parse_margin
from anchored.decisions.naming import checked_model_name
from anchored.decisions.paths import normalized, overlapping
from anchored.decisions.redaction import redact
from anchored.errors import BadParam, ConfigError
from anchored.records import ParamValue
from anchored.tracker_names import DEFAULT, TrackerName

FILE = "anchored.toml"
RepoPath = Annotated[str, AfterValidator(normalized)]
Scalar = Annotated[ParamValue, PlainValidator(checked_value)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def _check_command(key: str, command: str, params: Mapping[str, ParamValue]) -> None:
    """Raises `ValueError`, naming the key, for a command that cannot be filled in safely."""
    try:
        _check_template(command, params)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from error


def _check_template(command: str, params: Mapping[str, ParamValue]) -> None:
    if not command.strip():
        raise ValueError("must not be empty")
    for part in placeholders(command):
        if part.name is not None and part.name not in params:
            raise ValueError(f"{{{part.name}}} is not among [train.params]")
    for name in names_in_quotes(command):
        raise ValueError(
            f"{{{name}}} is inside quotes; leave them out, "
            "values are quoted when they are filled in"
        )
    filled_command(command, params)


class Data(_Section):
    """`[data]`: the inputs, versioned by DVC; the first is "the" data."""

    inputs: tuple[RepoPath, ...] = Field(min_length=1, strict=False)
    refresh: str | None = None


class Train(_Section):
    """`[train]`: the command, run from the repo's root, and what it leaves."""

    command: str = Field(min_length=1)
    model: RepoPath
    metrics: RepoPath | None = None
    artifacts: tuple[RepoPath, ...] = Field(default=(), strict=False)
    timeout: Annotated[float, Field(gt=0)] | None = None
    environment: Literal["inherit", "uv"] = "inherit"
    pass_env: tuple[str, ...] = Field(default=(), strict=False)
    params: Mapping[str, Scalar] = Field(default_factory=dict)

    @property
    def kind(self) -> Literal["command"]:
        """What trains: see `anchored.run.trainers`."""
        return "command"

    @model_validator(mode="after")
    def _every_placeholder_is_a_param(self) -> Train:
        _check_command("command", self.command, self.params)
        return self


class Tracker(_Section):
    """`[tracker]`: where runs are recorded.

    `uri` is MLflow's. The others are W&B's: `base_url` is a server of one's own. Without a `mode`,
    runs go to the server if there is an API key for it, and are written offline if not.

    With `join = false` a script's own `start_run()` or `init()` is left alone and makes a run of
    its own.
    """

    kind: TrackerName = DEFAULT
    uri: str = "sqlite:///mlflow.db"
    join: bool = True
    entity: str | None = None
    mode: Literal["online", "offline"] | None = None
    base_url: Annotated[str, Field(pattern="^https?://")] | None = None

    def as_toml(self) -> str:
        """The kind and what else was said, as in the file, without credentials."""
        said = {"kind": self.kind} | self.model_dump(exclude_unset=True, exclude_none=True)
        return redact(", ".join(f"{key} = {json.dumps(value)}" for key, value in said.items()))


def _margin(value: Any) -> Margin:
    plain = not isinstance(value, bool) and isinstance(value, int | float | str)
    margin = parse_margin(str(value)) if plain else None
    if margin is None or math.isinf(margin.amount):
        raise ValueError('must be a number from 0 up, or a percentage such as "1%"')
    return margin


class Retrain(_Section):
    """`[retrain]`: the gate that a retrained model passes, and where it is registered.

    A model passes if it is better than the champion by more than nothing, and by
    `minimum_improvement` at least: in the metric's unit, or as `"1%"` of the champion's value. With
    `evaluate`, a command that writes `train.metrics` of the model at `train.model`, both models are
    evaluated on the new run's data; without it, each is taken by what its own run recorded.
    """

    metric: str = Field(min_length=1)
    goal: Literal["min", "max"] = "min"
    minimum_improvement: Annotated[Margin, PlainValidator(_margin)] = Margin(0.0)
    evaluate: str | None = None
    registered_model: Annotated[str, AfterValidator(checked_model_name)] | None = None
    alias: Literal["champion", "challenger"] = "champion"


class Config(_Section):
    """All of `anchored.toml`."""

    experiment: str = Field(default="", max_length=200)
    data: Data
    train: Train
    tracker: Tracker = Tracker()
    retrain: Retrain | None = None

    @model_validator(mode="after")
    def _nothing_overlaps(self) -> Config:
        if pair := overlapping(self.data.inputs):
            raise ValueError(f"data.inputs: {pair[0]!r} and {pair[1]!r} overlap")
        for path in self.data.inputs:
            if overlapping((path, self.train.model)):
                raise ValueError(f"train.model: {self.train.model!r} overlaps the input {path!r}")
        return self

    @model_validator(mode="after")
    def _models_can_be_evaluated(self) -> Config:
        if self.retrain is None or self.retrain.evaluate is None:
            return self
        _check_command("retrain.evaluate", self.retrain.evaluate, self.train.params)
        if self.train.metrics is None:
            raise ValueError("retrain.evaluate: needs train.metrics, the file that it writes")
        return self

    @property
    def gate(self) -> Retrain | None:
        """The gate, if it has a registered model."""
        return self.retrain if self.retrain and self.retrain.registered_model else None

    def check_placeholders(self) -> None:
        """Raises `ConfigError` for a placeholder with a format: of new runs, it is a plain name."""
        commands = {"train.command": self.train.command}
        if self.retrain is not None and self.retrain.evaluate is not None:
            commands["retrain.evaluate"] = self.retrain.evaluate
        for key, command in commands.items():
            for part in placeholders(command):
                if not part.is_plain:
                    raise ConfigError(
                        f"{{{part.name}}} is a plain name, without a format",
                        file=FILE,
                        key=key,
                        hint=f"write {{{part.name}}}, and give [train.params] the value as it "
                        "shall be passed",
                    )

    def params_with(self, overrides: Mapping[str, ParamValue]) -> dict[str, ParamValue]:
        """`[train.params]` with `-p` on top, each in the type that the file gives it.

        Raises `BadParam` for a name that the file does not have and for a value of another type.
        """
        params: dict[str, ParamValue] = dict(self.train.params)
        for name, value in overrides.items():
            if name not in params:
                known = ", ".join(sorted(params)) or "none"
                raise BadParam(
                    f"unknown parameter {name!r}: the training command knows {known}",
                    hint=f"add it to [train.params] in {FILE}",
                )
            params[name] = as_type_of(params[name], value, name)
        return params
