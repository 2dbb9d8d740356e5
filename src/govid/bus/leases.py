"""Which buckets of which subscriber this replica may work on."""
