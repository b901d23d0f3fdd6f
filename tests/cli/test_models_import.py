"""`hardmine models import`: a downloaded detector becomes a version that works."""

from __future__ import annotations

import json
import tarfile

import numpy as np
import pytest

from hardmine.pipelines.cli.main import main
from hardmine.serving.store.store import ModelStore
from hardmine.trainers.detection.detector import Detector
from hardmine.trainers.detection.released_detectors.label_map import (
  read_categories_file,
)
from tests.trainers.detection.tf1_checkpoints.released import answers, release

LABELS = """
item { name: "/m/01" id: 1 display_name: "person" }
item {
  name: "/m/03"
  id: 4
  display_name: "caf\\303\\251"  # UTF-8 as protobuf writes it
}
item: < id: 2, name: 'dog' >
"""


@pytest.fixture
def files(tmp_path):
  """An archive as it is downloaded, and what its classes are."""
  values = release(tmp_path / "ssd")
  with tarfile.open(tmp_path / "ssd.tar.gz", "w:gz") as archive:
    archive.add(tmp_path / "ssd", "ssd_mobilenet_v1_coco")
  (tmp_path / "labels.pbtxt").write_text(LABELS)
  return values


@pytest.mark.slow
def test_a_downloaded_detector_is_a_version_that_detects(tmp_path, files, capsys):
  words = ["models", "import", str(tmp_path / "ssd.tar.gz")]
  words += ["--store", str(tmp_path / "store")]
  words += ["--categories", str(tmp_path / "labels.pbtxt"), "--who", "ann"]
  assert main(words) == 0
  lines = capsys.readouterr().out.splitlines()
  assert f"{len(files)} variables matched" in lines[0]
  assert lines[-1].startswith("version 1: 3 categories; not measured yet: ")
  assert any("2 classes without a category" in line for line in lines)

  store = ModelStore(tmp_path / "store")
  one = store.version(1)
  assert (one.kind, one.passed, one.metrics) == ("detector", False, {})
  facts = one.lineage["imported_from"]
  assert facts["checkpoint"] == str(tmp_path / "ssd.tar.gz")
  assert len(facts["sha256"]["pipeline.config"]) == 64
  assert facts["num_variables"] == len(files)
  added = store.audit()[-1]
  assert (added.who, added.why) == ("ann", f"imported from {tmp_path / 'ssd.tar.gz'}")

  detector = Detector.load(store.local_dir(1))
  assert detector.categories.names == ("person", "dog", "café")
  pixels = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
  found = detector.detect(pixels)
  _, scores = answers(files, pixels[np.newaxis])
  np.testing.assert_allclose(found.scores[0], scores[:, [0, 1, 3]].max(), atol=1e-4)

  # the same once more is the same version
  assert main([*words, "--json"]) == 0
  told = capsys.readouterr().out
  again = json.loads(told[told.index("{") :])
  assert (again["version"], again["already"]) == (1, True)
  assert sorted(again["report"]["matched"]) == sorted(files)


def test_what_is_no_detector_is_a_line_and_no_store(tmp_path, files, capsys):
  words = [
    "models",
    "import",
    str(tmp_path / "ssd"),
    "--store",
    str(tmp_path / "store"),
  ]
  for categories, expected in (
    (tmp_path / "nothing.pbtxt", "a file of categories"),
    (tmp_path / "ssd" / "pipeline.config", "at least one category"),
  ):
    assert main([*words, "--categories", str(categories)]) == 2
    assert expected in capsys.readouterr().err
  (tmp_path / "labels.pbtxt").write_text("item { id: 9 name: 'x' }")
  assert main([*words, "--categories", str(tmp_path / "labels.pbtxt")]) == 2
  error = capsys.readouterr().err
  assert "ids from 1 to 5" in error
  assert "Traceback" not in error
  assert not (tmp_path / "store").exists()


def test_categories_come_from_three_kinds_of_files(tmp_path):
  (tmp_path / "labels.pbtxt").write_text(LABELS)
  found = read_categories_file(str(tmp_path / "labels.pbtxt"))
  assert dict(zip(found.ids, found.names)) == {1: "person", 2: "dog", 4: "café"}
  (tmp_path / "ours.json").write_text(found.to_file())
  assert read_categories_file(str(tmp_path / "ours.json")) == found
  coco = {"images": [], "categories": [{"id": 4, "name": "b"}, {"id": 1, "name": "a"}]}
  (tmp_path / "coco.json").write_text(json.dumps(coco))
  assert read_categories_file(str(tmp_path / "coco.json")).names == ("a", "b")
  for name, text in (("a.json", "[]"), ("b.json", "{"), ("c.pbtxt", "item { id: 1 }")):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match="an id and a name"):
      read_categories_file(str(tmp_path / name))
