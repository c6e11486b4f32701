"""The labelling desk: where people read cases and answer."""
