"""`ladder-tiny`: a Qwen2 model of two million parameters that reads the knowledge base and learns to answer from it."""
