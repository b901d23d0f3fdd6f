"""Entropy coding of streams: what makes the bits of a code fewer, and back, exactly."""
