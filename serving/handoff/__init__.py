"""When a release steps aside and brings a person in: signals, one risk, a threshold that keeps a promise."""
