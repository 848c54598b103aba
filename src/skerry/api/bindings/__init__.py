"""The far end of a worker's bindings: one face per kind, in the wire protocol of workerd."""
