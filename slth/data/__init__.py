"""Small real data sets, read from where a package or the user keeps them; nothing is downloaded."""
