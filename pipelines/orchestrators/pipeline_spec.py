"""The parts of a pipeline's specification in Kubeflow's form, as plain JSON values.

The form is `ml_pipelines.PipelineSpec`, which Kubeflow Pipelines 2 and Vertex AI
Pipelines both read. Kubeflow's own compiler needs a protobuf that the older lane
does not allow; the tests hold these values against it, in an environment of its own.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

SCHEMA_VERSION = "2.1.0"
SDK_VERSION = "kfp-2.17.3"  # whose form it is
JOB = "job"  # the input of every task that says the id of the scheduler's run
_RUN_OF_SCHEDULER = "{{$.pipeline_job_uuid}}"  # stands for that id
# Begins the name of a condition's input.
_CHANNEL = "pipelinechannel--"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resources:
  """What a task asks of its machine.

  Attributes:
    cpu: processor cores.
    memory_gb: of 10^9 bytes.
    accelerator: the name that the cluster has for it, as `NVIDIA_TESLA_T4` (Vertex) or
      `nvidia.com/gpu` (Kubernetes); None for none.
    num_accelerators: of them.
  """

  cpu: float
  memory_gb: float
  accelerator: str | None = None
  num_accelerators: int = 1

  def spec(self) -> dict[str, Any]:
    """Each twice, for older readers and for newer ones."""
    found: dict[str, Any] = {
      "cpuLimit": float(self.cpu),
      "resourceCpuLimit": f"{self.cpu:g}",
      "memoryLimit": float(self.memory_gb),
      "resourceMemoryLimit": f"{self.memory_gb:g}G",
    }
    if self.accelerator is not None:
      count = str(self.num_accelerators)
      found["accelerator"] = {
        "type": self.accelerator,
        "resourceType": self.accelerator,
        "count": count,
        "resourceCount": count,
      }
    return found


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
  """One container.

  Attributes:
    name: as people see it; `slug` of it is its id.
    after: the names of the tasks that it waits for.
    args: its words; those of `inputs` as `input_placeholder` has them.
    inputs: name of each of its parameters to its type; the pipeline's of the same name
      is given. Every task has the input `JOB` beside them.
    output: the name of the parameter that it writes, a text.
    resources: of its machine.
  """

  name: str
  after: Sequence[str]
  args: Sequence[str]
  inputs: Mapping[str, str]
  output: str | None
  resources: Resources


def slug(name: str) -> str:
  """A name as ids have it: `CodecEvaluator` is `codec-evaluator`."""
  return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).replace("_", "-").lower()


def input_placeholder(name: str) -> str:
  """What stands for a parameter in the words of a task."""
  return f"{{{{$.inputs.parameters['{name}']}}}}"


def output_placeholder(name: str) -> str:
  """What stands for the file into which a task writes a parameter."""
  return f"{{{{$.outputs.parameters['{name}'].output_file}}}}"


class Specification:
  """Gathers the tasks of a pipeline, some of them under a condition."""

  def __init__(self, *, image: str, command: Sequence[str], retry: Mapping[str, Any]):
    """Begins with none.

    Args:
      image: of every container.
      command: of every container, before its own words.
      retry: the `retryPolicy` of every task.
    """
    self._container = {"image": image, "command": list(command)}
    self._retry = dict(retry)
    self._components: dict[str, Any] = {}
    self._executors: dict[str, Any] = {}

  def tasks(self, tasks: Sequence[Task], *, inside: bool = False) -> dict[str, Any]:
    """The `tasks` of a DAG.

    Args:
      tasks: whose names before them (`after`) are tasks of the same DAG.
      inside: of a condition, whose inputs have names of their own.
    """
    found = {}
    for task in tasks:
      key = slug(task.name)
      self._add(key, task)
      found[key] = {
        "taskInfo": {"name": task.name},
        "componentRef": {"name": f"comp-{key}"},
        "cachingOptions": {},  # off: what may be reused is decided by the node
        "retryPolicy": self._retry,
        "inputs": {"parameters": _given(task.inputs, inside)},
        **_dependent(task.after),
      }
    return found

  def condition(
    self,
    name: str,
    *,
    when: str,
    after: Sequence[str],
    given: Mapping[str, Any],
    types: Mapping[str, str],
    tasks: Mapping[str, Any],
  ) -> dict[str, Any]:
    """A task that is a DAG of its own and runs on a condition.

    Args:
      name: as people see it.
      when: an expression of `parameter_of_condition`.
      after: names of tasks beside it.
      given: to each of its inputs, where it comes from.
      types: of the same inputs.
      tasks: of `tasks(..., inside=True)`.
    """
    key = slug(name)
    self._components[f"comp-{key}"] = {
      "dag": {"tasks": dict(tasks)},
      "inputDefinitions": {
        "parameters": {
          f"{_CHANNEL}{name}": {"parameterType": types[name]} for name in sorted(given)
        }
      },
    }
    return {
      key: {
        "taskInfo": {"name": name},
        "componentRef": {"name": f"comp-{key}"},
        "inputs": {
          "parameters": {f"{_CHANNEL}{name}": given[name] for name in sorted(given)}
        },
        "triggerPolicy": {"condition": when},
        **_dependent(after),
      }
    }

  def whole(
    self,
    *,
    name: str,
    description: str,
    root: str,
    parameters: Mapping[str, tuple[str, Any]],
    tasks: Mapping[str, Any],
  ) -> dict[str, Any]:
    """The pipeline.

    Args:
      name: of a-z, 0-9 and -.
      description: for people.
      root: where the scheduler may keep things of its own.
      parameters: name to type and default.
      tasks: of `tasks` and `condition`.
    """
    return {
      "pipelineInfo": {"name": name, "description": description},
      "schemaVersion": SCHEMA_VERSION,
      "sdkVersion": SDK_VERSION,
      "defaultPipelineRoot": root,
      "root": {
        "inputDefinitions": {
          "parameters": {
            name: {"parameterType": kind, "defaultValue": default, "isOptional": True}
            for name, (kind, default) in parameters.items()
          }
        },
        "dag": {"tasks": dict(tasks)},
      },
      "components": self._components,
      "deploymentSpec": {"executors": self._executors},
    }

  def _add(self, key: str, task: Task) -> None:
    component: dict[str, Any] = {
      "executorLabel": f"exec-{key}",
      "inputDefinitions": {
        "parameters": {
          name: {"parameterType": kind}
          for name, kind in {**task.inputs, JOB: "STRING"}.items()
        }
      },
    }
    if task.output is not None:
      component["outputDefinitions"] = {
        "parameters": {task.output: {"parameterType": "STRING"}}
      }
    self._components[f"comp-{key}"] = component
    self._executors[f"exec-{key}"] = {
      "container": {
        **self._container,
        "args": list(task.args),
        "resources": task.resources.spec(),
      }
    }


def parameter_of_condition(name: str) -> str:
  """An input of a condition, as its expression names it."""
  return f"inputs.parameter_values['{_CHANNEL}{name}']"


def from_parameter(name: str, *, inside: bool = False) -> dict[str, Any]:
  """A pipeline's parameter as an input's source."""
  return {"componentInputParameter": f"{_CHANNEL}{name}" if inside else name}


def from_task(task: str, output: str) -> dict[str, Any]:
  """A parameter that a task wrote as an input's source."""
  return {
    "taskOutputParameter": {"producerTask": slug(task), "outputParameterKey": output}
  }


def _given(inputs: Mapping[str, str], inside: bool) -> dict[str, Any]:
  found = {name: from_parameter(name, inside=inside) for name in inputs}
  return {**found, JOB: {"runtimeValue": {"constant": _RUN_OF_SCHEDULER}}}


def _dependent(after: Sequence[str]) -> dict[str, Any]:
  return {"dependentTasks": [slug(name) for name in after]} if after else {}
