"""Several views of a picture, several detectors: their answers as one."""
