"""`env`: one class per kind of binding, each speaking workerd's own wire protocol to the node."""
