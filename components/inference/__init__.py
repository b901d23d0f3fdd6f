"""Finished models over folders and buckets of photographs, as Beam jobs."""
