"""Readers: one file per dataset format, each giving the same table of interactions."""
