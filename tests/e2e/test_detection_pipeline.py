"""The detection pipeline from annotated images to boxes, as `hardmine run` runs it.

One process and one root for the whole story, as in `test_codec_pipeline.py`.
"""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pytest
from PIL import Image

from hardmine.pipelines.cli.main import main
from hardmine.pipelines.detection import NODES
from hardmine.pipelines.experiments import find
from hardmine.pipelines.running import run_experiment
from hardmine.pipelines.site import Site
from hardmine.schemas.conversion_config import AnnotatedFolder, ConversionConfig
from hardmine.schemas.detector_config import SSDConfig
from hardmine.schemas.evaluation_config import DetectionEvaluationConfig
from hardmine.schemas.experiment import DetectionExperiment
from hardmine.schemas.gates import Gate
from hardmine.schemas.training_config import DetectorTrainingConfig
from hardmine.serving.store.store import ModelStore
from tests.trainers.detection.rectangles import CATEGORIES, rectangle


def write_set(folder: Path, indices: range) -> None:
  """Images and `annotations.json`, as COCO has them."""
  folder.mkdir()
  images, annotations = [], []
  for index in indices:
    image = rectangle(index)
    (folder / image.filename).write_bytes(image.encoded)
    images.append({"id": index, "file_name": image.filename, "height": 60, "width": 80})
    ymin, xmin, ymax, xmax = (image.boxes_yxyx_norm[0] * [60, 80, 60, 80]).tolist()
    annotations.append(
      {
        "id": index,
        "image_id": index,
        "category_id": int(image.category_ids[0]),
        "bbox": [xmin, ymin, xmax - xmin, ymax - ymin],
        "area": float(image.areas_px[0]),
        "iscrowd": 0,
      }
    )
  categories = [dataclasses.asdict(category) for category in CATEGORIES.categories]
  (folder / "annotations.json").write_text(
    json.dumps({"images": images, "annotations": annotations, "categories": categories})
  )


class Story:
  """A root with annotated images, and every run made in it."""

  def __init__(self, folder: Path):
    from tests.trainers.detection.tiny_extractor import TinyExtractor

    self.folder, self.root = folder, str(folder / "root")
    write_set(folder / "train", range(12))
    write_set(folder / "eval", range(100, 104))
    self.experiment = DetectionExperiment(
      name="tiny",
      conversion=ConversionConfig(
        sources=tuple(
          AnnotatedFolder(
            images=str(folder / split),
            annotations=str(folder / split / "annotations.json"),
            split=split,
          )
          for split in ("train", "eval")
        ),
        num_shards=1,
      ),
      detector=SSDConfig(feature_extractor=TinyExtractor, resolution_px=96),
      training=DetectorTrainingConfig(
        steps=60,
        batch_size=4,
        optimizer="adam",
        learning_rate=5e-3,
        batch_norm_momentum=0.8,
        augment=False,
        summary_steps=30,
        max_boxes=2,
      ),
      evaluation=DetectionEvaluationConfig(
        gates=(Gate(metric="AP50", bound=0.05, min_improvement=0.0),)
      ),
    )

  def run(self, *assignments: str, **options):
    experiment = self.experiment.override(list(assignments))
    return run_experiment(
      experiment, Site(root=self.root), say=lambda line: None, **options
    )


@pytest.fixture(scope="module")
def story(tmp_path_factory):
  return Story(tmp_path_factory.mktemp("detection"))


@pytest.fixture(scope="module")
def first(story):
  return story.run()


def test_first_run_runs_every_node_and_pushes_a_blessed_model(story, first):
  done, outcome = first
  assert {node.node for node in done.nodes} == set(NODES)
  assert {node.status for node in done.nodes} == {"ran"}
  assert outcome.blessed is True, outcome.reasons
  assert outcome.metrics["AP50"] >= 0.05
  assert Path(outcome.pushed_dir).parent == Path(story.root, "store", "versions")
  assert "<svg" in Path(outcome.report_path).read_text("utf-8")


def test_the_pushed_model_finds_objects_from_the_command_line(
  story, first, tmp_path, capsys
):
  photograph = story.folder / "eval" / "100.png"
  words = ["detect", str(photograph), "--model", f"{story.root}/store:candidate"]
  words += ["--output", str(tmp_path / "shown"), "--min-score", "0.05", "--json"]
  assert main(words) == 0
  assert '"category"' in capsys.readouterr().out
  (shown,) = os.listdir(tmp_path / "shown")
  assert Image.open(tmp_path / "shown" / shown).size == (80, 60)


def test_second_run_reuses_every_node(story, first):
  done, outcome = story.run()
  statuses = {node.node: node.status for node in done.nodes}
  assert statuses.pop("Rival") == "ran"  # a resolver is never reused, only cheap
  assert set(statuses.values()) == {"reused"}
  assert outcome.blessed is True
  assert ModelStore(Path(story.root, "store")).versions() == [1]


def test_a_gate_out_of_reach_is_not_blessed_and_says_so(story, first):
  done, outcome = story.run(
    'evaluation.gates=[{"metric": "AP50", "bound": 1.01, "direction": "higher"}]'
  )
  assert outcome.blessed is False
  assert "must be at least 1.0100" in outcome.reasons[0]
  assert done.node("Trainer").status == "reused"
  assert outcome.pushed_dir is None


def test_another_model_has_the_blessed_one_as_its_rival(story, first):
  short = ("training.steps=2", "training.summary_steps=2")
  done, _ = story.run("training.seed=1", *short, to_node="Rival")
  assert done.node("Trainer").status == "ran"
  shown = first[0].run_id[:19].replace("T", " ")
  assert done.node("Rival").why == f"found the blessed model of run {shown}"


def test_a_changed_annotation_converts_again(story, first):
  path = story.folder / "eval" / "annotations.json"
  content = json.loads(path.read_text())
  del content["annotations"][0]
  path.write_text(json.dumps(content))
  done, _ = story.run(to_node="CocoGen")
  assert done.node("CocoGen").status == "ran"


@pytest.mark.parametrize(
  "name", ["ssd_small_set", "ssd_coco_cpu", "ssd_mobilenet_coco"]
)
def test_shipped_experiments_without_their_data_say_so(name, tmp_path, capsys):
  experiment = find(name)
  with pytest.raises(RuntimeError, match="CocoGen failed"):
    run_experiment(experiment, Site(root=str(tmp_path)), say=lambda line: None)
