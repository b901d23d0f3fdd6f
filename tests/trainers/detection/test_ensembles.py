"""Views of pictures and detectors together, with detectors of known answers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from hardmine.schemas.categories import Categories, Category
from hardmine.schemas.ensemble_config import EnsembleConfig, Member, Views
from hardmine.trainers.detection.detector import Detections
from hardmine.trainers.detection.ensembles.ensemble import CUT, Ensemble, joined
from hardmine.trainers.detection.ensembles.views import View, views_of

CAT_DOG = Categories(
  categories=(Category(id=1, name="cat"), Category(id=2, name="dog"))
)
DOG_CAT = Categories(
  categories=(Category(id=1, name="dog"), Category(id=7, name="cat"))
)
BACKGROUND, OBJECT, CORNER = 100, 200, 250


def picture(box=(10, 40, 20, 52), size=(60, 90)):
  """Grey, with a bright rectangle whose left upper pixel is brighter."""
  image = np.full((*size, 3), BACKGROUND, np.uint8)
  ymin, xmin, ymax, xmax = box
  image[ymin:ymax, xmin:xmax] = OBJECT
  image[ymin, xmin] = CORNER
  return image


class Bright:
  """Finds the box around all that is bright, wherever it lies: exact when mirrored."""

  def __init__(self, score=0.75, category_id=2, categories=CAT_DOG, number=1):
    self.model_id = bytes([number] * 8)
    self.categories = categories
    self._score, self._category_id = score, category_id
    self.shapes = []

  def detect(self, image):
    self.shapes.append(image.shape[:2])
    rows, columns = np.nonzero(image[..., 0] > BACKGROUND)
    box = (
      [] if not len(rows) else [rows.min(), columns.min(), rows.max(), columns.max()]
    )
    boxes = np.array([box], np.float32).reshape(-1, 4) + ([0, 0, 1, 1] if box else 0)
    return Detections(
      boxes_yxyx_px=boxes.astype(np.float32),
      scores=np.full(len(boxes), self._score, np.float32),
      category_ids=np.full(len(boxes), self._category_id, np.int64),
    )


class Random(Bright):
  """Finds the same overlapping boxes in every picture of a size."""

  def detect(self, image):
    rng = np.random.default_rng(image.shape[1])
    corners = rng.uniform(0, 20, (12, 2))
    boxes = np.hstack([corners, corners + rng.uniform(10, 30, (12, 2))])
    return Detections(
      boxes_yxyx_px=boxes.astype(np.float32),
      scores=np.sort(rng.uniform(0, 1, 12).astype(np.float32))[::-1],
      category_ids=rng.integers(1, 3, 12),
    )


def check_equal(found, expected):
  for name in vars(expected):
    np.testing.assert_allclose(
      getattr(found, name), getattr(expected, name), rtol=1e-5, err_msg=name
    )
    assert getattr(found, name).dtype == getattr(expected, name).dtype


@pytest.mark.parametrize("copies", [1, 2, 3])
def test_an_ensemble_of_a_model_with_itself_is_that_model(copies):
  model = Random()
  check_equal(Ensemble([model] * copies).detect(picture()), model.detect(picture()))


@pytest.mark.parametrize(
  "views",
  [Views(), Views(flip=True), Views(crops=2), Views(crops=3, flip=True)],
  ids=str,
)
@pytest.mark.parametrize("box", [(10, 40, 20, 52), (0, 0, 9, 9), (50, 80, 60, 90)])
def test_a_detector_that_sees_alike_everywhere_gains_nothing_by_views(views, box):
  """Flips are flipped back, and crops answered in the pixels of the whole picture."""
  model = Bright()
  found = Ensemble([model], views=views).detect(picture(box))
  assert (
    len(model.shapes) == views.num_passes == Ensemble([model], None, views).num_passes
  )
  np.testing.assert_allclose(found.boxes_yxyx_px[:1], [box])
  np.testing.assert_allclose(found.scores[:1], [0.75])
  # what is left of crops that cut the object would be other boxes
  assert len(found) == 1


def test_an_object_that_crops_cut_is_what_the_whole_picture_shows():
  ensemble = Ensemble([Bright()], views=Views(crops=3))
  found = ensemble.detect(picture((5, 5, 55, 85)))
  np.testing.assert_allclose(found.boxes_yxyx_px, [[5, 5, 55, 85]])
  np.testing.assert_allclose(found.scores, [0.75])
  assert ensemble.num_left_out[CUT] == 9


@pytest.mark.parametrize("flipped", [False, True])
def test_any_part_of_a_picture_answers_in_its_pixels(flipped):
  rng = np.random.default_rng(3)
  for _ in range(50):
    height, width = rng.integers(8, 60, 2).tolist()
    window = np.sort(rng.integers(0, [height, width], (2, 2)), axis=0)
    window[1] += 1
    top, left, bottom, right = window.ravel().tolist()
    box = (top, left, bottom, right)
    view = View(box, (height, width), flipped)
    image = picture(box, (height, width))
    part = view.cut(image)
    assert part.shape == (bottom - top, right - left, 3)
    assert part[0, -1 if flipped else 0, 0] == CORNER
    np.testing.assert_array_equal(view.back(Bright().detect(part)).boxes_yxyx_px, [box])


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (60, 90), (101, 7)])
@pytest.mark.parametrize("crops", [1, 2, 3, 8])
def test_crops_cover_all_and_neighbours_share_half(size, crops):
  first, *parts = views_of(*size, Views(crops=crops))
  assert first.window_yxyx_px == (0, 0, *size)
  assert not np.isfinite(first.whole_yxyx_px).any()
  assert len(parts) == (crops**2 if crops > 1 else 0)
  seen = np.zeros(size, int)
  for part in parts:
    top, left, bottom, right = part.window_yxyx_px
    assert 0 <= top < bottom <= size[0]
    assert 0 <= left < right <= size[1]
    seen[top:bottom, left:right] += 1
  assert not parts or seen.min() >= 1
  if len(parts) and min(size) > 50:
    (_, left, _, right), (_, after, _, _) = (part.window_yxyx_px for part in parts[:2])
    assert (right - after) / (right - left) == pytest.approx(0.5, abs=0.1)


def test_one_crop_is_the_whole_picture():
  assert views_of(60, 90, Views(crops=1)) == views_of(60, 90, Views())
  assert len(views_of(60, 90, Views())) == 1


def test_the_order_of_models_means_nothing():
  models = [Random(number=1), Bright(0.5, number=2), Bright(0.9, 7, DOG_CAT, 3)]
  weights = {models[0]: 1.0, models[1]: 2.0, models[2]: 0.5}
  first, *others = (
    Ensemble(each, [weights[one] for one in each], Views(crops=2, flip=True))
    for each in itertools.permutations(models)
  )
  expected = first.detect(picture())
  for other in others:
    assert (other.model_id, other.categories) == (first.model_id, first.categories)
    found = other.detect(picture())
    for name in vars(expected):
      np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_categories_meet_by_their_names():
  dogs = [Bright(0.8, 2, CAT_DOG), Bright(0.6, 1, DOG_CAT)]
  ensemble = Ensemble(dogs)
  found = ensemble.detect(picture())
  names = dict(zip(ensemble.categories.ids, ensemble.categories.names))
  assert [names[one] for one in found.category_ids.tolist()] == ["dog"]
  np.testing.assert_allclose(found.scores, [0.7])


def test_two_categories_of_one_place_both_stay():
  found = Ensemble([Bright(0.8, 1), Bright(0.6, 2)]).detect(picture())
  np.testing.assert_allclose(found.scores, [0.4, 0.3])
  np.testing.assert_allclose(found.boxes_yxyx_px, [[10, 40, 20, 52]] * 2)


def test_joined_categories_are_all_names_with_ids_of_their_own():
  assert joined([CAT_DOG, CAT_DOG]) == CAT_DOG
  mixed = joined([CAT_DOG, DOG_CAT])
  assert mixed == joined([DOG_CAT, CAT_DOG])
  assert dict(zip(mixed.names, mixed.ids)) == {"cat": 1, "dog": 2}
  clash = [Categories(categories=(Category(id=1, name=name),)) for name in "ba"]
  assert dict(zip(joined(clash).names, joined(clash).ids)) == {"a": 1, "b": 2}


def test_the_id_is_of_models_weights_and_views():
  one, two = Bright(number=1), Bright(number=2)
  ids = [
    Ensemble([one]).model_id,
    Ensemble([one, two]).model_id,
    Ensemble([one, two], [1, 2]).model_id,
    Ensemble([one, two], views=Views(flip=True)).model_id,
    Ensemble([one, two], iou_threshold=0.6).model_id,
  ]
  assert len(set(ids)) == len(ids)
  assert all(len(one) == 8 for one in ids)


@pytest.mark.parametrize(
  ("wrong", "said"),
  [
    (lambda: Ensemble([]), "at least one model"),
    (lambda: Ensemble([Bright()], [1, 1]), "1 weights"),
    (lambda: Ensemble([Bright()], [-1]), "a weight above 0"),
    (lambda: Ensemble([Bright()], iou_threshold=0), "iou_threshold"),
    (lambda: Views(crops=0), "1 to 8 crops"),
    (lambda: Member(places=()), "places of a model"),
    (lambda: EnsembleConfig(members=()), "at least one model"),
    (lambda: View((0, 0, 5, 5), (5, 5)).cut(picture()), "the picture that the view"),
  ],
  ids=["none", "weights", "weight", "iou", "crops", "places", "members", "size"],
)
def test_what_cannot_be_is_refused(wrong, said):
  with pytest.raises(ValueError, match=said):
    wrong()


def test_the_file_says_it_all():
  config = EnsembleConfig(
    members=(Member(places=("a", "../b"), model_id="0" * 16, weight=2.0),),
    views=Views(crops=2, flip=True),
    iou_threshold=0.6,
  )
  assert EnsembleConfig.from_json(config.to_file()) == config
