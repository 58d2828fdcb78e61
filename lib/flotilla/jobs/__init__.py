"""The jobs, one file each; only they combine family, github, packing and npm."""
