"""`hardmine run`: one experiment's pipeline, in this process."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from hardmine.pipelines.cli.tables import print_table, printable

if TYPE_CHECKING:
  from hardmine.pipelines.outcome import Outcome
  from hardmine.pipelines.runs import Run
  from hardmine.pipelines.site import Site
  from hardmine.schemas.experiment import Experiment

HELP = (
  "Runs an experiment: mines patches or converts annotated images, validates them, "
  "trains, measures, checks and pushes the model if it is better. A second run reuses "
  "what did not change and says why; a killed one resumes."
)

PASSES_ON = True  # Beam's own flags
NOT_BLESSED = 3
EXIT_CODES = f"""exit codes:
  0  done: the model is blessed, or it is not and --require-blessing is not given;
     with --node: the node has ended, now or before
  1  broken plumbing: a node failed, the root or the store cannot be used, or a model
     could not be asked or compared for the machine's sake; worth another try
  2  the words, the settings or the data are wrong: another try ends so too
  {NOT_BLESSED}  with --require-blessing, or --node of a node that judges or pushes: all
     went well, and the model is not blessed
  128+n  ended by signal n
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the command's arguments."""
  from hardmine.pipelines.cli import own_data
  from hardmine.pipelines.cli.beam_arguments import add_beam_arguments
  from hardmine.pipelines.cli.experiment_arguments import add_experiment_arguments

  parser.formatter_class = argparse.RawDescriptionHelpFormatter
  parser.epilog = EXIT_CODES
  add_experiment_arguments(parser)
  parser.add_argument(
    "--metadata",
    metavar="PATH|URL",
    default=os.environ.get("HARDMINE_METADATA") or None,
    help="ML Metadata: a SQLite file, or mysql://USER:PASSWORD@HOST:PORT/DATABASE "
    "(default: $HARDMINE_METADATA, which keeps a password out of sight, or a file in "
    "the root; of one in a bucket, below ~/.local/state/hardmine)",
  )
  parser.add_argument(
    "--from",
    dest="from_node",
    metavar="NODE",
    help="start here, with what earlier runs left",
  )
  parser.add_argument("--to", dest="to_node", metavar="NODE", help="stop after it")
  parser.add_argument(
    "--node",
    metavar="NODE",
    help="run this node alone, for a scheduler that runs the others of the same "
    "--run-id; one that has ended there is not run again",
  )
  parser.add_argument(
    "--run-id", metavar="ID", help="with --node: what the scheduler calls the run"
  )
  add_beam_arguments(parser)
  parser.add_argument(
    "--no-cache", action="store_true", help="run every node, train from step 0"
  )
  parser.add_argument(
    "--require-blessing",
    action="store_true",
    help=f"exit with {NOT_BLESSED} when the model is not blessed",
  )
  parser.add_argument("--verbose", action="store_true", help="show TFX's own log too")
  parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
  own_data.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
  """Runs it and prints what came of it; 0 also for a model that is not blessed."""
  from hardmine.pipelines.beam_runners import for_libraries, with_own_modules
  from hardmine.pipelines.cli.beam_arguments import chosen_arguments
  from hardmine.pipelines.cli.experiment_arguments import chosen_experiment

  _require_one_way(args)
  beam_arguments = chosen_arguments(args)
  with _lines(args.json) as say:
    if for_libraries(beam_arguments):
      say(f"StatisticsGen runs on this machine: its library cannot on {args.beam}")
    say(f"reading the experiment {args.experiment} ...")  # Keras takes seconds
    experiment, _ = chosen_experiment(args)
    beam_arguments = with_own_modules(beam_arguments, experiment.to_json())
    site = _site(args, experiment, beam_arguments)
    from hardmine.pipelines import running, several_machines

    how: dict[str, Any] = {"say": say, "verbose": args.verbose}
    with several_machines.joined(experiment, args.node, say) as has_trained:
      if has_trained:  # for the chief, which runs all the rest
        return 0
      if args.node:
        done, outcome = running.run_experiment_node(
          experiment, site, args.node, args.run_id, **how
        )
      else:
        part = {"from_node": args.from_node, "to_node": args.to_node}
        done, outcome = running.run_experiment(experiment, site, **part, **how)
  if args.json:
    print(json.dumps(_as_json(experiment, site.root, done, outcome), indent=2))
  else:
    _print_outcome(done, outcome)
  if args.node:
    is_unpushed = args.node == "Pusher" and outcome.pushed_dir is None
    return NOT_BLESSED if outcome.blessed is False or is_unpushed else 0
  return NOT_BLESSED if args.require_blessing and not outcome.blessed else 0


def _require_one_way(args: argparse.Namespace) -> None:
  """Raises ValueError for flags of a run of all nodes beside those of one."""
  if bool(args.node) != bool(args.run_id):
    raise ValueError(
      "Expected --node and --run-id together. "
      f"Received: --node {args.node} --run-id {args.run_id}"
    )
  others = [args.from_node, args.to_node, args.require_blessing or None]
  if args.node and others != [None, None, None]:
    raise ValueError(
      "Expected --node without --from, --to and --require-blessing, which are of a run "
      f"of all nodes. Received: --node {args.node}"
    )


def _site(
  args: argparse.Namespace, experiment: Experiment, beam_arguments: list[str]
) -> Site:
  from hardmine.pipelines.site import Site

  return Site(
    root=args.root or os.path.join("runs", experiment.name),
    metadata_place=args.metadata,
    store=args.store,
    beam_arguments=beam_arguments,
    enable_cache=not args.no_cache,
  )


def _print_outcome(done: Run, outcome: Outcome) -> None:
  """The table of the nodes, and what came of it all."""
  from hardmine.pipelines.outcome import outcome_lines

  print_table(
    ("node", "", ">seconds", "why"),  # which is of any length
    [(node.node, node.status, f"{node.seconds:.1f}", node.why) for node in done.nodes],
  )
  for line in outcome_lines(done, outcome):
    print(printable(line))


@contextlib.contextmanager
def _lines(to_stderr: bool):
  """Where the running lines go: stdout, or stderr when stdout is for a program."""
  if not to_stderr:
    yield lambda line: print(line, flush=True)
    return
  # Not sys.stderr: the run sends that to its log, and the trainer's lines too.
  with (
    os.fdopen(os.dup(2), "w") as terminal,
    contextlib.redirect_stdout(sys.stderr),
  ):
    yield lambda line: print(line, file=terminal, flush=True)


def _as_json(experiment: Experiment, root: str, done: Run, outcome: Outcome) -> dict:
  return {
    "experiment": json.loads(experiment.to_json()),
    "root": root,
    "run_id": done.run_id,
    "log_path": done.log_path,
    "nodes": [
      {
        "node": node.node,
        "status": node.status,
        "why": node.why,
        "seconds": round(node.seconds, 3),
      }
      for node in done.nodes
    ],
    **dataclasses.asdict(outcome),
  }
