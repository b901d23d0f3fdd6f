"""Asks a model something, in a process with limits."""
