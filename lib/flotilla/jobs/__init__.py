"""The jobs, a file each; only they join family, github, packing and npm."""
