"""What a run left out, as the manifests and the dead letters of its nodes say."""

from __future__ import annotations

import json

from hardmine.pipelines.losses import Loss, loss_lines, losses_of
from hardmine.pipelines.runs import NodeRun, Run

MINED = {
  "photographs": 5,
  "used": 2,
  "dead": 2,
  "dead_by_reason": {"damaged": 2},
  "notes": {"profile_converted": 1},
  "duplicates": 1,
  "skipped": {"system_file": 1},
  "patches": 200,
}
MINED_LETTERS = [
  {"source": "a.png", "reason": "damaged", "detail": "cut short"},
  {"source": "b.png", "reason": "damaged", "detail": "no header"},
  {"source": "c.png", "reason": "duplicate", "detail": "the pixels of d.png"},
  {"source": "._d.png", "reason": "system_file", "detail": "skipped"},
]
CONVERTED = {
  "images": 9,
  "used": 8,
  "dead_by_reason": {"missing_image": 1},
  "notes": {},
  "annotations": 12,
  "objects": 9,
  "skipped": 2,
  "skipped_by_reason": {"bad_box": 2},
  "lost_with_image": 1,
  "clipped": 0,
}
CONVERTED_LETTERS = [
  {
    "source": "a.json",
    "reason": "missing_image",
    "detail": "no such file",
    "file": "x",
  },
  {
    "source": "a.json",
    "reason": "bad_box",
    "detail": "width -1",
    "file": "y",
    "annotation_id": 7,
    "number": 3,
  },
]


def run_with(tmp_path, **files):
  """A run of nodes that put out these files, by node and name."""
  nodes = []
  for node, content in files.items():
    folder = tmp_path / node
    folder.mkdir()
    for name, value in content.items():
      texts = [json.dumps(one) + "\n" for one in value]
      is_list = name.endswith("jsonl")
      (folder / name).write_text("".join(texts) if is_list else json.dumps(value))
    nodes.append(
      NodeRun(
        node=node,
        status="ran",
        why="",
        seconds=1,
        outputs={"out": [str(folder)]},
        properties={},
      )
    )
  return Run(run_id="1", nodes=tuple(nodes))


def test_every_loss_is_counted_with_its_first_example_and_the_list(tmp_path):
  run = run_with(
    tmp_path,
    PatchGen={
      "manifest.json": {"counts": MINED},
      "dead_letters.jsonl": MINED_LETTERS,
    },
    Trainer={},
  )
  (losses,) = losses_of(run)
  letters = str(tmp_path / "PatchGen" / "dead_letters.jsonl")
  assert losses.kept == {"photographs": 5, "used": 2, "patches": 200}
  assert losses.letters_path == letters
  assert losses.lost == (
    Loss(what="duplicate", count=1, first="c.png: the pixels of d.png"),
    Loss(what="refused: damaged", count=2, first="a.png: cut short"),
    Loss(what="skipped: system_file", count=1, first="._d.png: skipped"),
    Loss(what="noted: profile_converted", count=1, first=None),
  )
  lines = loss_lines((losses,))
  assert lines[0] == "PatchGen: 5 photographs, 2 used, 200 patches"
  assert lines[2].strip() == "refused: damaged: 2, the first: a.png: cut short"
  assert lines[-1].endswith(f"all of them: {letters}")


def test_annotations_are_counted_apart_from_images(tmp_path):
  run = run_with(
    tmp_path,
    CocoGen={
      "manifest.json": {"counts": CONVERTED},
      "dead_letters.jsonl": CONVERTED_LETTERS,
    },
  )
  (losses,) = losses_of(run)
  assert {loss.what: (loss.count, loss.first) for loss in losses.lost} == {
    "annotations lost with their images": (1, None),
    "refused: missing_image": (1, "x: no such file"),
    "annotations skipped: bad_box": (2, "y, annotation 7: width -1"),
  }


def test_a_run_that_lost_nothing_says_what_it_read(tmp_path):
  counts = {"photographs": 2, "used": 2, "patches": 9, "dead_by_reason": {}}
  run = run_with(
    tmp_path, PatchGen={"manifest.json": {"counts": counts}, "dead_letters.jsonl": []}
  )
  assert loss_lines(losses_of(run)) == ["PatchGen: 2 photographs, 2 used, 9 patches"]


def test_pictures_that_could_not_be_measured_are_told(tmp_path):
  left_out = [
    {"image": "tiny.png", "reason": "too_small", "detail": "at least 161 px, 16x16"},
    {"image": "b.png", "reason": "too_small", "detail": "at least 161 px, 9x9"},
  ]
  metrics = {"num_images": 3, "left_out": left_out}
  run = run_with(tmp_path, CodecEvaluator={"metrics.json": metrics})
  assert loss_lines(losses_of(run)) == [
    "CodecEvaluator: 3 images",
    "  left out: too_small: 2, the first: tiny.png: at least 161 px, 16x16",
    f"  all of them: {tmp_path / 'CodecEvaluator' / 'metrics.json'}",
  ]


def test_what_holds_no_counts_is_passed_over(tmp_path):
  run = run_with(
    tmp_path, A={"manifest.json": [1]}, B={"metrics.json": {}}, C={"manifest.json": {}}
  )
  assert losses_of(run) == ()
