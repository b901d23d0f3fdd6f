"""A user's own detectors, to be put beside the study's."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path

from hardmine.pipelines.experiments import find
from hardmine.pipelines.studies.combinations import Combination
from hardmine.schemas.config import require
from hardmine.schemas.detector_config import detector_from_json
from hardmine.schemas.experiment import DetectionExperiment
from hardmine.schemas.exported_model import read_facts


def experiments(references: Iterable[str], num_categories: int) -> list[Combination]:
  """The detectors of experiments, untrained.

  Args:
    references: names or paths, as of `hardmine run`.
    num_categories: which an experiment does not say before its data is read.

  Raises:
    ValueError: there is no such experiment, or it is a codec's.
  """
  found = []
  for reference in references:
    experiment = find(reference)
    if not isinstance(experiment, DetectionExperiment):
      raise ValueError(
        f"Expected the experiment of a detector. Received: experiment={reference!r}"
      )
    found.append(
      Combination(
        name=experiment.name,
        config=dataclasses.replace(experiment.detector, initial_weights=None),
        num_categories=num_categories,
        experiment=reference,
      )
    )
  return found


def models(folders: Iterable[tuple[str, Path]]) -> list[Combination]:
  """Trained detectors.

  Args:
    folders: a name, and the folder of the exported model.

  Raises:
    ValueError: one is none, or its classes are not of this version.
  """
  found = []
  for name, folder in folders:
    facts = read_facts(folder, "detector")
    require(bool(facts.get("config")), "a model that says its config", model=name)
    found.append(
      Combination(
        name=name,
        config=detector_from_json(json.dumps(facts["config"])),
        num_categories=len(facts["categories"]),
        model=str(folder),
      )
    )
  return found
