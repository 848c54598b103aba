"""Analytics Engine: data points that workers write."""
