"""What every page calls a number, and which colour it gives to a model."""

from __future__ import annotations

from hardmine.serving.pages.svg import Style

ACCENT = "#1d4ed8"  # this model
RIVAL = "#7c9bea"  # the one that was promoted or blessed last
INK = "#334155"
BAD = "#b91c1c"

METRICS = {"ms_ssim": "MS-SSIM", "psnr_hvs": "PSNR-HVS", "psnr": "PSNR"}
UNITS = {"ms_ssim": "", "psnr_hvs": " (dB)", "psnr": " (dB)"}
# Hue says which format, dashes say that only the entropy coding differs.
STYLES = {
  "candidate": Style(color=ACCENT, width=2.6, marked=True),
  "baseline_model": Style(color=RIVAL, width=2.0, dashes=(5, 2)),
  "jpeg_420": Style(color="#c2410c"),
  "jpeg_420_optimised": Style(color="#c2410c", dashes=(3, 2)),
  "jpeg_444": Style(color="#a8a29e"),
  "jpeg_444_optimised": Style(color="#a8a29e", dashes=(3, 2)),
  "webp": Style(color="#15803d"),
  "avif": Style(color="#7e22ce"),
  "jpeg_xl": Style(color="#0e7490"),
  "jpeg_2000": Style(color="#a16207", dashes=(6, 2)),
}
OTHER = Style(color=INK)  # a codec that has none of its own
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
