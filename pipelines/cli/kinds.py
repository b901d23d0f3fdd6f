"""Sub-commands that are several kinds of one, as `hardmine evaluate coco`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any


def add_kinds(parser: argparse.ArgumentParser, kinds: Mapping[str, Any]) -> None:
  """Adds kinds and their arguments; `args.kind` names the one that was chosen.

  Args:
    parser: of the sub-command.
    kinds: by name, a module with SUMMARY, HELP, `add_arguments` and `run`.
  """
  names = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
  for name, module in kinds.items():
    module.add_arguments(
      names.add_parser(name, help=module.SUMMARY, description=module.HELP)
    )
