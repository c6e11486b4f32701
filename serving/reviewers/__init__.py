"""The reviewers' page: what waits for a decision, the evidence on it, and the decision. A process of its own."""
