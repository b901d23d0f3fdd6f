"""Dataflow by contract: what Beam's own runner sends to a stand-in for Google."""

from __future__ import annotations

import argparse
import io
import os
import re
import shlex
import signal
import subprocess
import sys
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest

from hardmine.components.jobs.failures import JobFailed
from hardmine.components.jobs.job_identity import identified, mark, place_of
from hardmine.pipelines.beam_runners import beam_arguments, pipeline_maker
from hardmine.pipelines.cli import mine
from hardmine.pipelines.dataflow import dataflow
from tests.cli.process import hardmine
from tests.pipelines.dataflow_stand_in import dataflow_stand_in

REPOSITORY = Path(__file__).resolve().parents[2]
PARTS = ("schemas", "trainers", "serving", "components", "pipelines")
FLAGS = ("--project=pets-1", "--region=us-central1", "--temp_location=gs://bucket/temp")
IMAGE = "--sdk_container_image=us-docker.pkg.dev/pets-1/beam/hardmine:1"
ACCOUNT = "miner@pets-1.iam.gserviceaccount.com"
NEW_RUN = "0123456789ab"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
  """What staging a checkout sets is gone afterwards."""
  monkeypatch.setenv("HARDMINE_WITHOUT_MODELS", "")


@pytest.fixture
def google(monkeypatch):
  with dataflow_stand_in() as google:
    for name, value in google.environment.items():
      monkeypatch.setenv(name, value)
    yield google


def arguments(google, *more, run=NEW_RUN, modules=()):
  flags = [*FLAGS, *google.flags, *(more or [IMAGE])]
  return identified(dataflow(flags, modules=modules), job="mine", run=run)


def run_pipeline(beam_arguments, place="made-1"):
  """A pipeline of the shape of our jobs, by names that any worker can import."""
  import apache_beam as beam

  pipeline = pipeline_maker(beam_arguments)()
  mark(pipeline, place)
  _ = (
    pipeline
    | "Job" >> beam.Create([(1, 2)])
    | "Plan" >> beam.FlatMap(list)
    | "SpreadKey" >> beam.Map(divmod, 8)
    | "Spread" >> beam.GroupByKey()
    | "Work" >> beam.Map(repr)
  )
  result = pipeline.run()
  result.wait_until_finish()
  return result


def test_the_commands_of_the_page_are_taken():
  """Every flag there is known; `test_our_jobs_request...` sends such a job."""
  text = (REPOSITORY / "docs/mine_a_bucket_on_dataflow.md").read_text("utf-8")
  text = text.replace("\\\n", " ")
  (words,) = (
    shlex.split(block)[1:]
    for block in re.findall(r"^```\n(.*?)^```$", text, re.S | re.M)
    if block.startswith("hardmine ")
  )
  parser = argparse.ArgumentParser()
  mine.add_arguments(parser)
  args, flags = parser.parse_known_args(words[1:])
  assert (words[0], args.beam, args.output) == ("mine", "dataflow", "gs://patches/2026")
  taken = beam_arguments(args.beam, flags=[*flags, IMAGE])
  assert {*flags, IMAGE} <= set(taken)


def flags_without(name):
  return [flag for flag in FLAGS if not flag.startswith(f"--{name}=")]


@pytest.mark.parametrize("name", ["project", "region", "temp_location"])
def test_what_is_missing_is_named_with_an_example(name):
  with pytest.raises(ValueError, match=f"Expected --{name} for Dataflow, as --{name}="):
    dataflow(flags_without(name))


@pytest.mark.parametrize(
  ("flag", "line"),
  [
    ("--temp_location=/tmp/x", "Expected --temp_location as gs://BUCKET/FOLDER"),
    ("--temp_location=s3://bucket/x", "Expected --temp_location as gs://BUCKET/FOLDER"),
    ("--temp_location=gs://bucket", "Expected --temp_location as gs://BUCKET/FOLDER"),
    ("--staging_location=/tmp/x", "Expected --staging_location as gs://BUCKET/FOLDER"),
    ("--project=12345", "Expected --project as the project's ID"),
    ("--project=My Pets", "Expected --project as the project's ID"),
    ("--num_workers=0", "Expected --num_workers > 0"),
    ("--num_workers=few", "invalid int value: 'few'"),
    ("--labels=Team=x", "label='Team'"),
    ("--labels={'team': 'X Y'}", "team='X Y'"),
    ("--labels={team", "--labels as KEY=VALUE"),
    ("--labels=hardmine-run=1", "labels other than ours"),
    ("--setup_file=missing/setup.py", "--setup_file as the path of a setup.py"),
    ("--requirements_file=missing.txt", "--requirements_file as a file"),
  ],
)
def test_what_dataflow_would_refuse_is_refused_at_once(flag, line):
  name = flag.partition("=")[0].lstrip("-")
  with pytest.raises(ValueError, match="Expected") as caught:
    dataflow([*flags_without(name), flag])
  assert line in str(caught.value)
  assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
  ("flags", "line"),
  [
    (["--num_workers=9", "--max_num_workers=3"], "--num_workers <= --max_num_workers"),
    (["--labels=a=1", "--label=a=2"], "each label once"),
    (["--setup_file=setup.py", IMAGE], "--setup_file or --sdk_container_image"),
    (["--project"], "expected one argument"),
  ],
)
def test_flags_that_contradict_each_other(flags, line):
  with pytest.raises(ValueError, match="Expected") as caught:
    dataflow([*FLAGS, *flags])
  assert line in str(caught.value)


def test_flags_in_two_words_and_flags_that_we_do_not_know_go_on():
  words = " ".join(FLAGS).replace("=", " ").split()
  found = dataflow([*words, "--no_use_public_ips", "--subnetwork", "net", IMAGE])
  assert set(FLAGS) < set(found)
  assert found[-3:] == ["--no_use_public_ips", "--subnetwork", "net"]


def test_a_checkout_is_staged_by_its_setup_file_and_what_reads_buckets_with_it(
  tmp_path,
):
  wanted = tmp_path / "mine.txt"
  wanted.write_text("tqdm==4.0")
  found = dataflow([*FLAGS, f"--requirements_file={wanted}"])
  assert f"--setup_file={REPOSITORY / 'setup.py'}" in found
  assert "--requirements_cache=skip" in found
  (path,) = (word for word in found if word.startswith("--requirements_file="))
  lines = Path(path.partition("=")[2]).read_text().splitlines()
  assert lines[0] == "tqdm==4.0"
  assert [line.partition(">")[0] for line in lines[1:]] == ["gcsfs"]


def test_an_image_holds_our_package_so_nothing_of_it_is_staged(tmp_path):
  (tmp_path / "corners.py").write_text("")
  found = dataflow([*FLAGS, IMAGE], modules=[tmp_path / "corners.py"])
  assert IMAGE in found
  assert not any("setup_file" in word or "requirements" in word for word in found)
  (package,) = (word for word in found if word.startswith("--extra_package="))
  assert "corners.py" in zipfile.ZipFile(package.partition("=")[2]).namelist()


def test_the_request_says_what_was_asked_for(google, tmp_path):
  (tmp_path / "corners.py").write_text("NUMBER = 4\n")
  more = [
    IMAGE,
    "--staging_location=gs://other/staged",
    "--worker_machine_type=n2-standard-4",
    "--num_workers=3",
    "--max_num_workers=20",
    "--disk_size_gb=30",
    f"--service_account_email={ACCOUNT}",
    "--subnetwork=regions/us-central1/subnetworks/pets",
    "--no_use_public_ips",
    "--labels=team=vision",
  ]
  run_pipeline(arguments(google, *more, modules=[tmp_path / "corners.py"]))
  (job,) = google.jobs
  assert (job["projectId"], job["location"]) == ("pets-1", "us-central1")
  assert job["name"] == f"hardmine-mine-{NEW_RUN}"
  assert job["labels"] == {
    "team": "vision",
    "hardmine-job": "mine",
    "hardmine-run": NEW_RUN,
    "hardmine-version": "0-1-0",
    "hardmine-place": "made-1",
  }
  environment = job["environment"]
  assert environment["serviceAccountEmail"] == ACCOUNT
  (pool,) = environment["workerPools"]
  assert (pool["machineType"], pool["numWorkers"]) == ("n2-standard-4", 3)
  assert pool["autoscalingSettings"]["maxNumWorkers"] == 20
  assert (pool["diskSizeGb"], pool["subnetwork"]) == (30, more[7].partition("=")[2])
  assert pool["ipConfiguration"] in ("WORKER_IP_PRIVATE", 2)
  (image,) = pool["sdkHarnessContainerImages"]
  assert image["containerImage"] == IMAGE.partition("=")[2]
  packages = {package["name"] for package in pool["packages"]}
  assert {name.partition("-")[0] for name in packages} == {
    "hardmine_user_modules",
    "extra_packages.txt",
  }
  assert {path.split("/")[0] for path in google.objects} == {"other"}
  (wheel,) = (name for name in packages if name.endswith(".whl"))
  staged = zipfile.ZipFile(io.BytesIO(google.object(wheel)))
  assert staged.read("corners.py") == b"NUMBER = 4\n"
  assert google.object("extra_packages.txt").decode().split() == [wheel]


EXPERIMENT = """
import dataclasses
import own_cells
from hardmine.pipelines.experiments import codec_demo

def experiment():
  base = codec_demo.experiment()
  codec = dataclasses.replace(base.codec, cell=own_cells.OwnCell)
  return dataclasses.replace(base, name="own", codec=codec)
"""


@pytest.mark.slow
def test_run_hands_the_modules_beside_an_experiment_to_the_workers(google, tmp_path):
  for name, text in (
    ("experiment.py", EXPERIMENT),
    ("own_cells.py", "import own_parts.sizes\n\nclass OwnCell:\n  pass\n"),
    ("own_parts/__init__.py", ""),
    ("own_parts/sizes.py", "SIZES = (32,)\n"),
    ("own_parts/late.py", ""),
    ("other.py", "raise SystemExit\n"),
  ):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
  words = ["run", "experiment.py", "--to", "PatchGen", "--beam=dataflow", IMAGE]
  done = hardmine(tmp_path, [*words, *FLAGS, *google.flags])
  assert "the workers left nothing in" in done.stdout + done.stderr  # nobody worked
  (wheel,) = (path for path in google.objects if path.endswith(".whl"))
  staged = zipfile.ZipFile(io.BytesIO(google.objects[wheel]))
  assert {name for name in staged.namelist() if ".dist-info/" not in name} == {
    "own_cells.py",
    "own_parts/__init__.py",
    "own_parts/late.py",
    "own_parts/sizes.py",
  }


def transform_names(google):
  from apache_beam.portability.api import beam_runner_api_pb2

  staged = beam_runner_api_pb2.Pipeline.FromString(google.object("pipeline.pb"))
  return {node.unique_name for node in staged.components.transforms.values()}


@pytest.mark.parametrize("num_files", [1, 3000])
def test_our_jobs_request_does_not_grow_with_the_data(google, tmp_path, num_files):
  from hardmine.components.patch_gen.job import run_job
  from hardmine.schemas.mining_config import MiningConfig

  (tmp_path / "photos").mkdir()
  for number in range(num_files):
    (tmp_path / "photos" / f"{number}.png").touch()
  config = MiningConfig(images=(f"{tmp_path}/photos/*.png",))
  make_pipeline = pipeline_maker(arguments(google))
  with pytest.raises(RuntimeError):  # the stand-in works on nothing
    run_job(config, tmp_path / "mined", make_pipeline=make_pipeline)
  names = transform_names(google)
  assert names > {"Plan", "Spread", "Work", "ByShard", "Join"}
  assert google.job_sizes[0] < 20_000
  assert len(google.object("pipeline.pb")) < 100_000


def again(google):
  """The job of the first call is found at work once more."""
  google.jobs[0]["currentState"] = "JOB_STATE_RUNNING"
  google.requests.clear()


def end_soon(google, state="JOB_STATE_DONE"):
  """Ends the job when somebody has looked at it."""

  def end():
    google.wait_for(lambda: google.was_asked("GET /v1b3"), 60)
    google.jobs[0]["currentState"] = state

  threading.Thread(target=end, daemon=True).start()


@pytest.mark.parametrize("says_conflict", [True, False])
def test_a_second_submission_waits_for_the_job_of_the_first(
  google, says_conflict, capsys
):
  google.says_conflict, google.new_state = says_conflict, "JOB_STATE_RUNNING"
  end_soon(google)
  run_pipeline(arguments(google), place="made-1")
  again(google)
  end_soon(google)
  result = run_pipeline(arguments(google), place="made-2")
  assert len(google.jobs) == 1
  assert place_of(result, "made-2") == "made-1"
  first, second = capsys.readouterr().err.splitlines()
  url = f"dataflow/jobs/us-central1/{google.jobs[0]['id']}?project=pets-1"
  assert first.startswith(f"hardmine: Dataflow job hardmine-mine-{NEW_RUN}, https://")
  assert second.startswith("hardmine: waiting for the Dataflow job of an earlier call:")
  assert first.endswith(url)
  assert second.endswith(url)


def test_an_active_job_of_another_run_is_not_taken_for_ours(google):
  google.new_state = "JOB_STATE_RUNNING"
  end_soon(google)
  run_pipeline(arguments(google, IMAGE, "--job_name=nightly"))
  again(google)
  with pytest.raises(JobFailed, match="another run's Dataflow job nightly is active"):
    run_pipeline(arguments(google, IMAGE, "--job_name=nightly", run="ffffffffffff"))
  assert google.jobs[0]["currentState"] == "JOB_STATE_RUNNING"


def test_a_run_that_has_ended_is_submitted_again(google):
  run_pipeline(arguments(google))
  run_pipeline(arguments(google))
  assert [job["name"] for job in google.jobs] == [f"hardmine-mine-{NEW_RUN}"] * 2


def test_a_job_that_fails_ends_in_one_line_with_its_page(google):
  google.new_state = "JOB_STATE_FAILED"
  google.message = (
    "Error message from worker: generic::unknown: Traceback (most recent call last):\n"
    '  File "x.py", line 1, in work\n'
    "    raise ValueError('7 photographs')\n"
    "ValueError: 7 photographs [while running 'Work']\n"
  )
  with pytest.raises(JobFailed) as caught:
    run_pipeline(arguments(google))
  assert str(caught.value) == (
    f"Dataflow job hardmine-mine-{NEW_RUN} failed: 7 photographs; "
    "https://console.cloud.google.com/dataflow/jobs/us-central1/"
    f"{google.jobs[0]['id']}?project=pets-1"
  )


def test_a_job_that_somebody_cancels_is_no_success(google):
  google.new_state = "JOB_STATE_RUNNING"
  end_soon(google, "JOB_STATE_CANCELLED")
  with pytest.raises(JobFailed, match="was cancelled; https://console"):
    run_pipeline(arguments(google))


@pytest.mark.parametrize("refused", ["POST /v1b3", "GET /storage"])
def test_a_refused_credential_is_one_line_at_once(google, refused):
  google.refuses[refused] = 403
  line = "Dataflow did not take the job: HTTP 403: refused by the stand-in"
  with pytest.raises(JobFailed, match=f"^{line}$"):
    run_pipeline(arguments(google))


def test_a_bucket_in_which_nothing_may_be_staged_is_named(google):
  google.withheld = {"storage.objects.create"}
  with pytest.raises(
    JobFailed, match=r"lacks storage\.objects\.create for gs://bucket"
  ):
    run_pipeline(arguments(google))
  assert not google.objects


WAITING = """
import sys
from hardmine.pipelines.cli.signals import Signalled, signals_raise
from tests.pipelines.test_dataflow import run_pipeline

with signals_raise() as came:
  try:
    run_pipeline(sys.argv[1:])
  except Signalled:
    sys.exit(128 + came[0])
"""


def start(google):
  """A process that waits for its job as the command does."""
  google.new_state = "JOB_STATE_RUNNING"
  return subprocess.Popen(
    [sys.executable, "-c", WAITING, *arguments(google)],
    env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    stderr=subprocess.PIPE,
    text=True,
  )


def check_cancelled(process, google, number):
  _, said = process.communicate(timeout=10)
  assert process.returncode == 128 + number, said
  assert [job["currentState"] for job in google.jobs] == ["JOB_STATE_CANCELLED"]
  assert f"cancelled hardmine-mine-{NEW_RUN}, https://console" in said


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_kill_cancels_the_job_within_seconds(google, number):
  process = start(google)
  assert google.wait_for(lambda: google.was_asked("GET /v1b3"), 60)
  process.send_signal(number)
  check_cancelled(process, google, number)


@pytest.mark.slow
def test_a_kill_before_the_answer_cancels_what_was_submitted(google):
  google.create_seconds = 5.0
  process = start(google)
  assert google.wait_for(lambda: google.jobs, 60)
  process.terminate()
  check_cancelled(process, google, signal.SIGTERM)


@pytest.mark.slow
def test_a_cancellation_that_google_does_not_answer_is_told(google, capsys):
  from hardmine.components.jobs import dataflow_runner

  google.new_state = "JOB_STATE_RUNNING"
  google.refuses["PUT /v1b3"] = 503

  def interrupt(*args, **kwargs):
    raise KeyboardInterrupt

  class Interrupted(dataflow_runner.dataflow_runner.DataflowRunner):
    poll_for_job_completion = staticmethod(interrupt)

  before = dataflow_runner.dataflow_runner.DataflowRunner
  dataflow_runner.dataflow_runner.DataflowRunner = Interrupted
  try:
    with pytest.raises(KeyboardInterrupt):
      run_pipeline(arguments(google))
  finally:
    dataflow_runner.dataflow_runner.DataflowRunner = before
  *_, last = capsys.readouterr().err.splitlines()
  assert last.startswith("hardmine: Dataflow did not answer within 4 s, cancel it:")
  # It would go on asking, and draw random delays, beside the tests that follow.
  google.refuses.clear()
  for thread in threading.enumerate():
    if thread.name == "cancellation":
      thread.join(60)
      assert not thread.is_alive()


ON_A_WORKER = """
import sys, zipfile
import hardmine.components.patch_gen.mine_part as module
from hardmine.pipelines.wheels import installed_package
assert "tensorflow" not in sys.modules and "tfx" not in sys.modules
print(module.__file__)
print(*zipfile.ZipFile(installed_package("hardmine")).namelist(), sep="\\n")
"""


@pytest.mark.slow
def test_what_is_staged_is_the_whole_of_our_package(google, tmp_path):
  run_pipeline(arguments(google, "--experiments=use_runner_v2"))
  staged = tmp_path / "workflow.tar.gz"
  staged.write_bytes(google.object("workflow.tar.gz"))
  with tarfile.open(staged) as archive:
    assert not any(member.issym() or member.islnk() for member in archive)
    names = {Path(*Path(name).parts[1:]).as_posix() for name in archive.getnames()}
    archive.extractall(tmp_path / "source")
  assert modules_here() <= names
  assert not any("pretrained" in name for name in names)
  assert google.object("requirements.txt").decode().startswith("gcsfs>=")
  check_installed(next((tmp_path / "source").iterdir()), tmp_path)


def modules_here():
  return {
    f"hardmine/{path.relative_to(REPOSITORY)}"
    for part in PARTS
    for path in (REPOSITORY / part).rglob("*.py")
  }


def check_installed(source, folder):
  """Builds and installs as a worker does; its libraries are those of this machine."""
  build = "from setuptools.build_meta import __legacy__ as b; b.build_wheel('../built')"
  (folder / "source" / "built").mkdir()
  command = [sys.executable, "-c", build]
  subprocess.run(command, cwd=source, check=True, capture_output=True)
  (wheel,) = (folder / "source" / "built").iterdir()
  zipfile.ZipFile(wheel).extractall(folder / "installed")
  environment = {**os.environ, "PYTHONPATH": str(folder / "installed")}
  command = [sys.executable, "-c", ON_A_WORKER]
  out = subprocess.check_output(command, cwd="/", env=environment, text=True)
  place, *members = out.splitlines()
  assert place == f"{folder}/installed/hardmine/components/patch_gen/mine_part.py"
  assert set(members) == set(zipfile.ZipFile(wheel).namelist())
