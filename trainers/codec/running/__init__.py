"""A finished codec's network at work: on what, how far, in how much memory."""
