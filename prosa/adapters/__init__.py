"""What fits the ports to technologies: the folder says which, the file says which port."""
