"""Runs in Airflow's own environment: parses a DAG file, and runs it some times.

    python airflow_runs.py DAG_FILE RUNS

RUNS is JSON: of each run the DAG and its params. One JSON object goes to the last line
of standard output: what parsing took and imported, and how each run's tasks ended.
"""

import contextlib
import io
import json
import os
import sys
import time


def parse(path):
  try:
    from airflow.dag_processing.dagbag import DagBag
  except ImportError:
    from airflow.models.dagbag import DagBag
  from airflow import DAG

  _ = DAG  # imports it, as every scheduler has before it parses a file
  start = time.monotonic()
  bag = DagBag(os.path.dirname(path))
  return bag, time.monotonic() - start


def main(path, runs):
  import airflow

  bag, seconds = parse(path)
  found = {
    "version": airflow.__version__,
    "seconds": seconds,
    "errors": bag.import_errors,
    "modules": sorted({name.partition(".")[0] for name in sys.modules}),
    "dags": {
      name: {
        "tasks": {
          task.task_id: {
            "upstream": sorted(task.upstream_task_ids),
            "pool": task.pool,
            "retries": task.retries,
            "timeout": task.execution_timeout.total_seconds(),
          }
          for task in dag.topological_sort()
        },
        "params": {key: dag.params.get_param(key).value for key in dag.params},
        "max_active_runs": dag.max_active_runs,
      }
      for name, dag in bag.dags.items()
    },
    "runs": [],
  }
  for dag_id, conf in runs:
    dag = bag.dags[dag_id]
    run = dag.test(run_conf=conf)
    states = {ti.task_id: [ti.state, ti.try_number] for ti in run.get_task_instances()}
    found["runs"].append({"state": run.state, "id": run.run_id, "tasks": states})
  return found


if __name__ == "__main__":
  log = io.StringIO()
  with contextlib.redirect_stdout(log):
    result = main(sys.argv[1], json.loads(sys.argv[2]))
  sys.stderr.write(log.getvalue())
  print(json.dumps(result))
