"""A finished detector's network on whatever runs it: ONNX graphs or the SavedModel."""
