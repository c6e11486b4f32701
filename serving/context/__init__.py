"""The context package: all that an agent who takes a conversation over needs, so that nobody has to say it twice."""
