"""Measures a codec, the last blessed one and conventional ones, and judges."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from hardmine.components.codec_evaluator.comparable import (
  Images,
  LeftOut,
  comparable,
  require_some,
)
from hardmine.components.codec_evaluator.conventional import measure_conventional
from hardmine.components.codec_evaluator.measurement import Measurement, Scorer
from hardmine.components.evaluation.environment import environment
from hardmine.components.evaluation.evaluation_set import evaluation_set
from hardmine.components.evaluation.judging import measure_and_judge
from hardmine.schemas.config import require
from hardmine.schemas.gates import Gate, Verdict
from hardmine.trainers.codec.streams import bitstream
from hardmine.trainers.codec.streams.rates import iteration_bits, size_bytes

Report = Callable[[str], None]

SHOWN_ITERATIONS = (1, 2, 4, 8, 16)
MAX_SHOWN_IMAGES = 3
PACKAGES = ("hardmine", "tensorflow", "tfx", "numpy", "scipy", "pillow")


class AnyCodec(Protocol):
  """What is asked of `hardmine.trainers.codec.codec.Codec`."""

  model_id: bytes
  padding_px: int
  sends_gains: bool
  code_depth: int
  entropy_id: bytes | None

  def compress(self, image: np.ndarray, *, iterations: int) -> bytes:
    """A file; asked for where there is an entropy model, as sizes follow from bits."""
    ...

  def reconstructions(self, image: np.ndarray, iterations: int) -> np.ndarray:
    """uint8 [iterations, height, width, 3]."""
    ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
  """A test image and some of its reconstructions, to be looked at.

  Attributes:
    name: of the image.
    original: uint8 [height, width, 3].
    reconstructions: iteration to uint8 [height, width, 3].
  """

  name: str
  original: np.ndarray
  reconstructions: dict[int, np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
  """Everything `verdict.json`, `metrics.json` and `report.html` say.

  Attributes:
    verdict: None where nothing was to be judged.
    candidate: None where there was no model, or it could not be measured.
    rival: the last blessed model, if there was one.
    conventional: JPEG and WebP.
    samples: pictures of the candidate's work.
    problems: what went wrong, in sentences; empty when all went well.
    left_out: images that take part in nothing.
    environment: package to version.
    evaluation_set: names the images and the number of iterations.
  """

  verdict: Verdict | None
  candidate: Measurement | None
  rival: Measurement | None
  conventional: tuple[Measurement, ...]
  samples: tuple[Sample, ...]
  problems: tuple[str, ...]
  left_out: tuple[LeftOut, ...]
  environment: dict[str, str]
  evaluation_set: str

  def metrics(self) -> dict[str, Any]:
    """The content of `metrics.json`: flat numbers first, then what they came from."""
    return {
      **(self.candidate.known_areas() if self.candidate else {}),
      "num_images": len(self.candidate.images) if self.candidate else 0,
      "evaluation_set": self.evaluation_set,
      "candidate": self.candidate.to_plain() if self.candidate else None,
      "baseline_model": self.rival.to_plain() if self.rival else None,
      "baselines": {one.key: one.to_plain() for one in self.conventional},
      "problems": list(self.problems),
      "left_out": [dataclasses.asdict(one) for one in self.left_out],
      "environment": self.environment,
    }


def evaluate(
  load_candidate: Callable[[], AnyCodec] | None,
  images: Images,
  *,
  iterations: int = 16,
  gates: tuple[Gate, ...] | None = None,
  load_rival: Callable[[], AnyCodec] | None = None,
  report: Report = lambda line: None,
) -> Evaluation:
  """Measures everything on the same images in one run.

  A model that cannot be loaded or fails on an image is no error here: it is not
  blessed, and the verdict says why. A blessed model that cannot be measured is one
  where a gate compares (`judging`). An image that is too small for MS-SSIM's five
  scales, or that JPEG or WebP cannot write, is left out of everything.

  Args:
    load_candidate: gives the model; None measures conventional codecs only.
    images: names and uint8 [height, width, 3] pixels, any sizes.
    iterations: operating points. With fewer than 16 the curves end below 2 bits
      per pixel, and the areas hold the last value up to there.
    gates: what to judge by; None does not judge.
    load_rival: gives the last blessed model, if there is one.
    report: is given lines of progress.

  Raises:
    ValueError: no image is left.
  """
  kept, left_out = comparable(images)
  for one in left_out:  # now, and not after hours
    report(str(one))
  require_some(kept, left_out)

  def fail(name: str, why: str) -> None:
    left_out.append(LeftOut(image=name, reason="not_encoded", detail=why))
    report(str(left_out[-1]))

  # First, as what they cannot write is measured with no model either.
  conventional = measure_conventional(kept, report=report, on_failure=fail)
  names = conventional[0].images if conventional else ()
  images = [image for image in kept if image[0] in names]
  require_some(images, left_out)
  judged = measure_and_judge(
    load_candidate,
    load_rival,
    lambda codec, key, title: measure_codec(
      codec, images, iterations, key, title, report
    ),
    numbers=lambda measured: measured[0].known_areas(),
    gates=gates,
    report=report,
  )
  candidate, samples = judged.candidate or (None, ())
  rival, _ = judged.rival or (None, ())
  return Evaluation(
    verdict=judged.verdict,
    candidate=candidate,
    rival=rival,
    conventional=tuple(conventional),
    samples=samples,
    problems=judged.problems,
    left_out=tuple(left_out),
    environment=environment(PACKAGES),
    evaluation_set=evaluation_set(
      (image for _, image in images), iterations=iterations
    ),
  )


def measure_codec(
  codec: AnyCodec,
  images: Images,
  iterations: int,
  key: str,
  title: str,
  report: Report = lambda line: None,
) -> tuple[Measurement, tuple[Sample, ...]]:
  """Scores every image after every iteration.

  Rates are those of the bits of code, padding paid for, and of the whole files
  that `Codec.compress` would write.

  Returns:
    The measurement, and samples of the first `MAX_SHOWN_IMAGES` images.
  """
  bpp, file_bpp, scores, samples = [], [], [], []
  for index, (name, image) in enumerate(images):
    pictures = _reconstructions(codec, image, iterations)
    score = Scorer(image)
    scores.append([score(picture) for picture in pictures])
    rates, file_rates = _rates(codec, image, iterations)
    bpp.append(rates)
    file_bpp.append(file_rates)
    if index < MAX_SHOWN_IMAGES:
      samples.append(_sample(name, image, pictures))
    first, last = scores[-1][0][0], scores[-1][-1][0]
    report(
      f"{title}: {index + 1} of {len(images)} images, {name}: "
      f"MS-SSIM {first:.4f} at {rates[0]:.3f} to {last:.4f} "
      f"at {rates[-1]:.3f} bits per pixel"
    )
  measurement = Measurement(
    key=key,
    title=title,
    detail=f"model {codec.model_id.hex()}; {iterations} iterations; {_coding(codec)}",
    points=tuple(range(1, iterations + 1)),
    images=tuple(name for name, _ in images),
    bpp=np.array(bpp),
    file_bpp=np.array(file_bpp),
    scores=np.array(scores),
  )
  return measurement, tuple(samples)


def _reconstructions(codec: AnyCodec, image: np.ndarray, iterations: int) -> np.ndarray:
  """uint8 [iterations, height, width, 3], or an error of the codec's."""
  pictures = codec.reconstructions(image, iterations)
  require(
    pictures.shape == (iterations, *image.shape) and pictures.dtype == np.uint8,
    f"reconstructions as uint8 {(iterations, *image.shape)}",
    shape=pictures.shape,
    dtype=str(pictures.dtype),
  )
  return pictures


def _rates(
  codec: AnyCodec, image: np.ndarray, iterations: int
) -> tuple[list[float], list[float]]:
  """(bits of code, bits of the whole file) per true pixel, after every iteration."""
  height_px, width_px, _ = image.shape
  num_px = height_px * width_px
  if codec.entropy_id is not None:
    return _coded_rates(codec.compress(image, iterations=iterations), num_px)
  padding_px = codec.padding_px
  more = {"sends_gains": codec.sends_gains, "code_depth": codec.code_depth}
  rate = iteration_bits(height_px, width_px, padding_px, **more) / num_px
  turns = range(1, iterations + 1)
  sizes = (size_bytes(height_px, width_px, padding_px, t, **more) for t in turns)
  return [rate * t for t in turns], [8 * size / num_px for size in sizes]


def _coded_rates(data: bytes, num_px: int) -> tuple[list[float], list[float]]:
  """The same of a file whose bits are coded, known once they are."""
  payloads = bitstream.unpack(data).payloads
  code_bytes = np.cumsum([len(one) for one in payloads])
  sizes = bitstream.prefix_bytes(data)
  return [8 * size / num_px for size in code_bytes], [8 * s / num_px for s in sizes]


def _coding(codec: AnyCodec) -> str:
  if codec.entropy_id is None:
    return "no entropy coding"
  return f"coded by entropy model {codec.entropy_id.hex()}"


def _sample(name: str, image: np.ndarray, pictures: np.ndarray) -> Sample:
  iterations = len(pictures)
  shown = {t: pictures[t - 1] for t in SHOWN_ITERATIONS if t <= iterations}
  shown[iterations] = pictures[-1]
  return Sample(name=name, original=image, reconstructions=shown)
