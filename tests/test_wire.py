from __future__ import annotations

import pytest
from making import colour_artefact
from onnx import ModelProto, helper

from eyevsai_core.wire import parsing_cost

LIMIT = 2**40


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def test_an_ordinary_model_costs_little() -> None:
    content = colour_artefact().SerializeToString()
    assert len(content) < parsing_cost(content, limit=LIMIT) < 100 * len(content)
    assert parsing_cost(b"", limit=LIMIT) == 0


def test_weights_cost_what_they_are() -> None:
    weights = field(7, field(5, field(9, b"\0" * 10**6)))
    assert parsing_cost(weights, limit=LIMIT) < 1.01 * 10**6
    in_a_node = field(7, field(1, field(5, field(5, field(9, b"\0" * 10**6)))))
    assert parsing_cost(in_a_node, limit=LIMIT) < 1.01 * 10**6


N = 3000
EMPTY = {
    "nodes": field(7, b"\x0a\x00" * N),
    "inputs of a node": field(7, field(1, b"\x0a\x00" * N)),
    "attributes": field(7, field(1, b"\x2a\x00" * N)),
    "initializers": field(7, b"\x2a\x00" * N),
    "pieces of metadata": b"\x72\x00" * N,
    "graphs": b"\x3a\x00" * N,
    "tensors in an attribute": field(7, field(1, field(5, b"\x52\x00" * N))),
    "graphs in an attribute": field(7, field(1, field(5, b"\x5a\x00" * N))),
    "functions": field(25, b"\x3a\x00" * N),
    "training graphs": field(20, b"\x0a\x00" * N),
    "values": field(7, b"\x5a\x00" * N),
    "numbers in unknown fields": b"\x78\x00" * N,
}


@pytest.mark.parametrize("kind", EMPTY)
def test_what_is_small_on_disk_and_large_in_memory_is_seen(kind: str) -> None:
    assert parsing_cost(EMPTY[kind], limit=LIMIT) > 60 * len(EMPTY[kind])


@pytest.mark.parametrize("kind", EMPTY)
def test_the_walk_ends_at_the_limit(kind: str) -> None:
    assert 10_000 < parsing_cost(EMPTY[kind], limit=10_000) < 10_000 + 130 * len(EMPTY[kind])


def test_the_long_lists_of_forests_are_taken_at_once() -> None:
    node = helper.make_node(
        "TreeEnsembleRegressor",
        ["x"],
        ["y"],
        domain="ai.onnx.ml",
        nodes_values=[float(k) for k in range(N)],
        nodes_nodeids=[k * 1000 for k in range(-9, N)],
        nodes_modes=["BRANCH_LEQ", "LEAF", "a mode with a name that is longer than others"] * N,
    )
    model = ModelProto()
    model.graph.node.append(node)
    content = model.SerializeToString()
    assert parsing_cost(content, limit=LIMIT) < 20 * len(content) + N * 300


def test_packed_numbers_grow_to_eight_bytes() -> None:
    zeros = field(7, field(5, field(7, b"\0" * N)))
    assert parsing_cost(zeros, limit=LIMIT) >= 8 * N


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x3a\x05\x00", "goes beyond its message"),
        (b"\x0d\x00", "goes beyond its message"),
        (b"\x00\x00", "goes beyond its message"),
        (b"\x3b", "unknown type 3"),
        (b"\x08" + b"\xff" * 12, "cut short or too long"),
        (b"\x08\x80", "cut short or too long"),
    ],
)
def test_what_is_no_message_is_an_error(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parsing_cost(content, limit=LIMIT)


def test_messages_nested_for_ever_are_an_error() -> None:
    deep = b"\x0a\x00"
    for _ in range(15):
        deep = field(1, field(5, field(6, deep)))
    with pytest.raises(ValueError, match="nested deeper than 30"):
        parsing_cost(field(7, deep), limit=LIMIT)


def test_every_cut_of_a_model_is_an_error_or_cheaper() -> None:
    content = colour_artefact().SerializeToString()
    whole = parsing_cost(content, limit=LIMIT)
    for end in range(0, len(content), 97):
        try:
            assert parsing_cost(content[:end], limit=LIMIT) <= whole
        except ValueError:
            continue
