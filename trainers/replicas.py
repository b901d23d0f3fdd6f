"""What is of a whole batch, where several devices or machines have a share each.

The result is that of one device with the whole batch: a loss is the mean over shares of
what each makes of its own, and whatever a loss or a layer takes over the batch (a
normaliser, a mean inside a logarithm, batch statistics) it takes by `batch_mean`. Noise
is drawn for the whole batch and each share takes its rows.

On JAX a step sees the whole batch by itself, so there is one share.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import keras
from keras import ops

from hardmine.schemas.config import require
from hardmine.trainers.devices import num_devices
from hardmine.trainers.workers import current
from hardmine.trainers.workers.team import Team

_alone = threading.local()  # a thread for each replica traces it


def num_replicas() -> int:
  """Devices of this process that share a step; Keras adds their losses up."""
  context = _replica_context()
  return 1 if context is None else context.num_replicas_in_sync


def num_shares() -> int:
  """Into how many shares a batch is divided where this is called."""
  if getattr(_alone, "depth", 0):
    return 1
  team = current.current()
  return num_replicas() if team is None else team.size


@contextlib.contextmanager
def alone(condition: bool = True) -> Iterator[None]:
  """Inside, a share is a batch of its own, as in validation, which not all do."""
  _alone.depth = getattr(_alone, "depth", 0) + bool(condition)
  try:
    yield
  finally:
    _alone.depth -= bool(condition)


def batch_mean(values: Any) -> Any:
  """The mean over all shares of a float tensor that each has; with its gradient."""
  shares = num_shares()
  if shares == 1:
    return values
  import tensorflow as tf

  @tf.custom_gradient
  def mean(x: Any) -> Any:
    return _sum([x])[0] / shares, lambda slope: _sum([slope])[0] / shares

  return mean(values)


def batch_rows(values: Any) -> Any:
  """The rows of all shares of a tensor [rows, ...] of numbers, in their order."""
  shares = num_shares()
  if shares == 1:
    return values
  import tensorflow as tf

  rows = ops.shape(values)[0]
  before = _share() * rows
  around = [[before, (shares - 1) * rows - before]]
  return _sum([tf.pad(values, around + [[0, 0]] * (len(values.shape) - 1))])[0]


def own_rows(draw: Callable[[Any], Any], rows: Any) -> Any:
  """The rows of this share of what `draw(number of rows)` gives for the whole batch."""
  shares = num_shares()
  if shares == 1:
    return draw(rows)
  first = _share() * rows
  return draw(shares * rows)[first : first + rows]


def loss_of_share(loss: Any, of_batch: Any = None) -> Any:
  """What `compute_loss` returns for a share's loss, whose gradient it has.

  Args:
    loss: of this share.
    of_batch: the mean over all shares, if it is known already.
  """
  if current.current() is None:
    return loss / num_replicas()  # as Keras adds them up
  if of_batch is None:
    of_batch = batch_mean(ops.stop_gradient(loss))
  # the same number everywhere: a loss less itself is 0, whatever the share
  return loss - ops.stop_gradient(loss) + ops.stop_gradient(of_batch)


def require_even(batch_size: int) -> None:
  """Raises ValueError for a batch that this process's devices cannot share evenly."""
  number = num_devices()
  require(
    batch_size % number == 0,
    f"training.batch_size, which is of all {number} devices together, to be a multiple "
    f"of {number}",
    batch_size=batch_size,
  )


def even_batches(batches: Any) -> Any:
  """A `tf.data.Dataset` whose batches every device gets as much of.

  With several devices up to that number less one of the last rows are left out.
  """
  if num_devices() == 1 or keras.backend.backend() != "tensorflow":
    return batches
  import tensorflow as tf

  number = num_devices()

  def rows(batch: Any) -> Any:
    return tf.shape(tf.nest.flatten(batch)[0])[0] // number * number

  return batches.map(
    lambda *batch: tf.nest.map_structure(lambda x: x[: rows(batch)], _unpacked(batch))
  ).filter(lambda *batch: rows(batch) > 0)


def _unpacked(batch: tuple[Any, ...]) -> Any:
  """What a dataset's functions get as their arguments, as an element of it."""
  return batch[0] if len(batch) == 1 else batch


@contextlib.contextmanager
def in_step(model: Any) -> Iterator[None]:
  """Inside, a model's steps are those of one device with the whole batch.

  Gradients are added up before they are clipped, and batch normalisation that learns
  has the statistics of the batch.

  Args:
    model: compiled.
  """
  team = current.current()
  several = keras.backend.backend() == "tensorflow" and num_devices() > 1
  if team is None and not several:
    yield
    return
  with contextlib.ExitStack() as stack:
    outer = model.optimizer
    inner = getattr(outer, "inner_optimizer", outer)
    apply = outer.apply

    def apply_to_all(gradients: Any, *rest: Any) -> Any:
      return apply(_of_batch(gradients, team), *rest)

    stack.enter_context(_replaced(outer, "apply", apply_to_all))
    if team is None:
      # Keras would add up once more, behind the clipping; and it would draw batches
      # to build what is built, which then are missing.
      stack.enter_context(_replaced(inner, "_all_reduce_sum_gradients", list))
      stack.enter_context(
        _replaced(model, "_maybe_symbolic_build", lambda *_, **__: None)
      )
    for layer in model._flatten_layers():
      if isinstance(layer, keras.layers.BatchNormalization):
        moments = functools.partial(_batch_moments, layer)
        stack.enter_context(_replaced(layer, "_moments", moments))
    yield


def _of_batch(gradients: Any, team: Team | None) -> list[Any]:
  """The gradient of the batch's loss; in one process losses were divided before."""
  import tensorflow as tf

  known = [tf.convert_to_tensor(g) for g in gradients if g is not None]
  totals = iter(_sum(known))
  size = 1 if team is None else team.size
  return [None if g is None else next(totals) / size for g in gradients]


def _batch_moments(layer: Any, inputs: Any, mask: Any = None) -> tuple[Any, Any]:
  """Mean and variance of all rows, as Keras' layer asks for them."""
  del mask
  axis = layer.axis % len(inputs.shape)
  axes = [number for number in range(len(inputs.shape)) if number != axis]
  mean, variance = ops.moments(inputs, axes)
  mean_of_all, square = ops.unstack(
    batch_mean(ops.stack([mean, variance + ops.square(mean)])), 2
  )
  return mean_of_all, ops.maximum(square - ops.square(mean_of_all), 0.0)


def _sum(tensors: list[Any]) -> list[Any]:
  """Of the same tensors of all shares, which all ask for it at the same place."""
  import tensorflow as tf

  team = current.current()
  if team is None:
    context: Any = _replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tensors)
  kinds = [tensor.dtype for tensor in tensors]
  totals = tf.numpy_function(lambda *arrays: team.sum(arrays), tensors, kinds)
  return [tf.ensure_shape(t, like.shape) for t, like in zip(totals, tensors)]


def _share() -> Any:
  """Which share this is."""
  team = current.current()
  if team is not None:
    return team.rank
  context: Any = _replica_context()
  return context.replica_id_in_sync_group


def _replica_context() -> Any:
  """TensorFlow's, inside a step of one of its devices; None elsewhere."""
  if keras.backend.backend() != "tensorflow":
    return None
  import tensorflow as tf

  return tf.distribute.get_replica_context()


@contextlib.contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
  """Inside, one object has another attribute; unseen by Keras' tracking."""
  vars(owner)[name] = value
  try:
    yield
  finally:
    del vars(owner)[name]
