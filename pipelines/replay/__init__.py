"""The real and simulated sources of a replay: the feed, the annotators, the demo."""
