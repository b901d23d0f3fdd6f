"""`hardmine` as a process of its own, which a person starts in some folder."""

import subprocess
import sys


def hardmine(folder, words):
  """Runs a command in a folder whose modules are no code of ours."""
  code = "import sys; sys.path[:] = filter(None, sys.path); " + (
    "from hardmine.pipelines.cli.main import run; run()"
  )
  return subprocess.run(
    [sys.executable, "-c", code, *words],
    cwd=folder,
    capture_output=True,
    text=True,
    check=False,
  )
