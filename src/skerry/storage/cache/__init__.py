"""The Cache API: responses that workers keep."""
