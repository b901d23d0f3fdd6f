"""Serves the model behind an alias of the model store over HTTP, with a page.

Needs nothing of TFX or Beam, and TensorFlow only for models without a light form.
"""
