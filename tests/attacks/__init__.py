"""The catalogue of attacks as tests; README.md says where each attack is, or why it waits."""
