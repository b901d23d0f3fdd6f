"""The detection record: inverse of itself, and the bytes that protobuf writes."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import pytest

from hardmine.schemas import coco_example
from hardmine.schemas.categories import Categories, Category
from hardmine.schemas.example_wire import serialize_example


def annotated(num: int) -> coco_example.AnnotatedImage:
  generator = np.random.default_rng(num)
  corners = np.sort(generator.random((num, 2, 2), np.float32), axis=1)
  return coco_example.AnnotatedImage(
    encoded=b"\xff\xd8" + bytes(300),
    format="jpeg",
    filename="träne/1.jpg",
    source_id="139",
    sha256=hashlib.sha256(b"").hexdigest(),
    height_px=426,
    width_px=640,
    boxes_yxyx_norm=corners.reshape(num, 4),
    labels=generator.integers(1, 80, num),
    names=tuple("été" for _ in range(num)),
    is_crowd=generator.integers(0, 2, num),
    areas_px=generator.random(num).astype(np.float32) * 1e4,
    category_ids=generator.integers(1, 91, num),
    annotation_ids=generator.integers(0, 1 << 40, num),
  )


@pytest.mark.parametrize("num", [0, 1, 7])
def test_from_example_inverts_serialize(num):
  image = annotated(num)
  back = coco_example.from_example(coco_example.serialize(image))
  for name, value in vars(image).items():
    np.testing.assert_array_equal(getattr(back, name), value, err_msg=name)


def test_images_of_two_sources_differ_in_key_and_keep_their_ids():
  images = [dataclasses.replace(annotated(1), source=number) for number in range(2)]
  back = [coco_example.from_example(coco_example.serialize(one)) for one in images]
  assert [image.key for image in back] == ["0/139", "1/139"]
  assert {image.source_id for image in back} == {"139"}


def test_a_record_of_before_is_read():
  """It does not say which source it is from."""
  import tensorflow as tf

  image = annotated(2)
  example = tf.train.Example.FromString(coco_example.serialize(image))
  del example.features.feature[coco_example.SOURCE]
  back = coco_example.from_example(example.SerializeToString())
  assert back.key == "0/139"
  parsed = coco_example.parse(example.SerializeToString())
  assert parsed["filename"].numpy().decode() == image.filename


@pytest.mark.parametrize("num", [0, 1, 7])
def test_parse_agrees_with_from_example(num):
  image = annotated(num)
  parsed = coco_example.parse(coco_example.serialize(image))
  assert parsed["encoded"].numpy() == image.encoded
  np.testing.assert_array_equal(parsed["boxes_yxyx_norm"], image.boxes_yxyx_norm)
  np.testing.assert_array_equal(parsed["labels"], image.labels)
  np.testing.assert_array_equal(parsed["is_crowd"], image.is_crowd)


def test_the_wire_is_protobufs():
  import tensorflow as tf

  features = {
    "z": [b"", b"two"],
    "a": np.array([-1, 0, 300, 2**62]),
    "f": np.array([0.5, -3.25]),
    "none": np.array([], np.float32),
  }
  example = tf.train.Example()
  example.features.feature["z"].bytes_list.value.extend(features["z"])
  example.features.feature["a"].int64_list.value.extend(features["a"].tolist())
  example.features.feature["f"].float_list.value.extend(features["f"].tolist())
  example.features.feature["none"].float_list.SetInParent()
  assert serialize_example(features) == example.SerializeToString(deterministic=True)


def test_columns_of_unequal_length_are_refused():
  with pytest.raises(ValueError, match="source_id='139'"):
    coco_example.AnnotatedImage(**{**vars(annotated(2)), "names": ("one",)})


def test_labels_and_category_ids_are_each_others_inverse():
  categories = Categories(
    categories=tuple(Category(id=i, name=f"c{i}") for i in (1, 3, 90))
  )
  for label, identifier in enumerate(categories.ids, 1):
    assert categories.label_of[identifier] == label
  assert Categories.from_json(categories.to_json()) == categories


def test_category_ids_must_rise():
  with pytest.raises(ValueError, match="none twice"):
    Categories(categories=(Category(id=2, name="b"), Category(id=2, name="c")))
