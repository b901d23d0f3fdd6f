"""Streaming JSON: what `json.loads` gives, in any layout and from any window."""

import io
import itertools
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardmine.schemas import json_stream

VALUES = st.recursive(
  st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
  lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
  max_leaves=10,
)


def streamed(text, monkeypatch, window):
  monkeypatch.setattr(json_stream, "_WINDOW", window)
  found = {}
  pairs = json_stream.stream(io.StringIO(text))
  for key, group in itertools.groupby(pairs, key=lambda pair: pair[0]):
    found[key] = [value for _, value in group]
  return found


@settings(max_examples=60, deadline=None)
@given(
  content=st.dictionaries(st.text(), VALUES),
  indent=st.sampled_from([None, 1]),
  ascii_only=st.booleans(),
  window=st.sampled_from([1, 3, 16, 1 << 20]),
)
def test_streams_what_json_loads_gives(content, indent, ascii_only, window):
  text = json.dumps(content, indent=indent, ensure_ascii=ascii_only)
  with pytest.MonkeyPatch.context() as patch:
    found = streamed(text, patch, window)
  expected = {k: v if isinstance(v, list) else [v] for k, v in content.items()}
  assert found == {key: values for key, values in expected.items() if values}


@pytest.mark.parametrize("window", [1, 7, 100])
def test_numbers_at_the_edge_of_a_window_are_whole(monkeypatch, window):
  text = '{"a": 12345, "b": [1.5e10, -Infinity, NaN, 678 ], "c": 99}'
  found = streamed(text, monkeypatch, window)
  assert found["a"] == [12345]
  assert found["c"] == [99]
  assert found["b"][:2] == [1.5e10, -math.inf]
  assert math.isnan(found["b"][2])
  assert found["b"][3] == 678


WHOLE = json.dumps({"images": [{"id": 1, "x": "é\n"}], "n": 3, "empty": [], "o": {}})


@pytest.mark.parametrize("window", [1, 8, 1 << 20])
def test_a_file_cut_anywhere_is_refused(monkeypatch, window):
  for end in range(len(WHOLE)):
    with pytest.raises(ValueError, match=r"at character \d+\. Received"):
      streamed(WHOLE[:end], monkeypatch, window)
  assert streamed(WHOLE, monkeypatch, window)["n"] == [3]


@pytest.mark.parametrize(
  "text",
  [
    "[]",
    "null",
    '{"a": [1 2]}',
    '{"a": [1,]}',
    '{"a": 1,}',
    "{'a': 1}",
    "{1: 2}",
    '{"a": 1} x',
    '{"a": tru}',
    '{"a": ' + "[" * 100_000,
    '{"a": [{"b": ' + "1" * 10_000 + "x}]}",
  ],
)
def test_what_is_no_object_is_refused(monkeypatch, text):
  with pytest.raises(ValueError, match=r"Expected .* at character \d+\. Received"):
    streamed(text, monkeypatch, 16)


def test_an_error_in_the_middle_is_found_without_reading_on(monkeypatch):
  text = '{"a": [{"b": nonsense}, ' + "1, " * 100_000
  file = io.StringIO(text)
  monkeypatch.setattr(json_stream, "_WINDOW", 1024)
  with pytest.raises(ValueError, match=r"character 13\. Received: 'nonsense"):
    list(json_stream.stream(file))
  assert file.tell() < 10_000


def test_text_that_is_not_utf8_is_refused():
  file = io.TextIOWrapper(io.BytesIO(b'{"a": "\xff"}'), encoding="utf-8")
  with pytest.raises(ValueError, match="Expected UTF-8"):
    list(json_stream.stream(file))
