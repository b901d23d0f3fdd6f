"""A codec's rate-distortion curve, its verdict and its report."""
