"""Where an audience comes from: lists, files, rows of a query."""
