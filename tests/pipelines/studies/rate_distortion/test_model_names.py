"""What models are called in tables and files."""

import pytest

from hardmine.pipelines.studies.rate_distortion.model_codec import names_of


@pytest.mark.parametrize(
  ("refs", "expected"),
  [
    (["runs/a/store:production"], [("a_store_production", "a/store:production")]),
    (["/x/runs/model/"], [("runs_model", "runs/model")]),
    (["model", "./model"], [("model", "model"), ("model-2", "model (2)")]),
    (["webp"], [("webp-2", "webp (2)")]),
    (["gs://b/store:1"], [("b_store_1", "b/store:1")]),
  ],
)
def test_names_tell_models_apart(refs, expected):
  assert names_of(refs, taken=("webp",)) == expected
