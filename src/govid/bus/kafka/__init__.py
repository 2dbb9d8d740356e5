"""The only room that speaks to Kafka: relay, inbox and log topics."""
