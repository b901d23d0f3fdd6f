"""What a container of a compiled pipeline runs: one node, or the promotion.

    python -m hardmine.pipelines.cli.vertex_task --node=NODE ... -- ARGUMENTS OF run

Kubeflow Pipelines and Vertex AI only know whether a task went well. A model that is
not blessed went well: exit status 3 becomes 0, and the file of `--blessed-file` says
`false`, on which the tasks behind it depend. All other exit statuses stay.
"""

from __future__ import annotations

import argparse
import base64
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hardmine.pipelines.cli.main import be_quiet
from hardmine.pipelines.cli.main import main as hardmine
from hardmine.schemas.config import require
from hardmine.schemas.uris import is_url

NOT_BLESSED = 3
METADATA = "HARDMINE_METADATA"
# A whole number that came through a scheduler's JSON, which has fractions only.
_WHOLE = re.compile(r"^([^=]*=-?\d+)\.0+$")
SECRETS = "https://secretmanager.googleapis.com/v1"


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the task.

  Args:
    argv: as `pipelines/orchestrators/vertex` writes them; None is the process's own.

  Returns:
    The exit status of the command, but 0 for 3.
  """
  words = list(sys.argv[1:] if argv is None else argv)
  args, rest = _parsed(words)
  run_id = args.run_id or args.job
  try:
    if args.metadata_secret:
      os.environ[METADATA] = secret(args.metadata_secret)
    elif args.metadata:
      os.environ[METADATA] = args.metadata
  except (OSError, ValueError, RuntimeError) as error:
    print(f"hardmine: {error}", file=sys.stderr)
    return 2 if isinstance(error, ValueError) else 1
  if args.node is None:
    command = ["models", "promote", f"run:{run_id}", "--to", args.promote]
    return _ended(hardmine([*command, *rest]), args.promoted_file)
  with tempfile.TemporaryDirectory(prefix="hardmine-") as folder:
    command = ["run", _experiment(args, Path(folder))]
    command += ["--node", args.node, "--run-id", run_id]
    for assignment in args.set:
      command += ["--set", _WHOLE.sub(r"\1", assignment)]
    return _ended(hardmine([*command, *rest]), args.blessed_file)


def secret(place: str) -> str:
  """The text of a secret.

  Args:
    place: a version in Google's Secret Manager (projects/P/secrets/S/versions/V), or
      the URL of an object that only the pipeline's account may read.

  Raises:
    ValueError: it is neither.
    OSError: it cannot be read.
    RuntimeError: the Secret Manager refuses it.
  """
  if is_url(place):
    from hardmine.schemas.folders import file_at

    files, name = file_at(place)
    return files.read(name).decode("utf-8").strip()
  require(
    place.startswith("projects/") and "/versions/" in place,
    "projects/PROJECT/secrets/SECRET/versions/VERSION, or the URL of an object",
    metadata_secret=place,
  )
  import google.auth
  from google.auth.exceptions import GoogleAuthError
  from google.auth.transport.requests import AuthorizedSession

  try:
    scopes = ["https://www.googleapis.com/auth/cloud-platform"]
    credentials, _ = google.auth.default(scopes=scopes)
    url = f"{SECRETS}/{place}:access"
    answer = AuthorizedSession(credentials).get(url, timeout=60)
  except GoogleAuthError as error:
    raise RuntimeError(f"{place} cannot be read: {error}") from error
  if answer.status_code != 200:
    raise RuntimeError(
      f"{place} cannot be read ({answer.status_code} {answer.reason}): let the "
      "pipeline's service account access it (roles/secretmanager.secretAccessor)"
    )
  text = base64.b64decode(answer.json()["payload"]["data"])
  return text.decode("utf-8").strip()


def _parsed(words: list[str]) -> tuple[argparse.Namespace, list[str]]:
  parser = argparse.ArgumentParser(prog="hardmine.pipelines.cli.vertex_task")
  what = parser.add_mutually_exclusive_group(required=True)
  what.add_argument("--node")
  what.add_argument("--promote", metavar="ALIAS")
  parser.add_argument("--experiment", metavar="JSON", default="")
  parser.add_argument("--own-file", metavar="NAME=BASE64", action="append", default=[])
  parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[])
  parser.add_argument("--run-id", default="")
  parser.add_argument("--job", required=True, help="whose id it is without --run-id")
  parser.add_argument("--metadata", default="")
  parser.add_argument("--metadata-secret", default="")
  parser.add_argument("--blessed-file", metavar="PATH")
  parser.add_argument("--promoted-file", metavar="PATH")
  mark = words.index("--") if "--" in words else len(words)
  return parser.parse_args(words[:mark]), words[mark + 1 :]


def _experiment(args: argparse.Namespace, folder: Path) -> str:
  """The experiment and the code it names as files, beside each other."""
  for own in args.own_file:
    name, _, content = own.partition("=")
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(base64.b64decode(content))
  path = folder / "experiment.json"
  path.write_text(args.experiment, "utf-8")
  return str(path)


def _ended(status: int, path: str | None) -> int:
  """Writes what the tasks behind depend on, and says whether this one went well."""
  if path is None or status not in (0, NOT_BLESSED):
    return status
  Path(path).parent.mkdir(parents=True, exist_ok=True)
  Path(path).write_text("false" if status else "true", "utf-8")
  return 0


if __name__ == "__main__":
  be_quiet()
  sys.exit(main())
