"""Pickled estimators are told from all else by their bytes, and nothing is unpickled for it."""

from __future__ import annotations

import lzma
import os
import pickle
import resource
import struct
import zlib
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestRegressor
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from anchored.adapters.mlflow.pickled_estimators import Pickled, estimator_in

X = np.arange(40.0).reshape(20, 2)
FOREST = RandomForestRegressor(n_estimators=2, random_state=0).fit(X, X[:, 0])
PIPELINE = make_pipeline(StandardScaler(), FOREST).fit(X, X[:, 0])


class Own(RandomForestRegressor):
    """An estimator of a class that no serving environment has."""


class Harm:
    def __reduce__(self) -> Any:
        return os.system, ("touch harmed",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickled_estimator_is_known_in_every_protocol(tmp_path: Path, protocol: int) -> None:
    file = tmp_path / "m.pkl"
    for model in (FOREST, PIPELINE):
        file.write_bytes(pickle.dumps(model, protocol=protocol))
        assert estimator_in(file) == Pickled.PICKLE


@pytest.mark.parametrize("name", ["m.joblib", "m.pkl", "m.v2.PICKLE"])
def test_joblib_is_told_by_its_arrays_whatever_the_files_name(tmp_path: Path, name: str) -> None:
    joblib.dump(PIPELINE, tmp_path / name)
    assert estimator_in(tmp_path / name) == Pickled.JOBLIB


@pytest.mark.parametrize("compressor", ["zlib", "gzip", "bz2", "lzma", "xz"])
@pytest.mark.parametrize("name", ["m.joblib", "m.pkl.z"])
def test_joblibs_compressions_are_looked_into(tmp_path: Path, compressor: str, name: str) -> None:
    joblib.dump(PIPELINE, tmp_path / name, compress=(compressor, 9))
    assert estimator_in(tmp_path / name) == Pickled.JOBLIB
    content = (tmp_path / name).read_bytes()
    for cut in (7, len(content) // 2, len(content) - 1):
        (tmp_path / name).write_bytes(content[:cut])
        assert estimator_in(tmp_path / name) is None, cut
    joblib.dump((PIPELINE, FOREST), tmp_path / name, compress=(compressor, 1))
    assert estimator_in(tmp_path / name) is None


@pytest.mark.parametrize("value", [
    {"model": FOREST}, [FOREST], (FOREST, FOREST), (FOREST, StandardScaler(), 1), Own(), Harm(),
    RandomForestRegressor, r2_score, X, "sklearn.ensemble", None,
], ids=lambda value: type(value).__name__)  # fmt: skip
def test_what_is_no_estimator_is_none(tmp_path: Path, value: object) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        (tmp_path / "m.pkl").write_bytes(pickle.dumps(value, protocol=protocol))
        assert estimator_in(tmp_path / "m.pkl") is None
    joblib.dump(value, tmp_path / "m.joblib", compress=3)
    assert estimator_in(tmp_path / "m.joblib") is None


def test_a_file_of_another_name_is_not_looked_into(tmp_path: Path) -> None:
    for name in ("model.bin", "pkl", "m.pkl.old.bak"):
        (tmp_path / name).write_bytes(pickle.dumps(FOREST))
        assert estimator_in(tmp_path / name) is None


def test_looking_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    whole = pickle.dumps(FOREST, protocol=4)
    # The harm is done before the estimator's state is built, as by whoever hides it.
    hidden = whole[:-2] + pickle.dumps(Harm(), protocol=4)[2:-1] + b"0b."
    (tmp_path / "m.pkl").write_bytes(hidden)
    assert estimator_in(tmp_path / "m.pkl") == Pickled.PICKLE
    assert not (tmp_path / "harmed").exists()


CLAIMS = {
    "empty": b"",
    "one byte": b"\x80",
    "text": b"no pickle at all\n" * 1_000,
    "a string of 2**62 bytes": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 62) + b"x",
    "a frame of 2**62 bytes": b"\x80\x04\x95" + struct.pack("<Q", 1 << 62) + b"x",
    "no strings": b"\x80\x04\x93.",
    "one string": b"\x80\x04\x8c\x07sklearn\x93b.",
    "a name without end": b"csklearn" + b"x" * 100_000,
    "bytes that are no text": b"c\xff\xfe\n\xff\nb.",
    "no deflate stream": b"\x78\x9c" + b"\0" * 100,
    "no gzip stream": b"\x1f\x8b" + b"\0" * 100,
    "no bzip2 stream": b"BZh9" + b"\0" * 100,
    "no xz stream": b"\xfd7zXZ\0" + b"\0" * 100,
    "a dictionary of 4 GiB": b"\x5d\0\0\0\0\xff" + b"\xff" * 8 + b"\0" * 100,
}


@pytest.mark.parametrize("content", CLAIMS.values(), ids=CLAIMS.keys())
def test_hostile_files_are_none(tmp_path: Path, content: bytes) -> None:
    for name in ("m.pkl", "m.joblib"):
        (tmp_path / name).write_bytes(content)
        assert estimator_in(tmp_path / name) is None


def test_bombs_take_no_memory(tmp_path: Path) -> None:
    zeros = b"\0" * (1 << 20)
    opening = pickle.dumps(FOREST, protocol=4)[:4_096]
    for compressor in (zlib.compressobj(1), lzma.LZMACompressor(preset=0)):
        parts = [compressor.compress(opening), *(compressor.compress(zeros) for _ in range(120))]
        (tmp_path / "m.joblib").write_bytes(b"".join([*parts, compressor.flush()]))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert estimator_in(tmp_path / "m.joblib") is None
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000


@settings(max_examples=100)
@given(
    content=st.binary(max_size=300), magic=st.sampled_from([b"", b"\x78\x9c", b"\x80\x04", b"c"])
)
def test_no_bytes_make_it_fail(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, magic: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.pkl"
    file.write_bytes(magic + content)
    assert estimator_in(file) in {None, *Pickled}
