"""The lake: raw events in S3, and the manifests that say what belongs to each hour."""
