"""Protobuf's text format, read without a schema; protobuf itself writes it."""

from __future__ import annotations

import pytest
from google.protobuf import descriptor_pb2, text_format

from hardmine.trainers.detection.released_detectors.text_format import parse


def test_what_protobuf_writes_is_read():
  """A message with strings, escapes, numbers, booleans, enumerations, repetition."""
  file = descriptor_pb2.FileDescriptorProto(
    name="café \"quoted\" \\ 'single'\n\ttab \x01", dependency=["a", "b", "c"]
  )
  for number, name in enumerate(("first", "second"), start=1):
    field = file.message_type.add(name="M").field.add(name=name, number=-number)
    field.type = descriptor_pb2.FieldDescriptorProto.TYPE_DOUBLE
    field.options.packed = number == 1
  for text in (
    text_format.MessageToString(file),
    text_format.MessageToString(file, as_one_line=True),
    text_format.MessageToString(file, as_utf8=True),
    text_format.MessageToString(file, pointy_brackets=True),
    text_format.MessageToString(file, use_short_repeated_primitives=True),
  ):
    found = parse(text, "it")
    assert found.get("name") == file.name
    assert found.all("dependency") == ["a", "b", "c"]
    fields = [message.message("field") for message in found.all("message_type")]
    assert [field.get("number") for field in fields] == [-1, -2]
    assert [field.get("type") for field in fields] == ["TYPE_DOUBLE"] * 2
    packed = [field.message("options").get("packed") for field in fields]
    assert packed == [True, False]


def test_spellings_and_the_last_value_count():
  text = """
  # a comment
  a: 1 a: 2, b { c: 1e-8 d: -3; e: .5f } f < g: "x" 'y' > h: [1, 2] i: inf
  """
  found = parse(text, "it")
  assert (found.get("a"), found.all("a")) == (2, [1, 2])
  inner = found.message("b")
  assert [inner.get(name) for name in "cde"] == [1e-8, -3, 0.5]
  assert found.message("f").get("g") == "xy"
  assert found.all("h") == [1, 2]
  assert found.get("i") == float("inf")
  assert found.message("none").fields == []
  assert found.names == ["a", "b", "f", "h", "i"]


@pytest.mark.parametrize(
  ("text", "line"),
  [
    ("a {\n b: 1\n", 2),
    ("a: 1\n}", 2),
    ("a\n\n: }", 3),
    ("a: 'unclosed\n", 1),
    ("a 1", 1),
    ("a: [1, 2", 1),
    ("model { ssd { num_classes } }", 1),
  ],
)
def test_where_it_ceases_to_be_one_is_told(text, line):
  with pytest.raises(ValueError, match=r"line") as error:
    parse(text, "pipeline.config")
  assert f"line {line} of" in str(error.value) or f"line={line}" in str(error.value)
  assert "pipeline.config" in str(error.value)


def test_a_value_that_should_be_a_message_is_told():
  with pytest.raises(ValueError, match=r"model\.ssd \{"):
    parse("model { ssd: 3 }", "it").message("model").message("ssd")
