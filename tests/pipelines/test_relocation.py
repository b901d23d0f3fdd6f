"""What ML Metadata says of a root that was moved, copied or named otherwise."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from hardmine.pipelines.relocation import MOVED_FROM, adopt
from hardmine.pipelines.site import Site

PLACES = ("Trainer/model/3", "Pusher/pushed_model/4")
ELSEWHERE = ("gs://a/artifacts/Trainer/model/9", "/models/of/others", "artifacts")


class Root:
  """A root with a model and a push, and what ML Metadata says of them."""

  def __init__(self, folder: Path):
    self.old = Site(root=str(folder / "old"))
    for place in PLACES:
      Path(self.old.artifacts_dir, place).mkdir(parents=True)
    Path(self.old.root, "store/versions/1").mkdir(parents=True)
    config = mlmd.ConnectionConfig()
    config.fake_database.SetInParent()
    self.records = MetadataStore(config)
    kind = self.records.put_artifact_type(mlmd.ArtifactType(name="Any"))
    for place in PLACES:
      self.put(kind, f"{self.old.artifacts_dir}/{place}")
    for uri in ELSEWHERE:
      self.put(kind, uri)

  def put(self, kind: int, uri: str) -> None:
    artifact = mlmd.Artifact(type_id=kind, uri=uri)
    for name, value in (
      ("pushed_destination", f"{self.old.root}/store/versions/1"),
      ("gone", f"{self.old.root}/store/versions/2"),
      ("beside", f"{self.old.root}er/store"),
    ):
      artifact.custom_properties[name].string_value = value
    self.records.put_artifacts([artifact])

  def uris(self) -> list[str]:
    return [artifact.uri for artifact in self.records.get_artifacts()]


@pytest.fixture
def root(tmp_path):
  return Root(tmp_path)


@pytest.mark.parametrize("how", [shutil.move, shutil.copytree])
def test_records_name_what_lies_in_the_root_of_today(root, tmp_path, how):
  new = Site(root=str(tmp_path / "new"))
  how(root.old.root, new.root)
  assert adopt(root.records, new) == {root.old.root}
  here = [f"{new.artifacts_dir}/{place}" for place in PLACES]
  assert root.uris() == [*here, *ELSEWHERE]
  facts = root.records.get_artifacts()[0].custom_properties
  assert facts["pushed_destination"].string_value == f"{new.root}/store/versions/1"
  assert facts["gone"].string_value == f"{root.old.root}/store/versions/2"
  assert facts["beside"].string_value == f"{root.old.root}er/store"
  assert facts[MOVED_FROM].string_value == root.old.root
  assert adopt(root.records, new) == set()  # once is enough


def test_what_is_not_in_the_new_place_keeps_its_name(root, tmp_path):
  new = Site(root=str(tmp_path / "new"))
  shutil.move(root.old.root, new.root)
  shutil.rmtree(Path(new.artifacts_dir, PLACES[0]))
  adopt(root.records, new)
  assert root.uris()[:2] == [
    f"{root.old.artifacts_dir}/{PLACES[0]}",
    f"{new.artifacts_dir}/{PLACES[1]}",
  ]


def test_another_name_of_the_same_root_changes_nothing(root, tmp_path):
  before = root.records.get_artifacts()
  (tmp_path / "link").symlink_to(root.old.root)
  assert adopt(root.records, Site(root=str(tmp_path / "link"))) == set()
  assert adopt(root.records, root.old) == set()
  assert root.records.get_artifacts() == before


def test_a_root_that_moved_twice_names_the_last_place(root, tmp_path):
  second, third = (Site(root=str(tmp_path / name)) for name in ("second", "third"))
  shutil.move(root.old.root, second.root)
  adopt(root.records, second)
  shutil.move(second.root, third.root)
  assert adopt(root.records, third) == {second.root}
  assert root.uris()[0].startswith(third.artifacts_dir)
