"""Reports of rows: RESULTS.md from the committed ones, and sentences on what a sweep shows."""
