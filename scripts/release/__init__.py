"""flotilla's own release, a step each; .github/workflows/release.yml only calls them."""
