"""Records survive what may happen to the process that writes them."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.store import Index, StorageError, Writer, decode_record, encode_record, read, read_json, write_json
from harness.types import Failure, OptionLogprob, Record, Response


def record(n: int, outcome: Response | Failure | None = None) -> Record:
    return Record(f"{n:032x}", "s/t", f"q{n}", outcome or Response(f"答案：{'ABCDE'[n % 5]}"))


def write(path: Path, *records: Record) -> None:
    with Writer(path) as writer:
        for one in records:
            writer.append(encode_record(one))


texts = st.text(st.characters(codec="utf-8"), max_size=40)


@given(
    st.builds(
        Response,
        text=texts,
        reasoning=st.none() | texts,
        stop=st.sampled_from(["stop", "length", "filter", "refusal"]),
        tokens_in=st.integers(0, 10**6),
        seconds=st.floats(0, 1e4),
        model_version=st.none() | texts,
        not_accepted=st.lists(texts, max_size=3).map(tuple),
        logprobs=st.none()
        | st.lists(st.builds(OptionLogprob, st.none() | st.floats(-50, 0), st.integers(1, 9)), max_size=5).map(tuple),
    )
    | st.builds(Failure, st.sampled_from(["timeout", "server"]), texts, st.integers(1, 9)),
    texts,
)
def test_a_record_comes_back_as_it_was_written(outcome: Response | Failure, sample: str) -> None:
    import orjson

    one = Record("ab" * 16, "s/t", sample, outcome, 2, 3, 1, "judge:x", "earlier-run")
    assert decode_record(orjson.loads(encode_record(one))) == one


def test_a_lone_surrogate_does_not_stop_a_run() -> None:
    assert b"\n" in encode_record(record(1, Response("bad \ud800 text")))


@pytest.mark.parametrize("cut", [1, 2, 40, 10_000])
def test_a_torn_last_line_is_cut_off_and_the_rest_stays(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "records.jsonl"
    write(path, *(record(n) for n in range(100)))
    whole = path.read_bytes()
    path.write_bytes(whole[: max(0, len(whole) - cut)])
    kept = len(list(read(path)))
    write(path, record(100))
    samples = [r.sample for r in read(path)]
    assert samples == [f"q{n}" for n in range(kept)] + ["q100"]


def test_a_damaged_line_in_the_middle_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    write(path, record(0), record(1))
    path.write_bytes(path.read_bytes().replace(b'{"schema"', b'{"schem', 1))
    with pytest.raises(UsageError, match=r"records.jsonl:1: this line is damaged"):
        list(read(path))


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ('"response":{', '"response":{"txet":"a",'),
        ('"response":{"text":"答案：B"}', '"response":"答案：B"'),
        ('"response":{"text":"答案：B"}', '"response":{"tokens_in":3}'),
        ('"response":{"text":"答案：B"}', '"failure":{"kind":"timeout"}'),
        ('"sample":"q1"', '"smple":"q1"'),
        ('"key":"0', '"key":"x'),
    ],
)
def test_a_whole_line_that_is_no_record_is_named(tmp_path: Path, was: str, now: str) -> None:
    path = tmp_path / "records.jsonl"
    line = encode_record(record(1)).decode()
    assert was in line
    path.write_text(encode_record(record(0)).decode() + line.replace(was, now, 1), "utf-8")
    with (
        pytest.raises(UsageError, match=r"records.jsonl.* not a record .*Delete it and run again"),
        Index(path) as index,
    ):
        index.get("s/t\x1fq1\x1f0\x1f0\x1f0\x1fcandidate")


def test_another_schema_version_is_refused_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    write(path, record(0))
    path.write_bytes(path.read_bytes().replace(b'"schema":1', b'"schema":2'))
    with pytest.raises(UsageError, match="schema 2"):
        list(read(path))
    write_json(tmp_path / "summary.json", {"schema": 7})
    with pytest.raises(UsageError, match="schema 7"):
        read_json(tmp_path / "summary.json")


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    with Writer(path), pytest.raises(UsageError, match="another tcm-eval"):
        Writer(path)


def test_the_index_prefers_an_answer_to_a_failure_and_the_last_answer_to_an_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    failure = Failure("server", "gone", 6)
    write(
        path,
        record(1, Response("first")),
        record(2, failure),
        record(1, Response("second")),
        record(1, failure),
        record(3),
    )
    with Index(path) as index:
        found = index.get(record(1).slot)
        assert found is not None and found.outcome == Response("second")
        assert index.answered == 2 and index.failed == 1
        assert index.has_answer(record(3).slot, record(3).key)
        assert not index.has_answer(record(3).slot, "f" * 32), "an answer to another prompt is no answer"
        assert not index.has_answer(record(2).slot, record(2).key)
        assert index.get(record(9).slot) is None


def test_a_full_disk_keeps_whole_lines_only(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    write(path, record(0), record(1))
    size = path.stat().st_size
    child = os.fork()
    if child == 0:  # the limit must not reach pytest's own process
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + 30, size + 30))
            import signal

            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            write(path, record(2))
            os._exit(1)
        except StorageError as error:
            os._exit(0 if "kept" in str(error) else 2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [r.sample for r in read(path)] == ["q0", "q1"]


def test_json_is_replaced_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "a" / "summary.json"
    write_json(path, {"schema": 1, "n": 1})
    write_json(path, {"schema": 1, "n": 2})
    assert read_json(path)["n"] == 2
    assert [p.name for p in path.parent.iterdir()] == ["summary.json"]
