"""The desk commands: the same library, with a person in front of it."""
