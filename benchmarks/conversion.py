"""Converting COCO's images to records, against the plain loop.

    HARDMINE_DATA=DIR .venv/bin/python benchmarks/conversion.py [COPIES]

The plain loop is what one writes first: `json.load`, open every image, decode it
with Pillow to see that it is whole, SHA-256, `tf.train.Example`, and a
`TFRecordWriter` with gzip. It runs in one process; our job has two workers, checks
annotations, counts everything again and hashes what it wrote. The 343 images of
COCO's subset are repeated under other ids by hard links. The job's start-up (two
workers import Beam) is measured on the 343 alone, and both figures are given, with
it and without. Wanted: at least 3 times the images a second.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("HARDMINE_DATA", ROOT.parent / "shared" / "data"))
NUM_SHARDS = 4
WORKERS = 2


def repeat(folder: Path, copies: int) -> None:
  """Fills `images/` with hard links and `instances.json` with their annotations."""
  coco = DATA / "coco"
  content = json.loads(
    (coco / "annotations" / "instances_train2017_subset.json").read_text()
  )
  (folder / "images").mkdir(parents=True)
  images, annotations = content["images"], content["annotations"]
  content["images"], content["annotations"] = [], []
  for copy in range(copies):
    shift = copy * 10**7
    for image in images:
      name = image["file_name"]
      first, link = (folder / "images" / f"{n}_{name}" for n in (0, copy))
      if copy == 0:
        shutil.copyfile(coco / "train2017" / name, first)
      else:
        os.link(first, link)
      content["images"].append(
        {**image, "id": image["id"] + shift, "file_name": link.name}
      )
    content["annotations"] += [
      {**a, "id": a["id"] + shift * 1000, "image_id": a["image_id"] + shift}
      for a in annotations
    ]
  (folder / "instances.json").write_text(json.dumps(content))


def plain_loop(folder: Path, output: Path) -> int:
  """Returns the number of images."""
  import tensorflow as tf

  content = json.loads((folder / "instances.json").read_text())
  names = {category["id"]: category["name"] for category in content["categories"]}
  objects: dict[int, list] = {}
  for annotation in content["annotations"]:
    objects.setdefault(annotation["image_id"], []).append(annotation)
  output.mkdir()
  writers = [
    tf.io.TFRecordWriter(str(output / f"{shard}.tfrecord.gz"), "GZIP")
    for shard in range(NUM_SHARDS)
  ]
  for number, image in enumerate(content["images"]):
    data = (folder / "images" / image["file_name"]).read_bytes()
    example = plain_example(image, data, objects.get(image["id"], []), names)
    writers[number % NUM_SHARDS].write(example)
  for writer in writers:
    writer.close()
  return len(content["images"])


def plain_example(
  image: dict, data: bytes, objects: list[dict], names: dict[int, str]
) -> bytes:
  """The serialized Example of an image file, its COCO entry and its annotations."""
  import tensorflow as tf
  from PIL import Image

  def floats(values):
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))

  def integers(values):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

  def texts(values):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))

  with Image.open(io.BytesIO(data)) as opened:
    opened.load()
    width, height = opened.size
  boxes = [annotation["bbox"] for annotation in objects]
  feature = {
    "image/encoded": texts([data]),
    "image/format": texts([b"jpeg"]),
    "image/filename": texts([image["file_name"].encode()]),
    "image/source_id": texts([str(image["id"]).encode()]),
    "image/key/sha256": texts([hashlib.sha256(data).hexdigest().encode()]),
    "image/height": integers([height]),
    "image/width": integers([width]),
    "image/object/bbox/xmin": floats([box[0] / width for box in boxes]),
    "image/object/bbox/ymin": floats([box[1] / height for box in boxes]),
    "image/object/bbox/xmax": floats([(box[0] + box[2]) / width for box in boxes]),
    "image/object/bbox/ymax": floats([(box[1] + box[3]) / height for box in boxes]),
    "image/object/class/label": integers([a["category_id"] for a in objects]),
    "image/object/class/text": texts(
      [names[a["category_id"]].encode() for a in objects]
    ),
    "image/object/is_crowd": integers([a["iscrowd"] for a in objects]),
    "image/object/area": floats([a["area"] for a in objects]),
  }
  example = tf.train.Example(features=tf.train.Features(feature=feature))
  return example.SerializeToString()


def our_job(folder: Path, output: Path) -> int:
  """Returns the number of images."""
  from hardmine.components.coco_gen.job import run_job
  from hardmine.pipelines.beam_runners import direct, pipeline_maker
  from hardmine.schemas.conversion_config import AnnotatedFolder, ConversionConfig

  source = AnnotatedFolder(
    images=str(folder / "images"), annotations=str(folder / "instances.json")
  )
  manifest = run_job(
    ConversionConfig(sources=(source,), num_shards=NUM_SHARDS),
    output,
    make_pipeline=pipeline_maker(direct(WORKERS)),
  )
  return manifest["counts"]["used"]


CONTESTANTS = {"plain": plain_loop, "ours": our_job}


def timed(name: str, folder: Path) -> tuple[int, float, float]:
  """(images, seconds, processor seconds) of a process, with its imports."""
  output = folder / name
  used = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
  start = time.monotonic()
  done = subprocess.run(
    [sys.executable, __file__, "run", name, str(folder), str(output)],
    env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
    stdout=subprocess.PIPE,
    stderr=subprocess.DEVNULL,
    text=True,
    check=True,
  )
  seconds = time.monotonic() - start
  used = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) - used
  shutil.rmtree(output)
  return int(done.stdout.split()[-1]), seconds, used


def main() -> int:
  """Prints both figures and their ratio."""
  if sys.argv[1:2] == ["run"]:
    name, folder, output = sys.argv[2:]
    print(CONTESTANTS[name](Path(folder), Path(output)))
    return 0
  if not (DATA / "coco").is_dir():
    print(f"conversion: no images under {DATA / 'coco'}; set HARDMINE_DATA")
    return 0
  copies = int(sys.argv[1]) if sys.argv[1:] else 20
  with tempfile.TemporaryDirectory() as scratch:
    few, many = Path(scratch) / "few", Path(scratch) / "many"
    repeat(few, 1)
    repeat(many, copies)
    alone, whole, processor = {}, {}, {}
    for name in CONTESTANTS:
      num_few, start, start_used = timed(name, few)
      num_many, seconds, used = timed(name, many)
      alone[name] = (num_many - num_few) / (seconds - start)
      whole[name] = num_many / seconds
      processor[name] = (used - start_used) / (num_many - num_few) * 1000
      print(
        f"{name:>6}  {num_few:6} images {start:5.1f} s  {num_many:6} images "
        f"{seconds:6.1f} s: {whole[name]:6.1f} images/s, {alone[name]:6.1f} without "
        f"start-up; {processor[name]:.2f} ms of a processor each",
        flush=True,
      )
  ratio = alone["ours"] / alone["plain"]
  print(
    f"ours / plain: {ratio:.1f}x without start-up (>= 3), "
    f"{whole['ours'] / whole['plain']:.1f}x with it; with {WORKERS} processors free "
    f"{WORKERS * processor['plain'] / processor['ours']:.1f}x"
  )
  return 0 if ratio >= 3 else 1


if __name__ == "__main__":
  sys.exit(main())
