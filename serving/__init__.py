"""The live model: the release that answers, and when it steps aside."""
