"""Raw values and pixels become facts: labels with state and scope, regions, measures, texts, given questions."""
