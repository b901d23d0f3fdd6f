"""TFX nodes and the Beam transforms they run."""
