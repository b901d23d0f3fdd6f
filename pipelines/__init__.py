"""Graphs, experiments, orchestrators and the hardmine command."""
