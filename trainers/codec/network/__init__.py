"""The codec as a Keras model: its parts, its loss and its weights."""
