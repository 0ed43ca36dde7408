"""Linear models of grouped values: one grouping factor, nested and crossed ones, robust variances."""
