"""`--beam`, `--workers` and what is passed on to Beam, alike in every command."""

from __future__ import annotations

import argparse

from hardmine.pipelines.beam_runners import RUNNERS, beam_arguments


def add_beam_arguments(
  parser: argparse._ActionsContainer, advice: str = "", default: str | None = "direct"
) -> None:
  """Adds them; the command's module says `PASSES_ON`.

  Args:
    parser: the command's.
    advice: when more than one process pays off.
    default: the runner; None tells whether one was chosen.
  """
  parser.add_argument(
    "--beam",
    choices=RUNNERS,
    default=default,
    help="where Beam runs: in processes of this machine (direct), on a running Dask "
    "cluster, behind a job service (portable), on Dataflow; Beam's own flags follow "
    "as it spells them, such as --dask_client_address=tcp://host:8786, "
    "--job_endpoint=host:8099 or --project=NAME (default direct)",
  )
  advice = f"; {advice}" if advice else ""
  parser.add_argument(
    "--workers",
    type=int,
    metavar="N",
    help=f"processes of --beam direct{advice} (default 1)",
  )


def chosen_arguments(args: argparse.Namespace) -> list[str]:
  """The Beam arguments that a command was called with.

  Raises:
    ValueError: as `beam_runners.beam_arguments`.
  """
  return beam_arguments(
    args.beam,
    workers=args.workers,
    flags=args.passed_on,
    own_flags=args.own_flags,
  )
