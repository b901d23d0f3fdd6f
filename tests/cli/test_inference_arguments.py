"""`--images` and `--beam` of commands that use a model: one thing or the other."""

import argparse

import pytest

from hardmine.pipelines.cli import detect, encode
from hardmine.pipelines.cli.inference_arguments import wants_job


def parsed(command, *words):
  parser = argparse.ArgumentParser()
  command.add_arguments(parser)
  args, args.passed_on = parser.parse_known_args(words)
  args.own_flags = tuple(parser._option_string_actions)
  return args


@pytest.mark.parametrize("command", [detect, encode])
def test_a_job_is_told_from_names(command):
  assert not wants_job(parsed(command, "a.jpg"))
  assert wants_job(parsed(command, "--images", "photos", "--output", "made"))
  words = ("--beam", "dask", "--dask_client_address=tcp://h:1", "--images", "photos")
  args = parsed(command, *words, "--output", "made")
  assert wants_job(args)
  assert args.passed_on == ["--dask_client_address=tcp://h:1"]


def test_a_flag_of_beam_s_may_have_spaces_in_it():
  flag = "--environment_config=python -m worker"
  words = ("--beam", "portable", "--images", "photos", "--output", "made", flag)
  args = parsed(detect, *words)
  assert wants_job(args)
  assert (args.paths, args.passed_on) == ([], [flag])


@pytest.mark.parametrize("command", [detect, encode])
@pytest.mark.parametrize(
  ("words", "line"),
  [
    ((), "the names of photographs, or --images"),
    (("a.jpg", "--beam", "direct"), "`--beam direct --images a.jpg`"),
    (("a.jpg", "--images", "photos", "--output", "made"), "--images before"),
    (("--images", "photos"), "--output with --images"),
    (("--beam", "direct", "--output", "made"), "--images with --beam"),
    (("a.jpg", "--workers", "2"), "--workers with --images"),
    (("a.jpg", "--dask_client_address=tcp://h:1"), "needs --beam dask"),
    (("a.jpg", "--workerz=2"), "perhaps --workers"),
  ],
)
def test_a_mistake_says_what_to_write(command, words, line):
  with pytest.raises(ValueError, match=line):
    wants_job(parsed(command, *words))
