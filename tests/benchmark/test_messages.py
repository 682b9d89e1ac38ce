"""Messages survive the way over a line of JSON."""

import pytest

from edgedistill.benchmark.messages import Load, Loaded, Open, Opened, Ran, Refused, Run, decode, encode

ALL = [
    Open("onnx", 1, "inputs.npz"),
    Opened("onnxruntime 1.32.0", 10),
    Load("model.onnx", 20),
    Loaded(5, 6, (7, 8)),
    Run(20, 10**9, 3),
    Ran((1, 2, 3), 11),
    Refused("no\nmodel", "give one"),
]


@pytest.mark.parametrize("message", ALL, ids=lambda m: type(m).__name__)
def test_decode_when_encoded_gives_the_same_message_on_one_line(message):
    line = encode(message)
    assert line.count("\n") == 1
    assert decode(line) == message


@pytest.mark.parametrize("line", ["", "[]", "{}", "Killed", '{"kind": "Nothing"}', '{"kind": "Load"}'])
def test_decode_when_the_line_is_no_message_raises(line):
    with pytest.raises(ValueError, match="not a message"):
        decode(line)
