"""User code: projects, TypeScript on workerd, Python on CPython, their bindings and logs."""
