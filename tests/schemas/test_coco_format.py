"""One set of rules for COCO's JSON: what one reader takes, the other takes alike."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile

import numpy as np
import pytest

from hardmine.components.coco_gen.annotations import ROW, AnnotationSet
from hardmine.components.coco_gen.coco_json import read_coco
from hardmine.trainers.metrics.coco_files import read_detections, read_ground_truth

ENTRY = {"id": 1, "image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], "area": 9.5}
CONTENT = {
  "images": [{"id": 7, "file_name": "a.jpg"}],
  "annotations": [ENTRY],
  "categories": [{"id": 3, "name": "cat"}],
}


def converted(path, folder):
  """(image ids, annotations: image, category, box, area, crowd, names) or an error."""
  folder.mkdir()
  with AnnotationSet(str(path), folder) as found, path.open("rb") as file:
    read_coco(file, found)
  rows = np.fromfile(found.rows_path, ROW)
  areas = np.where(
    np.isnan(rows["area_px"]), rows["width_px"] * rows["height_px"], rows["area_px"]
  )
  faults = [*found.image_faults, *found.faults()]
  return (
    sorted(found.images),
    list(zip(*(rows[name].tolist() for name in ROW.names[3:8]), areas.tolist())),
    found.categories,
    [fault.reason for fault in faults],
  )


def measured(path):
  truth = read_ground_truth(path)
  ids = (truth.box_category_ids[:, None], truth.boxes_xywh_px, truth.areas_px[:, None])
  return (
    sorted(truth.image_ids.tolist()),
    [tuple(row) for row in np.concatenate(ids, 1).tolist()],
    dict(zip(truth.category_ids.tolist(), truth.category_names)),
    [],
  )


def both(content, tmp_path):
  path = tmp_path / "instances.json"
  path.write_text(json.dumps(content))
  return converted(path, tmp_path / "rows"), measured(path)


@pytest.mark.parametrize(
  "change",
  [
    {"id": None},
    {"id": ...},
    {"id": 1.0, "image_id": 7.0, "category_id": 3.0},
    {"area": None},
    {"area": ...},
    {"area": 0},
    {"iscrowd": None},
    {"iscrowd": 1},
    {"iscrowd": True},
    {"segmentation": None, "keypoints": [1, 2, 3]},
  ],
)
def test_both_readers_take_the_same_annotation(tmp_path, change):
  entry = {k: v for k, v in {**ENTRY, **change}.items() if v is not ...}
  other = {**ENTRY, "id": 2, "bbox": [5, 6, 7, 8]}
  ours, theirs = both({**CONTENT, "annotations": [entry, other]}, tmp_path)
  assert ours == theirs
  assert len(ours[1]) == 2


@pytest.mark.parametrize(
  "change",
  [
    {"id": "1"},
    {"id": 1.5},
    {"image_id": "7"},
    {"image_id": None},
    {"category_id": True},
    {"bbox": None},
    {"bbox": [1, 2, 3]},
    {"bbox": [1, 2, 3, None]},
    {"bbox": [1, 2, 3, float("nan")]},
    {"area": -1},
    {"area": "9"},
    {"iscrowd": 2},
    {"iscrowd": "0"},
  ],
)
def test_both_readers_find_the_same_fault(tmp_path, change):
  content = {**CONTENT, "annotations": [{**ENTRY, **change}]}
  with pytest.raises(ValueError, match=r"annotations\[0\]"):
    both(content, tmp_path)
  assert len(converted(tmp_path / "instances.json", tmp_path / "again")[3]) == 1


@pytest.mark.parametrize(
  "change",
  [
    {"categories": [{"id": 3}]},
    {"categories": [{"id": 3.0, "name": None}]},
    {"categories": [{"id": 3, "name": "cat"}, {"id": 3, "name": "cat"}]},
    {"images": [{"id": 7.0, "file_name": "a.jpg", "width": 0, "height": None}]},
    {"licenses": [], "info": {}, "annotations": []},
  ],
)
def test_both_readers_take_the_same_lists(tmp_path, change):
  ours, theirs = both({**CONTENT, **change}, tmp_path)
  assert ours == theirs


@pytest.mark.parametrize(
  ("change", "told"),
  [
    ({"images": ...}, "no images"),
    ({"annotations": ...}, "no annotations"),
    ({"categories": ...}, "no categories"),
    ({"annotations": None}, "null as annotations"),
    ({"categories": {"3": "cat"}}, "dict as categories"),
    ({"categories": [{"id": 3, "name": n} for n in ("a", "b")]}, "'a'"),
    ({"categories": [{"name": "cat"}]}, "without id"),
    ({"categories": [{"id": 3, "name": 5}]}, "name 5 is not a name"),
  ],
)
def test_both_readers_refuse_the_same_lists(tmp_path, change, told):
  path = tmp_path / "instances.json"
  path.write_text(
    json.dumps({k: v for k, v in {**CONTENT, **change}.items() if v is not ...})
  )
  for number, read in enumerate(
    (lambda: converted(path, tmp_path / "r"), lambda: measured(path))
  ):
    with pytest.raises(ValueError, match=told) as caught:
      read()
    assert number == 0 or str(caught.value).startswith(f"{path}: ")


def test_both_readers_refuse_a_list_that_is_there_twice(tmp_path):
  path = tmp_path / "instances.json"
  text = json.dumps(CONTENT)
  path.write_text(text[:-1] + ', "annotations": []}')
  for read in (lambda: converted(path, tmp_path / "r"), lambda: measured(path)):
    with pytest.raises(ValueError, match="annotations twice"):
      read()


def test_an_annotations_id_is_no_reference(tmp_path):
  """Two boxes of one id are two; the same box of the same id is one."""
  entries = [ENTRY, {**ENTRY, "bbox": [5, 6, 7, 8]}]
  ours, theirs = both({**CONTENT, "annotations": entries}, tmp_path)
  assert ours == theirs
  assert len(ours[1]) == 2
  path = tmp_path / "instances.json"
  path.write_text(json.dumps({**CONTENT, "annotations": [*entries, ENTRY]}))
  with pytest.raises(ValueError, match=r"annotations\[2\].*annotations\[0\] once more"):
    measured(path)


def packed_zip(data, names=("instances.json",)):
  buffer = io.BytesIO()
  with zipfile.ZipFile(buffer, "w") as file:
    for name in names:
      file.writestr(name, data)
  return buffer.getvalue()


PACKERS = [gzip.compress, bz2.compress, lzma.compress, packed_zip]


@pytest.mark.parametrize("pack", PACKERS)
@pytest.mark.parametrize("name", ["instances.json", "instances.json.gz"])
def test_both_readers_unpack_whatever_the_name(tmp_path, pack, name):
  path = tmp_path / name
  text = "\ufeff" + json.dumps(CONTENT)
  path.write_bytes(pack(text.encode("utf-8")))
  assert converted(path, tmp_path / "rows") == measured(path)
  results = [{"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 0.5}]
  path.write_bytes(pack(json.dumps(results).encode("utf-8")))
  assert read_detections(path).scores.tolist() == [0.5]


@pytest.mark.parametrize("pack", PACKERS)
def test_a_packed_file_that_is_cut_is_told(tmp_path, pack):
  whole = pack(json.dumps({**CONTENT, "info": "x" * 1000}).encode("utf-8"))
  path = tmp_path / "instances.json"
  path.write_bytes(whole[: len(whole) - 20])
  for read in (lambda: converted(path, tmp_path / "r"), lambda: measured(path)):
    with pytest.raises(ValueError, match="Expected a whole packed file"):
      read()


def test_a_zip_of_several_files_is_refused(tmp_path):
  path = tmp_path / "instances.zip"
  path.write_bytes(packed_zip(b"{}", ("a.json", "b.json")))
  with pytest.raises(ValueError, match=r"zip of one file.*a\.json"):
    measured(path)
