"""A study: its configuration, what its names stand for, its plan, and the datasets it asks for."""
