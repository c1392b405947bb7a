"""Quantizers: from item embeddings to codes, one file each behind `promise.ids.quantizers.protocol.Quantizer`."""
