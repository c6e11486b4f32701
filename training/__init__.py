"""Models: training sets, LoRA fine-tuning, calibration, scoring, judging and the registry."""
