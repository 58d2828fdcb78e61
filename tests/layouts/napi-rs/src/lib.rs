// The sources of the addon; the tests compile a smaller one of their own.
