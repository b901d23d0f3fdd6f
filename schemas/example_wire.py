"""`tf.train.Example` on the wire, without TensorFlow.

Importing TensorFlow takes each worker of a Beam job longer than a hundred images
do. The message is small enough to write down (protobuf's encoding guide):

    Example.features = 1, Features.feature = 1 (a map: key = 1, value = 2),
    Feature.bytes_list = 1, Feature.float_list = 2, Feature.int64_list = 3,
    each list's value = 1 (numbers packed)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from hardmine.schemas.config import require

Values = Sequence[bytes] | np.ndarray


def serialize_example(features: Mapping[str, Values]) -> bytes:
  """`Example(...).SerializeToString(deterministic=True)`.

  Args:
    features: by key, a list of bytes, or an array of integers (int64 on the wire)
      or floats (float32). An empty array keeps its kind and holds no value.

  Raises:
    ValueError: a value of another type.
  """
  entries: list[bytes] = []
  for key in sorted(features):
    entry = _field(1, [key.encode()]) + _field(2, _feature(key, features[key]))
    entries += _field(1, entry)
  return b"".join(_field(1, entries))  # once: an image is large


def bytes_value(serialized: bytes, key: str) -> bytes:
  """The first value of a feature of bytes.

  Args:
    serialized: what any writer made of an Example.
    key: of the feature.

  Raises:
    KeyError: there is no such feature, or it holds none.
    ValueError: this is no Example.
  """
  for features in _fields(serialized, 1):
    for entry in _fields(features, 1):
      if any(name == key.encode() for name in _fields(entry, 1)):
        for feature in _fields(entry, 2):
          for values in _fields(feature, 1):
            for value in _fields(values, 1):
              return bytes(value)
  raise KeyError(key)


def _fields(message: bytes | memoryview, number: int) -> Iterator[memoryview]:
  """Yields the length-delimited fields of a number."""
  message, place = memoryview(message), 0
  while place < len(message):
    tag, place = _read_varint(message, place)
    kind = tag & 7
    if kind == 2:
      length, place = _read_varint(message, place)
    elif kind == 0:
      start, (_, end) = place, _read_varint(message, place)
      length = end - start
    else:
      length = {1: 8, 5: 4}.get(kind, len(message))
    if place + length > len(message):
      raise ValueError("Expected a tf.train.Example. Received: bytes of another kind")
    if kind == 2 and tag >> 3 == number:
      yield message[place : place + length]
    place += length


def _read_varint(message: memoryview, place: int) -> tuple[int, int]:
  """(the number that begins at a place, the place behind it)."""
  value = shift = 0
  while place < len(message) and shift < 70:
    byte = message[place]
    value, place, shift = value | (byte & 0x7F) << shift, place + 1, shift + 7
    if byte < 0x80:
      return value, place
  raise ValueError("Expected a tf.train.Example. Received: bytes of another kind")


def _feature(key: str, values: Values) -> list[bytes]:
  if not isinstance(values, np.ndarray):
    require(all(isinstance(value, bytes) for value in values), "bytes", **{key: values})
    return _field(1, [piece for value in values for piece in _field(1, [value])])
  if values.dtype.kind == "f":
    packed, kind = values.astype("<f4").tobytes(), 2
  else:
    require(values.dtype.kind in "iu", "integers or floats", **{key: values.dtype})
    packed, kind = b"".join(map(_varint, values.tolist())), 3
  return _field(kind, _field(1, [packed]) if len(values) else [])


def _field(number: int, content: list[bytes]) -> list[bytes]:
  """A length-delimited field (wire type 2), in pieces."""
  head = _varint(number << 3 | 2) + _varint(sum(map(len, content)))
  return [head, *content]


_ONE_BYTE = tuple(bytes([value]) for value in range(0x80))


def _varint(value: int) -> bytes:
  if 0 <= value < 0x80:  # nearly all are
    return _ONE_BYTE[value]
  value &= (1 << 64) - 1  # a negative int64 is its two's complement
  encoded = bytearray()
  while value > 0x7F:
    encoded.append(value & 0x7F | 0x80)
    value >>= 7
  return bytes([*encoded, value])
