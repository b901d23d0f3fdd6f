"""`hardmine` as a process of its own, which a person starts in some folder."""

import os
import subprocess
import sys


def start(folder, words, **environment):
  """Starts a command in a folder whose modules are no code of ours.

  Args:
    folder: the current one of the process.
    words: behind `hardmine`.
    **environment: beyond what is set.
  """
  code = "import sys; sys.path[:] = filter(None, sys.path); " + (
    "from hardmine.pipelines.cli.main import run; run()"
  )
  return subprocess.Popen(
    [sys.executable, "-c", code, *words],
    cwd=folder,
    env={**os.environ, **environment},
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


def hardmine(folder, words):
  """Runs a command there to its end."""
  process = start(folder, words)
  stdout, stderr = process.communicate()
  return subprocess.CompletedProcess(words, process.returncode, stdout, stderr)
