"""Image quality and rate-distortion."""
