"""`--beam` and Beam's own flags: what each runner is given, and what is refused."""

import subprocess
import sys

import pytest

from hardmine.pipelines.beam_runners import RUNNERS, beam_arguments, for_libraries
from hardmine.pipelines.site import Site

DASK = "--dask_client_address=tcp://scheduler:8786"
ENDPOINT = "--job_endpoint=localhost:8099"
IMAGE = "--sdk_container_image=registry/hardmine"
OWN = ("-h", "--per-image", "--num-shards", "--beam")


def test_direct_is_one_process_or_as_many_as_wanted():
  (argument,) = beam_arguments("direct")
  assert argument.endswith("fn_runner.FnApiRunner")
  assert beam_arguments("direct", workers=3)[1:] == ["--direct_num_workers=3"]


def test_flags_are_passed_on_as_they_are_spelt():
  flags = [DASK, "--dask_npartitions=7", "--temp_location", "gs://bucket/tmp"]
  runner, *rest = beam_arguments("dask", flags=flags)
  assert (runner.rpartition(".")[2], rest) == ("DaskRunner", flags)
  runner, *rest = beam_arguments("portable", flags=[ENDPOINT, IMAGE])
  assert (runner.rpartition(".")[2], rest) == ("PortableRunner", [ENDPOINT, IMAGE])


@pytest.mark.parametrize(
  ("beam", "flags", "line"),
  [
    ("direct", ["--per_image=5"], "perhaps --per-image; .* --beam dask, portable or"),
    ("direct", ["--temp_location=/tmp"], "Expected an argument of this command; "),
    ("direct", [DASK], "--dask_client_address needs --beam dask"),
    ("direct", ["word"], "Received: word$"),
    ("dask", ["--per_image=5", DASK], "perhaps --per-image. Received: --per_image=5"),
    ("dask", ["--dask_client_adress=h:1"], "perhaps --dask_client_address"),
    ("dask", [DASK, "--sets", "7"], "Received: --sets"),
    ("dask", [DASK, "word"], "as --name=value. Received: word"),
    ("dask", [DASK, ENDPOINT], "--job_endpoint means --beam portable"),
    ("dask", [DASK, "--runner=Flink"], "--beam says where to run"),
    ("dask", [DASK, "--dask_npartitions=x"], "argument --dask_npartitions: invalid"),
    ("dask", [], "Expected --dask_client_address=tcp://HOST:8786"),
    ("dask", ["--dask_client_address=scheduler"], "Received: .*address=scheduler"),
    ("portable", [IMAGE], "Expected --job_endpoint=HOST:8099"),
    ("portable", [ENDPOINT], "Expected what starts the workers"),
    ("portable", ["--job_endpoint=embed", IMAGE], "Received: --job_endpoint=embed"),
    ("portable", [ENDPOINT, IMAGE, DASK], "address means --beam dask"),
    ("flink", [], "Expected one of direct, dask, portable, dataflow"),
  ],
)
def test_what_a_runner_cannot_take_is_refused_in_a_line(beam, flags, line):
  with pytest.raises(ValueError, match=line) as error:
    beam_arguments(beam, flags=flags, own_flags=OWN)
  assert "\n" not in str(error.value)


@pytest.mark.parametrize("beam", [name for name in RUNNERS if name != "direct"])
def test_workers_are_of_this_machine(beam):
  with pytest.raises(ValueError, match=r"direct only; .*orkers?.* --workers 2$"):
    beam_arguments(beam, workers=2)


def test_statistics_stay_here_where_the_runner_cannot():
  dask = beam_arguments("dask", flags=[DASK])
  assert for_libraries(dask) == beam_arguments("direct")
  assert Site(root="/r", beam_arguments=dask).library_beam_arguments
  for arguments in (
    beam_arguments("direct", workers=2),
    beam_arguments("portable", flags=[ENDPOINT, IMAGE]),
  ):
    assert for_libraries(arguments) == []


@pytest.mark.parametrize(
  ("words", "line"),
  [
    ("mine --images x --output o --per_image 5", "perhaps --per-image"),
    ("mine --images x --output o --beam dask", "Expected --dask_client_address="),
    (f"coco --images x --annotations y --output o {DASK}", "needs --beam dask"),
    ("run codec_tiny --beam portable --workers 2", "--workers with --beam direct"),
  ],
)
def test_commands_refuse_before_anything_heavy(words, line, tmp_path):
  code = "from hardmine.pipelines.cli.main import run; run()"
  done = subprocess.run(
    [sys.executable, "-c", code, *words.split()],
    cwd=tmp_path,
    capture_output=True,
    text=True,
    check=False,
  )
  assert (done.returncode, done.stdout) == (2, "")
  assert line in done.stderr
  assert len(done.stderr.splitlines()) == 1
  assert not list(tmp_path.iterdir())
