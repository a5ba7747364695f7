"""A small language model in this process, on the CPU, by llama.cpp."""
