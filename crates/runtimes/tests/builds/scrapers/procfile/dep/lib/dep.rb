DEP = "the dependency"
