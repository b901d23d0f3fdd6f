"""Object detectors: SSD (arXiv 1512.02325, 1611.10012) and what they are made of."""
