"""From a plan to a corpus: units, workers, quarantine, merge, report."""
