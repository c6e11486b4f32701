"""Which cases people should read next: pure functions over a pool and its features."""
