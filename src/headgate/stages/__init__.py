"""The pipeline's stages: one feature, one file, one class."""
