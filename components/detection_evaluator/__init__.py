"""A detector's mean average precision, its verdict and its report."""
