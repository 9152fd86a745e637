"""Who and where: one file a provider, mostly data. Nobody outside this folder compares a provider's name."""
