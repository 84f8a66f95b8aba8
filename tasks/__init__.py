"""The stages of a batch: one file per stage, named by the stage."""
