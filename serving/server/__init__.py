"""Serves the model behind an alias of the model store over HTTP, with a page.

Needs TensorFlow for the model and nothing of TFX or Beam.
"""
