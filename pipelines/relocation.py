"""What ML Metadata says of a root that was moved, copied or mounted elsewhere.

Records hold absolute paths. Where what they name is found below the root of today
under the same name, they are made to say so; all others stay as they are.
"""

from __future__ import annotations

import os

from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from hardmine.pipelines.site import Site
from hardmine.schemas.local_copies import is_there
from hardmine.schemas.uris import is_url

_ROOT_OF = "hardmine.root_of_pipeline"
MOVED_FROM = "moved_from"  # the property that says which root an artifact came from


def adopt(store: MetadataStore, site: Site) -> set[str]:
  """Makes the records of a root name what lies in it.

  Args:
    store: of this root and no other.
    site: whose root may have been another one before.

  Returns:
    The roots that were named until now, none where nothing had moved.
  """
  moved = [artifact for artifact in store.get_artifacts() if _move(artifact, site)]
  if moved:
    store.put_artifacts(moved)
  return {artifact.custom_properties[MOVED_FROM].string_value for artifact in moved}


def require_one_root(store: MetadataStore, site: Site, name: str) -> None:
  """Remembers in a shared database which root a pipeline's name belongs to.

  Args:
    store: that several roots may share.
    site: whose root.
    name: of the pipeline. Runs of one name reuse each other's outputs.

  Raises:
    ValueError: runs in another root have this name already.
  """
  known = store.get_context_by_type_and_name(_ROOT_OF, name)
  if known is None:
    kind = mlmd.ContextType(name=_ROOT_OF, properties={"root": mlmd.STRING})
    context = mlmd.Context(type_id=store.put_context_type(kind), name=name)
    context.properties["root"].string_value = site.root
    store.put_contexts([context])
    return
  root = known.properties["root"].string_value
  if root != site.root:
    raise ValueError(
      f"Expected {root!r}, where this database knows {name!r} from: give the "
      "experiment another name, or choose another database by --metadata. "
      f"Received: root={site.root!r}"
    )


def _move(artifact: mlmd.Artifact, site: Site) -> bool:
  """Changes a record whose artifact is found here; whether it was."""
  folder, *tail = artifact.uri.rsplit("/", 3)  # artifacts/NODE/OUTPUT/ID
  old_root, name = os.path.split(folder)
  here = os.path.join(site.artifacts_dir, *tail)
  if (
    name != os.path.basename(site.artifacts_dir)
    or not "".join(tail[2:]).isdecimal()
    or _is_same(folder, site.artifacts_dir)
    or not is_there(here)
  ):
    return False
  artifact.uri = here
  for value in artifact.custom_properties.values():
    if value.string_value.startswith(f"{old_root}/"):
      place = site.root + value.string_value[len(old_root) :]
      if is_there(place):
        value.string_value = place
  artifact.custom_properties[MOVED_FROM].string_value = old_root
  return True


def _is_same(one: str, other: str) -> bool:
  """Whether two names are of one folder, which then was not moved."""
  if is_url(one) or is_url(other):
    return one == other
  try:
    return one == other or os.path.samefile(one, other)
  except OSError:
    return False
