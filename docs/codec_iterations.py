"""What each iteration of a codec still adds, and why the late ones add little.

Of a training run (`hardmine train`): its held-out photographs are coded, and of every
iteration are shown MS-SSIM, the energy of the residual and its spectrum; and on a batch
of its patches the size of the gradient that each iteration's loss sends back.

    python docs/codec_iterations.py runs/trainings/codec_shipped --output out.png
"""

import argparse
from pathlib import Path

import numpy as np

import hardmine.trainers  # noqa: F401  sets TensorFlow's switches before its import
from hardmine.trainers.codec.training.run_folder import RunFolder

SHOWN = (1, 2, 4, 8, 16)
BATCH = 8


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("run", help="the folder of a training run")
  parser.add_argument("--output", required=True, help="a PNG to write")
  args = parser.parse_args()
  folder = RunFolder(args.run)

  from hardmine.trainers.codec.exports.export import reconstructor
  from hardmine.trainers.codec.network.model import build_codec
  from hardmine.trainers.codec.network.weights import load_weights
  from hardmine.trainers.datasets import load_patches

  experiment = folder.experiment()
  codec = build_codec(experiment.codec, experiment.training.iterations)
  load_weights(folder.weights, codec)
  reconstruct = reconstructor(codec)
  facts = of_photographs(
    [(image, reconstruct(image)) for image in folder.photographs()]
  )
  patches = load_patches(sorted(folder.patches.glob("**/*.gz")))
  chosen = np.random.default_rng(0).choice(len(patches), BATCH, replace=False)
  batch = patches[np.sort(chosen)].astype("float32") / 255 - 0.5
  gradients = gradient_norms(codec, batch, experiment.training)
  print("iteration  MS-SSIM  residual dB  step dB  high half  gradient")
  for t in range(codec.iterations):
    energy = facts["energy_db"][t]
    step = energy - facts["energy_db"][t - 1] if t else np.nan
    print(
      f"{t + 1:9}  {facts['ms_ssim'][t]:7.4f}  {energy:11.2f}  {step:7.2f}  "
      f"{facts['high_share'][t]:9.2f}  {gradients[t]:8.3f}"
    )
  draw(facts, gradients, args.output)
  print(f"{args.output} written")


def of_photographs(pairs):
  """Means over (image, pictures by iteration): quality, energy and spectra.

  Returns:
    `ms_ssim` and `energy_db` [n], `high_share` [n] (of the residual's energy above half
    the highest frequency), `spectra` [n + 1, bins], the image's own first.
  """
  from hardmine.trainers.codec.training.held_out import ms_ssim_by_iteration

  ms_ssim, energy, spectra = [], [], []
  for image, pictures in pairs:
    ms_ssim.append(ms_ssim_by_iteration(lambda _, p=pictures: p, [image]))
    residuals = image.astype(np.float64) - pictures
    energy.append(np.mean(residuals**2, axis=(1, 2, 3)))
    luma = np.concatenate([image[None].astype(np.float64), residuals]) @ LUMA
    spectra.append([radial_spectrum(plane) for plane in luma])
  spectra = np.mean(spectra, axis=0)
  half = spectra.shape[1] // 2
  # a ring has as many frequencies as its radius is long
  rings = spectra[1:] * np.arange(spectra.shape[1])
  return {
    "ms_ssim": np.mean(ms_ssim, axis=0),
    "energy_db": 10 * np.log10(np.mean(energy, axis=0)),
    "high_share": rings[:, half:].sum(1) / rings.sum(1),
    "spectra": spectra,
  }


LUMA = np.array([0.299, 0.587, 0.114])


def radial_spectrum(plane, bins=64):
  """Mean power by distance from frequency 0, up to the Nyquist frequency: [bins]."""
  windowed = (plane - plane.mean()) * np.outer(*map(np.hanning, plane.shape))
  power = np.abs(np.fft.fft2(windowed)) ** 2 / plane.size
  frequencies = np.hypot(*np.meshgrid(*map(np.fft.fftfreq, plane.shape), indexing="ij"))
  ring = np.minimum((frequencies / 0.5 * bins).astype(int), bins)
  counts = np.bincount(ring.ravel(), minlength=bins + 1)[:bins]
  return np.bincount(ring.ravel(), power.ravel(), bins + 1)[:bins] / counts


def gradient_norms(codec, batch, training):
  """Norm of the gradient of every iteration's loss by itself: [iterations]."""
  import tensorflow as tf

  from hardmine.trainers.codec.network.losses import iteration_losses

  with tf.GradientTape(persistent=True) as tape:
    losses = iteration_losses(
      batch, codec(batch, training=True), training.ms_ssim_weight, training.log_loss
    )
    losses = tf.unstack(losses)
  return [
    float(tf.linalg.global_norm(tape.gradient(loss, codec.trainable_variables)))
    for loss in losses
  ]


def draw(facts, gradients, path):
  from matplotlib.figure import Figure

  figure = Figure(figsize=(13, 3.6), dpi=110, layout="constrained")
  quality, energy, spectrum, gradient = figure.subplots(1, 4)
  iterations = np.arange(1, len(gradients) + 1)
  quality.plot(iterations, 1 - facts["ms_ssim"], marker=".")
  quality.set(yscale="log", title="1 - MS-SSIM", xlabel="iteration")
  energy.plot(iterations, facts["energy_db"], marker=".", label="residual")
  # at high rate 0.125 bits a pixel, shared by three colours, take away a quarter dB
  # where colours are independent and three quarters where they are one
  ideal = facts["energy_db"][0] - 0.125 * 6.02 * (iterations - 1)
  energy.plot(iterations, ideal, linestyle=":", label="6 dB a bit of luma")
  energy.set(title="energy of the residual, dB", xlabel="iteration")
  energy.legend()
  rings = np.linspace(0, 1, facts["spectra"].shape[1])
  for t in (0, *(t for t in SHOWN if t <= len(iterations))):
    label = f"after {t}" if t else "photograph"
    spectrum.semilogy(rings, facts["spectra"][t], label=label)
  spectrum.set(title="power by frequency (luma)", xlabel="share of Nyquist's")
  spectrum.legend(fontsize=7)
  gradient.plot(iterations, gradients, marker=".")
  gradient.set(title="gradient of each loss", xlabel="iteration", ylim=(0, None))
  for axes in (quality, energy, spectrum, gradient):
    axes.grid(alpha=0.3)
  Path(path).parent.mkdir(parents=True, exist_ok=True)
  figure.savefig(path)


if __name__ == "__main__":
  main()
