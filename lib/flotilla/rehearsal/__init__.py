"""A release rehearsed on one machine: a simulated GitHub, a throwaway npm registry, and the real npm."""
