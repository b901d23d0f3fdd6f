"""An experiment as a pipeline of Kubeflow Pipelines 2, and of Vertex AI Pipelines.

One JSON file for both. Each node is a container that runs `hardmine run --node` by way
of `pipelines/cli/vertex_task`, which turns exit status 3 into the parameter `blessed`,
since a task that fails would fail the whole pipeline. The nodes that push and promote
run on a condition of it.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from hardmine.pipelines.initial_weights import shipped_reference
from hardmine.pipelines.orchestrators import pipeline_spec
from hardmine.pipelines.orchestrators.compiled import (
  Request,
  edges_of,
  offered_fields,
)
from hardmine.pipelines.orchestrators.pipeline_spec import (
  Resources,
  Specification,
  Task,
  input_placeholder,
  output_placeholder,
)
from hardmine.schemas.class_names import own_files
from hardmine.schemas.config import require
from hardmine.schemas.outputs import FileKind
from hardmine.schemas.uris import is_url, join

KIND = FileKind(
  "a pipeline of Kubeflow's as hardmine compile wrote it",
  re.compile(
    rb'\{\s*"pipelineInfo": \{\s*"name": "[^"]*",\s*"description": "Hardmine:'
  ),
)
COMMAND = ("python", "-m", "hardmine.pipelines.cli.vertex_task")
_PUSHER, _TRAINER, _PROMOTE = "Pusher", "Trainer", "Promote"
_TYPES = {"integer": "NUMBER_INTEGER", "number": "NUMBER_DOUBLE"}
# Fields that name files, which every container must see.
_FILES = {"images", "annotations", "only", "initial_weights"}
_MAX_OWN_BYTES = 64_000  # of code that travels in the file, once for every node
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*(?:GB?)?", re.I)


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the options that only these files have."""
  options = parser.add_argument_group(
    "Vertex and Kubeflow",
    "Options of --for vertex, beside --param, --promote, --retries and "
    "--retry-delay-seconds.",
  )
  options.add_argument(
    "--image", metavar="IMAGE", help="with Hardmine in it, as Dockerfile makes it"
  )
  options.add_argument(
    "--metadata-secret",
    metavar="NAME|URL",
    help="where the database's URL is kept, password and all: a secret's version "
    "(projects/P/secrets/S/versions/latest) or an object of a bucket (default: "
    "$HARDMINE_METADATA of the image)",
  )
  for name, kind, default, text in (
    ("cpu", float, 4.0, "processor cores of every node but the Trainer"),
    ("memory", str, "16G", "memory of every node but the Trainer"),
    ("trainer-cpu", float, 8.0, "processor cores of the Trainer"),
    ("trainer-memory", str, "30G", "memory of the Trainer"),
    ("accelerators", int, 1, "how many, if --accelerator names them"),
  ):
    options.add_argument(
      f"--{name}",
      metavar="N",
      type=kind,
      default=default,
      help=f"{text} (default %(default)s)",
    )
  options.add_argument(
    "--accelerator",
    metavar="TYPE",
    help="of the Trainer, such as NVIDIA_TESLA_T4 (Vertex) or nvidia.com/gpu "
    "(Kubernetes); default: none",
  )


def compiled(request: Request, args: argparse.Namespace) -> str:
  """The text of the file, equal for equal words.

  Raises:
    ValueError: an option is missing or cannot be, the root is no bucket, or what
      `specification` raises.
  """
  _check(request, args)
  edges = edges_of(request.experiment, request.site)
  return json.dumps(specification(request, args, edges), indent=1) + "\n"


def specification(
  request: Request, args: argparse.Namespace, edges: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
  """The pipeline in Kubeflow's form, as JSON values.

  Args:
    request: what is run, and where.
    args: of `add_arguments`.
    edges: every node and what it waits for, as `edges_of` gives them.

  Raises:
    ValueError: there is no such field (`--param`), or there is too much code of the
      user's own to travel in the file.
  """
  experiment = request.experiment
  fields = offered_fields(experiment, args.param)
  parameters = _parameters(request, args, fields)
  types = {name: kind for name, (kind, _) in parameters.items()}
  parts = Specification(
    image=args.image,
    command=COMMAND,
    retry={
      "maxRetryCount": args.retries,
      "backoffDuration": f"{args.retry_delay_seconds}s",
      "backoffFactor": 2.0,
      "backoffMaxDuration": "3600s",
    },
  )
  judges = [node for node in edges if _judges(node)]
  words = _shared_words(request, fields)
  nodes = {
    node: Task(
      name=node,
      after=[] if node == _PUSHER else before,
      args=[f"--node={node}", *_blessed_words(node in judges), *words],
      inputs={name: types[name] for name in types if name != "promote"},
      output="blessed" if node in judges else None,
      resources=_resources(args, trains=node == _TRAINER),
    )
    for node, before in edges.items()
  }
  pusher = nodes.pop(_PUSHER)
  promotion = _promotion(request, args)
  blessed = _if_blessed(parts, pusher, edges[_PUSHER], judges, types, promotion)
  return parts.whole(
    name=re.sub("[^a-z0-9]+", "-", experiment.name)[:100].strip("-"),
    description=f"Hardmine: {experiment.name}, in {request.site.root}",
    root=join(request.site.root, "kubeflow"),
    parameters=parameters,
    tasks={**parts.tasks(list(nodes.values())), **blessed},
  )


def told(request: Request, args: argparse.Namespace) -> list[str]:
  """What to do with the file."""
  lines = ["docs/run_on_vertex.md says how to start it on Vertex and on Kubeflow"]
  if request.metadata is None and args.metadata_secret is None:
    lines.append(
      "the nodes need one database for their records: --metadata-secret, or "
      "HARDMINE_METADATA in the image"
    )
  local = sorted(_local_files("", json.loads(request.experiment.to_json())))
  if local:
    lines.append(
      f"the image must hold these files, which are not in a bucket: {', '.join(local)}"
    )
  return lines


def _check(request: Request, args: argparse.Namespace) -> None:
  require(bool(args.image), "--image IMAGE, which the nodes run in", image=args.image)
  for name in ("root", "store"):
    place = getattr(request.site, name)
    require(
      place is None or is_url(place),
      f"--{name} in a bucket, for the containers share no disk, as {name}="
      f"gs://BUCKET/{request.experiment.name}",
      **{name: place},
    )
  require(
    request.metadata is None or "://" in request.metadata,
    "--metadata mysql://USER@HOST/DATABASE, for the containers share no disk",
    metadata=request.metadata,
  )
  for name in ("cpu", "trainer_cpu", "accelerators"):
    value = getattr(args, name)
    require(value > 0, f"{name} > 0", **{name: value})
  for name in ("memory", "trainer_memory"):
    _gigabytes(getattr(args, name))
  require(args.retries >= 0, "retries >= 0", retries=args.retries)


def _judges(node: str) -> bool:
  """Whether a node may say that a model is not blessed."""
  return node == "InfraCheck" or node.endswith("Evaluator")


def _parameters(
  request: Request, args: argparse.Namespace, fields: dict[str, dict[str, Any]]
) -> dict[str, tuple[str, Any]]:
  """The pipeline's parameters: name to type and default."""
  found: dict[str, tuple[str, Any]] = {
    "run_id": ("STRING", ""),
    "metadata": ("STRING", request.metadata or ""),
    "metadata_secret": ("STRING", args.metadata_secret or ""),
    "promote": ("STRING", args.promote or ""),
  }
  for path, field in fields.items():
    name, default = _parameter(path), field["default"]
    require(name not in found, "fields whose names differ", param=path)
    kind = _TYPES.get(str(field["schema"]["type"]), "STRING")
    if kind == "STRING" and not isinstance(default, str):
      default = json.dumps(default)  # yes, no and nothing, as `--set` takes them
    found[name] = (kind, default)
  return found


def _parameter(path: str) -> str:
  return path.replace(".", "_")


def _shared_words(request: Request, fields: dict[str, Any]) -> list[str]:
  """What every node gets beside its name."""
  text = request.experiment.to_json()
  words = [f"--experiment={text}", *_own_code(text)]
  for name in ("run_id", pipeline_spec.JOB, "metadata", "metadata_secret"):
    words.append(f"--{name.replace('_', '-')}={input_placeholder(name)}")
  words += [f"--set={path}={input_placeholder(_parameter(path))}" for path in fields]
  words += ["--", "--root", request.site.root]
  if request.site.store is not None:
    words += ["--store", request.site.store]
  return [*words, *request.beam_words]


def _own_code(text: str) -> list[str]:
  """The modules of the user's that an experiment names, as words."""
  files = own_files(text)
  num_bytes = sum(path.stat().st_size for path, _ in files)
  require(
    num_bytes <= _MAX_OWN_BYTES,
    f"at most {_MAX_OWN_BYTES} bytes of code beside the experiment; make a package of "
    "it that the image installs",
    num_bytes=num_bytes,
  )
  return [
    f"--own-file={name}={base64.b64encode(path.read_bytes()).decode()}"
    for path, name in files
  ]


def _blessed_words(is_judge: bool) -> list[str]:
  return [f"--blessed-file={output_placeholder('blessed')}"] if is_judge else []


def _resources(args: argparse.Namespace, *, trains: bool) -> Resources:
  if not trains:
    return Resources(cpu=args.cpu, memory_gb=_gigabytes(args.memory))
  return Resources(
    cpu=args.trainer_cpu,
    memory_gb=_gigabytes(args.trainer_memory),
    accelerator=args.accelerator,
    num_accelerators=args.accelerators,
  )


def _gigabytes(text: str) -> float:
  found = _MEMORY.fullmatch(text.strip())
  if found is None or float(found[1]) == 0:
    raise ValueError(f"Expected gigabytes of memory, as 16G. Received: memory={text!r}")
  return float(found[1])


def _promotion(request: Request, args: argparse.Namespace) -> Task:
  """The task that moves an alias to what the run pushed."""
  return Task(
    name=_PROMOTE,
    after=[],
    args=[
      f"--promote={input_placeholder('promote')}",
      f"--promoted-file={output_placeholder('promoted')}",
      f"--run-id={input_placeholder('run_id')}",
      f"--job={input_placeholder(pipeline_spec.JOB)}",
      "--",
      "--store",
      request.site.store_url,
    ],
    inputs={"promote": "STRING", "run_id": "STRING"},
    output="promoted",
    resources=_resources(args, trains=False),
  )


def _if_blessed(
  parts: Specification,
  pusher: Task,
  before: Sequence[str],
  judges: list[str],
  types: dict[str, str],
  promotion: Task,
) -> dict[str, Any]:
  """Pusher where all judges agree, and the promotion where it is wanted."""
  to_promotion = {
    name: pipeline_spec.from_parameter(name, inside=True) for name in promotion.inputs
  }
  asked = parts.condition(
    "if-promoting",
    when=f"{pipeline_spec.parameter_of_condition('promote')} != ''",
    after=[_PUSHER],
    given=to_promotion,
    types=types,
    tasks=parts.tasks([promotion], inside=True),
  )
  verdicts = {f"{pipeline_spec.slug(judge)}--blessed": judge for judge in judges}
  return parts.condition(
    "if-blessed",
    when=" && ".join(
      f"{pipeline_spec.parameter_of_condition(name)} == 'true'" for name in verdicts
    ),
    after=before,
    given={
      **{name: pipeline_spec.from_parameter(name) for name in types},
      **{
        name: pipeline_spec.from_task(judge, "blessed")
        for name, judge in verdicts.items()
      },
    },
    types={**types, **dict.fromkeys(verdicts, "STRING")},
    tasks={**parts.tasks([pusher], inside=True), **asked},
  )


def _local_files(path: str, value: Any) -> set[str]:
  """The fields whose files are named by paths, as PATH=FILE."""
  found: set[str] = set()
  if isinstance(value, dict):
    for name, item in value.items():
      found |= _local_files(f"{path}.{name}".strip("."), item)
  elif isinstance(value, list):
    for place, item in enumerate(value):
      inner = path if isinstance(item, str) else f"{path}.{place}"
      found |= _local_files(inner, item)
  elif isinstance(value, str) and path.rpartition(".")[2] in _FILES:
    is_elsewhere = value == "imagenet" or shipped_reference(value) is not None
    is_here = not is_url(value.removeprefix("@")) and not is_elsewhere
    found |= {f"{path}={value}"} if is_here else set()
  return found
