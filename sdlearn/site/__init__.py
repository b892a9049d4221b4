"""The lessons as a web site that needs no server, no kernel and no network: `make site`."""
