"""What detectors find, as others take it: JSON values, COCO's format, pictures."""
