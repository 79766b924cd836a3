"""Independent oracles: what a correct conversion of each reference set contains.

Plain Python over the original files, one module per set, each with `expected(root) -> Expected`. Nothing here
imports the package under test. Conventions and the oddities of the data: README.md.
"""
