"""Settings of the process: TensorFlow, threads, memory."""
