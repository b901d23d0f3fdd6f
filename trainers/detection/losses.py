"""What training makes small (1611.10012, section 2.1; 1512.02325, section 2.2).

All losses are per anchor; `ssd_loss` chooses among them, picks the anchors that
count and normalises.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from hardmine.schemas.detector_config import SSDConfig
from hardmine.trainers.detection.targets import Targets
from hardmine.trainers.replicas import batch_mean, num_shares


def smooth_l1(codes: Any, target_codes: Any, delta: float = 1.0) -> Any:
  """Quadratic up to an error of `delta`, linear beyond; [..., 4] to [...], a sum."""
  error = ops.abs(codes - target_codes)
  inner = ops.minimum(error, delta)
  return ops.sum(inner * (error - 0.5 * inner), axis=-1)


def l2(codes: Any, target_codes: Any) -> Any:
  """Half the squared errors, [..., 4] to [...], a sum."""
  return 0.5 * ops.sum(ops.square(codes - target_codes), axis=-1)


def sigmoid_classification(logits: Any, labels: Any) -> Any:
  """Binary cross-entropies, summed over all categories and the background.

  Args:
    logits: float [..., C + 1], the background first.
    labels: int [...], 0 to C; exactly one of the C + 1 sigmoids should say 1.

  Returns:
    [...], 0 or more, in nats.
  """
  is_target = ops.one_hot(labels, ops.shape(logits)[-1], dtype=logits.dtype)
  return ops.sum(ops.softplus(logits * (1 - 2 * is_target)), axis=-1)


def softmax_classification(logits: Any, labels: Any) -> Any:
  """Cross-entropy where all categories and the background compete.

  Args:
    logits: float [..., C + 1], the background first.
    labels: int [...], 0 to C.

  Returns:
    [...], 0 or more, in nats.
  """
  is_target = ops.one_hot(labels, ops.shape(logits)[-1], dtype=logits.dtype)
  return ops.logsumexp(logits, axis=-1) - ops.sum(logits * is_target, axis=-1)


def hard_examples(
  classification_loss: Any, positive: Any, weights: Any, negatives_per_positive: float
) -> Any:
  """Which anchors count: all positives, and the worst negatives of the same image.

  The study first drops near duplicates by suppressing predicted boxes of IoU above
  0.99. That is left out: it prunes few anchors and costs a suppression per image
  and step.

  Args:
    classification_loss: float [batch, N].
    positive: bool [batch, N].
    weights: float [batch, N]; anchors of weight 0 never count.
    negatives_per_positive: at most so many negatives, rounded down, for every
      positive: an image without objects has none. 0 keeps all negatives of all
      images.

  Returns:
    float32 [batch, N] of 0 and 1. Of equal losses the first anchor counts.
  """
  counts = weights > 0
  if negatives_per_positive == 0:
    return ops.cast(counts, "float32")
  negative = counts & ~positive
  loss = ops.stop_gradient(ops.cast(classification_loss, "float32"))
  # Losses are 0 or more, so the others come last. A threshold at the last loss kept
  # would do without ranks, but a fresh network has thousands of equal losses.
  order = ops.argsort(ops.where(negative, -loss, 1.0), axis=-1)
  rank = ops.cast(ops.argsort(order, axis=-1), "float32")  # exact below 2^24
  positive = counts & positive
  num_positives = ops.sum(ops.cast(positive, "float32"), axis=-1, keepdims=True)
  wanted = ops.floor(negatives_per_positive * num_positives)
  return ops.cast(positive | (negative & (rank < wanted)), "float32")


def ssd_loss(
  class_logits: Any, box_codes: Any, targets: Targets, config: SSDConfig
) -> tuple[Any, dict[str, Any]]:
  """The loss of a batch.

  Both parts are sums over the anchors that count, divided by the number of positive
  anchors in the whole batch, or by 1 where there is none. Boxes are learned at
  positive anchors only.

  Args:
    class_logits: float [batch, N, C + 1], the background first.
    box_codes: float [batch, N, 4].
    targets: of the same batch.
    config: gives the losses, their weights and the mining.

  Returns:
    The total, and what of it is `classification` and `localization` (its weight
    included, so the two add up); float32 scalars.
  """
  class_logits = ops.cast(class_logits, "float32")
  box_codes = ops.cast(box_codes, "float32")
  classify = {
    "sigmoid": sigmoid_classification,
    "softmax": softmax_classification,
  }[config.classification]
  localize = {"smooth_l1": smooth_l1, "l2": l2}[config.localization]

  positive = ops.cast(targets.positive, "float32")
  # Of the whole batch, of which this may be one of several equal shares.
  num_positives = ops.maximum(batch_mean(ops.sum(positive)), 1.0 / num_shares())
  per_anchor = classify(class_logits, targets.labels)
  mask = hard_examples(
    per_anchor, targets.positive, targets.weights, config.negatives_per_positive
  )
  classification = ops.sum(per_anchor * mask * targets.weights) / num_positives
  per_anchor = localize(box_codes, targets.codes)
  localization = ops.sum(per_anchor * positive * targets.weights) / num_positives
  localization = config.localization_weight * localization
  return classification + localization, {
    "classification": classification,
    "localization": localization,
  }
