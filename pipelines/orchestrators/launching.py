"""Holds a root, builds a graph in it, and gives what launches its nodes there."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gc
import importlib
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Any

from hardmine.pipelines import beam_environment, metadata_store
from hardmine.pipelines.claims import claim
from hardmine.pipelines.metadata_file import check_metadata
from hardmine.pipelines.orchestrators.bucket_root import held_bucket
from hardmine.pipelines.orchestrators.held_root import held_root
from hardmine.pipelines.orchestrators.node_launcher import Launcher, clock
from hardmine.pipelines.site import Site
from hardmine.schemas.uris import is_url

# By which Beam's workers, too, know buckets.
_BUCKETS_IN_BEAM = "--beam_plugin=hardmine.components.beam_buckets"

# TFX, Beam and ML Metadata are imported inside the functions: it takes half a
# minute, and whether a root is free should be known before.


def import_tfx() -> None:
  """Imports TFX, a third sooner than it is by itself.

  Each of a dozen of Google's clients that it imports asks what all distributions that
  are installed hold, which is read from their thousands of files each time. And garbage
  is looked for again and again among millions of objects that all stay.
  """
  read, collects = metadata.packages_distributions, gc.isenabled()
  metadata.packages_distributions = functools.cache(read)
  gc.disable()
  try:
    importlib.import_module("tfx.v1")
  finally:
    metadata.packages_distributions = read
    if collects:
      gc.enable()


@contextlib.contextmanager
def launcher_in(
  build: Callable[[Site], Any],
  site: Site,
  *,
  node: str | None = None,
  pushes: bool = True,
  say: Callable[[str], None] = print,
  verbose: bool = False,
) -> Iterator[Launcher]:
  """Holds a root, builds a graph in it and gives what launches its nodes.

  Args:
    build: makes the `tfx.dsl.Pipeline` of the site it is given: this one with
      slots for its Beam arguments and, where it names no other, a connection to
      ML Metadata; called once the root is ours.
    site: whose root is made where it does not exist. It names at least one Beam
      argument.
    node: the only one that will be launched, while other processes launch others.
    pushes: whether a model may be pushed, so that records of lost ones matter.
    say: gets lines.
    verbose: let TFX's log through to stderr too.

  Raises:
    ValueError: no such bucket, or a database of another root's pipeline.
    RuntimeError: another run holds the root, or its records are damaged or gone.
  """
  is_shared = node is not None
  with (
    held_root(site, node=node, say=say, verbose=verbose) as log_path,
    held_bucket(site) if not is_shared else contextlib.nullcontext() as bucket,
    beam_environment.filled(_beam_arguments(site)),
  ):
    if bucket is not None:
      say(f"{clock()}  records and logs are kept in {site.local_dir}")
    if site.has_own_records:
      check_metadata(site)
    elif metadata_store.is_database(site.metadata_place):
      metadata_store.check_database(site.metadata_place or "")
    say(f"{clock()}  starting TFX, which takes 15 to 40 seconds ...")
    import_tfx()
    if is_url(site.root):
      from hardmine.components import bucket_files

      bucket_files.register()
    place = site.metadata_place or site.metadata_path
    whole_site = dataclasses.replace(
      site,
      metadata=site.metadata or metadata_store.connection_config(place),
      beam_arguments=beam_environment.slots(),
      library_beam_arguments=beam_environment.library_slots(),
    )
    pipeline = build(whole_site)
    with claim(site, "records", what="the records", say=say):
      store = metadata_store.opened(whole_site.metadata, place)
      _true_records(site, store, pipeline.pipeline_name, pushes, say)
    yield _launcher(pipeline, whole_site, say, log_path, bucket)


def _launcher(pipeline, site: Site, say, log_path: str, bucket) -> Launcher:
  from tfx.dsl.compiler import compiler

  return Launcher(
    pipeline=pipeline,
    plan=compiler.Compiler().compile(pipeline),
    site=site,
    say=say,
    log_path=log_path,
    bucket=bucket,
  )


def _beam_arguments(site: Site) -> list[Any]:
  added = [_BUCKETS_IN_BEAM] if is_url(site.root) else []
  return [*site.beam_arguments, *added]


def _true_records(
  site: Site, store: Any, name: str, pushes: bool, say: Callable[[str], None]
) -> None:
  """Makes ML Metadata say what is true by now of the root and of the model store."""
  from hardmine.components.pushes import withdraw_lost
  from hardmine.pipelines.relocation import adopt, require_one_root

  if site.has_own_records:
    for root in sorted(adopt(store, site)):
      say(f"{clock()}  what earlier runs left in {root} is used from {site.root}")
  else:
    require_one_root(store, site, name)
  if pushes:
    for place in withdraw_lost(store, site.store_url):
      say(f"{clock()}  {place}, which an earlier run pushed, is no longer there")
