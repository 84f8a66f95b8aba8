"""Files on disk and S3, and the content-addressed store of results."""
