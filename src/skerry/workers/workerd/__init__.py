"""TypeScript and JavaScript on workerd, the production runtime."""
