"""Files to annotated sentences: schemas, readers and the data sets that configs name."""
