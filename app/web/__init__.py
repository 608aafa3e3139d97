"""The service that relman's demo and lab deploy."""
