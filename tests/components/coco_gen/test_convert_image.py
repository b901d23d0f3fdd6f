"""One image with its annotations: what is kept, clipped, skipped and refused."""

import hashlib
import io
import math

import numpy as np
import pytest
from PIL import Image

from hardmine.components.coco_gen.annotations import ROW, Fault, ListedImage
from hardmine.components.coco_gen.convert_image import Converted, convert_image
from hardmine.schemas.categories import Categories, Category

CATEGORIES = Categories(
  categories=(Category(id=3, name="cat"), Category(id=7, name="é"))
)
ORIENTATION = 0x0112


def saved(image, kind="JPEG", **options):
  buffer = io.BytesIO()
  image.save(buffer, kind, **options)
  return buffer.getvalue()


def drawn(mode="RGB"):
  return Image.effect_mandelbrot((64, 48), (-2, -1.5, 1, 1.5), 50).convert(mode)


def rows(*boxes, **fields):
  made = np.zeros(len(boxes), ROW)
  for number, box in enumerate(boxes):
    given = {"annotation_id": 100 + number, "number": number, "image_id": 5, **fields}
    given = {"category_id": 3, "area_px": math.nan, **given}
    values = dict(zip(("x_px", "y_px", "width_px", "height_px"), box))
    for name, value in {**given, **values}.items():
      made[number][name] = value
  return made


def convert(data, annotations=(), *, file="sub/ä.jpg", size=(64, 48), max_pixels=10**6):
  width, height = size
  listed = ListedImage(id=5, file=file, width_px=width, height_px=height)
  annotations = annotations if len(annotations) else rows()
  return convert_image(data, listed, annotations, CATEGORIES, max_pixels=max_pixels)


def test_bytes_and_boxes_are_kept():
  data = saved(drawn())
  made = rows((16, 12, 32, 24), (0, 0, 64, 48), category_id=7, is_crowd=1, area_px=9.5)
  found = convert(data, made)
  assert isinstance(found, Converted)
  image = found.image
  assert image.encoded == data
  assert image.sha256 == hashlib.sha256(data).hexdigest()
  assert (image.format, image.filename, image.source_id) == ("jpeg", "sub/ä.jpg", "5")
  assert (image.height_px, image.width_px) == (48, 64)
  np.testing.assert_array_equal(
    image.boxes_yxyx_norm, [[0.25, 0.25, 0.75, 0.75], [0, 0, 1, 1]]
  )
  assert image.boxes_yxyx_norm.dtype == np.float32
  np.testing.assert_array_equal(image.labels, [2, 2])
  assert image.names == ("é", "é")
  np.testing.assert_array_equal(image.is_crowd, [1, 1])
  np.testing.assert_array_equal(image.areas_px, np.float32([9.5, 9.5]))
  np.testing.assert_array_equal(image.category_ids, [7, 7])
  np.testing.assert_array_equal(image.annotation_ids, [100, 101])
  assert found.num_clipped == 0
  assert found.faults == []


def test_a_missing_area_is_the_boxs():
  found = convert(saved(drawn()), rows((1, 1, 2.5, 4)))
  np.testing.assert_array_equal(found.image.areas_px, [10])


def test_an_image_without_annotations_is_kept():
  found = convert(saved(drawn()))
  assert found.image.boxes_yxyx_norm.shape == (0, 4)
  assert found.image.names == ()


@pytest.mark.parametrize(
  ("box", "expected_px"),
  [
    ((-1, 0, 10, 10), (0, 0, 10, 9)),
    ((0, -0.3, 10, 10), (0, 0, 9.7, 10)),
    ((60, 40, 5, 8), (40, 60, 48, 64)),
    ((60, 40, 4, 9), (40, 60, 48, 64)),
    ((60, 40, 4.0000001, 8), (40, 60, 48, 64)),
  ],
)
def test_a_box_that_leaves_by_a_pixel_is_clipped(box, expected_px):
  found = convert(saved(drawn()), rows(box))
  assert found.faults == []
  assert found.num_clipped == 1
  scaled = found.image.boxes_yxyx_norm[0] * [48, 64, 48, 64]
  ymin, xmin, ymax, xmax = expected_px
  np.testing.assert_allclose(scaled, [ymin, xmin, ymax, xmax], atol=1e-5)
  assert found.image.boxes_yxyx_norm.min() >= 0
  assert found.image.boxes_yxyx_norm.max() <= 1


@pytest.mark.parametrize(
  ("box", "reason"),
  [
    ((-1.01, 0, 10, 10), "box_outside"),
    ((0, -2, 10, 10), "box_outside"),
    ((60, 40, 5.01, 8), "box_outside"),
    ((60, 40, 4, 9.5), "box_outside"),
    ((64, 40, 1, 5), "box_outside"),  # nothing is left of it
    ((-1, 40, 1, 5), "box_outside"),
    ((1e300, 40, 1e300, 5), "box_outside"),
    ((10, 10, 0, 5), "zero_or_negative_size"),
    ((10, 10, 5, -5), "zero_or_negative_size"),
    ((10, 10, 1e-9, 5), "zero_or_negative_size"),
  ],
)
def test_a_bad_box_is_skipped_and_its_image_stays(box, reason):
  found = convert(saved(drawn()), rows((1, 1, 5, 5), box, (2, 2, 5, 5)))
  (fault,) = found.faults
  assert fault.reason == reason
  assert (fault.image_id, fault.file, fault.annotation_id) == (5, "sub/ä.jpg", 101)
  assert "bbox [" in fault.detail
  np.testing.assert_array_equal(found.image.annotation_ids, [100, 102])


def test_an_unknown_category_is_skipped():
  found = convert(saved(drawn()), rows((1, 1, 5, 5), category_id=4))
  assert [fault.reason for fault in found.faults] == ["unknown_category"]


@pytest.mark.parametrize(
  ("mode", "kind", "format_", "notes"),
  [
    ("L", "JPEG", "jpeg", ("grey",)),
    ("CMYK", "JPEG", "jpeg", ("converted",)),
    ("RGB", "PNG", "png", ()),
    ("P", "PNG", "png", ("converted",)),
    ("RGBA", "PNG", "png", ("opaque_alpha",)),
  ],
)
def test_uncommon_images_are_kept_with_their_bytes(mode, kind, format_, notes):
  data = saved(drawn(mode), kind)
  found = convert(data)
  assert found.image.encoded == data
  assert found.image.format == format_
  assert found.notes == notes


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_image_counts_as_it_is_shown(orientation):
  exif = Image.Exif()
  exif[ORIENTATION] = orientation
  data = saved(drawn(), exif=exif)
  shown = (48, 64) if orientation >= 5 else (64, 48)
  found = convert(data, rows((0, 0, *shown)), size=shown)
  assert (found.image.width_px, found.image.height_px) == shown
  np.testing.assert_array_equal(found.image.boxes_yxyx_norm, [[0, 0, 1, 1]])
  assert ("turned" in found.notes) == (orientation > 1)
  if orientation >= 5:
    fault = convert(data, size=(64, 48))
    assert fault.reason == "size_mismatch"
    assert "EXIF turns it" in fault.detail


def test_a_size_that_is_not_given_is_the_files():
  assert convert(saved(drawn()), size=(None, None)).image.width_px == 64


WHOLE = saved(drawn())


@pytest.mark.parametrize(
  ("data", "reason"),
  [
    (b"", "empty"),
    (b"no image at all", "not_an_image"),
    (WHOLE[: len(WHOLE) * 3 // 4], "truncated"),
    (WHOLE[:-2], "truncated"),
    (saved(drawn(), "PNG")[:-30], "truncated"),
    (saved(drawn(), "WEBP"), "unsupported_format"),
    (saved(drawn(), "BMP"), "unsupported_format"),
    (saved(Image.new("I;16", (64, 48)), "PNG"), "more_than_8_bits"),
    (saved(Image.new("RGBA", (64, 48)), "PNG"), "transparent"),
    (saved(Image.new("RGB", (65, 48))), "size_mismatch"),
    (saved(Image.new("RGB", (1001, 1000))), "too_large"),
  ],
)
def test_a_bad_image_is_one_fault_that_names_it(data, reason):
  fault = convert(data, rows((1, 1, 5, 5)))
  assert isinstance(fault, Fault)
  assert fault.reason == reason
  assert (fault.image_id, fault.file, fault.annotation_id) == (5, "sub/ä.jpg", None)
  assert fault.detail
