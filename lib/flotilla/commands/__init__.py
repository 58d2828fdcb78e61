"""The commands that a person runs, outside of a workflow."""
