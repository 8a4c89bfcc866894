"""REST, the web page and the command line: the one part that composes the tiers."""
