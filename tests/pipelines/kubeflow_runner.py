"""Runs a compiled file by Kubeflow's own local runner, without docker.

A script for an environment that has `kfp`: PATH_OF_FILE FOLDER PARAMETERS_AS_JSON.
What would be a container is a process here, with the same words; of its image only the
program `python` matters, the first in PATH.
"""
# pyright: reportMissingImports=false

import json
import subprocess
import sys
import types
from pathlib import Path

import google.protobuf.json_format
from kfp import components, local
from kfp.pipeline_spec import pipeline_spec_pb2


class Container:
  """A process in place of a container."""

  def __init__(self, command):
    self._process: subprocess.Popen = subprocess.Popen(
      command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )

  def logs(self, stream):
    assert self._process.stdout is not None
    yield from self._process.stdout

  def wait(self):
    return {"StatusCode": self._process.wait()}


class Client:
  """What the runner asks of docker."""

  images = types.SimpleNamespace(list=list, pull=lambda image: None)
  containers = types.SimpleNamespace(run=lambda command, **options: Container(command))

  def info(self):
    return {}

  def close(self):
    pass


def main(path, folder, parameters):
  docker = types.ModuleType("docker")
  docker.from_env = Client
  docker.DockerClient = Client
  docker.errors = types.SimpleNamespace(NotFound=FileNotFoundError)
  sys.modules["docker"] = docker
  plain = json.loads(Path(path).read_text("utf-8"))
  parsed = google.protobuf.json_format.ParseDict(
    plain, pipeline_spec_pb2.PipelineSpec()
  )
  assert google.protobuf.json_format.MessageToDict(parsed) == plain
  local.init(runner=local.DockerRunner(), pipeline_root=folder)
  components.load_component_from_file(path)(**json.loads(parameters))


if __name__ == "__main__":
  main(*sys.argv[1:])
