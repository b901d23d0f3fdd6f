"""Annotated images (COCO JSON, Pascal VOC XML) to detection records."""
