"""The container images, built and run as Kubernetes would run them. `make images-test`."""
