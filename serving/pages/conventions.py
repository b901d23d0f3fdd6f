"""What every page calls a number, and which colour it gives to a codec."""

from __future__ import annotations

from typing import Any

from hardmine.serving.pages.pictures import ACCENT, RIVAL

METRICS = {"ms_ssim": "MS-SSIM", "psnr_hvs": "PSNR-HVS", "psnr": "PSNR"}
UNITS = {"ms_ssim": "", "psnr_hvs": " (dB)", "psnr": " (dB)"}
# Hue says which format, dashes say that only the entropy coding differs.
STYLES: dict[str, dict[str, Any]] = {
  "candidate": {"color": ACCENT, "linewidth": 2.6, "marker": "o", "markersize": 4},
  "baseline_model": {"color": RIVAL, "linewidth": 2.0, "linestyle": (0, (5, 2))},
  "jpeg_420": {"color": "#c2410c"},
  "jpeg_420_optimised": {"color": "#c2410c", "linestyle": (0, (3, 2))},
  "jpeg_444": {"color": "#a8a29e"},
  "jpeg_444_optimised": {"color": "#a8a29e", "linestyle": (0, (3, 2))},
  "webp": {"color": "#15803d"},
}
# COCO's twelve numbers: title, and what it is measured over.
SUMMARY = {
  "AP": ("AP", "mean over IoU 0.50 to 0.95"),
  "AP50": ("AP50", "IoU 0.50"),
  "AP75": ("AP75", "IoU 0.75"),
  "AP_small": ("AP, small", "below 32² pixels"),
  "AP_medium": ("AP, medium", "32² to 96² pixels"),
  "AP_large": ("AP, large", "above 96² pixels"),
  "AR_1": ("AR, 1 detection", "at most one per image and category"),
  "AR_10": ("AR, 10 detections", "at most ten"),
  "AR_100": ("AR, 100 detections", "at most a hundred"),
  "AR_small": ("AR, small", "at most a hundred"),
  "AR_medium": ("AR, medium", "at most a hundred"),
  "AR_large": ("AR, large", "at most a hundred"),
}
