"""`hardmine detect` with a detector of known answers in the model's place."""

from __future__ import annotations

import io
import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from hardmine.pipelines.cli.main import main
from hardmine.schemas.categories import Categories, Category
from hardmine.schemas.exported_model import LIGHT_FACTS
from hardmine.trainers.detection.detector import Detections, Detector

PHOTO = np.full((60, 90, 3), 120, np.uint8)


class TwoObjects:
  """Finds a cat and a dog in everything that is not black."""

  model_id = bytes(range(8))
  categories = Categories(
    categories=(Category(id=17, name="cat"), Category(id=18, name="dog"))
  )

  def detect(self, image, min_score=0.0):
    found = Detections(
      boxes_yxyx_px=np.array([[20, 10, 50, 40.4], [0, 60, 9.5, 90]], np.float32),
      scores=np.array([0.875, 0.25], np.float32),
      category_ids=np.array([18, 17]),
    )
    return found.above(min_score if image.any() else 2.0)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
  """Holds photo.jpg, black.png and the folder `model`."""
  monkeypatch.delenv("HARDMINE_MODEL", raising=False)
  monkeypatch.setattr(Detector, "load", lambda *_: TwoObjects())
  monkeypatch.chdir(tmp_path)
  for name, facts in (("model", "detector.json"), ("codec", "codec.json")):
    (tmp_path / name / "assets.extra" / "light").mkdir(parents=True)
    (tmp_path / name / LIGHT_FACTS).write_text("{}")
    (tmp_path / name / "saved_model.pb").write_bytes(b"")
    (tmp_path / name / "assets.extra" / facts).write_text("{}")
  Image.fromarray(PHOTO).save("photo.jpg")
  Image.fromarray(0 * PHOTO).save("black.png")
  return tmp_path


def test_every_object_is_a_line_with_the_surest_first(capsys):
  words = ["detect", "photo.jpg", "black.png", "--model", "model"]
  assert main([*words, "--min-score", "0.2"]) == 0
  assert capsys.readouterr().out.splitlines() == [
    "photo.jpg: dog 0.875 at 10,20 30x30",
    "photo.jpg: cat 0.250 at 60,0 30x10",
    "black.png: nothing scores 0.2 or more",
  ]


def test_low_scores_are_left_out_unless_asked_for(capsys):
  assert main(["detect", "photo.jpg", "--model", "model"]) == 0
  assert capsys.readouterr().out.count("\n") == 1


def test_json_has_boxes_both_ways(capsys):
  words = ["detect", "photo.jpg", "black.png", "--model", "model", "--json"]
  assert main([*words, "--min-score", "0"]) == 0
  answer = json.loads(capsys.readouterr().out)
  assert answer["model_id"] == bytes(range(8)).hex()
  photo, black = answer["images"]
  assert (photo["image"], photo["width_px"], photo["height_px"]) == (
    "photo.jpg",
    90,
    60,
  )
  assert black["objects"] == []
  dog = photo["objects"][0]
  assert (dog["category"], dog["category_id"], dog["score"]) == ("dog", 18, 0.875)
  np.testing.assert_allclose(dog["box_yxyx_px"], [20, 10, 50, 40.4], rtol=1e-6)
  np.testing.assert_allclose(dog["box_xywh_px"], [10, 20, 30.4, 30], rtol=1e-6)


def test_drawn_images_keep_size_and_kind_and_the_inputs_stay(folder, capsys):
  before = (folder / "photo.jpg").read_bytes()
  words = ["detect", "photo.jpg", "black.png", "--model", "model"]
  assert main([*words, "--output", "new/drawn", "--json"]) == 0
  answer = json.loads(capsys.readouterr().out)
  assert [one["drawn"] for one in answer["images"]] == [
    os.path.join("new/drawn", name) for name in ("photo.jpg", "black.png")
  ]
  with Image.open("new/drawn/photo.jpg") as drawn:
    assert (drawn.size, drawn.format) == ((90, 60), "JPEG")
    assert np.abs(np.asarray(drawn).astype(int) - 120).max() > 50
  with Image.open("new/drawn/black.png") as drawn:
    assert not np.asarray(drawn).any()
  assert (folder / "photo.jpg").read_bytes() == before
  words += ["--output", "new/drawn"]
  assert main(words) == 2
  assert "a new name, or --overwrite" in capsys.readouterr().err
  assert main([*words, "--overwrite"]) == 0


@pytest.mark.parametrize(
  ("words", "status", "message"),
  [
    (["photo.jpg", "--output", "."], 2, "another file"),
    (["photo.jpg", "--output", ".", "--overwrite"], 2, "another file"),
    (["photo.jpg", "--output", "black.png"], 2, "a folder, or nothing"),
    (["photo.jpg", "--min-score", "30"], 2, "min_score=30"),
    (["photo.jpg", "--max-boxes", "0"], 2, "max_boxes=0"),
    (
      ["photo.jpg", "--categories", "cat,cow"],
      2,
      "(cat, dog). Received: category='cow'",
    ),
    (["-", "photo.jpg", "-"], 2, "`-` once"),
    (["none.jpg"], 1, "none.jpg: No such file"),
    (["text.png"], 2, "text.png: Expected an image"),
    (["model"], 2, "matches at least one image"),
    (["/dev/zero"], 2, "and no pipe, socket or device"),
    (["photo.jpg", "--annotations", "text.png"], 2, "--coco FILE with --annotations"),
    (["photo.jpg", "--coco", "text.png"], 2, "a new name, or --overwrite"),
    (["photo.jpg", "--coco", "text.png", "--overwrite"], 2, "which alone is replaced"),
    (["1.jpg", "--coco", "new.json", "--annotations", "text.png"], 2, "text.png: "),
    (["photo.jpg", "--model", "codec"], 2, "an exported detector. Received: "),
    (["photo.jpg", "--model", "none"], 2, "an exported model's folder"),
  ],
)
def test_mistakes_are_one_line(folder, capsys, words, status, message):
  (folder / "text.png").write_text("not a picture")
  assert main(["detect", "--model", "model", *words]) == status
  err = capsys.readouterr().err
  assert message in err
  assert err.count("\n") == 1


BAD = {
  "text.png": (2, "Expected an image"),
  "none.jpg": (1, "No such file"),
  "model": (2, "matches at least one image"),
  "pipe.jpg": (2, "and no pipe, socket or device"),
  "empty.jpg": (2, "0 bytes"),
}


@pytest.fixture
def bad_files(folder):
  (folder / "text.png").write_text("not a picture")
  (folder / "empty.jpg").touch()
  os.mkfifo(folder / "pipe.jpg")


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_bad_image_does_not_end_a_batch(bad_files, capsys, name, place):
  status, message = BAD[name]
  words = ["photo.jpg", "black.png"]
  words.insert(place, name)
  assert main(["detect", *words, "--model", "model", "--json"]) == status
  out, err = capsys.readouterr()
  images = json.loads(out)["images"]
  assert [one["image"] for one in images] == words
  assert ["error" in one for one in images] == [one == name for one in words]
  assert message in images[place]["error"]
  assert "objects" not in images[place]  # nobody is to read that nothing was found
  errors = err.splitlines()
  assert errors[0].startswith(f"hardmine: {name}: ")
  assert errors[1] == "hardmine: 1 of 3 images could not be done"
  assert main(["detect", *words, "--model", "model"]) == status
  assert "photo.jpg: dog 0.875" in capsys.readouterr().out


def test_what_may_succeed_another_time_decides_the_status(bad_files, capsys):
  words = ["detect", *BAD, "--model", "model"]
  assert main(words) == 1
  assert "5 of 5 images could not be done" in capsys.readouterr().err


def test_a_fault_of_the_model_is_one_line_of_its_image(monkeypatch, capsys):
  def fail(self, image, min_score=0.0):
    if not image.any():
      raise KeyError("a tensor")
    return detect(self, image, min_score)

  detect = TwoObjects.detect
  monkeypatch.setattr(TwoObjects, "detect", fail)
  words = ["detect", "black.png", "photo.jpg", "--model", "model"]
  assert main(words) == 1
  out, err = capsys.readouterr()
  assert "photo.jpg: dog" in out
  assert "hardmine: black.png: KeyError: 'a tensor' (--traceback says where)\n" in err
  main(["--traceback", *words])
  assert "Traceback" in capsys.readouterr().err


def test_folders_and_patterns_are_searched_and_drawn_below(folder, capsys):
  for name in ("set/1.jpg", "set/inner/1.jpg", "set/inner/2.png"):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy("photo.jpg" if name.endswith("jpg") else "black.png", folder / name)
  (folder / "set" / "notes.txt").touch()
  words = ["detect", "set", "photo.jpg", "./photo.jpg", "b*.png", "--model", "model"]
  assert main([*words, "--output", "drawn", "--json"]) == 0
  answer = json.loads(capsys.readouterr().out)
  assert [one["image"] for one in answer["images"]] == [
    *("set/1.jpg", "set/inner/1.jpg", "set/inner/2.png", "photo.jpg", "black.png")
  ]
  assert {why: one["count"] for why, one in answer["skipped"].items()} == {
    "other_file": 1,
    "repeated": 1,
  }
  base = folder.name
  drawn = {os.path.relpath(one["drawn"], "drawn") for one in answer["images"]}
  assert drawn == {
    *("set/1.jpg", "set/inner/1.jpg", "set/inner/2.png"),
    *(f"{base}/photo.jpg", f"{base}/black.png"),
  }


def test_no_drawing_replaces_another_photograph_that_is_read(folder, capsys):
  (folder / "set").mkdir()
  shutil.copy("black.png", "set/photo.jpg")
  before = (folder / "photo.jpg").read_bytes()
  words = ["detect", "set/photo.jpg", "photo.jpg", "--model", "model", "--overwrite"]
  os.symlink(folder, "set/out")
  assert main(["detect", "set/photo.jpg", "--model", "model", "--output", "."]) == 2
  (folder / "drawn" / "set").mkdir(parents=True)
  os.link("photo.jpg", "drawn/set/photo.jpg")
  assert main([*words, "--output", "drawn"]) == 2
  assert "another file than one that is read" in capsys.readouterr().err
  assert (folder / "photo.jpg").read_bytes() == before


def test_drawings_that_cannot_be_written_are_named(capsys):
  words = ["detect", "photo.jpg", "black.png", "--model", "model", "--json"]
  assert main([*words, "--output", "/proc/drawn"]) == 1
  out, err = capsys.readouterr()
  photo, black = json.loads(out)["images"]
  assert photo["objects"]  # found, though not drawn
  for one in (photo, black):
    assert "/proc/drawn" in one["error"]
    assert "drawn" not in one
  assert "2 of 2 images" in err


def test_pipes_of_a_shell_are_read(monkeypatch, capsys):
  words = ["--model", "model", "--output", "drawn"]
  with open("photo.jpg", "rb") as file:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(file.read())))
    assert main(["detect", "-", *words]) == 0
    reading, writing = os.pipe()
    file.seek(0)
    os.write(writing, file.read())
    os.close(writing)
    assert main(["detect", f"/dev/fd/{reading}", "--model", "model"]) == 0
    os.close(reading)
  out = capsys.readouterr().out
  assert out == f"-: dog 0.875 at 10,20 30x30\n/dev/fd/{reading}: {out.split(': ')[-1]}"
  assert os.listdir("drawn") == ["stdin.png"]


class Weak(TwoObjects):
  """Finds 60 objects, the n-th with a score of 0.9 - n / 100."""

  def detect(self, image, min_score=0.0):
    rows = np.arange(60)
    return Detections(
      boxes_yxyx_px=np.stack([rows % 50, rows, rows % 50 + 9, rows + 9], -1) * 1.0,
      scores=0.9 - rows / 100,
      category_ids=17 + rows % 2,
    ).above(min_score)


@pytest.fixture
def weak(monkeypatch):
  monkeypatch.setattr(Detector, "load", lambda *_: Weak())


def test_what_is_not_shown_is_counted(weak, capsys):
  words = ["detect", "photo.jpg", "--model", "model"]
  assert main([*words, "--min-score", "0.5"]) == 0
  out, err = capsys.readouterr()
  assert out.count("\n") == 20
  assert err == (
    "photo.jpg: 20 shown of 41; --max-boxes 41 shows all; 19 more score below 0.5\n"
  )
  assert main([*words, "--min-score", "0.5", "--max-boxes", "41"]) == 0
  out, err = capsys.readouterr()
  assert out.count("\n") == 41
  assert err == "photo.jpg: 41 shown; 19 more score below 0.5\n"
  assert main([*words, "--min-score", "0.95"]) == 0
  out, err = capsys.readouterr()
  line = "photo.jpg: nothing scores 0.95 or more; the best of 60 scores 0.9\n"
  assert (out, err) == (line, "")


def test_programs_get_all_boxes_unless_they_ask_for_fewer(weak, capsys):
  words = ["detect", "photo.jpg", "--model", "model", "--json"]
  assert main(words) == 0
  (image,) = json.loads(capsys.readouterr().out)["images"]
  assert (len(image["objects"]), image["num_above_max_boxes"]) == (60, 0)
  assert main([*words, "--min-score", "0.8", "--max-boxes", "3"]) == 0
  (image,) = json.loads(capsys.readouterr().out)["images"]
  assert (len(image["objects"]), image["num_above_max_boxes"]) == (3, 8)
  assert image["num_below_min_score"] == 49


def test_only_some_categories_are_found(weak, capsys):
  words = ["detect", "photo.jpg", "--model", "model", "--json", "--min-score", "0"]
  assert main([*words, "--categories", "dog"]) == 0
  (image,) = json.loads(capsys.readouterr().out)["images"]
  assert {one["category"] for one in image["objects"]} == {"dog"}
  assert len(image["objects"]) == 30


def listed(*files, categories=((1, "dog"), (2, "cat")), **sides):
  """A COCO file of images with ids from 7 on, and without annotations."""
  images = [{"id": 7 + i, "file_name": name, **sides} for i, name in enumerate(files)]
  named = [{"id": number, "name": name} for number, name in categories]
  with open("true.json", "w", encoding="utf-8") as file:
    json.dump({"images": images, "categories": named}, file)
  return ["--model", "model", "--coco", "found.json", "--annotations", "true.json"]


def found():
  with open("found.json", encoding="utf-8") as file:
    return json.load(file)


def test_results_have_the_ids_of_the_annotations(capsys):
  words = listed("black.png", "set/photo.jpg", width=90, height=60)
  assert main(["detect", "photo.jpg", "black.png", *words]) == 0
  dog, cat = found()
  assert (dog["image_id"], dog["category_id"], dog["score"]) == (8, 1, 0.875)
  assert dog["bbox"] == pytest.approx([10, 20, 30.4, 30], rel=1e-6)
  # The cat's score is below what is shown: a curve needs the whole of it.
  assert (cat["image_id"], cat["category_id"], cat["score"]) == (8, 2, 0.25)
  assert main(["detect", "photo.jpg", *words]) == 2
  assert "a new name, or --overwrite" in capsys.readouterr().err
  assert main(["detect", "black.png", *words, "--overwrite"]) == 0
  assert found() == []


@pytest.mark.parametrize(
  "name",
  [
    *("photo.jpg", "a/b/photo.jpg", "a\\b\\photo.jpg", "C:\\x\\photo.jpg"),
    *("ph%6Fto.jpg", "PHOTO.JPG", "/nowhere/photo.jpg"),
  ],
)
def test_names_of_other_systems_are_understood(name):
  assert main(["detect", "photo.jpg", *listed("other.jpg", name)]) == 0
  assert {one["image_id"] for one in found()} == {8}


def test_of_images_of_one_name_the_folder_decides(folder, capsys):
  for name in ("train", "val"):
    (folder / name).mkdir()
    shutil.copy("photo.jpg", folder / name)
  words = listed("train/photo.jpg", "val/photo.jpg")
  assert main(["detect", "val/photo.jpg", *words]) == 0
  assert {one["image_id"] for one in found()} == {8}
  assert main(["detect", "photo.jpg", "train/photo.jpg", *words, "--overwrite"]) == 2
  err = capsys.readouterr().err
  assert "it may be train/photo.jpg or val/photo.jpg" in err
  assert {one["image_id"] for one in found()} == {7}  # the other one was done


@pytest.mark.parametrize(
  ("images", "entries", "message"),
  [
    (["photo.jpg"], {"files": ["else.jpg"]}, "true.json lists. Received: file_name="),
    (["photo.jpg", "x/photo.jpg"], {"files": ["photo.jpg"]}, "another id than photo"),
    (["photo.jpg"], {"files": ["photo.jpg"], "width": 91}, "91x60 pixels, as the ann"),
    (
      ["photo.jpg"],
      {"files": ["photo.jpg"], "categories": [(1, "dog")]},
      "Received: missing=['cat'], num_missing=1",
    ),
    (
      ["photo.jpg"],
      {"files": ["photo.jpg"], "categories": [(1, "dog"), (2, "dog"), (3, "cat")]},
      "one category 'dog' in true.json",
    ),
  ],
)
def test_ids_that_cannot_be_told(folder, capsys, images, entries, message):
  (folder / "x").mkdir()
  shutil.copy("photo.jpg", "x")
  others = {key: value for key, value in entries.items() if key != "files"}
  words = listed(*entries["files"], **others)
  assert main(["detect", *images, *words]) == 2
  assert message in capsys.readouterr().err


def test_categories_that_only_the_model_has_can_be_left_out():
  words = listed("photo.jpg", categories=[(5, "dog")])
  assert main(["detect", "photo.jpg", *words, "--categories", "dog"]) == 0
  assert [one["category_id"] for one in found()] == [5]


@pytest.mark.parametrize("name", ["000000000042.jpg", "COCO_val2014_000000000042.jpg"])
def test_without_annotations_names_are_numbers(folder, capsys, name):
  shutil.copy("photo.jpg", folder / name)
  words = ["detect", name, "photo.jpg", "--model", "model", "--coco", "found.json"]
  assert main(words) == 2
  assert "a file name that is the image's id" in capsys.readouterr().err
  assert [(one["image_id"], one["category_id"]) for one in found()] == [
    (42, 18),
    (42, 17),
  ]


def test_nothing_done_writes_no_results(folder, capsys):
  words = ["detect", "none.jpg", "--model", "model", "--coco", "found.json"]
  assert main(words) == 1
  assert not (folder / "found.json").exists()
  assert "at least one image that could be done" in capsys.readouterr().err


def test_names_are_no_commands_to_the_terminal(monkeypatch, folder, capsys):
  name = "a\x1b[31m\n.jpg"
  shutil.copy("photo.jpg", folder / name)
  names = Categories(
    categories=(Category(id=17, name=":cat:"), Category(id=18, name="do\x07\ng"))
  )
  monkeypatch.setattr(TwoObjects, "categories", names)
  words = ["detect", name, "--model", "model", "--min-score", "0.2"]
  assert main([*words, "--output", "drawn"]) == 0
  assert capsys.readouterr().out.splitlines() == [
    "a\\x1b[31m\\n.jpg: do\\x07\\ng 0.875 at 10,20 30x30",
    "a\\x1b[31m\\n.jpg: :cat: 0.250 at 60,0 30x10",
  ]


def test_a_detector_does_not_decode(folder, capsys):
  assert main(["encode", "photo.jpg", "photo.hmc", "--model", "model"]) == 2
  assert "an exported codec. Received: model='model', a detector" in (
    capsys.readouterr().err
  )


def test_no_model_says_what_to_pass(capsys):
  assert main(["detect", "photo.jpg"]) == 2
  assert "Expected a detector: pass --model REF" in capsys.readouterr().err
