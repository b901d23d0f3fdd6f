"""Where a pipeline runs: one file each."""
