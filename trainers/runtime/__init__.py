"""What runs a finished model: one seam over ONNX Runtime, OpenVINO and TensorFlow."""
