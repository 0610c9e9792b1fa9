"""Things to take away: print figures, tables, self-contained pages, and what to cite."""
