"""Laws and outside numbers for PSNR and PSNR-HVS."""

import numpy as np
import pytest
from scipy.fft import dctn
from skimage.metrics import peak_signal_noise_ratio

from hardmine.trainers.metrics.psnr import CAP_DB, psnr
from hardmine.trainers.metrics.psnr_hvs import LUMA, SENSITIVITY, dct_matrix, psnr_hvs

BOTH = pytest.mark.parametrize("metric", [psnr, psnr_hvs])


def random_pair(height, width, sigma=10.0):
  rng = np.random.default_rng(0)
  image = rng.integers(0, 256, (height, width, 3), np.uint8)
  noise = rng.normal(size=image.shape) * sigma
  return image, np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)


@BOTH
@pytest.mark.parametrize("size", [(1, 1), (8, 8), (32, 32), (13, 21)])
def test_equal_images_reach_the_cap(metric, size):
  image, _ = random_pair(*size)
  assert metric(image, image.copy()) == CAP_DB


@BOTH
@pytest.mark.parametrize("size", [(1, 1), (3, 50), (24, 16), (33, 47)])
def test_is_symmetric(metric, size):
  image, other = random_pair(*size)
  assert metric(image, other) == pytest.approx(metric(other, image), abs=1e-5)


@BOTH
def test_more_noise_scores_less(metric):
  scores = [metric(*random_pair(40, 48, sigma)) for sigma in (1, 3, 9, 27, 81)]
  assert scores == sorted(scores, reverse=True)
  assert scores[0] - scores[-1] > 20


def test_psnr_equals_scikit_image():
  image, other = random_pair(37, 53)
  expected = peak_signal_noise_ratio(image, other, data_range=255)
  assert psnr(image, other) == pytest.approx(expected, abs=1e-4)


def test_psnr_by_hand():
  image = np.full((2, 2, 3), 100, np.uint8)
  other = image.copy()
  other[0, 0] = 106  # one of four pixels is 6 off: mse = 36 / 4 = 9
  assert psnr(image, other) == pytest.approx(10 * np.log10(255**2 / 9), abs=1e-4)


def test_dct_matrix_is_orthonormal():
  np.testing.assert_allclose(dct_matrix() @ dct_matrix().T, np.eye(8), atol=1e-6)


def test_psnr_hvs_equals_a_block_by_block_dct():
  image, other = random_pair(24, 40)
  lumas = [x.astype(np.float64) @ np.array(LUMA) for x in (image, other)]
  squares = []
  for top in range(0, 24, 8):
    for left in range(0, 40, 8):
      a, b = (
        dctn(luma[top : top + 8, left : left + 8], norm="ortho") for luma in lumas
      )
      squares.append(((a - b) * SENSITIVITY) ** 2)
  expected = 10 * np.log10(255**2 / np.mean(squares))
  assert psnr_hvs(image, other) == pytest.approx(expected, abs=1e-4)


def test_psnr_hvs_of_a_shift_in_brightness_by_hand():
  image = np.full((16, 16, 3), 100, np.uint8)
  other = image + np.uint8(4)
  # Only the DC of each block differs: 8 * 4 * 1.608443, over 64 coefficients.
  error = (8 * 4 * 1.608443) ** 2 / 64
  assert psnr_hvs(image, other) == pytest.approx(
    10 * np.log10(255**2 / error), abs=1e-4
  )


def test_psnr_hvs_forgives_high_frequencies():
  """The same energy as a checkerboard, which the eye hardly sees, and as a shift."""
  image = np.full((32, 32, 3), 128, np.uint8)
  board = (np.indices((32, 32)).sum(axis=0) % 2)[..., None] * 2 - 1
  fine = (image + 6 * board).astype(np.uint8)
  flat = image + np.uint8(6)
  assert psnr(image, fine) == pytest.approx(psnr(image, flat), abs=1e-6)
  assert psnr_hvs(image, fine) > psnr_hvs(image, flat) + 10


@BOTH
def test_wrong_input_is_refused(metric):
  image = np.zeros((8, 8, 3), np.uint8)
  for other in (np.zeros((8, 9, 3), np.uint8), np.full((8, 8, 3), np.nan)):
    with pytest.raises(ValueError, match="Received"):
      metric(image, other)
