"""What Dataflow is sent for a model: RunInference, and nothing of the data."""

import json

import pytest

from hardmine.components.inference.encoding_job import EncodingJob
from hardmine.components.inference.job import run_job
from hardmine.components.inference.staged_model import model_digest
from hardmine.components.jobs.job_identity import identified
from hardmine.pipelines.beam_runners import pipeline_maker
from hardmine.pipelines.dataflow import dataflow
from hardmine.schemas.inference_config import EncodingJobConfig
from tests.pipelines.dataflow_stand_in import dataflow_stand_in

FLAGS = (
  *("--project=pets-1", "--region=us-central1", "--temp_location=gs://bucket/temp"),
  "--sdk_container_image=us-docker.pkg.dev/pets-1/beam/hardmine:1",
)


def sent(tmp_path, monkeypatch, num_files, model_bytes):
  """(the staged pipeline's transforms, its bytes, those of the request)."""
  from apache_beam.portability.api import beam_runner_api_pb2

  (tmp_path / "photos").mkdir(parents=True)
  for number in range(num_files):
    (tmp_path / "photos" / f"{number}.png").touch()
  model = tmp_path / "model"
  (model / "assets.extra").mkdir(parents=True)
  (model / "assets.extra" / "codec.json").write_text(json.dumps({"model_id": "00"}))
  (model / "saved_model.pb").write_bytes(bytes(model_bytes))
  config = EncodingJobConfig(
    images=(f"{tmp_path}/photos",), model_digest=model_digest(model, "onnxruntime")
  )
  with dataflow_stand_in() as google:
    for name, value in google.environment.items():
      monkeypatch.setenv(name, value)
    flags = dataflow([*FLAGS, *google.flags])
    make_pipeline = pipeline_maker(identified(flags, job="encode", run="0123456789ab"))
    with pytest.raises(RuntimeError):  # the stand-in works on nothing
      run_job(
        EncodingJob(),
        config,
        tmp_path / "out",
        model_dir=model,
        make_pipeline=make_pipeline,
      )
    text = google.object("pipeline.pb")
    pipeline = beam_runner_api_pb2.Pipeline.FromString(text)
    return pipeline.components.transforms.values(), len(text), google.job_sizes[0]


def test_the_request_holds_neither_photographs_nor_the_model(tmp_path, monkeypatch):
  nodes, num_bytes, request = sent(tmp_path / "a", monkeypatch, 1, 10)
  assert "Work/BeamML_RunInference" in {node.unique_name for node in nodes}
  outputs = {name for node in nodes for name in node.outputs}
  assert outputs <= {"None", "out"}  # no tagged ones, which Dask has not
  _, more_bytes, more_request = sent(tmp_path / "b", monkeypatch, 500, 1_000_000)
  assert abs(more_bytes - num_bytes) < 1000
  assert abs(more_request - request) < 1000
