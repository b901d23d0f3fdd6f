"""What a Trainer is given of a bucket, and when what it made is there."""

import contextlib
import os
import types

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from hardmine.schemas.folders import folder
from hardmine.trainers.trainer_files import on_this_machine


@pytest.fixture
def root():
  MemoryFileSystem.store.clear()
  MemoryFileSystem.pseudo_dirs[:] = [""]
  yield "memory://bucket/artifacts"
  MemoryFileSystem.store.clear()


def arguments(root: str) -> types.SimpleNamespace:
  return types.SimpleNamespace(
    train_files=[f"{root}/examples/1/Split-train/*"],
    eval_files=[f"{root}/examples/1/Split-eval/*"],
    serving_model_dir=f"{root}/model/2/Format-Serving",
    model_run_dir=f"{root}/model_run/2",
    custom_config={"training": "{}"},
  )


def write_model(here: types.SimpleNamespace) -> None:
  folder(here.serving_model_dir).write("saved_model.pb", b"graph")
  folder(here.serving_model_dir).write("assets.extra/codec.json", b"{}")
  folder(here.model_run_dir).write("events", b"e")


def test_examples_are_copied_and_the_model_is_uploaded_at_the_end(root):
  examples = folder(f"{root}/examples/1")
  for name in (
    "Split-train/d-0.gz",
    "Split-eval/d-0.gz",
    "Split-test/d-0.gz",
    "c.json",
  ):
    examples.write(name, name.encode())
  given = arguments(root)
  with on_this_machine(given) as here:
    assert here.custom_config is given.custom_config
    (pattern,) = here.train_files
    split, star = os.path.split(pattern)
    assert star == "*"
    assert folder(os.path.dirname(split)).tree() == {
      "Split-train/d-0.gz",
      "Split-eval/d-0.gz",
      "c.json",
    }
    assert here.eval_files == [f"{os.path.dirname(split)}/Split-eval/*"]
    write_model(here)
    assert folder(root).names("model") == []
  assert not os.path.exists(split)
  assert not os.path.exists(here.serving_model_dir)
  assert folder(root).read("model/2/Format-Serving/assets.extra/codec.json") == b"{}"
  assert folder(root).read("model_run/2/events") == b"e"
  assert given == arguments(root)  # as it was


def test_a_training_that_fails_leaves_no_model(root):
  with contextlib.suppress(ZeroDivisionError), on_this_machine(arguments(root)) as here:
    write_model(here)
    raise ZeroDivisionError
  assert folder(root).names() == []


def test_paths_are_used_as_they_are(tmp_path):
  given = arguments(str(tmp_path))
  with on_this_machine(given) as here:
    assert here == given
    write_model(here)
  assert folder(given.model_run_dir).read("events") == b"e"
