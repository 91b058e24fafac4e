"""The models as a service: texts of many requests are read together."""
