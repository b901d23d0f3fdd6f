"""Beam's transforms as operations on Dask bags: those that a job of ours is made of.

Beam has such a translation too. It does not spread what one element grew into, loses
what a DoFn gives at the end of a bundle, computes a side input anew for every bundle,
ignores tagged outputs, takes what it does not know for nothing at all, and lets string
keys land where the hash seed of a process puts them. Here an element's group is found
by its encoded key, and what is not known is refused.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import Any
from zlib import crc32

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.coders import coders
from apache_beam.internal import pickler
from apache_beam.pipeline import AppliedPTransform, PipelineVisitor
from apache_beam.runners.common import (
  DoFnContext,
  DoFnInvoker,
  DoFnSignature,
  _OutputHandler,
)
from apache_beam.runners.dask import overrides
from apache_beam.runners.dask.transform_evaluator import (
  OneReceiver,
  defenestrate,
  get_windowed_value,
)
from apache_beam.transforms.sideinputs import SideInputMap
from dask import bag as db
from dask import delayed

# The same letters in whichever process; a key without such letters is refused.
_KEYS = coders.FastPrimitivesCoder().as_deterministic_coder(
  "GroupByKey", "Expected keys that are encoded alike everywhere. Received: a key of {}"
)


class BagVisitor(PipelineVisitor):
  """Visits a pipeline and makes a bag of every transform's output.

  Attributes:
    bags: by transform.
    num_partitions: of what was spread or grouped.
  """

  def __init__(self, num_partitions: int):
    self.num_partitions = num_partitions
    self.bags: dict[AppliedPTransform, db.Bag] = {}
    self._read: set[AppliedPTransform] = set()

  def ends(self) -> list[db.Bag]:
    """The bags that no other is made of: computing them computes all."""
    return [bag for node, bag in self.bags.items() if node not in self._read]

  def visit_transform(self, transform_node: AppliedPTransform) -> None:
    """Adds a bag.

    Raises:
      ValueError: a transform that is not known here, or one with tagged outputs.
    """
    inputs = [self._bag_of(value) for value in transform_node.inputs]
    self.bags[transform_node] = self._output(transform_node, inputs)

  def _bag_of(self, value: Any) -> db.Bag | None:
    if isinstance(value, pvalue.PBegin):
      return None
    self._read.add(value.producer)
    return self.bags[value.producer]

  def _output(self, node: AppliedPTransform, inputs: Sequence[Any]) -> db.Bag:
    match node.transform:
      case overrides._Create(values=values):
        return _sequence(values)
      case beam.Impulse():
        return _sequence([b""])
      case overrides._Flatten():
        return db.concat(inputs) if inputs else _sequence([])
      case overrides._Reshuffle():
        return self._spread(inputs[0])
      case overrides._GroupByKeyOnly():
        return self._grouped(inputs[0])
      case overrides._GroupAlsoByWindow():
        return inputs[0]  # `_grouped` has left the windows behind
      case beam.WindowInto(windowing=windowing) if windowing.is_default():
        return inputs[0]
      case beam.ParDo() as transform if type(transform) is beam.ParDo:
        return self._mapped(node, transform, inputs[0])
    raise ValueError(
      "Expected Create, ParDo, Flatten, Reshuffle, GroupByKey and what is made of "
      f"them, which is what runs on Dask. Received: {node.full_label}"
    )

  def _spread(self, bag: Any) -> Any:
    if bag.npartitions == self.num_partitions:
      return bag
    return bag.repartition(npartitions=self.num_partitions)

  def _grouped(self, bag: db.Bag) -> db.Bag:
    coded = self._spread(bag).map_partitions(_coded)
    shuffled = coded.groupby(_code, shuffle="tasks")
    return self._spread(shuffled.map_partitions(_by_key))

  def _mapped(
    self, node: AppliedPTransform, transform: beam.ParDo, bag: db.Bag
  ) -> db.Bag:
    if set(node.outputs) - {None}:
      raise ValueError(
        "Expected transforms without tagged outputs, which do not run on Dask. "
        f"Received: {node.full_label}"
      )
    sides = list(node.side_inputs)
    main = next(iter(node.main_inputs.values()))
    args, kwargs = transform.raw_side_inputs
    # Whose name no other job's tasks bear, so that none of their results is taken.
    work = pickler.dumps(
      {
        "job": uuid.uuid4().hex,
        "fn": transform.fn,
        "label": node.full_label,
        "window_fn": main.windowing.windowfn,
        "args": list(args),
        "kwargs": dict(kwargs),
        "sides": [(type(side), side._view_options()) for side in sides],
      }
    )
    values = [delayed(_together)(self._parts_of(side)) for side in sides]
    return bag.map_partitions(_bundle, work, *values)

  def _parts_of(self, side: Any) -> list[Any]:
    bag = self._bag_of(side.pvalue)
    assert bag is not None
    return bag.to_delayed(optimize_graph=False)


def emptied(bag: db.Bag) -> db.Bag:
  """A bag whose partitions are computed and hold nothing, as nobody reads them."""
  return bag.map_partitions(_none)


def _sequence(values: Iterable[Any]) -> db.Bag:
  values = list(values)
  # Dask has no bag without a partition.
  return db.from_sequence(values or [None], npartitions=1).map_partitions(
    _first, len(values)
  )


def _first(values: Iterable[Any], count: int) -> list[Any]:
  return list(values)[:count]


def _none(values: Iterable[Any]) -> list[Any]:
  for _ in values:
    pass
  return []


def _together(parts: list[Iterable[Any]]) -> list[Any]:
  return [value for part in parts for value in part]


def _coded(items: Iterable[tuple[Any, Any]]) -> list[tuple[int, bytes, Any, Any]]:
  """Each pair behind a number and the letters that its key has in every process."""
  found = []
  for key, value in items:
    letters = _KEYS.encode(key)
    found.append((crc32(letters), letters, key, defenestrate(value)))
  return found


def _code(item: tuple[int, bytes, Any, Any]) -> int:
  return item[0]


def _by_key(
  groups: Iterable[tuple[int, list[tuple[int, bytes, Any, Any]]]],
) -> list[tuple[Any, list[Any]]]:
  """Keys and their values; a number may stand for several keys."""
  found: dict[bytes, tuple[Any, list[Any]]] = {}
  for _, items in groups:
    for _, letters, key, value in items:
      found.setdefault(letters, (key, []))[1].append(value)
  return list(found.values())


def _bundle(items: Iterable[Any], work: bytes, *side_values: list[Any]) -> list[Any]:
  """Runs a DoFn over a partition, in a worker."""
  told: dict[str, Any] = pickler.loads(work)
  window_fn = told["window_fn"]

  def windowed(value: Any) -> Any:
    return get_windowed_value(value, window_fn)

  receivers = OneReceiver()
  invoker = DoFnInvoker.create_invoker(
    DoFnSignature(told["fn"]),
    _OutputHandler(
      window_fn=window_fn,
      main_receivers=receivers[None],
      tagged_receivers=receivers,
      per_element_output_counter=None,
      output_batch_converter=None,
      process_yields_batches=False,
      process_batch_yields_elements=False,
    ),
    context=DoFnContext(told["label"], state=None),
    side_inputs=[
      SideInputMap(kind, options, list(map(windowed, values)))
      for (kind, options), values in zip(told["sides"], side_values, strict=True)
    ],
    input_args=told["args"],
    input_kwargs=told["kwargs"],
    user_state_context=None,
    bundle_finalizer_param=beam.DoFn.BundleFinalizerParam(),
  )
  invoker.invoke_setup()
  try:
    invoker.invoke_start_bundle()
    for item in items:
      invoker.invoke_process(windowed(item))
    invoker.invoke_finish_bundle()
  finally:
    invoker.invoke_teardown()
  return [value.value for value in receivers.values]
