"""What the actions of `hardmine models` share: --store, --json, --who."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hardmine.schemas.config import require

if TYPE_CHECKING:
  from hardmine.serving.store.entries import Reason
  from hardmine.serving.store.store import ModelStore

ENVIRONMENT = "HARDMINE_STORE"
KEYS_ENVIRONMENT = "HARDMINE_PUBLIC_KEY"


def add_action(
  actions: argparse._SubParsersAction,
  name: str,
  run: Callable[[argparse.Namespace], int],
  summary: str,
  description: str = "",
) -> argparse.ArgumentParser:
  """Adds an action with `--store` and `--json`; `run` gives the exit status."""
  parser = actions.add_parser(name, help=summary, description=description or summary)
  parser.set_defaults(run_action=run)
  add_store(parser)
  parser.add_argument("--json", action="store_true", help="print JSON")
  return parser


def add_store(parser: argparse.ArgumentParser) -> None:
  """Adds `--store`, which `open_store` opens."""
  parser.add_argument(
    "--store",
    metavar="URL",
    default=os.environ.get(ENVIRONMENT),
    help=f"the model store: a folder or URL (default: ${ENVIRONMENT})",
  )


def add_reason(parser: argparse.ArgumentParser) -> None:
  """Adds `--who` and `--why`, which the log keeps."""
  parser.add_argument("--who", help="for the log (default: user@host)")
  parser.add_argument("--why", default="", help="for the log")


def add_public_keys(parser: argparse.ArgumentParser, purpose: str) -> None:
  """Adds `--public-key`, which may be given several times."""
  parser.add_argument(
    "--public-key",
    metavar="FILE",
    action="append",
    help=f"{purpose}; several: one of them (default: ${KEYS_ENVIRONMENT}, with "
    f"{os.pathsep!r} between several)",
  )


def public_keys_of(args: argparse.Namespace) -> list[str]:
  """The PEM files of the keys that are trusted; none where no signature is needed.

  Raises:
    ValueError: a name is empty, as that of a variable that was never set: nobody is to
      go without signatures by mistake.
  """
  given = args.public_key
  if given is None and KEYS_ENVIRONMENT in os.environ:
    given = os.environ[KEYS_ENVIRONMENT].split(os.pathsep)
  require(
    given is None or all(given),
    f"--public-key FILE, or {KEYS_ENVIRONMENT} with files or not at all",
    public_key=given,
  )
  return given or []


def reason_of(args: argparse.Namespace) -> Reason:
  """What the log is told; without `--who` it names the user and the machine."""
  from hardmine.serving.store.entries import Reason

  return Reason(who=args.who or _user_and_host(), why=args.why)


def _user_and_host() -> str:
  try:
    name = getpass.getuser()
  except (KeyError, OSError):  # a user id of a container that has no name
    name = str(os.getuid())
  return f"{name}@{socket.gethostname()}"


def open_store(args: argparse.Namespace, *, must_exist: bool = True) -> ModelStore:
  """The store that was named.

  Raises:
    ValueError: none was, or there is none.
  """
  from hardmine.serving.store.store import ModelStore

  if not args.store:
    raise ValueError(f"Expected --store URL, or {ENVIRONMENT}. Received: neither")
  store = ModelStore(args.store)
  if must_exist and not store.exists():
    raise ValueError(
      "Expected a model store, a folder or URL with versions/. "
      f"Received: store={args.store!r}"
    )
  return store


def print_json(value: Any) -> None:
  """For programs."""
  print(json.dumps(value, indent=2))


def minutes(at: str) -> str:
  """An ISO time without seconds."""
  return at[:16].replace("T", " ")
