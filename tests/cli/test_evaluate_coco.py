"""`hardmine evaluate coco`: a set by hand, both outputs, and files of no use."""

from __future__ import annotations

import json
import re

import pytest

from hardmine.pipelines.cli.main import main

INSTANCES = {
  "images": [{"id": 1}, {"id": 2}],
  "categories": [{"id": 3, "name": "cat [tabby]"}, {"id": 5, "name": "dog"}],
  "annotations": [
    {"id": 1, "image_id": 1, "category_id": 3, "bbox": [0, 0, 40, 40], "area": 1600},
    {"id": 2, "image_id": 2, "category_id": 3, "bbox": [0, 0, 40, 40], "area": 1600},
  ],
}
RESULTS = [{"image_id": 1, "category_id": 3, "bbox": [0, 0, 40, 40], "score": 0.5}]
TWELVE = (
  *("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large"),
  *("AR_1", "AR_10", "AR_100", "AR_small", "AR_medium", "AR_large"),
)


@pytest.fixture
def evaluate(tmp_path, capsys):
  """Runs the command on two files; gives its status, output and errors."""

  def run(*options, instances=INSTANCES, results=RESULTS):
    words = ["evaluate", "coco"]
    for name, content in (("annotations", instances), ("detections", results)):
      path = tmp_path / f"{name}.json"
      path.write_text(content if isinstance(content, str) else json.dumps(content))
      words += [f"--{name}", str(path)]
    status = main([*words, *options])
    return status, *capsys.readouterr()

  return run


def test_one_of_two_is_found(evaluate):
  status, out, _ = evaluate("--json")
  assert status == 0
  metrics = json.loads(out)
  assert tuple(metrics["summary"]) == TWELVE
  # Precision 1 at the 51 recalls up to a half, and 0 beyond.
  assert metrics["summary"]["AP"] == pytest.approx(51 / 101)
  assert metrics["summary"]["AR_1"] == 0.5
  assert metrics["summary"]["AP_small"] == -1
  assert (metrics["num_images"], metrics["num_boxes"]) == (2, 2)
  assert metrics["num_detections"] == 1
  cat, dog = (metrics["per_category"][key] for key in ("3", "5"))
  assert (cat["name"], cat["num_boxes"]) == ("cat [tabby]", 2)
  assert cat["AP50"] == pytest.approx(51 / 101)
  assert (dog["num_boxes"], dog["AP"]) == (0, -1)
  assert metrics["files"] == {}


def test_people_read_the_same_numbers(evaluate):
  status, out, _ = evaluate()
  assert status == 0
  rows = [line.split() for line in out.splitlines() if line.strip()]
  assert [row[0] for row in rows[1:13]] == list(TWELVE)
  assert rows[1] == ["AP", "0.50", "to", "0.95", "all", "100", "0.505"]
  assert rows[2] == ["AP50", "0.50", "all", "100", "0.505"]
  assert rows[4][-1] == "-"
  assert rows[7] == ["AR_1", "0.50", "to", "0.95", "all", "1", "0.500"]
  assert rows[-2][:4] == ["cat", "[tabby]", "2", "0.505"]
  assert rows[-1] == ["dog", "0", *"-------"]


@pytest.mark.parametrize(
  ("options", "images", "boxes", "left_out"),
  [
    (["--image-ids", "2"], 1, 1, 1),
    (["--image-ids", "2,1"], 2, 2, 0),
    (["--image-ids", "1", "--image-ids", "2"], 2, 2, 0),
    (["--categories", "dog"], 2, 0, 1),
    (["--categories", "dog, cat [tabby]"], 2, 2, 0),
    (["--images-of", "part.json"], 1, 1, 1),
    (
      ["--images-of", "part.json", "--image-ids", "1,2", "--categories", "dog"],
      1,
      0,
      1,
    ),
  ],
)
def test_a_part_of_the_set(
  evaluate, monkeypatch, tmp_path, options, images, boxes, left_out
):
  monkeypatch.chdir(tmp_path)
  part = {"images": [{"id": 2}, {"id": 77}], "categories": []}
  (tmp_path / "part.json").write_text(json.dumps(part))
  status, out, _ = evaluate("--json", *options)
  assert status == 0
  metrics = json.loads(out)
  assert (metrics["num_images"], metrics["num_boxes"]) == (images, boxes)
  assert metrics["num_detections_left_out"] == left_out
  assert metrics["num_detections"] == 1 - left_out
  _, out, _ = evaluate(*options)
  assert ("1 detections are of none of these" in out) == bool(left_out)


@pytest.mark.parametrize(
  ("options", "message"),
  [
    (
      ["--image-ids", "1,3"],
      "image ids that the annotations list. Received: unknown=[3]",
    ),
    (["--image-ids", "1;2"], "such as 7,12. Received: image_id='1;2'"),
    (["--image-ids", ""], "such as 7,12"),
    (["--categories", "cow"], "(cat [tabby], dog). Received: category='cow'"),
    (["--images-of", "none.json"], "none.json: No such file"),
  ],
)
def test_a_part_that_is_not_there(evaluate, options, message):
  status, _, err = evaluate(*options)
  assert status in (1, 2)
  assert message in err


def test_a_name_with_a_comma_is_a_name(evaluate):
  names = [{"id": 3, "name": "cat, big"}, {"id": 5, "name": "cat"}]
  instances = {**INSTANCES, "categories": names}
  _, out, _ = evaluate("--json", "--categories", "cat, big", instances=instances)
  assert list(json.loads(out)["per_category"]) == ["3"]


def test_images_without_detections_are_counted(evaluate):
  _, out, _ = evaluate()
  assert "1 detections, 2 boxes, 2 images (1 of them without a detection)" in out


NAMES = (
  ":car:",
  "a\x1b[31mb",
  "[bold]x[/bold]",
  "tab\there",
  "x" * 200,
  "right\u202eleft",
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("is_terminal", [False, True])
def test_names_are_shown_as_they_are(evaluate, monkeypatch, name, is_terminal):
  monkeypatch.setattr("sys.stdout.isatty", lambda: is_terminal)
  monkeypatch.setenv("COLUMNS", "300")
  categories = [{"id": 3, "name": name}, {"id": 5, "name": "dog"}]
  _, out, _ = evaluate(instances={**INSTANCES, "categories": categories})
  plain = out
  if is_terminal:  # rich's own commands are not the name's
    plain = re.sub(r"\x1b\[[0-9;]*m", "", out)
  shown = name.encode("unicode_escape").decode()
  assert f"\n{shown} " in plain
  assert "\x1b[31m" not in out


def test_the_file_holds_the_same_numbers(evaluate, tmp_path):
  status, out, _ = evaluate("--json", "--output", str(tmp_path / "new" / "folder"))
  assert status == 0
  metrics = json.loads(out)
  (path,) = metrics.pop("files").values()
  with open(path, encoding="utf-8") as file:
    assert json.load(file) == metrics
  words = ("--output", str(tmp_path / "new" / "folder"))
  status, _, err = evaluate(*words)
  assert status == 2
  assert "a new name, or --overwrite" in err
  status, out, _ = evaluate(*words, "--overwrite")
  assert (status, out.splitlines()[-1]) == (0, path)


def test_numbers_of_something_else_stay(evaluate, tmp_path):
  (tmp_path / "metrics.json").write_text('{"mine": 1}')
  status, _, err = evaluate("--output", str(tmp_path), "--overwrite")
  assert status == 2
  assert "which alone is replaced" in err
  assert (tmp_path / "metrics.json").read_text() == '{"mine": 1}'


def test_nothing_at_all_is_measured(evaluate):
  nothing = {key: [] for key in INSTANCES}
  status, out, _ = evaluate(instances=nothing, results=[])
  assert status == 0
  assert "0 detections, 0 boxes, 0 images" in out


@pytest.mark.parametrize(
  ("files", "text"),
  [
    ({"instances": "{"}, "annotations.json: Expected JSON"),
    ({"instances": []}, "annotations.json: Expected "),
    ({"results": {}}, "detections.json: Expected a list of detections"),
    ({"results": [{**RESULTS[0], "image_id": 7}]}, "detections[0] of image 7: "),
    ({"results": [{**RESULTS[0], "bbox": [0, 0, -1, 5]}]}, "0 or more. Received"),
  ],
)
def test_a_file_of_no_use_is_a_usage_error_in_one_line(evaluate, files, text):
  status, out, err = evaluate("--json", **files)
  assert (status, out) == (2, "")
  assert text in err
  assert err.count("\n") == 1


def test_a_file_as_output_folder_is_refused_before_measuring(evaluate, tmp_path):
  (tmp_path / "out").write_text("")
  status, _, err = evaluate("--output", str(tmp_path / "out"), results="{")
  assert status == 2
  assert "a folder, or nothing, there" in err


def test_a_file_that_is_not_there_is_named(tmp_path, capsys):
  path = str(tmp_path / "no.json")
  assert main(["evaluate", "coco", "--annotations", path, "--detections", path]) == 1
  assert path in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["nonsense"], ["coco"]])
def test_kinds_are_required(words, capsys):
  assert main(["evaluate", *words]) == 2
  assert "usage: hardmine evaluate" in capsys.readouterr().err
