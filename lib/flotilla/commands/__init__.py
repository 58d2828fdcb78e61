"""The commands that a person runs: the same library, without a workflow around it."""
