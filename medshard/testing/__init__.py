"""What tests and demos need: conformance classes, strategies, numpy references and synthetic scanners."""
