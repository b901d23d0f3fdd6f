"""What a run in this process holds of its root, and gives back."""

import os
import signal
from pathlib import Path

import pytest

from hardmine.pipelines.orchestrators import held_root as held_root_module
from hardmine.pipelines.orchestrators.held_root import held_root
from hardmine.pipelines.site import Site


def test_a_root_has_one_run_at_a_time_and_is_free_afterwards(tmp_path):
  site = Site(root=str(tmp_path / "new"))
  with (
    held_root(site),
    pytest.raises(RuntimeError, match=f"another run holds .*{os.getpid()} since"),
    held_root(site),
  ):
    pass
  with held_root(site):
    pass
  assert Path(site.lock_path).read_text() == ""


@pytest.mark.parametrize("verbose", [False, True])
def test_the_log_takes_what_c_code_writes_to_stderr_unless_verbose(
  tmp_path, verbose, capfd
):
  with held_root(Site(root=str(tmp_path)), verbose=verbose) as log_path:
    os.write(2, b"from C++\n")
  os.write(2, b"afterwards\n")
  assert Path(log_path).parent == tmp_path / "logs"
  assert ("from C++" in Path(log_path).read_text()) is not verbose
  shown = capfd.readouterr().err
  assert ("from C++" in shown) is verbose
  assert "afterwards" in shown


def test_sigterm_leaves_with_what_a_shell_expects(tmp_path):
  before = signal.getsignal(signal.SIGTERM)
  with pytest.raises(SystemExit) as stop, held_root(Site(root=str(tmp_path))):
    signal.raise_signal(signal.SIGTERM)
  assert stop.value.code == 128 + signal.SIGTERM
  assert signal.getsignal(signal.SIGTERM) == before


def test_nodes_share_a_root_that_a_run_of_all_has_for_itself(tmp_path, monkeypatch):
  site = Site(root=str(tmp_path))
  monkeypatch.setattr(held_root_module, "_WAIT_SECONDS", 0.1)
  with held_root(site, node="Trainer"), held_root(site, node="Pusher") as log_path:
    assert Path(log_path).name.startswith("Pusher-")
    with (
      pytest.raises(RuntimeError, match="nodes that are processes of their own"),
      held_root(site),
    ):
      pass
  lines = []
  with (
    held_root(site),
    pytest.raises(RuntimeError, match=f"another run holds .*{os.getpid()} since"),
    held_root(site, node="Trainer", say=lines.append),
  ):
    pass
  assert lines == [f"a run of all nodes holds {site.root}; waiting for it"]
