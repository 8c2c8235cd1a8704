"""What a run was made of, where its tags and its commit say different things."""

from __future__ import annotations

import pytest

from anchored.decisions.lineage import UNSETTLED, lineage_of
from anchored.errors import BadInput
from anchored.records import Pointer, RunRecord

A, B, C = (letter * 32 for letter in "abc")
DATA, MODEL = Pointer("data/x.csv", A, 10), Pointer("models/m.bin", B, 20)
MORE = Pointer("data/y.csv", C, 30)


def run(data: tuple[Pointer, ...] = (), model: tuple[Pointer, ...] = ()) -> RunRecord:
    return RunRecord(run_id="1", name="n", experiment="e", data=data, model=model)


def nameless(md5: str) -> tuple[Pointer, ...]:
    return (Pointer("", md5),)


def test_what_tags_and_commit_agree_on_is_taken() -> None:
    found = lineage_of(run((DATA,), (MODEL,)), [DATA, MODEL], inputs=[DATA.path], model=MODEL.path)
    assert (found.data, found.model, found.differences) == ((DATA,), (MODEL,), ())


def test_hashes_without_a_path_find_their_pointers() -> None:
    found = lineage_of(run(nameless(A), nameless(B)), [MORE, MODEL, DATA])
    assert found.data == (DATA, MORE), "the tagged one first, the other input from the commit"
    assert found.model == (MODEL,)


def test_a_commit_that_lacks_the_model_leaves_it_to_the_tag() -> None:
    found = lineage_of(run(nameless(A), nameless(B)), [DATA], inputs=[DATA.path], model=MODEL.path)
    assert found.model == (Pointer(MODEL.path, B, hash_name=UNSETTLED),)
    assert found.differences == ()


def test_a_tag_wins_over_the_pointer_and_the_difference_is_told() -> None:
    found = lineage_of(run(nameless(C), nameless(B)), [DATA, MODEL], inputs=[DATA.path])
    assert found.data == (Pointer(DATA.path, C, hash_name=UNSETTLED),)
    (said,) = found.differences
    assert DATA.path in said
    assert A in said
    assert C in said


def test_hashes_are_of_the_kind_that_their_neighbours_are() -> None:
    old = Pointer(DATA.path, A, 10, hash_name="md5-dos2unix")
    found = lineage_of(run(nameless(C)), [old], inputs=[DATA.path])
    assert found.data[0].hash_name == "md5-dos2unix"


def test_without_a_commit_the_configured_paths_are_taken() -> None:
    found = lineage_of(run(nameless(A), nameless(B)), [], inputs=[DATA.path], model=MODEL.path)
    assert [p.path for p in (*found.data, *found.model)] == [DATA.path, MODEL.path]
    bare = lineage_of(run(nameless(A), nameless(B)), [])
    assert [p.path for p in (*bare.data, *bare.model)] == ["data", "model"]


def test_a_commit_without_a_configuration_lets_todays_tell_which_input_is_meant() -> None:
    at_commit = [MORE, MODEL, DATA]
    found = lineage_of(run(nameless("d" * 32)), at_commit, likely=["gone.csv", DATA.path])
    assert [p.path for p in found.data] == [DATA.path, MORE.path]
    # What is the only data there is meant, whatever today's calls it.
    found = lineage_of(run(nameless("d" * 32)), [DATA, MODEL], likely=["renamed.csv"])
    assert [p.path for p in found.data] == [DATA.path]


@pytest.mark.parametrize(
    "tagged",
    [
        Pointer("../x", A), Pointer("/etc/passwd", A), Pointer("a/../../x", A), Pointer("a//b", A),
        Pointer(".git/config", A), Pointer("x", "../../etc/passwd"), Pointer("x", A[:-1]),
        Pointer("x", f"{A}.dirt"), Pointer("x", ""), Pointer("x\ny", A),
    ],
)  # fmt: skip
def test_tags_that_lead_out_of_repo_or_cache_are_refused(tagged: Pointer) -> None:
    for made in (run((tagged,)), run((), (tagged,))):
        with pytest.raises(BadInput):
            lineage_of(made, [])


def test_pointers_whose_hash_is_none_are_passed_over() -> None:
    found = lineage_of(run(nameless(A)), [Pointer("etag.csv", "0123-4"), DATA])
    assert found.data == (DATA,)
