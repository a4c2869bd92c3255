"""The kernels every service stands on: one noun each, and none of them knows a service."""
