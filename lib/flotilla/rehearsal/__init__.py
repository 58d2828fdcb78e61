"""Rehearse a release on one machine: with a simulated GitHub, a throwaway npm registry, and the real npm."""
