"""Finding experiments by name and by path, and what the shipped ones promise."""

from pathlib import Path

import pytest

from hardmine.pipelines.experiments import find, names
from hardmine.pipelines.experiments.codec_demo import TEST, TRAIN, photograph


@pytest.mark.parametrize("name", names())
def test_shipped_experiment_survives_json_and_bears_its_file_name(name):
  experiment = find(name)
  assert experiment.name == name
  assert type(experiment).from_json(experiment.to_json()) == experiment
  assert experiment.evaluation.gates, "a model that nothing judges is never blessed"


def test_demo_photographs_exist_and_none_is_on_both_sides():
  assert not set(TRAIN) & set(TEST)
  for name in (*TRAIN, *TEST):
    assert Path(photograph(name)).is_file()


def test_path_of_a_python_file_is_an_experiment(tmp_path):
  path = tmp_path / "mine.py"
  path.write_text(
    "from hardmine.pipelines.experiments import codec_demo\n"
    "def experiment():\n"
    "  return codec_demo.experiment().override(['name=mine', 'training.steps=50'])\n"
  )
  assert find(str(path)).name == "mine"
  assert find(str(path)).training.steps == 50


@pytest.mark.parametrize("name", names())
def test_path_of_a_json_file_is_an_experiment(name, tmp_path):
  path = tmp_path / "mine.json"
  path.write_text(find(name).to_json())
  assert find(str(path)) == find(name)


def test_unknown_name_lists_the_known_ones():
  with pytest.raises(ValueError, match=r"codec_demo.*Received: experiment='codec_dem'"):
    find("codec_dem")


def test_file_without_experiment_is_refused(tmp_path):
  path = tmp_path / "empty.py"
  path.write_text("")
  with pytest.raises(ValueError, match="def experiment"):
    find(str(path))
