"""Several sources in one conversion: every object stays with its own image."""

import dataclasses
import json
import shutil

from hardmine.schemas.conversion_config import AnnotatedFolder, ConversionConfig
from tests.components.coco_gen.conversions import config_of, convert, letters, records
from tests.components.coco_gen.test_voc_xml import OBJECT, write_voc


def boxes_px(image):
  sides = (image.height_px, image.width_px) * 2
  return [[round(side) for side in box] for box in image.boxes_yxyx_norm * sides]


def test_two_sets_that_count_from_1_and_a_folder_of_xml(annotated_set, tmp_path):
  annotated_set.write(["a.jpg", "b.jpg", "c.jpg"])
  copied = tmp_path / "copied"
  shutil.copytree(annotated_set.images, copied)
  for path in copied.iterdir():  # another picture each
    path.write_bytes(path.read_bytes() + b"\xff\xd9")
  content = json.loads(json.dumps(annotated_set.content))
  for annotation in content["annotations"]:
    annotation.update(bbox=[1, 2, 3, 4], category_id=7)
  other = tmp_path / "other.json"
  other.write_text(json.dumps(content))
  drawn = tmp_path / "drawn"
  shutil.copytree(annotated_set.images, drawn)
  for path in drawn.iterdir():
    path.write_bytes(path.read_bytes() + b"\xff\xd9\xff\xd9")
  voc = write_voc(
    tmp_path / "voc",
    a=[OBJECT.format(9, 9, 19, 29, kind="dog")],
    b=[OBJECT.format(8, 8, 18, 28, kind="dog")],
  )
  sources = (
    *config_of(annotated_set).sources,
    AnnotatedFolder(images=str(copied), annotations=str(other)),
    AnnotatedFolder(images=str(drawn), annotations=str(voc)),
  )
  config = ConversionConfig(sources=sources, num_shards=2)
  manifest = convert(config, tmp_path / "out")
  assert letters(tmp_path / "out" / "dead_letters.jsonl") == []
  assert manifest["counts"]["objects"] == manifest["counts"]["annotations"] == 8
  found = records(tmp_path / "out", "key")
  assert {key: boxes_px(image) for key, image in found.items()} == {
    **{f"0/{number}": [[6, 4, 16, 24]] for number in (1, 2, 3)},
    **{f"1/{number}": [[2, 1, 6, 4]] for number in (1, 2, 3)},
    "2/1": [[9, 9, 29, 19]],
    "2/2": [[8, 8, 28, 18]],
  }
  assert {image.source_id for image in found.values()} == {"1", "2", "3"}
  for image in found.values():
    folder = sources[image.source].images
    with open(f"{folder}/{image.filename}", "rb") as file:
      assert image.encoded == file.read()


def test_a_set_dealt_to_two_splits_keeps_all_objects(annotated_set, tmp_path):
  names = [f"{number}.jpg" for number in range(12)]
  annotated_set.write(names)
  config = config_of(annotated_set, eval_share=0.3)
  counts = convert(config, tmp_path / "out")["counts"]
  evals = records(tmp_path / "out", shards="eval-*")
  trains = records(tmp_path / "out", shards="train-*")
  assert counts["splits"] == {
    "train": {"images": len(trains), "objects": len(trains)},
    "eval": {"images": len(evals), "objects": len(evals)},
  }
  assert not set(evals) & set(trains)
  assert len(evals) + len(trains) == counts["objects"] == 12


def test_names_of_another_system_find_their_files(annotated_set, tmp_path):
  annotated_set.write(["a.jpg", "sub/b c.jpg", "d.jpg"])
  first, second, third = annotated_set.content["images"]
  first["file_name"] = "C:\\data\\a.jpg"
  second["file_name"] = "sub\\b%20c.jpg"
  third["file_name"] = str(annotated_set.images / "d.jpg")
  annotated_set.save()
  manifest = convert(config_of(annotated_set), tmp_path / "out")
  assert manifest["counts"]["notes"] == {"name_shortened": 1, "name_unquoted": 1}
  found = records(tmp_path / "out")
  assert [found[k].filename for k in "123"] == ["a.jpg", "sub/b c.jpg", "d.jpg"]


def test_pascals_files_without_names_or_sizes_are_used(annotated_set, tmp_path):
  annotated_set.write(["v0.jpg", "v1.jpg"])
  voc = write_voc(
    tmp_path / "voc",
    v0=[OBJECT.format(1, 1, 20, 20, kind="ant")],
    v1=[OBJECT.format(1, 1, 20, 20, kind="ant")],
  )
  for name, filename in (("v0", "v0"), ("v1", "")):
    text = (voc / f"{name}.xml").read_text().replace(f"{name}.jpg", filename)
    text = text.replace("<width>64<", "<width>0<").replace(">48<", ">0<")
    (voc / f"{name}.xml").write_text(text)
  config = config_of(annotated_set)
  (source,) = config.sources
  source = dataclasses.replace(source, annotations=str(voc))
  counts = convert(dataclasses.replace(config, sources=(source,)), tmp_path / "out")
  assert counts["counts"]["used"] == counts["counts"]["objects"] == 2
